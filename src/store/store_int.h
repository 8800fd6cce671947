/*
 * store_int.h: what the files of the store share. Not for others.
 *
 * Locks, always taken alone: `queue_lock` guards the submit queue; each resource's `lock` guards
 * what readers and watchers share with the commit thread. Order of publication of a batch: every
 * touched resource gets its new snapshot and its events under its lock, then `revision` moves on,
 * then watchers are woken, then done() is posted. So whoever read `revision` first finds in each
 * resource at least everything up to it.
 */
#ifndef SAMPAN_STORE_INT_H
#define SAMPAN_STORE_INT_H

#include <pthread.h>

#include "store/backend.h"
#include "store/store.h"
#include "store/tree.h"

/* --- snapshot.c --- */

struct snapshot {
	_Atomic uint32_t refs;
	const struct schema_resource *resource;
	uint64_t revision;
	struct tree tree;
};
struct snapshot *snapshot_of(
	const struct schema_resource *res, const struct tree *t, uint64_t revision);

/* --- history.c --- */

struct history_entry {
	struct store_event event; /* with references */
	int64_t at_ms;
};

/* The newest events of one resource. Sequence numbers count events; an event stands at v[seq %
 * cap]. */
struct history {
	struct history_entry *v;
	size_t cap, cap_max; /* cap is 0 or a power of two */
	uint64_t first, next;
	uint64_t floor; /* everything with a revision above it is here */
	size_t bytes;   /* of the JSON of its objects */
};
/* Takes references of its own. Forgets what is too much or too old. */
void history_add(struct history *h, const struct store_event *ev, int64_t now_ms);
/* Forgets what is too old, so that memory comes back when a busy time is over. */
void history_expire(struct history *h, int64_t now_ms);
void history_release(struct history *h);

/* The watchers of one resource on one loop: woken together, by one task. */
struct watch_group {
	struct watch_group *next;
	struct store_resource *rs;
	struct loop *loop;
	struct loop_task task;
	struct store_watch *watches; /* the loop's thread only */
	struct store_watch *cursor;  /* the next to be woken: watches may close each other */
	size_t n_armed;              /* under the resource's lock, as is the next */
	bool posted;
};
/* After events were published: posts a task to each loop that waits for some. */
void history_wake(struct store_resource *rs);

/* --- store.c --- */

struct store_resource {
	const struct schema_resource *resource;
	struct store *store;
	pthread_mutex_t lock;
	/* under the lock */
	struct snapshot *current;
	struct history history;
	struct watch_group *groups;
	/* the commit thread's */
	struct tree work; /* current, and what the batch at hand changes */
	bool touched;
	struct tree lazy;       /* acknowledged, not yet on disk */
	uint64_t *lazy_deleted; /* rows to delete */
	size_t n_lazy_deleted, cap_lazy_deleted;
};

struct store {
	struct store_backend *backend;    /* NULL with etcd */
	struct etcd *etcd;                /* or NULL */
	struct store_resource *resources; /* by index */
	_Atomic uint64_t revision;        /* what readers can see */
	struct loop *sim_loop;
	struct loop_timer sim_timer, sim_flush_timer;

	pthread_t thread;
	pthread_mutex_t queue_lock;
	pthread_cond_t queue_cond;
	struct store_write *head, **tail;
	size_t n_queued, queue_max;
	bool stop, crashed;

	/* the commit thread's */
	uint64_t next_revision; /* the last one given to a write, committed or not */
	uint64_t reserved;
	int64_t lazy_due_ms; /* when lazy writes must be on disk; 0 = there are none */
	bool failing;        /* the last commit failed, and was logged */
	struct commit_batch *batch;
};

static inline struct store_resource *store_resource(
	struct store *s, const struct schema_resource *res)
{
	return &s->resources[res->storage_resource->index];
}
int64_t store_now_ms(struct store *s);
/* The queue's next writes, at most n. Under the queue's lock. */
struct store_write *store_take(struct store *s, size_t n);

/* --- publish.c --- */

/* One change on its way to readers. */
struct change {
	struct store_resource *rs;
	enum store_event_type type;
	struct object *object;     /* a reference; NULL: did not happen after all */
	const struct object *prev; /* with a reference, or NULL */
};

/* Changes that become visible together. The touched resources' `work` is what is published, with
 * the changes applied. */
struct changes {
	struct change *v;
	struct store_resource **touched;
	size_t n, cap, n_touched, cap_touched;
};
struct tree published_tree(struct store_resource *rs); /* a reference */
void changes_touch(struct changes *c, struct store_resource *rs);
/* Takes object over, references prev, applies the change. Valid until the next. */
struct change *changes_add(struct changes *c, struct store_resource *rs, enum store_event_type type,
	struct object *object, const struct object *prev);
/* `revision` becomes the store's, unless it is there already. */
void changes_publish(struct store *s, struct changes *c, uint64_t revision);
void changes_clear(struct changes *c);
void changes_release(struct changes *c);

/* --- commit.c --- */

enum { COMMIT_BATCH_MAX = 256, COMMIT_RESERVE = 1 << 16 };

struct commit_batch *commit_batch_new(void);
void commit_batch_free(struct commit_batch *b);
/* Carries out a list of at most COMMIT_BATCH_MAX writes and posts their done(). */
void commit_run(struct store *s, struct store_write *list);

/* --- lazy.c --- */

/* Notes a published change of a lazy resource. */
void lazy_note(struct store_resource *rs, enum store_op op, const struct object *o);
bool lazy_full(const struct store_resource *rs);
/* Writes what is lazy to the backend, in pieces; what fails stays for the next time. */
int lazy_flush(struct store *s);
void lazy_release(struct store_resource *rs);

#endif
