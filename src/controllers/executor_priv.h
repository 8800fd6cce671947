/* executor_priv.h: what executor.c (queue) and carry.c (writes) share. */
#ifndef SAMPAN_EXECUTOR_PRIV_H
#define SAMPAN_EXECUTOR_PRIV_H

#include "client/recorder.h"
#include "controllers/executor.h"
#include "controllers/metrics.h"

struct worker { /* a planner that runs */
	struct executor *executor;
	const struct planner *planner;
	struct client *client;
	struct recorder *recorder;
	void *state;
	struct queue_meter meter;
	size_t at; /* its place among them, while numbers are told */
	struct worker *next;
};

enum { WAITS_MAX = 4 };

struct wait { /* for the event of an own write */
	const struct schema_resource *resource;
	uint64_t revision;
};

struct item { /* a key of a planner, from its first event until nothing is left to do or remember */
	struct item *hash_next;
	struct item *next; /* in the ready queue, or among the parked */
	struct worker *worker;
	struct plan_key key;
	enum { ITEM_IDLE, ITEM_QUEUED, ITEM_RUNNING, ITEM_PARKED } state;
	bool dirty; /* changed while it ran */
	unsigned failures;
	int64_t since_ns;    /* queued, parked: since it was queued; running: since it began */
	struct carry *carry; /* while it runs */
	struct loop_timer timer;
	struct wait waits[WAITS_MAX];
	size_t n_waits;
	struct str answer;           /* to a write of the last round that wanted it; malloc'd */
	struct plan_failure failure; /* .code != 0: of the last round; owns its strings */
	char bytes[];
};

struct carry { /* the writes of one reconcile on their way */
	struct carry *next;
	struct item *item;
	struct arena arena;
	struct plan plan;
	size_t next_write, in_flight;
	bool queued, failed;
};

struct executor {
	struct loop *loop;
	struct client *reader;
	const struct controllers_opts *opts;
	struct worker *workers;
	struct owner_index *owners;
	struct watched *watched; /* by resource->index */
	struct snapshot **snapshots;
	struct item **slots;
	size_t n_slots, n_items;
	struct {
		struct item *head, *tail;
	} ready;
	struct item *parked;
	struct {
		struct carry *head, *tail;
	} carries;
	size_t in_flight, in_flight_max;
	struct loop_timer work; /* a timer of 0 ms, as it can be stopped */
	bool running;
};

/* carry.c */
void carry_start(struct executor *x, struct carry *c); /* takes c over */
/* executor.c */
void item_finished(struct executor *x, struct item *item, bool failed, int64_t requeue_ms);
void item_wait_for(struct executor *x, struct item *item, const struct schema_resource *res,
	uint64_t revision);
void executor_wake(struct executor *x);                     /* there is something ready */
void item_set_answer(struct item *item, struct str answer); /* copied */
void item_set_failure(
	struct item *item, const struct plan_write *w, const struct client_call *call);

#endif
