/*
 * gc.c: garbage-collector-controller: what is owned goes when all its owners are gone; before them
 * when the owner is deleted in the foreground; not at all when it is to be orphaned.
 *
 * The graph holds only edges: owner's uid -> its dependents. Whether an owner exists is looked up
 * by its name where it is asked for. An owner whose deletion was seen is certainly gone (uids do
 * not come back); one that was never seen is asked for at the API server before anything is deleted
 * on its behalf.
 */
#include "base/map.h"
#include "controllers/util.h"
#include "json/write.h"

#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

enum { GONE_MAX = 4096 };

struct dependent {
	const struct schema_resource *resource;
	char *ns, *name;
};

struct dependents {
	struct dependent *v;
	size_t n, cap;
};

struct gc {
	struct map by_owner; /* uid -> struct dependents */
	struct map gone;     /* uids of owners whose deletion was seen */
	char *gone_ring[GONE_MAX];
	size_t gone_next;
};

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct gc));
}

static void dependents_free(struct dependents *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].ns);
		free(d->v[i].name);
	}
	free(d->v);
	free(d);
}

static void release(void *state)
{
	struct gc *s = state;

	for (struct map_entry *e = map_first(&s->by_owner); e; e = map_next(&s->by_owner, e))
		dependents_free(e->value);
	map_release(&s->by_owner);
	map_release(&s->gone);
	for (size_t i = 0; i < GONE_MAX; i++)
		free(s->gone_ring[i]);
	free(s);
}

/* --- the graph --- */

static char *str_own(struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return p;
}

static void remember_gone(struct gc *s, struct str uid)
{
	char **slot = &s->gone_ring[s->gone_next++ % GONE_MAX];

	if (*slot)
		map_remove(&s->gone, str_c(*slot));
	free(*slot);
	*slot = str_own(uid);
	map_set(&s->gone, uid, *slot);
}

static void edge_add(struct gc *s, struct str owner, const struct object *o)
{
	struct dependents *d = map_get(&s->by_owner, owner);

	if (!d) {
		d = xcalloc(1, sizeof(*d));
		map_set(&s->by_owner, owner, d);
	}
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 4;
		d->v = xrealloc(d->v, d->cap * sizeof(*d->v));
	}
	d->v[d->n++] = (struct dependent){o->resource, str_own(o->ns), str_own(o->name)};
}

static void edge_drop(struct gc *s, struct str owner, const struct object *o)
{
	struct dependents *d = map_get(&s->by_owner, owner);

	for (size_t i = 0; d && i < d->n; i++) {
		if (d->v[i].resource != o->resource || !str_eqc(o->name, d->v[i].name) ||
			!str_eqc(o->ns, d->v[i].ns))
			continue;
		free(d->v[i].ns);
		free(d->v[i].name);
		d->v[i] = d->v[--d->n];
		break;
	}
	if (d && d->n == 0)
		dependents_free(map_remove(&s->by_owner, owner));
}

static const struct meta_v1_owner_reference_vec *owners_of(const struct object *o, struct arena *a)
{
	return &object_meta(o, a)->owner_references;
}

static bool has_owner(const struct meta_v1_owner_reference_vec *v, struct str uid)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i].uid, uid))
			return true;
	return false;
}

/* --- keys: the namespace, and the resource's index and the name --- */

static void enqueue_object(struct view *v, const struct schema_resource *res, struct str ns,
	struct str name, plan_enqueue_fn *enqueue, void *user_data)
{
	enqueue(user_data, ns, arena_fmt(v->arena, "%u/" STR_FMT, res->index, STR_ARG(name)));
}

static const struct schema_resource *key_resource(struct plan_key key, struct str *ret_name)
{
	struct str index;
	int64_t n;

	if (!str_cut(key.name, '/', &index, ret_name) || str_to_i64(index, &n) < 0)
		return NULL;
	return schema_resources[n];
}

static const struct schema_resource *owner_resource(const struct meta_v1_owner_reference *ref)
{
	struct str group, version;

	if (!str_cut(ref->api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	const struct schema_resource *res = schema_resource_by_kind(group, version, ref->kind);

	res = res ? res->storage_resource : NULL;
	/* What cannot be watched (a Binding, a TokenReview) is never there to own anything. */
	return res && (res->verbs & VERB_WATCH) ? res : NULL;
}

static const struct object *find_owner(
	struct view *v, const struct object *o, const struct meta_v1_owner_reference *ref)
{
	const struct schema_resource *res = owner_resource(ref);
	const struct object *owner =
		res ? view_get(v, res, res->namespaced ? o->ns : S(""), ref->name) : NULL;

	return owner && str_eq(owner->uid, ref->uid) ? owner : NULL;
}

static bool has_finalizer(const struct object *o, const char *name, struct arena *a)
{
	return o->has_finalizers && str_vec_has(&object_meta(o, a)->finalizers, str_c(name));
}

static bool waits_for_dependents(const struct object *o, struct arena *a)
{
	return o->deletion_ms && has_finalizer(o, FINALIZER_FOREGROUND, a);
}

/* Owners that are deleted in the foreground look again when a dependent changes or goes. */
static void enqueue_waiting_owners(
	struct view *v, const struct object *o, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct meta_v1_owner_reference_vec *refs = owners_of(o, v->arena);

	for (size_t i = 0; i < refs->n; i++) {
		const struct object *owner = find_owner(v, o, &refs->v[i]);

		if (owner && waits_for_dependents(owner, v->arena))
			enqueue_object(
				v, owner->resource, owner->ns, owner->name, enqueue, user_data);
	}
}

static void enqueue_dependents(
	struct view *v, struct str uid, plan_enqueue_fn *enqueue, void *user_data)
{
	struct gc *s = v->state;
	const struct dependents *d = map_get(&s->by_owner, uid);

	for (size_t i = 0; d && i < d->n; i++)
		enqueue_object(v, d->v[i].resource, str_c(d->v[i].ns), str_c(d->v[i].name), enqueue,
			user_data);
}

static void keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	static const struct meta_v1_owner_reference_vec none;
	struct gc *s = v->state;
	const struct object *o = ev->object;
	bool gone = ev->type == STORE_DELETED;
	const struct object *before = ev->prev ? ev->prev : gone ? o : NULL;
	const struct meta_v1_owner_reference_vec *was = &none, *is = &none;
	bool changed = false;

	if (o->resource == &v1_event_resource || o->resource == &events_v1_event_resource)
		return;
	if (before && before->has_owners)
		was = owners_of(before, v->arena);
	if (!gone && o->has_owners)
		is = owners_of(o, v->arena);
	for (size_t i = 0; i < was->n; i++)
		if (!has_owner(is, was->v[i].uid)) {
			edge_drop(s, was->v[i].uid, before);
			changed = true;
		}
	for (size_t i = 0; i < is->n; i++)
		if (!has_owner(was, is->v[i].uid)) {
			edge_add(s, is->v[i].uid, o);
			changed = true;
		}
	if (before && before->has_owners && (changed || o->deletion_ms))
		enqueue_waiting_owners(v, before, enqueue, user_data);
	if (gone) {
		remember_gone(s, o->uid);
		enqueue_dependents(v, o->uid, enqueue, user_data);
	} else if ((changed && is->n) || (o->deletion_ms && o->has_finalizers)) {
		enqueue_object(v, o->resource, o->ns, o->name, enqueue, user_data);
		if (o->deletion_ms)
			enqueue_dependents(v, o->uid, enqueue, user_data);
	}
}

/* --- plans --- */

static void plan_drop_finalizer(
	struct view *v, struct plan *p, const struct object *o, const char *name)
{
	const struct str_vec *all = &object_meta(o, v->arena)->finalizers;
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, o->ns, o->name);
	struct buf b;
	bool first = true;

	buf_init(&b, 64 * 1024);
	buf_fmt(&b, "{\"metadata\":{\"resourceVersion\":\"%llu\",\"finalizers\":[",
		(unsigned long long)o->revision);
	for (size_t i = 0; i < all->n; i++) {
		if (str_eqc(all->v[i], name))
			continue;
		if (!first)
			buf_add_char(&b, ',');
		json_write_string(&b, all->v[i]);
		first = false;
	}
	buf_add_c(&b, "]}}");
	w->patch = arena_str(v->arena, buf_str(&b));
	w->ignore_not_found = true;
	buf_release(&b);
}

/* The owner references that stay, as a merge patch: works for every kind. */
static void plan_drop_owners(struct view *v, struct plan *p, const struct object *o,
	const struct meta_v1_owner_reference_vec *stay, bool unblock)
{
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, o->ns, o->name);
	struct buf b;

	buf_init(&b, 256 * 1024);
	buf_fmt(&b, "{\"metadata\":{\"resourceVersion\":\"%llu\",\"ownerReferences\":[",
		(unsigned long long)o->revision);
	for (size_t i = 0; i < stay->n; i++) {
		struct meta_v1_owner_reference ref = stay->v[i];

		if (unblock)
			ref.block_owner_deletion = NULL;
		if (i)
			buf_add_char(&b, ',');
		schema_encode_json(&meta_v1_owner_reference_schema, &ref, &b);
	}
	buf_add_c(&b, "]}}");
	w->patch = arena_str(v->arena, buf_str(&b));
	w->ignore_not_found = true;
	buf_release(&b);
}

static void plan_orphan(struct view *v, struct plan *p, const struct object *o)
{
	struct gc *s = v->state;
	const struct dependents *d = map_get(&s->by_owner, o->uid);

	for (size_t i = 0; d && i < d->n; i++) {
		const struct object *dep =
			view_get(v, d->v[i].resource, str_c(d->v[i].ns), str_c(d->v[i].name));
		struct meta_v1_owner_reference_vec stay = {0};

		if (!dep)
			continue;
		const struct meta_v1_owner_reference_vec *refs = owners_of(dep, v->arena);
		for (size_t k = 0; k < refs->n; k++)
			if (!str_eq(refs->v[k].uid, o->uid))
				ARENA_PUSH(v->arena, &stay, refs->v[k]);
		if (stay.n < refs->n)
			plan_drop_owners(v, p, dep, &stay, false);
	}
	plan_next_wave(p);
	plan_drop_finalizer(v, p, o, FINALIZER_ORPHAN);
}

static bool is_blocking(const struct object *dep, struct str owner, struct arena *a)
{
	const struct meta_v1_owner_reference_vec *refs = owners_of(dep, a);

	for (size_t i = 0; i < refs->n; i++)
		if (str_eq(refs->v[i].uid, owner))
			return refs->v[i].block_owner_deletion && *refs->v[i].block_owner_deletion;
	return false;
}

/* The dependents' own keys delete them; the owner only waits until none is left that blocks it. */
static void plan_foreground(struct view *v, struct plan *p, const struct object *o)
{
	struct gc *s = v->state;
	const struct dependents *d = map_get(&s->by_owner, o->uid);

	for (size_t i = 0; d && i < d->n; i++) {
		const struct object *dep =
			view_get(v, d->v[i].resource, str_c(d->v[i].ns), str_c(d->v[i].name));

		if (dep && is_blocking(dep, o->uid, v->arena))
			return;
	}
	plan_drop_finalizer(v, p, o, FINALIZER_FOREGROUND);
}

struct owners {
	struct meta_v1_owner_reference_vec solid, waiting, absent;
	bool verify; /* some absent one was never seen */
};

static struct owners classify(struct view *v, struct plan *p, const struct object *o)
{
	const struct meta_v1_owner_reference_vec *refs = owners_of(o, v->arena);
	struct gc *s = v->state;
	struct owners r = {0};

	for (size_t i = 0; i < refs->n; i++) {
		const struct meta_v1_owner_reference *ref = &refs->v[i];
		const struct schema_resource *res = owner_resource(ref);
		const struct object *owner = find_owner(v, o, ref);

		/* Of a kind we do not know, or in a namespace where there is none: cannot be told.
		 */
		if (!owner && (!res || (res->namespaced && str_empty(o->ns))))
			ARENA_PUSH(v->arena, &r.solid, *ref);
		else if (!owner)
			ARENA_PUSH(v->arena, &r.absent, *ref);
		else if (waits_for_dependents(owner, v->arena))
			ARENA_PUSH(v->arena, &r.waiting, *ref);
		else
			ARENA_PUSH(v->arena, &r.solid, *ref);
		if (owner || !res || map_get(&s->gone, ref->uid))
			continue;
		struct plan_write *w = plan_add(
			p, PLAN_VERIFY_ABSENT, res, res->namespaced ? o->ns : S(""), ref->name);
		w->uid = ref->uid;
		r.verify = true;
	}
	if (r.verify)
		plan_next_wave(p);
	return r;
}

static const char *own_policy(const struct object *o, struct arena *a)
{
	if (has_finalizer(o, FINALIZER_ORPHAN, a))
		return "Orphan";
	return has_finalizer(o, FINALIZER_FOREGROUND, a) ? "Foreground" : "Background";
}

/* Two that wait for each other: this one stops blocking. */
static bool is_in_circle(struct view *v, const struct object *o)
{
	struct gc *s = v->state;
	const struct dependents *d = map_get(&s->by_owner, o->uid);

	for (size_t i = 0; d && i < d->n; i++) {
		const struct object *dep =
			view_get(v, d->v[i].resource, str_c(d->v[i].ns), str_c(d->v[i].name));

		if (dep && waits_for_dependents(dep, v->arena))
			return true;
	}
	return false;
}

static void plan_dependent(struct view *v, struct plan *p, const struct object *o)
{
	struct gc *s = v->state;
	struct owners owners = classify(v, p, o);
	const char *policy = own_policy(o, v->arena);

	if (owners.absent.n + owners.waiting.n == 0)
		return;
	if (owners.solid.n) {
		plan_drop_owners(v, p, o, &owners.solid, false);
		return;
	}
	if (owners.waiting.n && map_get(&s->by_owner, o->uid)) {
		if (is_in_circle(v, o)) {
			plan_drop_owners(v, p, o, owners_of(o, v->arena), true);
			plan_next_wave(p);
		}
		policy = "Foreground";
	}
	struct plan_write *w = plan_add(p, PLAN_DELETE, o->resource, o->ns, o->name);
	w->uid = o->uid;
	w->propagation = policy;
	w->ignore_not_found = true;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct str name;
	const struct schema_resource *res = key_resource(key, &name);
	const struct object *o = res ? view_get(v, res, key.ns, name) : NULL;

	if (!o)
		return 0;
	if (!o->deletion_ms) {
		if (o->has_owners)
			plan_dependent(v, p, o);
	} else if (has_finalizer(o, FINALIZER_ORPHAN, v->arena)) {
		plan_orphan(v, p, o);
	} else if (has_finalizer(o, FINALIZER_FOREGROUND, v->arena)) {
		plan_foreground(v, p, o);
	}
	return 0;
}

static const struct plan_watch watches[] = {{0}};

const struct planner gc_planner = {
	.name = "garbage-collector-controller",
	.source = "garbage-collector-controller",
	.user = "generic-garbage-collector",
	.watches = watches,
	.watch_all = keys,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
