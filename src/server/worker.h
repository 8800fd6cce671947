/*
 * worker.h: what `control` runs on a loop of its own beside the API server: the controllers, the
 * scheduler. Alone on the store it just runs; where several control planes share a store, one of
 * them holds a Lease and works.
 */
#ifndef SAMPAN_WORKER_H
#define SAMPAN_WORKER_H

#include <semaphore.h>

#include "client/leader.h"
#include "loop/thread.h"

struct serving;

struct worker {
	struct loop_thread thread; /* the loop exists after worker_init */
	/* Begin and end the work; each on the loop's thread or while it does not run. */
	int (*start)(struct worker *w, struct err *err);
	void (*stop)(struct worker *w);
	void *user_data;
	struct serving *serving; /* its port; NULL: none */
	struct leader **elected; /* gets the election; may be NULL */
	struct leader *leader;   /* private, as is all below */
	struct loop_task quit;
	sem_t quitted;
};

int worker_init(struct worker *w, struct err *err);
/* `lease` is a client for the Lease alone, taken over; NULL: works without election. */
int worker_start(struct worker *w, const char *name, struct client *lease,
	const struct leader_flags *flags, struct err *err);
/* Waits for the thread. An elected worker has stopped and given its Lease back; one that is not has
 * just stood still. */
void worker_stop(struct worker *w);

#endif
