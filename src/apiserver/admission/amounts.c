#include "apiserver/admission/amounts.h"

#include "apiserver/validation/pod.h"

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

/* --- pods --- */

struct amounts pod_amounts(
	struct arena *a, const struct v1_pod_spec *spec, bool limits, bool overhead)
{
	struct str_map sum =
		limits ? pod_aggregate_limits(spec, a) : pod_aggregate_requests(spec, a);
	struct amounts total = amounts_of(a, &sum), more = {0};

	if (spec->resources)
		more = amounts_of(
			a, limits ? &spec->resources->limits : &spec->resources->requests);
	for (size_t i = 0; i < more.n; i++)
		if (resource_is_pod_level(more.v[i].name))
			amounts_set(a, &total, more.v[i].name, more.v[i].q);
	more = amounts_of(a, &spec->overhead);
	for (size_t i = 0; overhead && i < more.n; i++) {
		const struct quantity *there = amounts_get(&total, more.v[i].name);

		/* without a limit there is none to raise */
		if (!limits || (there && there->nano))
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
