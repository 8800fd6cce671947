/*
 * resourcequota.c: resourcequota-controller: counts what the objects of a namespace use of its
 * quotas (pkg/controller/resourcequota).
 *
 * Admission charges a quota before the object is committed. So what is used beyond what can be
 * counted is either no longer there, or still on its way: it is taken back only when it was charged
 * longer than SETTLE_MS ago. How much was charged since then is known from samples of the usage.
 */
#include "api/quota.h"
#include "base/map.h"
#include "controllers/util.h"

enum { SETTLE_MS = 1000, INTERVAL_MS = 500 /* between two counts of one quota */ };

struct sample {
	int64_t at_ns;
	struct arena arena;
	struct amounts used;
};

/* Of each quota: its usage a while ago, at least SETTLE_MS in `old`. */
struct memory {
	struct str uid;
	struct arena arena;
	int64_t counted_ns;
	struct sample old, recent;
};

struct state {
	struct map by_key;
};

/* --- memory --- */

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct state));
}

static void forget(struct state *s, struct str key)
{
	struct memory *m = map_remove(&s->by_key, key);

	if (!m)
		return;
	arena_release(&m->arena);
	arena_release(&m->old.arena);
	arena_release(&m->recent.arena);
	free(m);
}

static void release(void *state)
{
	struct state *s = state;
	struct map_entry *e;

	while ((e = map_first(&s->by_key)))
		forget(s, (struct str){e->key, e->key_len});
	map_release(&s->by_key);
	free(s);
}

static struct memory *memory_of(struct state *s, struct str key, struct str uid)
{
	struct memory *m = map_get(&s->by_key, key);

	if (m && str_eq(m->uid, uid))
		return m;
	forget(s, key);
	m = xcalloc(1, sizeof(*m));
	m->uid = arena_str(&m->arena, uid);
	map_set(&s->by_key, key, m);
	return m;
}

static void sample_set(struct sample *s, int64_t at_ns, const struct amounts *used)
{
	arena_release(&s->arena);
	s->used = (struct amounts){0};
	s->at_ns = at_ns;
	for (size_t i = 0; i < used->n; i++)
		amounts_set(
			&s->arena, &s->used, arena_str(&s->arena, used->v[i].name), used->v[i].q);
}

static void remember(struct memory *m, int64_t now_ns, const struct amounts *used)
{
	if (m->recent.at_ns && now_ns - m->recent.at_ns < (int64_t)SETTLE_MS * 1000000)
		return;
	if (m->recent.at_ns)
		sample_set(&m->old, m->recent.at_ns, &m->recent.used);
	sample_set(&m->recent, now_ns, used);
}

/* --- counting --- */

static void count_objects(struct view *v, const struct v1_resource_quota *q,
	const struct schema_resource *res, const struct amounts *hard, struct amounts *used)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, view_snapshot(v, res), q->metadata.namespace, S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct arena scratch = {0};
		const void *typed = object_decode(o, &scratch);
		struct amounts cost = {0};

		if (quota_in_scope(&scratch, &q->spec, res, typed))
			cost = quota_usage(&scratch, res, typed, v->now_ns);
		for (size_t i = 0; i < hard->n; i++) {
			const struct quantity *n = amounts_get(&cost, hard->v[i].name);

			if (n && quota_counts(res, hard->v[i].name))
				amounts_add_one(v->arena, used, hard->v[i].name, *n);
		}
		arena_release(&scratch);
	}
}

static bool is_stored(const struct schema_resource *res)
{
	const uint32_t verbs = VERB_LIST | VERB_WATCH | VERB_DELETE;

	return res->storage && (res->verbs & verbs) == verbs && quota_applies(res);
}

/* What is there now, of everything that the quota limits and that can be counted. */
static struct amounts count(
	struct view *v, const struct v1_resource_quota *q, const struct amounts *hard)
{
	struct amounts used = {0};

	for (size_t r = 0; r < schema_n_resources; r++) {
		const struct schema_resource *res = schema_resources[r];
		bool any = false;

		if (!is_stored(res))
			continue;
		for (size_t i = 0; i < hard->n; i++) {
			if (!quota_counts(res, hard->v[i].name))
				continue;
			any = true;
			amounts_add_one(v->arena, &used, hard->v[i].name,
				quantity_from_value(0, QUANTITY_DECIMAL_SI));
		}
		if (any)
			count_objects(v, q, res, hard, &used);
	}
	return used;
}

static void lower(struct sample *s, struct str name, struct quantity by)
{
	const struct quantity *there = amounts_get(&s->used, name);
	struct quantity left;

	if (!there)
		return;
	left = *there;
	quantity_sub(&left, &by);
	amounts_set(&s->arena, &s->used, name, left);
}

/* Lets what was charged lately stand. True when something is left that may go later. */
static bool keep_charged(
	struct view *v, struct memory *m, const struct amounts *before, struct amounts *used)
{
	bool wait = false;

	for (size_t i = 0; i < used->n; i++) {
		struct str name = used->v[i].name;
		const struct quantity *was = amounts_get(before, name);
		const struct quantity *old = amounts_get(&m->old.used, name);
		struct quantity most, less;

		if (!was || quantity_cmp(was, &used->v[i].q) <= 0)
			continue;
		wait = true;
		most = *was;
		if (old && quantity_cmp(was, old) >= 0) {
			quantity_sub(&most, old); /* charged since then */
			quantity_add(&most, &used->v[i].q);
		}
		if (quantity_cmp(&most, was) > 0)
			most = *was;
		used->v[i].q = most;
		less = *was;
		quantity_sub(&less, &most);
		lower(&m->old, name, less);
		lower(&m->recent, name, less);
	}
	return wait;
}

/* --- the planner --- */

static struct str key_text(struct view *v, struct plan_key key)
{
	return arena_fmt(v->arena, STR_FMT "/" STR_FMT, STR_ARG(key.ns), STR_ARG(key.name));
}

static void plan_status(struct view *v, struct plan *p, const struct v1_resource_quota *q,
	const struct amounts *hard, const struct amounts *used)
{
	struct v1_resource_quota *now = schema_copy(&v1_resource_quota_schema, q, v->arena);
	struct plan_write *w;

	now->status.hard = amounts_map(v->arena, hard);
	now->status.used = amounts_map(v->arena, used);
	w = plan_add(p, PLAN_UPDATE_STATUS, &v1_resource_quota_resource, q->metadata.namespace,
		q->metadata.name);
	w->object = now;
	w->ignore_not_found = true;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct v1_resource_quota *q =
		view_decode(v, &v1_resource_quota_resource, key.ns, key.name);
	struct amounts hard, used, before, hard_before;
	struct memory *m;
	bool same;

	if (!q) {
		forget(v->state, key_text(v, key));
		return 0;
	}
	m = memory_of(v->state, key_text(v, key), q->metadata.uid);
	hard = amounts_of(v->arena, &q->spec.hard);
	hard_before = amounts_of(v->arena, &q->status.hard);
	same = amounts_equal(&hard, &hard_before);
	if (same && v->now_ns - m->counted_ns < (int64_t)INTERVAL_MS * 1000000) {
		plan_requeue(p, INTERVAL_MS);
		return 0;
	}
	m->counted_ns = v->now_ns;
	before = amounts_of(v->arena, &q->status.used);
	remember(m, v->now_ns, &before);
	used = count(v, q, &hard);
	if (keep_charged(v, m, &before, &used))
		plan_requeue(p, SETTLE_MS);
	if (!same || !amounts_equal(&used, &before))
		plan_status(v, p, q, &hard, &used);
	return 0;
}

static void quotas_of_namespace(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot_iter it;
	const struct object *o;

	if (!ev->object->ns.n || !is_stored(ev->object->resource))
		return;
	snapshot_iter_init(
		&it, view_snapshot(v, &v1_resource_quota_resource), ev->object->ns, S(""), S(""));
	while ((o = snapshot_next(&it)))
		enqueue(user_data, o->ns, o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_resource_quota_resource},
	{0},
};

const struct planner resourcequota_planner = {
	.name = "resourcequota-controller",
	.user = "resourcequota-controller",
	.watches = watches,
	.watch_all = quotas_of_namespace,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
