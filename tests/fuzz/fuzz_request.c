/* A request line and an Accept header, one per line: whatever stands there, the request info is
 * consistent. */
#include "apiserver/negotiate.h"
#include "apiserver/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct str part, struct str whole)
{
	return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_info(const struct request_info *info, struct str path)
{
	assert(within(info->resource, path) && within(info->ns, path) && within(info->group, path));
	if (!info->is_resource)
		return;
	assert(info->parts.n > 0);
	assert(str_eq(info->resource, info->parts.v[0]));
	/* an empty one between two slashes is no name: the field selector's may stand in for it */
	if (info->parts.n > 1 && info->parts.v[1].n)
		assert(str_eq(info->name, info->parts.v[1]));
}

static void check_query(const struct query *q)
{
	assert(q->n <= QUERY_PAIRS_MAX);
	for (size_t i = 0; i < q->n; i++)
		assert(q->v[i].value.p);
}

static void check_accept(const struct accept *v)
{
	for (size_t i = 1; i < v->n; i++)
		assert(!(v->v[i].q > v->v[i - 1].q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"application/json", NULL};
	struct str text = str_n((const char *)data, size), head, accept, method, target, path, raw;
	struct request_info info;
	struct accept parsed;
	struct arena a = {0};
	struct query q;

	str_cut(text, '\n', &head, &accept);
	str_cut(head, ' ', &method, &target);
	str_cut(target, '?', &path, &raw);
	query_parse(&a, raw, &q);
	check_query(&q);
	if (request_info_parse(&a, method, path, &q, &info, NULL) == 0)
		check_info(&info, path);
	accept_parse(&a, accept, &parsed);
	check_accept(&parsed);
	accept_route_matches(accept, types);
	arena_release(&a);
	return 0;
}
