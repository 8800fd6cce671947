/*
 * cycle.h: one attempt to find a node for one pod: which nodes can run it, which of them is best;
 * and when none can, why, and whether removing pods of lower priority would help. Pure: reads the
 * cache, changes nothing.
 */
#ifndef SAMPAN_SCHEDULER_CYCLE_H
#define SAMPAN_SCHEDULER_CYCLE_H

#include "scheduler/cache.h"
#include "scheduler/queue.h"

struct cycle_opts {
	struct cache *cache;
	const struct queue
		*queue; /* nominated pods count on their nodes for pods of lower priority */
	int percentage_of_nodes; /* 0: adaptive */
	size_t *start;           /* where to begin looking; moved on */
	uint64_t random;
	struct scheduler_meter *meter; /* NULL: nothing is counted */
	const struct str_map *(*namespace_labels)(void *user_data, struct str ns);
	void *user_data;
};

struct verdict {
	struct node_info *node;      /* NULL: none can */
	struct str message;          /* then: "0/3 nodes are available: …" */
	uint32_t events;             /* then: what may help */
	struct node_info *nominated; /* then: where removing `victims` makes room, or NULL */
	struct {
		struct pod_info **v;
		size_t n;
	} victims;
	size_t feasible, evaluated;
};

/* In the arena. */
struct verdict cycle_run(const struct cycle_opts *opts, const struct pod_info *pod,
	const struct queued *self, struct arena *a);
const char *cycle_pre_enqueue(const struct pod_info *pod); /* NULL, or why it must wait */

/* preemption.c's way into a cycle */
struct attempt {
	const struct cycle_opts *opts;
	struct cycle c;
	bool skip_filter[PLUGINS_MAX];
	const struct queued *self;
	uint8_t *fits; /* enum fit of each node, by index, as far as evaluated */
};
enum fit attempt_filter(
	struct attempt *at, const struct node_info *n, struct reasons *ret, size_t *ret_plugin);
void attempt_pod_moved(
	struct attempt *at, const struct pod_info *pod, const struct node_info *n, int by);
/* Fills nominated and victims, or adds to the message why not. */
void attempt_preempt(struct attempt *at, struct verdict *v, struct buf *message);

#endif
