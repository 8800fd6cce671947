#include "node/runtime/job.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { STACK_BYTES = 512 * 1024 };

struct jobs {
	struct loop *loop;
	int running, running_max;
	struct job *first, **last; /* waiting */
	bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t idle;
};

struct jobs *jobs_new(struct loop *loop, int threads_max)
{
	struct jobs *jobs = xcalloc(1, sizeof(*jobs));

	jobs->loop = loop;
	jobs->running_max = threads_max;
	jobs->last = &jobs->first;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->idle, NULL);
	return jobs;
}

static void start_locked(struct jobs *jobs);

static void finished(struct loop_task *t)
{
	struct job *j = container_of(t, struct job, task);

	j->done(j);
}

static void *thread(void *arg)
{
	struct job *j = arg;
	struct jobs *jobs = j->jobs;

	/* Its own root, working directory and umask; cannot fail with CLONE_FS. */
	unshare(CLONE_FS);
	j->run(j);
	pthread_mutex_lock(&jobs->lock);
	jobs->running--;
	if (!jobs->stopping)
		loop_post(jobs->loop, &j->task);
	start_locked(jobs);
	if (jobs->running == 0)
		pthread_cond_broadcast(&jobs->idle);
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

static void start_locked(struct jobs *jobs)
{
	while (jobs->first && jobs->running < jobs->running_max && !jobs->stopping) {
		struct job *j = jobs->first;
		sigset_t all, old;
		pthread_attr_t attr;
		pthread_t id;
		int r;

		sigfillset(&all); /* signals belong to the loop's thread */
		pthread_sigmask(SIG_SETMASK, &all, &old);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		r = pthread_create(&id, &attr, thread, j);
		pthread_attr_destroy(&attr);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (r != 0) { /* out of threads: the next one to end starts it */
			if (jobs->running > 0)
				return;
			log_error("runtime: cannot start a thread: %s", strerror(r));
			abort();
		}
		jobs->first = j->next;
		if (!jobs->first)
			jobs->last = &jobs->first;
		jobs->running++;
	}
}

void job_submit(
	struct jobs *jobs, struct job *j, void (*run)(struct job *j), void (*done)(struct job *j))
{
	*j = (struct job){.task.fn = finished, .jobs = jobs, .run = run, .done = done};
	pthread_mutex_lock(&jobs->lock);
	*jobs->last = j;
	jobs->last = &j->next;
	start_locked(jobs);
	pthread_mutex_unlock(&jobs->lock);
}

void jobs_free(struct jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->stopping = true;
	while (jobs->running > 0)
		pthread_cond_wait(&jobs->idle, &jobs->lock);
	pthread_mutex_unlock(&jobs->lock);
	pthread_mutex_destroy(&jobs->lock);
	pthread_cond_destroy(&jobs->idle);
	free(jobs);
}
