/*
 * planner.h: every controller is a planner, a pure function over one consistent view of the cluster:
 *
 *     reconcile(view, key, now) -> intended writes
 *
 * It reads objects from the view, decodes what it needs in the view's arena, and says what it wants written. It keeps no
 * state between calls but what its `struct controller` instance owns (timers it asked for are requeue_ms). One shared
 * executor (executor.h) calls it when something it watches changed, carries the writes out, waits until the view has
 * caught up with them, and requeues with back-off when one failed. So a controller is tested by a golden file: objects
 * in, writes out.
 */
#ifndef SAMPAN_PLANNER_H
#define SAMPAN_PLANNER_H

#include "client/client.h"
#include "store/store.h"

struct plan_key {
	struct str ns, name;
};

/* What a planner sees: snapshots taken together, an arena, the time. */
struct view {
	struct arena *arena;
	struct client *client;
	int64_t now_ns;        /* Unix, from the loop's clock */
	uint64_t random;       /* fresh for each reconcile */
	struct snapshot **snapshots; /* private: by resource->index, taken at first use */
};
struct snapshot *view_snapshot(struct view *v, const struct schema_resource *res); /* borrowed */
const struct object *view_get(struct view *v, const struct schema_resource *res, struct str ns, struct str name);

enum plan_op { PLAN_CREATE, PLAN_UPDATE, PLAN_UPDATE_STATUS, PLAN_PATCH, PLAN_DELETE };

struct plan_write {
	enum plan_op op;
	const struct schema_resource *resource;
	struct str ns, name;
	struct str subresource;          /* "status", "scale", "binding", "eviction", "finalize"; may be empty */
	const void *object;              /* CREATE/UPDATE: typed, in the view's arena */
	const struct schema_type *type;  /* of object when it is not resource->type (Binding, Eviction) */
	struct str patch;                /* PATCH: body; merge patch */
	struct str uid;                  /* DELETE: precondition; may be empty */
	uint64_t revision;               /* DELETE: precondition; 0 = none (UPDATE takes the object's own) */
	const char *propagation;         /* DELETE: "Background" … or NULL */
	int64_t grace_s;                 /* DELETE: -1 = the object's own */
	bool ignore_not_found;
};

struct plan {
	struct arena *arena;
	struct {
		struct plan_write *v;
		size_t n;
	} writes;                        /* carried out in order, those of one `wave` at once */
	int64_t requeue_ms;              /* ask again after that; 0 = only on change */
	struct {                         /* events to record about objects */
		struct plan_event *v;
		size_t n;
	} events;
};
struct plan_write *plan_add(struct plan *p, enum plan_op op, const struct schema_resource *res, struct str ns,
	struct str name);
void plan_requeue(struct plan *p, int64_t after_ms); /* the earliest wins */
struct plan_event {
	const struct object *about;
	const char *type;                /* Normal, Warning */
	struct str reason, message;
};
void plan_event(struct plan *p, const struct object *about, const char *type, const char *reason, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/* Which keys a changed object concerns: call enqueue for each. */
typedef void plan_enqueue_fn(void *user_data, struct str ns, struct str name);
struct plan_watch {
	const struct schema_resource *resource;
	/* NULL: the object's own key. `v` gives the current snapshots. */
	void (*keys)(struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data);
};

struct planner {
	const char *name;                /* upstream's controller name: "replicaset-controller" */
	const char *user;                /* service account in kube-system it acts as: "replicaset-controller" */
	const struct plan_watch *watches; /* ended by a NULL resource */
	/* 0, or negative errno to be asked again with back-off. */
	int (*reconcile)(struct view *v, struct plan_key key, struct plan *ret_plan, struct err *err);
};

extern const struct planner *const planners[]; /* registry.c; NULL-terminated */

#endif
