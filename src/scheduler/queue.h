/*
 * queue.h: pods that wait for a node, as upstream's scheduling queue has them:
 *   active         ready to be tried, by priority, then by arrival
 *   backoff        tried in vain not long ago: 1 s, 2 s … 10 s
 *   unschedulable  until the cluster changes in a way that may help (enum cluster_event), at most 5
 * minutes gated          until the pod itself changes A pod that is being bound is in none of them.
 */
#ifndef SAMPAN_SCHEDULER_QUEUE_H
#define SAMPAN_SCHEDULER_QUEUE_H

#include "scheduler/meter.h"

enum queued_state {
	QUEUED_NONE,
	QUEUED_ACTIVE,
	QUEUED_BACKOFF,
	QUEUED_UNSCHEDULABLE,
	QUEUED_GATED
};

struct queued {
	int64_t queued_ns;     /* metric_now_ns when it first became active; 0: not yet */
	struct pod_info *info; /* NULL while it is assumed on a node */
	struct str uid;
	enum queued_state state;
	uint64_t seq; /* arrival */
	unsigned attempts;
	int64_t due_ms;             /* backoff: when it ends */
	int64_t since_ms;           /* unschedulable: since when */
	uint32_t events;            /* what may help */
	size_t at;                  /* in its heap */
	char *nominated;            /* node that preemption made room on; NULL */
	bool removed;               /* deleted while it was being bound */
	struct queued *prev, *next; /* unschedulable, gated */
};

struct queue;

struct queue *queue_new(void);
void queue_free(struct queue *q);
/* Counts what comes in; borrowed, may be NULL. */
void queue_set_meter(struct queue *q, struct scheduler_meter *meter);
/* active, backoff, unschedulable, gated */
void queue_numbers(const struct queue *q, struct scheduler_numbers *ret);
size_t queue_active(const struct queue *q);
struct queued *queue_find(const struct queue *q, struct str uid);
/* A new pod, or one whose spec has changed: the info is taken over, attempts start anew. */
struct queued *queue_put(struct queue *q, struct pod_info *info, bool gated);
void queue_remove(struct queue *q, struct queued *p); /* frees it, also one in no state */
struct queued *queue_pop(struct queue *q); /* the next active one, then in no state; NULL: none */
/* Back after a failed attempt. events 0: an error, tried again after the back-off whatever happens.
 */
void queue_failed(struct queue *q, struct queued *p, uint32_t events, int64_t now_ms);
/* active, or backoff until that ends; because of these events */
void queue_activate(
	struct queue *q, struct queued *p, uint32_t events, int64_t now_ms);
/* Something happened: those that it may help are tried again. */
void queue_event(struct queue *q, uint32_t events, int64_t now_ms);
/* Moves what is due; when to be called next, or -1: not needed. */
int64_t queue_tick(struct queue *q, int64_t now_ms);
/* Pods that wait for a node which preemption clears for them. node empty: no longer. */
void queue_nominate(struct queue *q, struct queued *p, struct str node);
struct queued *const *queue_nominated(const struct queue *q, size_t *ret_n);

#endif
