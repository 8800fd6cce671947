/*
 * scheduler.h: gives each pending pod a node. One part of a process: `kube-scheduler` runs nothing
 * else, `control` starts it on a loop of its own, the simulator on a simulated one. framework.h is
 * what plugins see.
 *
 * One thread: the loop's. An idle cluster costs nothing.
 */
#ifndef SAMPAN_SCHEDULER_H
#define SAMPAN_SCHEDULER_H

#include "client/client.h"

struct buf;
struct metrics;
struct scheduler;

struct scheduler_opts {
	struct loop *loop;
	struct client *client; /* "system:kube-scheduler"; taken over, also on failure */
	const char *name;      /* spec.schedulerName it serves; NULL = "default-scheduler" */
	int percentage_of_nodes_to_score; /* 0 = adaptive, as upstream */
	size_t binds_in_flight_max;       /* 0 = 500 */
	struct metrics *metrics;          /* counts what it does; outlives it; NULL: nothing does */
};

int scheduler_start(const struct scheduler_opts *opts, struct scheduler **ret, struct err *err);
bool scheduler_synced(const struct scheduler *s);
/* Metrics that are told when asked for: pods that wait, what the cache holds. */
void scheduler_write_metrics(const struct scheduler *s, struct buf *out);
void scheduler_stop(struct scheduler *s); /* frees the client, too */

/* The program of that name; returns its exit code. */
int kube_scheduler_main(int argc, char **argv);

#endif
