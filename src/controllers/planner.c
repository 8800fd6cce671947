/* planner.c: what planners call: reading the view, filling the plan. */
#include "controllers/planner.h"

struct snapshot *view_snapshot(struct view *v, const struct schema_resource *res)
{
	struct snapshot **s = &v->snapshots[res->index];

	if (!*s)
		*s = client_snapshot(v->client, res);
	return *s;
}

const struct object *view_get(
	struct view *v, const struct schema_resource *res, struct str ns, struct str name)
{
	return snapshot_get(view_snapshot(v, res), ns, name);
}

void *view_decode(struct view *v, const struct schema_resource *res, struct str ns, struct str name)
{
	const struct object *o = view_get(v, res, ns, name);

	return o ? object_decode(o, v->arena) : NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;

	return str_cmp((*x)->name, (*y)->name);
}

/* A sorted copy, with references: the index changes under an asynchronous reconcile. */
static struct object_vec copy_sorted(struct view *v, const struct object *const *from, size_t n)
{
	struct object_vec r = {ARENA_ARRAY(v->arena, const struct object *, MAX(n, 1)), n};

	for (size_t i = 0; i < n; i++)
		r.v[i] = object_ref_in(v->arena, from[i]);
	if (n)
		qsort(r.v, n, sizeof(*r.v), by_name);
	return r;
}

struct object_vec view_controlled(struct view *v, const struct schema_resource *res, struct str uid)
{
	size_t n = 0;
	const struct object *const *from = owner_index_get(v->owners, res, uid, S(""), &n);

	return copy_sorted(v, from, n);
}

struct object_vec view_orphans(struct view *v, const struct schema_resource *res, struct str ns)
{
	size_t n = 0;
	const struct object *const *from = owner_index_get(v->owners, res, S(""), ns, &n);

	return copy_sorted(v, from, n);
}

/* splitmix64, seeded for each reconcile. */
uint64_t view_random(struct view *v)
{
	uint64_t z = v->random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

struct k8s_time view_now(const struct view *v)
{
	return (struct k8s_time){.set = true, .sec = v->now_ns / 1000000000};
}

struct plan_write *plan_add(struct plan *p, enum plan_op op, const struct schema_resource *res,
	struct str ns, struct str name)
{
	struct plan_write w = {
		.op = op, .resource = res, .ns = ns, .name = name, .grace_s = -1, .wave = p->wave};

	if (op == PLAN_UPDATE_STATUS)
		w.subresource = S("status");
	ARENA_PUSH(p->arena, &p->writes, w);
	return &p->writes.v[p->writes.n - 1];
}

void plan_next_wave(struct plan *p)
{
	p->wave++;
}

void plan_requeue(struct plan *p, int64_t after_ms)
{
	after_ms = MAX(after_ms, 1);
	if (p->requeue_ms == 0 || after_ms < p->requeue_ms)
		p->requeue_ms = after_ms;
}

void plan_event(struct plan *p, const struct object *about, const char *type, const char *reason,
	const char *fmt, ...)
{
	struct plan_event e = {.about = about, .type = type, .reason = str_c(reason)};
	va_list ap;

	va_start(ap, fmt);
	e.message = arena_vfmt(p->arena, fmt, ap);
	va_end(ap);
	ARENA_PUSH(p->arena, &p->events, e);
}
