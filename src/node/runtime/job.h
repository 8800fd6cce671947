/*
 * job.h: blocking work off the loop: each job has a thread of its own.
 *
 * A job's thread has its own working directory and umask and ends with the job, so a job may enter
 * namespaces and leave without restoring anything. At most `max` run at a time; more wait in line.
 *
 *     struct start { struct job job; … };
 *     job_submit(jobs, &s->job, run, done);     // run(&s->job) on a thread, then done(&s->job) on
 * the loop
 */
#ifndef SAMPAN_JOB_H
#define SAMPAN_JOB_H

#include "base/base.h"
#include "loop/loop.h"

struct jobs;

struct job { /* embed it; belongs to jobs until done */
	struct loop_task task;
	struct jobs *jobs;
	struct job *next;
	void (*run)(struct job *j);
	void (*done)(struct job *j); /* may free the job */
};

struct jobs *jobs_new(struct loop *loop, int threads_max);
/* Waits for the running ones and drops the others; no done is called any more. */
void jobs_free(struct jobs *jobs);
void job_submit(
	struct jobs *jobs, struct job *j, void (*run)(struct job *j), void (*done)(struct job *j));

#endif
