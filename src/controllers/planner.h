/*
 * planner.h: every controller is a planner, a function from one view of the cluster to intended
 * writes:
 *
 *     reconcile(view, key) -> writes, events, when to ask again
 *
 * It reads objects from the view, decodes what it needs in the view's arena, and says what it wants
 * written. One shared executor (executor.h) calls it when something it watches changed, carries the
 * writes out, waits until the view has caught up with them, and asks again with back-off when one
 * failed. So a controller is tested by a golden file: objects in, writes out. The few that must
 * remember something between calls (a graph, when a node was last heard of) own a state made by
 * `init`.
 */
#ifndef SAMPAN_PLANNER_H
#define SAMPAN_PLANNER_H

#include "client/client.h"
#include "controllers/controllers.h"
#include "controllers/owners.h"
#include "store/store.h"

struct plan_key {
	struct str ns, name; /* NUL-terminated */
};

enum plan_op {
	PLAN_CREATE,
	PLAN_UPDATE,
	PLAN_UPDATE_STATUS,
	PLAN_PATCH,
	PLAN_DELETE,
	PLAN_DELETE_COLLECTION, /* of a namespace */
	PLAN_VERIFY_ABSENT,     /* fails when the object is there and has this uid */
};

/* What went wrong when this key's writes were carried out last time. */
struct plan_failure {
	enum plan_op op;
	const struct schema_resource *resource;
	struct str name;
	int code; /* HTTP status */
	struct str reason, message;
};

/* What a planner sees. The snapshots are at least as new as the planner's own last writes of this
 * key. */
struct view {
	struct arena *arena; /* of this reconcile */
	const struct controllers_opts *opts;
	void *state;                        /* what planner->init returned */
	const struct plan_failure *failure; /* NULL when all went well */
	struct str answer; /* JSON that a write with want_answer was answered with; once */
	int64_t now_ns;                     /* Unix, from the loop's clock */
	/* private */
	uint64_t random_state;
	struct client *client;       /* NULL in a test, which fills the snapshots */
	struct snapshot **snapshots; /* by resource->index, taken at first use */
	struct owner_index *owners;
};

struct object_vec {
	const struct object **v;
	size_t n;
};

struct snapshot *view_snapshot(struct view *v, const struct schema_resource *res); /* borrowed */
const struct object *view_get(
	struct view *v, const struct schema_resource *res, struct str ns, struct str name);
/* Decoded in the view's arena; NULL when there is none. */
void *view_decode(
	struct view *v, const struct schema_resource *res, struct str ns, struct str name);
/* Objects of `res` (one whose watch says .indexed) that `uid` controls; those of a namespace that
 * nobody controls. In order of name. */
struct object_vec view_controlled(
	struct view *v, const struct schema_resource *res, struct str uid);
struct object_vec view_orphans(struct view *v, const struct schema_resource *res, struct str ns);
uint64_t view_random(struct view *v);
struct k8s_time view_now(const struct view *v); /* whole seconds, as metav1.Time is written */

struct plan_write {
	enum plan_op op;
	const struct schema_resource *resource;
	struct str ns, name;
	struct str subresource; /* "status", "scale", "binding", "eviction", "finalize"; may be
				   empty */
	const void *object;     /* CREATE/UPDATE: typed, in the view's arena */
	const struct schema_type
		*type;          /* of object when it is not resource->type (Binding, Eviction) */
	struct str patch;       /* PATCH: body */
	const char *patch_type; /* NULL = application/merge-patch+json */
	struct str uid;         /* DELETE: precondition; may be empty */
	uint64_t revision;      /* DELETE: precondition; 0 = none (UPDATE takes the object's own) */
	const char *propagation; /* DELETE: "Background" … or NULL */
	int64_t grace_s;         /* DELETE: -1 = the object's own */
	bool ignore_not_found;   /* 404 counts as success */
	bool ignore_exists;      /* 409 AlreadyExists counts as success */
	bool want_answer;        /* a review: plan again at once, with the answer in view->answer */
	/* An event about `about` when it is done: message = text + name, or fail_text + the error.
	 */
	struct {
		const struct object *about;
		const char *reason, *text;
		const char *fail_reason, *fail_text;
		struct str message; /* instead of text + name */
	} event;
	unsigned wave; /* private */
};

struct plan_event {
	const struct object *about;
	const char *type; /* Normal, Warning */
	struct str reason, message;
};

struct plan {
	struct arena *arena;
	struct {
		struct plan_write *v;
		size_t n;
	} writes; /* those of one wave are carried out at once */
	struct {
		struct plan_event *v;
		size_t n;
	} events;           /* to record about objects */
	int64_t requeue_ms; /* ask again after that; 0 = only on change */
	unsigned wave;
};
struct plan_write *plan_add(struct plan *p, enum plan_op op, const struct schema_resource *res,
	struct str ns, struct str name);
/* What is added from now on is carried out only when everything before has succeeded. */
void plan_next_wave(struct plan *p);
void plan_requeue(struct plan *p, int64_t after_ms); /* the earliest wins */
void plan_event(struct plan *p, const struct object *about, const char *type, const char *reason,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Which keys a changed object concerns: call enqueue for each. */
typedef void plan_enqueue_fn(void *user_data, struct str ns, struct str name);
typedef void plan_keys_fn(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data);

struct plan_watch {
	const struct schema_resource *resource;
	plan_keys_fn *keys; /* NULL: the object's own key */
	bool indexed;       /* view_controlled() and view_orphans() are wanted */
	bool silent;        /* only for its snapshot */
};

struct planner {
	const char *name;   /* upstream's name for --controllers: "replicaset-controller" */
	const char *source; /* of its events: "replicaset-controller"; NULL = name */
	const char
		*user; /* service account in kube-system that it acts as: "replicaset-controller" */
	const struct plan_watch *watches; /* ended by a NULL resource */
	plan_keys_fn *watch_all; /* also every other stored resource that can be listed, watched and
				    deleted */
	bool (*wanted)(const struct controllers_opts *opts); /* NULL = always */
	void *(*init)(const struct controllers_opts *opts);  /* NULL: no state */
	void (*free)(void *state);
	/* 0, or negative errno with err to be asked again with back-off; what was planned is
	 * carried out either way. */
	int (*reconcile)(struct view *v, struct plan_key key, struct plan *plan, struct err *err);
};

extern const struct planner *const planners[]; /* registry.c; NULL-terminated */

#endif
