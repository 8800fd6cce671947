/* scheduler_priv.h: what scheduler.c (events, attempts) and writes.c (their outcome) share. */
#ifndef SAMPAN_SCHEDULER_PRIV_H
#define SAMPAN_SCHEDULER_PRIV_H

#include "base/map.h"
#include "client/recorder.h"
#include "scheduler/cycle.h"

struct scheduler {
	struct loop *loop;
	struct client *client;
	struct recorder *recorder;
	char *name;
	struct cache *cache;
	struct queue *queue;
	struct scheduler_meter *meter; /* or NULL */
	struct map namespaces;         /* name -> object */
	int percentage_of_nodes;
	size_t start; /* the node where the next search begins */
	size_t in_flight, in_flight_max;
	struct loop_timer work; /* 0 ms: there are active pods */
	struct loop_timer ticker;
	bool synced;
};

void scheduler_changed(struct scheduler *s, uint32_t events); /* also 0: something may be ready */

/* writes.c */
/* began_ns: the attempt, as metric_now_ns. */
void scheduler_bind(struct scheduler *s, struct queued *q, struct node_info *n, int64_t began_ns);
void scheduler_failed(struct scheduler *s, struct queued *q, const struct verdict *v,
	struct arena *a, int64_t began_ns);
void scheduler_gated(struct scheduler *s, struct queued *q);

#endif
