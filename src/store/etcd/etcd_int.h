/*
 * etcd_int.h: what the files of the etcd mode share. Not for others.
 *
 * One thread with a loop does everything: it is the only one that publishes. Other threads hand
 * writes over by the store's queue and barriers by `barriers`, under the store's queue lock.
 *
 *     connect (etcd.c) -> load (load.c) -> watch (watch.c): events become snapshots and histories
 *     write.c, barrier.c, compact.c use the same connection, and wait while there is none
 */
#ifndef SAMPAN_STORE_ETCD_INT_H
#define SAMPAN_STORE_ETCD_INT_H

#include "base/map.h"
#include "http/grpc.h"
#include "loop/thread.h"
#include "store/etcd.h"
#include "store/etcd/wire.h"
#include "store/store_int.h"

enum etcd_state { ETCD_DOWN, ETCD_CONNECTING, ETCD_LOADING, ETCD_UP };

enum {
	ETCD_IN_FLIGHT_MAX = 512, /* writes on their way; more wait in the store's queue */
	ETCD_CALL_TIMEOUT_MS = 10 * 1000,
};

struct etcd_endpoint {
	char *address; /* host:port or unix:path */
	bool tls;
};

/* A call with one answer: done() comes once, with the message, or with why there is none. */
typedef void etcd_done_fn(void *user_data, int status, struct str text, struct str message);
struct etcd_call;

struct etcd_write;
struct etcd_load;

struct etcd {
	struct store *store;
	struct loop_thread thread;
	struct loop *loop;
	char *prefix;
	struct etcd_endpoint *endpoints;
	size_t n_endpoints, at, n_failed; /* n_failed: attempts since the last success */
	void *ssl_ctx;
	const struct etcd_reader *reader;
	int64_t patience_ms;

	/* etcd.c */
	enum etcd_state state;
	bool loaded, closing, keep_loop;
	bool broken; /* its data is not what it was: nothing more is asked or shown anew */
	bool told;   /* that it cannot be reached */
	_Atomic bool healthy;
	uint64_t cluster_id;
	bool progress_safe; /* of this version of etcd */
	struct grpc_client *grpc;
	struct etcd_call *calls;
	struct loop_timer retry, tick;
	struct loop_task wake_task, stop_task;
	bool wake_posted; /* under the queue's lock */
	pthread_mutex_t open_lock;
	pthread_cond_t open_cond;
	bool opened; /* under open_lock: the first load is done */
	int64_t close_by_ms;

	/* load.c, watch.c */
	struct etcd_load *load;
	struct grpc_call *watch;
	struct changes changes;
	struct map undecodable; /* places of which one line was logged */

	/* write.c */
	struct map by_key;         /* the first write on each key */
	struct etcd_write *writes; /* those, in a list */
	struct etcd_write **last_write;
	struct etcd_write *beside; /* under way, with an object beside it; or NULL */
	size_t n_writes; /* with those that wait behind another on their key */
	struct loop_timer write_retry;
	int64_t lease_ttl_s, lease_id, lease_until_ms, lease_used;
	bool lease_asked;

	/* barrier.c */
	struct store_barrier *barriers; /* new ones; under the queue's lock */
	struct store_barrier *asking;   /* those that the Range under way is for */
	struct store_barrier *arriving; /* those that wait for a revision */
	bool range_out;
	uint64_t shown;  /* the revision that readers saw when it was sent */
	uint64_t wanted; /* the newest revision that somebody waits for */
	struct loop_timer poke;
	bool sync_out;

	/* presence.c */
	struct map servers; /* by their addresses; under open_lock */
	char *announced;    /* our own, or NULL */
	bool leaving;
	struct loop_timer presence_timer;
	struct loop_task announce_task;

	/* compact.c */
	struct loop_timer compact_timer;
	int64_t compact_interval_ms, compact_time, compact_revision;
};

/* --- etcd.c --- */

int etcd_open(struct store *s, const struct etcd_opts *opts, struct etcd **ret, struct err *err);
/* FINISH: what waits is written before, or given up after some seconds. DROP: no done() comes. */
enum etcd_close_how { ETCD_FINISH, ETCD_DROP };
void etcd_close(struct etcd *e, enum etcd_close_how how);
void etcd_crash(struct etcd *e); /* stops; writes under way fail. Close follows. */
void etcd_wake(struct etcd *e);  /* under the queue's lock: there is something in a queue */
bool etcd_healthy(struct etcd *e);

static inline uint64_t etcd_revision(const struct etcd *e)
{
	return atomic_load_explicit(&e->store->revision, memory_order_relaxed);
}
/* Only while connected; done() never comes from inside. */
void etcd_call(struct etcd *e, const char *method, const struct buf *message, int timeout_ms,
	etcd_done_fn *done, void *user_data);
/* The connection is of no use any more: everything under way fails, and another is made. */
void etcd_lost(struct etcd *e, const char *why);
/* What etcd holds is older than what it held before (a backup was restored, or another etcd stands
 * there): what readers have seen cannot be taken back, so this process is of no use any more. */
void etcd_went_back(struct etcd *e, uint64_t revision);
/* Loaded and watching. */
void etcd_is_up(struct etcd *e);
/* After changes were published: who waits for that revision goes on. */
void etcd_published(struct etcd *e);

/* --- load.c --- */

void etcd_load_start(struct etcd *e);
void etcd_load_drop(struct etcd *e); /* idempotent */
/* The object that a stored value is, or NULL after logging it once per kind. */
struct object *etcd_object(struct etcd *e, const struct schema_resource *res, struct str ns,
	struct str name, const struct etcd_kv *kv);

/* --- watch.c --- */

void etcd_watch_start(struct etcd *e);

/* --- write.c --- */

struct etcd_write {
	struct etcd *e;
	struct store_write *w;
	struct etcd_write *prev, *next; /* in e->writes */
	struct etcd_write *behind;      /* the next on the same key */
	struct buf key, value;
	int64_t deadline_ms;
	int64_t lease;
	/* Of the object beside it, as it was sent: */
	uint64_t beside_revision; /* which it must still have; 0: not be there */
	struct buf beside_value;  /* empty: it stays as it is */
	bool has_beside;          /* these two are filled */
	unsigned remade;
	uint64_t resend_revision; /* readers must see it before the write is sent again; 0: any */
	bool sent;                /* a call is under way */
	bool uncertain; /* one got no answer: it may have happened */
	bool answered;  /* waits until readers can see it */
	uint64_t wait_revision;
	const struct object *published; /* by an event that this write may have caused */
};
void etcd_write_init(struct etcd *e);
void etcd_writes_take(struct etcd *e);   /* from the store's queue */
void etcd_writes_send(struct etcd *e);   /* what is not under way */
void etcd_writes_expire(struct etcd *e); /* what waited too long */
void etcd_writes_finish(struct etcd *e); /* what readers can see */
void etcd_writes_fail(struct etcd *e);   /* all, with -EIO */
void etcd_writes_drop(struct etcd *e);   /* all, without done() */
/* The newest revision that one of them waits to see, and of which no event need come. */
uint64_t etcd_writes_wanted(const struct etcd *e);
/* The write under way on a key, or NULL. */
struct etcd_write *etcd_write_on(struct etcd *e, struct str key);

/* --- barrier.c --- */

bool etcd_barrier(struct etcd *e, struct store_barrier *b);
void etcd_barriers_take(struct etcd *e);
void etcd_barriers_arrive(struct etcd *e);
void etcd_barriers_expire(struct etcd *e);
void etcd_barriers_fail(struct etcd *e);
/* Somebody waits for this revision, which may be of a key that is not watched. */
void etcd_want(struct etcd *e, uint64_t revision);
/* A linearizable Range of a key that does not exist: its answer's header has the newest revision.
 */
void etcd_ask_revision(struct etcd *e, etcd_done_fn *done);
void etcd_barrier_init(struct etcd *e);

/* --- presence.c --- */

void etcd_announce(struct etcd *e, struct str name);
struct str_vec etcd_servers(struct etcd *e, struct arena *a); /* any thread */
void etcd_presence_saw(struct etcd *e, struct str key, bool there);
void etcd_presence_forget(struct etcd *e);
void etcd_presence_leave(struct etcd *e);
void etcd_presence_init(struct etcd *e);

/* --- compact.c --- */

void etcd_compact_init(struct etcd *e);

#endif
