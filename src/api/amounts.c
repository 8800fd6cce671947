#include "api/amounts.h"

/* --- lists --- */

static size_t place(const struct amounts *v, struct str name, bool *ret_found)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(v->v[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = low < v->n && str_eq(v->v[low].name, name);
	return low;
}

const struct quantity *amounts_get(const struct amounts *v, struct str name)
{
	bool found;
	size_t at = place(v, name, &found);

	return found ? &v->v[at].q : NULL;
}

void amounts_set(struct arena *a, struct amounts *v, struct str name, struct quantity q)
{
	bool found;
	size_t at = place(v, name, &found);

	if (!found) {
		ARENA_PUSH(a, v, (struct amount){0});
		memmove(&v->v[at + 1], &v->v[at], (v->n - 1 - at) * sizeof(*v->v));
	}
	v->v[at] = (struct amount){.name = name, .q = q};
}

void amounts_add_one(struct arena *a, struct amounts *v, struct str name, struct quantity q)
{
	const struct quantity *there = amounts_get(v, name);
	struct quantity sum;

	if (!there) {
		amounts_set(a, v, name, q);
		return;
	}
	sum = *there;
	quantity_add(&sum, &q);
	amounts_set(a, v, name, sum);
}

void amounts_add(struct arena *a, struct amounts *v, const struct amounts *more)
{
	for (size_t i = 0; i < more->n; i++)
		amounts_add_one(a, v, more->v[i].name, more->v[i].q);
}

void amounts_max(struct arena *a, struct amounts *v, const struct amounts *more)
{
	for (size_t i = 0; i < more->n; i++) {
		const struct quantity *there = amounts_get(v, more->v[i].name);

		if (!there || quantity_cmp(&more->v[i].q, there) > 0)
			amounts_set(a, v, more->v[i].name, more->v[i].q);
	}
}

struct amounts amounts_of(struct arena *a, const struct str_map *m)
{
	struct amounts v = {0};

	for (size_t i = 0; i < m->n; i++)
		ARENA_PUSH(a, &v,
			((struct amount){.name = m->v[i].key, .q = quantity_of(m->v[i].value)}));
	return v;
}

struct str_map amounts_map(struct arena *a, const struct amounts *v)
{
	struct str_map m = {0};

	for (size_t i = 0; i < v->n; i++)
		ARENA_PUSH(a, &m, ((struct str_pair){v->v[i].name, quantity_text(&v->v[i].q, a)}));
	return m;
}

struct amounts amounts_sub(struct arena *a, const struct amounts *v, const struct amounts *less)
{
	struct amounts out = {0};

	for (size_t i = 0; i < v->n; i++) {
		const struct quantity *q = amounts_get(less, v->v[i].name);
		struct amount left = v->v[i];

		if (q)
			quantity_sub(&left.q, q);
		if (left.q.nano < 0)
			left.q.nano = 0;
		ARENA_PUSH(a, &out, left);
	}
	return out;
}

struct amounts amounts_mask(struct arena *a, const struct amounts *v, const struct amounts *names)
{
	struct amounts out = {0};

	for (size_t i = 0; i < v->n; i++)
		if (amounts_get(names, v->v[i].name))
			ARENA_PUSH(a, &out, v->v[i]);
	return out;
}

bool amounts_equal(const struct amounts *a, const struct amounts *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = str_eq(a->v[i].name, b->v[i].name) && a->v[i].q.nano == b->v[i].q.nano;
	return same;
}

/* --- pods --- */

static const struct v1_container_status *status_of(
	const struct v1_container_status_vec *v, struct str name)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i].name, name))
			return &v->v[i];
	return NULL;
}

static struct amounts container_amounts(struct arena *a, const struct v1_container *c,
	const struct v1_container_status_vec *statuses, struct pod_amounts_opts opts)
{
	const struct v1_container_status *s = opts.status ? status_of(statuses, c->name) : NULL;
	struct amounts v =
		amounts_of(a, opts.limits ? &c->resources.limits : &c->resources.requests);
	struct amounts more;

	if (s && s->resources) {
		more = amounts_of(a, opts.limits ? &s->resources->limits : &s->resources->requests);
		amounts_max(a, &v, &more);
	}
	if (s && !opts.limits) {
		more = amounts_of(a, &s->allocated_resources);
		amounts_max(a, &v, &more);
	}
	return v;
}

/* Sidecars run beside the containers and beside the init containers that come after them. */
static void add_init(struct arena *a, const struct v1_pod *pod, struct pod_amounts_opts opts,
	struct amounts *total)
{
	struct amounts sidecars = {0}, peak = {0};

	for (size_t i = 0; i < pod->spec.init_containers.n; i++) {
		const struct v1_container *c = &pod->spec.init_containers.v[i];
		struct amounts own =
			container_amounts(a, c, &pod->status.init_container_statuses, opts);

		if (str_eqc(c->restart_policy, "Always")) {
			amounts_add(a, total, &own);
			amounts_add(a, &sidecars, &own);
			amounts_max(a, &peak, &sidecars);
		} else {
			amounts_add(a, &own, &sidecars);
			amounts_max(a, &peak, &own);
		}
	}
	amounts_max(a, total, &peak);
}

static bool is_pod_level(struct str name)
{
	return str_eqc(name, "cpu") || str_eqc(name, "memory") || str_starts(name, S("hugepages-"));
}

struct amounts pod_amounts(struct arena *a, const struct v1_pod *pod, struct pod_amounts_opts opts)
{
	const struct v1_resource_requirements *whole = pod->spec.resources;
	struct amounts total = {0}, more = {0};

	for (size_t i = 0; i < pod->spec.containers.n; i++) {
		more = container_amounts(
			a, &pod->spec.containers.v[i], &pod->status.container_statuses, opts);
		amounts_add(a, &total, &more);
	}
	add_init(a, pod, opts, &total);
	more = whole ? amounts_of(a, opts.limits ? &whole->limits : &whole->requests)
		     : (struct amounts){0};
	for (size_t i = 0; i < more.n; i++)
		if (is_pod_level(more.v[i].name))
			amounts_set(a, &total, more.v[i].name, more.v[i].q);
	more = amounts_of(a, &pod->spec.overhead);
	for (size_t i = 0; opts.overhead && i < more.n; i++) {
		const struct quantity *there = amounts_get(&total, more.v[i].name);

		/* without a limit there is none to raise */
		if (!opts.limits || (there && there->nano))
			amounts_add_one(a, &total, more.v[i].name, more.v[i].q);
	}
	return total;
}

/* --- text --- */

struct str aggregate_text(struct arena *a, const struct str_vec *errors)
{
	struct str_vec seen = {0};
	struct str s;

	for (size_t i = 0; i < errors->n; i++)
		if (!str_vec_has(&seen, errors->v[i]))
			ARENA_PUSH(a, &seen, errors->v[i]);
	if (seen.n == 1)
		return seen.v[0];
	s = S("[");
	for (size_t i = 0; i < seen.n; i++)
		s = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? ", " : "", STR_ARG(seen.v[i]));
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}
