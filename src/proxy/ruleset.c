#include "proxy/ruleset.h"

static int compare(const void *pa, const void *pb)
{
	const struct ruleset_item *a = pa, *b = pb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->ipv6 != b->ipv6)
		return a->ipv6 ? 1 : -1;
	return str_cmp(a->name, b->name);
}

void ruleset_sort(struct ruleset *r)
{
	size_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), compare);
	for (size_t i = 0; i < r->n; i++) /* two ports may share an endpoint's address */
		if (!n || compare(&r->v[n - 1], &r->v[i]))
			r->v[n++] = r->v[i];
	r->n = n;
}

struct ruleset ruleset_copy(const struct ruleset *r, struct arena *a)
{
	struct ruleset out = {ARENA_ARRAY(a, struct ruleset_item, r->n), r->n};

	for (size_t i = 0; i < r->n; i++) {
		out.v[i] = r->v[i];
		out.v[i].name = arena_str(a, r->v[i].name);
		out.v[i].body = arena_str(a, r->v[i].body);
	}
	return out;
}

void ruleset_compare(const struct ruleset *before, const struct ruleset *after,
	ruleset_visit_fn *visit, void *user_data)
{
	size_t i = 0, j = 0;

	while (i < before->n || j < after->n) {
		int c = i == before->n  ? 1
			: j == after->n ? -1
					: compare(&before->v[i], &after->v[j]);

		visit(user_data, c <= 0 ? &before->v[i] : NULL, c >= 0 ? &after->v[j] : NULL);
		i += c <= 0;
		j += c >= 0;
	}
}
