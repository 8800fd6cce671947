/*
 * audit.c: a watch on every resource, with a copy that is built from events alone. An event must
 * fit the copy exactly: its `prev` is the very object the copy holds, its revision is above all
 * before it. So nothing can be missed, come twice or out of order without being seen here.
 */
#include "sim.h"

struct audited {
	struct audit *audit;
	const struct schema_resource *resource;
	struct store_watch *watch;
	struct snapshot *copy;
	uint64_t revision; /* everything up to it was heard */
};

struct audit {
	struct world *w;
	struct audited *v;
	size_t n;
	uint64_t revision; /* the highest that was ever seen */
};

static void mix(struct world *w, uint64_t x)
{
	w->result->trace = (w->result->trace ^ x) * 0x100000001b3;
}

static bool is_pod(const struct object *o)
{
	return o->resource == &v1_pod_resource;
}

/* --- pods --- */

/* The binding is for life, and only a pod that was asked to go may go from a node. */
static void check_pod(struct world *w, const struct object *before, const struct object *now)
{
	struct str node_before = object_field(before, S("spec.nodeName"));

	if (!now) {
		if (!str_empty(node_before) && before->deletion_ms == 0)
			world_fail(w,
				"pod " STR_FMT " was on node " STR_FMT
				" and is gone without having been deleted",
				STR_ARG(before->name), STR_ARG(node_before));
		return;
	}
	if (!str_eq(before->uid, now->uid))
		return;
	if (!str_empty(node_before) && !str_eq(node_before, object_field(now, S("spec.nodeName"))))
		world_fail(w, "pod " STR_FMT " was bound to " STR_FMT " and then to " STR_FMT,
			STR_ARG(now->name), STR_ARG(node_before),
			STR_ARG(object_field(now, S("spec.nodeName"))));
	if (before->deletion_ms && !now->deletion_ms)
		world_fail(w, "pod " STR_FMT " was being deleted and no longer is",
			STR_ARG(now->name));
}

/* --- events --- */

static void check_event(struct audited *r, const struct store_event *ev)
{
	struct world *w = r->audit->w;
	const struct object *o = ev->object, *had = snapshot_get(r->copy, o->ns, o->name);

	if (ev->revision <= r->revision || ev->revision != o->revision)
		world_fail(w, "%s " STR_FMT ": event at revision %ju after %ju, object at %ju",
			r->resource->plural, STR_ARG(o->name), (uintmax_t)ev->revision,
			(uintmax_t)r->revision, (uintmax_t)o->revision);
	if (had != ev->prev)
		world_fail(w,
			"%s " STR_FMT
			": the event at %ju does not follow the one before (%ju, not %ju)",
			r->resource->plural, STR_ARG(o->name), (uintmax_t)ev->revision,
			(uintmax_t)(ev->prev ? ev->prev->revision : 0),
			(uintmax_t)(had ? had->revision : 0));
	if ((ev->type == STORE_ADDED) != (ev->prev == NULL))
		world_fail(w, "%s " STR_FMT ": an event of the wrong type", r->resource->plural,
			STR_ARG(o->name));
	if (is_pod(o) && ev->prev) {
		check_pod(w, ev->prev, o);
		if (ev->type == STORE_DELETED)
			check_pod(w, ev->prev, NULL);
	}
}

static void on_event(struct audited *r, const struct store_event *ev)
{
	struct world *w = r->audit->w;
	const struct object *o = ev->object;

	check_event(r, ev);
	world_note(w, "%ju %c %s " STR_FMT "/" STR_FMT, (uintmax_t)ev->revision, "+~-"[ev->type],
		r -> resource -> plural, STR_ARG(o->ns), STR_ARG(o->name));
	mix(w, ev->revision);
	mix(w, str_hash(o->json));
	mix(w, ev->type);
	w->result->events++;
	r->revision = ev->revision;
	if (ev->type == STORE_DELETED)
		snapshot_remove(&r->copy, o->ns, o->name, ev->revision);
	else
		snapshot_put(&r->copy, o, ev->revision);
}

static void on_wake(struct store_watch *watch, void *user_data);

/* Too slow (the history is kept short on purpose), or after a restart: goes on from what is there
 * now. */
static void resync(struct audited *r)
{
	struct world *w = r->audit->w;
	struct snapshot *now = store_snapshot(w->store, r->resource), *before = r->copy;
	struct snapshot_iter it;
	const struct object *o, *n;
	int rc;

	w->result->resyncs++;
	snapshot_iter_init(&it, before, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		n = snapshot_get(now, o->ns, o->name);
		if (r->resource->lazy || !n)
			continue;
		if (n->revision < o->revision)
			world_fail(w, "%s " STR_FMT " went back from revision %ju to %ju",
				r->resource->plural, STR_ARG(o->name), (uintmax_t)o->revision,
				(uintmax_t)n->revision);
		if (is_pod(o))
			check_pod(w, o, n);
	}
	r->copy = now;
	r->revision = snapshot_revision(now);
	snapshot_unref(before);
	rc = store_watch_open(
		w->store, r->resource, r->revision, w->api_loop, on_wake, r, &r->watch);
	assert(rc == 0);
}

static void on_wake(struct store_watch *watch, void *user_data)
{
	struct audited *r = user_data;
	struct store_event ev;
	int rc;

	while ((rc = store_watch_next(r->watch, &ev)) == 1)
		on_event(r, &ev);
	if (rc == 0) {
		r->revision = store_watch_revision(r->watch);
		return;
	}
	store_watch_close(r->watch);
	resync(r);
	on_wake(r->watch, r);
}

/* --- over restarts --- */

/* The store says that nothing happened since: then every object is as it was heard of. */
static void compare_restarted(struct audited *r)
{
	struct world *w = r->audit->w;
	struct snapshot *now = store_snapshot(w->store, r->resource);
	struct snapshot_iter it;
	const struct object *o, *had;

	if (snapshot_count(now) != snapshot_count(r->copy))
		world_fail(w, "%zu %s after the restart instead of %zu", snapshot_count(now),
			r->resource->plural, snapshot_count(r->copy));
	snapshot_iter_init(&it, now, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		had = snapshot_get(r->copy, o->ns, o->name);
		if (!had || !str_eq(had->json, o->json))
			world_fail(w, "%s " STR_FMT " is not what it was before the restart",
				r->resource->plural, STR_ARG(o->name));
	}
	snapshot_unref(r->copy);
	r->copy = now;
}

static void attach(struct audited *r)
{
	struct world *w = r->audit->w;
	int rc = store_watch_open(
		w->store, r->resource, r->revision, w->api_loop, on_wake, r, &r->watch);

	if (rc == 0) {
		compare_restarted(r);
		on_wake(r->watch, r);
	} else if (rc == -ESTALE) {
		resync(r);
		on_wake(r->watch, r);
	} else {
		world_fail(w, "%s were seen at revision %ju, and the store is at %ju",
			r->resource->plural, (uintmax_t)r->revision,
			(uintmax_t)store_revision(w->store));
		resync(r);
	}
}

void audit_attach(struct audit *a)
{
	if (store_revision(a->w->store) < a->revision)
		world_fail(a->w, "the revision went back from %ju to %ju", (uintmax_t)a->revision,
			(uintmax_t)store_revision(a->w->store));
	for (size_t i = 0; i < a->n; i++)
		attach(&a->v[i]);
}

void audit_detach(struct audit *a)
{
	a->revision = store_revision(a->w->store);
	for (size_t i = 0; i < a->n; i++) {
		store_watch_close(a->v[i].watch);
		a->v[i].watch = NULL;
	}
}

void audit_check(struct audit *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct audited *r = &a->v[i];
		struct snapshot *now = store_snapshot(a->w->store, r->resource);
		struct snapshot_iter it;
		const struct object *o;

		if (snapshot_count(now) != snapshot_count(r->copy))
			world_fail(a->w, "%zu %s, but %zu were heard of", snapshot_count(now),
				r->resource->plural, snapshot_count(r->copy));
		snapshot_iter_init(&it, now, S(""), S(""), S(""));
		while ((o = snapshot_next(&it)))
			if (snapshot_get(r->copy, o->ns, o->name) != o)
				world_fail(a->w, "%s " STR_FMT " was not heard of",
					r->resource->plural, STR_ARG(o->name));
		snapshot_unref(now);
	}
}

struct audit *audit_new(struct world *w)
{
	struct audit *a = xcalloc(1, sizeof(*a));

	a->w = w;
	a->v = xcalloc(schema_n_resources, sizeof(*a->v));
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (res->storage)
			a->v[a->n++] = (struct audited){
				.audit = a, .resource = res, .copy = snapshot_new(res)};
	}
	return a;
}

void audit_free(struct audit *a)
{
	for (size_t i = 0; i < a->n; i++)
		snapshot_unref(a->v[i].copy);
	free(a->v);
	free(a);
}
