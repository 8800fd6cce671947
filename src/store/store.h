/*
 * store.h: the state of a cluster: a durable backend, the current objects as snapshots, and the
 * recent events.
 *
 * One writer thread commits; any thread submits writes, takes snapshots and watches. One monotonic
 * 64-bit revision over all resources is the resourceVersion. A write is acknowledged after it is
 * durable (kinds marked lazy: from memory, flushed within seconds; revisions never go back over a
 * crash).
 *
 *     struct store_write w = {.op = STORE_CREATE, .draft = draft, .loop = loop, .done = created};
 *     store_submit(store, &w);                      // created(&w) runs on `loop`
 *
 *     struct snapshot *s = store_snapshot(store, &v1_pod_resource);
 *     snapshot_iter_init(&it, s, S("default"), S(""), S(""));
 *     while ((o = snapshot_next(&it))) …            // o lives as long as s
 *     snapshot_unref(s);
 */
#ifndef SAMPAN_STORE_H
#define SAMPAN_STORE_H

#include "api/object.h"
#include "base/base.h"
#include "loop/loop.h"
#include "schema/schema.h"
#include "store/tree.h"

struct store;
struct snapshot;

/* --- opening --- */

struct store_backend; /* see backend.h: sqlite, memory */
struct etcd_opts;     /* see etcd.h */

struct store_opts {
	struct store_backend *backend; /* taken over; NULL with etcd */
	const struct etcd_opts *etcd;  /* copied */
	size_t history_events_max;     /* per resource; 0 = 4096 */
	size_t queue_max;              /* writes waiting; 0 = 8192; above: -EAGAIN, 429 */
	struct loop *sim_loop; /* NULL: the store starts its own commit thread. A simulated loop:
				  everything happens on it, deterministically. */
};

/* Loads everything into memory. Blocks, with etcd until one can be reached; call before the loops
 * run. */
int store_open(const struct store_opts *opts, struct store **ret, struct err *err);
/* Commits what waits, flushes what is lazy, stops the thread. The loops have stopped, and are freed
 * only after this: until then the store may still be posting to them. */
void store_close(struct store *s);
/* For simulations and tests of crashes: from now on nothing reaches the disk, writes that wait and
 * all later ones fail with -EIO. Lets the loops finish what they have begun before the store goes.
 */
void store_crash(struct store *s);
/* As kill -9 would: what is not durable is lost, writes that wait get no done(). */
void store_abandon(struct store *s);
uint64_t store_revision(struct store *s); /* of the newest commit that readers can see */
bool store_healthy(struct store *s);      /* any thread: etcd answers */

/* --- writing --- */

enum store_op { STORE_CREATE, STORE_UPDATE, STORE_DELETE };

/* An object that comes or goes with the write, or not at all. Not of a lazy resource. */
struct store_along {
	const struct schema_resource *resource;
	struct str ns, name;
	const struct object *draft; /* created: it must not be there; NULL: deleted, there or not */
};
enum { STORE_ALONG_MAX = 4 };

/* An object that changes with the write, or the write fails: what many writes share a part of (who has which node port).
 * Not of a lazy resource. */
struct store_beside {
	const struct schema_resource *resource;
	struct str ns, name;
	/* Makes what it shall be from what it is (NULL: not there); called again when that has changed meanwhile. 0, *ret a
	 * draft whose reference the store takes (NULL: it stays as it is), or -EADDRINUSE: then the write fails with it.
	 * On a thread of the store; must not block. */
	int (*make)(const struct store_beside *b, const struct object *current, struct object **ret);
};

struct store_write {
	enum store_op op;
	const struct schema_resource *resource;
	struct str ns, name; /* of the key; must live until done */
	struct object
		*draft; /* CREATE and UPDATE; a reference the store takes over. DELETE: may hold the
			   last state to publish with the event (else the stored one) */
	uint64_t expect_revision; /* UPDATE and DELETE: the object must still be at it; 0 = whatever
				     it is, but there */
	/* What must be unique in the store: the write fails with -EADDRINUSE when what it brings
	 * along is there. Borrowed until done. */
	const struct store_along *along;
	size_t n_along; /* at most STORE_ALONG_MAX */
	const struct store_beside *beside; /* or NULL; borrowed until done */
	struct loop *loop; /* where done runs */
	void (*done)(struct store_write *w);

	/* results */
	int result;    /* 0; -EEXIST (CREATE), -ENOENT, -EBUSY (revision moved on), -EAGAIN (queue
			  full), -ENOSPC, -EIO, -ETIMEDOUT (etcd did not answer) */
	char why[160]; /* etcd's words with -ENOSPC and -EIO; else empty */
	const struct object *object; /* committed (for DELETE: as deleted, with the deletion's
					revision); on -EEXIST and -EBUSY the one that is there. A
					reference the caller owns; may be NULL */
	/* private */
	struct loop_task task;
	struct store_write *next;
};

/* Any thread. w belongs to the store until done(w). */
void store_submit(struct store *s, struct store_write *w);

/* --- reading --- */

bool store_is_shared(const struct store *s); /* others may write to it */
/* With etcd others write, too, and what this process shows may be behind: a barrier waits until it
 * shows everything that was committed, by anyone, before the call. */
struct store_barrier {
	uint64_t revision; /* not that, only this revision; 0: everything */
	struct loop *loop;
	void (*done)(struct store_barrier *b); /* on `loop` */
	int result; /* 0; -ETIMEDOUT; -ERANGE: the revision did not come within 3 s */
	/* private */
	struct loop_task task;
	struct store_barrier *next;
	int64_t deadline_ms;
};
/* Any thread. False: there is nothing to wait for, and done() will not be called. */
bool store_barrier(struct store *s, struct store_barrier *b);

/* With etcd: makes known that an API server is at this address (once, before others ask), and which
 * ones are, sorted, ours among them as soon as etcd knows of it. Any thread. */
void store_announce(struct store *s, struct str address);
struct str_vec store_servers(struct store *s, struct arena *a);

/* The newest state of one resource; never blocks on a commit. Any thread; the caller owns a
 * reference. */
struct snapshot *store_snapshot(struct store *s, const struct schema_resource *res);
struct snapshot *snapshot_ref(struct snapshot *s);
struct snapshot *snapshot_unref(struct snapshot *s);
uint64_t snapshot_revision(const struct snapshot *s); /* the store's revision when it was current */
const struct schema_resource *snapshot_resource(const struct snapshot *s);
size_t snapshot_count(const struct snapshot *s);
/* Whether nothing changed from one to the other, both being held since they were taken. */
bool snapshot_same(const struct snapshot *a, const struct snapshot *b);
/* Borrowed from the snapshot; object_ref it to keep it longer. */
const struct object *snapshot_get(const struct snapshot *s, struct str ns, struct str name);
/* One object of the newest state, a reference the caller owns, or NULL. */
const struct object *store_get(
	struct store *s, const struct schema_resource *res, struct str ns, struct str name);

struct snapshot_iter {
	const struct snapshot *s;
	struct str ns;         /* only this namespace when not empty */
	struct tree_iter path; /* private */
};
/* In order of (namespace, name). `after_ns`/`after_name`: starts behind that key (a continue
 * token); empty = at the beginning. */
void snapshot_iter_init(struct snapshot_iter *it, const struct snapshot *s, struct str ns,
	struct str after_ns, struct str after_name);
const struct object *snapshot_next(struct snapshot_iter *it);

struct store_event;
/* Tells fn what leads from one snapshot to another, in order of keys; objects with the same
 * revision are the same. */
void snapshot_diff(struct snapshot *from, struct snapshot *to,
	void (*fn)(void *user_data, const struct store_event *ev), void *user_data);

/* --- building snapshots outside a store (an informer over HTTPS keeps its own) --- */
struct snapshot *snapshot_new(const struct schema_resource *res);
/* New snapshots; the old one stays valid. o is referenced. */
struct snapshot *snapshot_with(struct snapshot *s, const struct object *o, uint64_t revision);
struct snapshot *snapshot_without(
	struct snapshot *s, struct str ns, struct str name, uint64_t revision);
/* The same for who goes on with the new one only: *s becomes it, in place when nobody else holds
 * it. */
void snapshot_put(struct snapshot **s, const struct object *o, uint64_t revision);
void snapshot_remove(struct snapshot **s, struct str ns, struct str name, uint64_t revision);
void snapshot_stamp(struct snapshot **s, uint64_t revision); /* nothing changed up to it */

/* --- watching --- */

enum store_event_type { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };

struct store_event {
	enum store_event_type type;
	const struct object *object; /* DELETED: the last state, with the deletion's revision */
	const struct object *prev;   /* the state before; NULL for ADDED */
	uint64_t revision;
};

/* A position in one resource's events. One thread: the loop's. */
struct store_watch;

/* Events with a revision above `after`. -ESTALE when the history no longer goes back that far (410
 * Expired); -ERANGE when `after` lies in the future. After opening, call store_watch_next() until
 * it returns 0; from then on `wake` runs on `loop` once when there is something to read, and again
 * after each time that next() returned 0. A wake may close any watch, its own too. Watches are
 * closed before the store, or never touched again. */
int store_watch_open(struct store *s, const struct schema_resource *res, uint64_t after,
	struct loop *loop, void (*wake)(struct store_watch *w, void *user_data), void *user_data,
	struct store_watch **ret);
/* 1 and an event (borrowed until the next call), 0 when there is none now, -ESTALE when this
 * watcher was too slow and the history has gone on without it. */
int store_watch_next(struct store_watch *w, struct store_event *ret);
/* Up to which revision everything was seen (for bookmarks): when next() returned 0, the store's
 * revision. */
uint64_t store_watch_revision(const struct store_watch *w);
void store_watch_close(struct store_watch *w);

/* For who keeps something derived from a resource and brings it up to date when it is asked: calls
 * fn for every event above *after in order, borrowed, and moves *after on. Any thread. 0, or
 * -ESTALE when the history does not go back that far: then it has to be made anew from a snapshot.
 */
int store_read_events(struct store *s, const struct schema_resource *res, uint64_t *after,
	void (*fn)(void *user_data, const struct store_event *ev), void *user_data);

#endif
