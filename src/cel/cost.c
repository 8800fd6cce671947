/* cost.c: what each call costs: cel-go's runtimecost.go and the estimator of the Kubernetes
 * libraries. */
#include "cel/eval.h"
#include "cel/opaque.h"

enum { COST_AUTHZ = 350000, COST_LIST = 10, COST_STRUCT = 40 };

bool cel_spend(struct cel_call *c, uint64_t cost)
{
	c->cost += cost;
	if (c->cost > c->cost_max || c->a->total - c->memory_from > CEL_MEMORY_MAX)
		c->over = true;
	return !c->over;
}

uint64_t cel_value_size(struct cel_value v)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_STRING:
		return cel_rune_count(v.s);
	case CEL_BYTES:
		return v.s.n;
	case CEL_LIST:
	case CEL_MAP:
		return cel_size(v);
	case CEL_OPTIONAL:
		return v.optional ? cel_value_size(*v.optional) : 1;
	case CEL_OPAQUE:
		return cel_net_size(v);
	default:
		return 1;
	}
}

/* size * tenths / 10, rounded up */
static uint64_t part(uint64_t size, unsigned tenths)
{
	return (size * tenths + 9) / 10;
}

static uint64_t traversal(struct cel_call *c, struct cel_value v)
{
	uint64_t cost = 0;

	switch ((enum cel_kind)v.kind) {
	case CEL_STRING:
	case CEL_BYTES:
		return v.s.n / 10;
	case CEL_LIST:
		for (size_t i = 0; i < cel_size(v); i++)
			cost += traversal(c, cel_list_at(v, i, c->a));
		return cost;
	case CEL_MAP:
		for (size_t i = 0; i < cel_size(v); i++) {
			struct cel_entry e = cel_map_at(v, i, c->a);

			cost += traversal(c, e.key) + traversal(c, e.value);
		}
		return cost;
	default:
		return 1;
	}
}

static uint64_t regex(uint64_t text, uint64_t pattern)
{
	return part(text + 1, 1) * ((pattern + 3) / 4);
}

static uint64_t selector(uint64_t size)
{
	uint64_t requirements = (size + 1) / 2;

	return COST_LIST + part(size, 1) + requirements * (COST_LIST + COST_STRUCT);
}

/* n items compared with each other. */
static uint64_t self_compare(struct cel_call *c, struct cel_value list)
{
	size_t n = list.kind == CEL_LIST ? cel_size(list) : 0;
	struct cel_value first = n ? cel_list_at(list, 0, c->a) : cel_null();
	bool text = first.kind == CEL_STRING || first.kind == CEL_BYTES;

	return (uint64_t)n * n * (text ? 21 : 20) / 10 + 1 + COST_LIST;
}

static uint64_t flatten(const struct cel_value *args, size_t n, uint64_t size)
{
	uint64_t levels = n > 1 ? (args[1].kind == CEL_INT && args[1].i > 0 ? args[1].u : 0) : 1;

	return MIN(levels, 1000000u) * size + 1 + COST_LIST;
}

static uint64_t equal(const struct cel_value *args, uint64_t s0, uint64_t s1)
{
	return args[0].kind == CEL_OPAQUE ? 1 : part(MIN(s0, s1), 1);
}

static uint64_t of_sizes(enum cel_cost how, const struct cel_value *args, uint64_t s0, uint64_t s1)
{
	switch (how) {
	case CEL_COST_ARG0_TENTH:
		return part(s0, 1);
	case CEL_COST_ARG0_FIFTH:
		return part(s0, 2);
	case CEL_COST_ARG1:
		return s1;
	case CEL_COST_MIN_TENTH:
		return part(MIN(s0, s1), 1);
	case CEL_COST_SUM_TENTH:
		return part(s0 + s1, 1);
	case CEL_COST_PRODUCT_TENTH:
		return part(s0, 1) * part(s1, 1);
	case CEL_COST_REGEX:
		return regex(s0, s1);
	case CEL_COST_SELECTOR:
		return selector(s1);
	case CEL_COST_EQUAL:
		return equal(args, s0, s1);
	case CEL_COST_PRODUCT:
		return s0 * s1 + 1;
	case CEL_COST_PRODUCT_TWICE:
		return 2 * s0 * s1 + 1;
	case CEL_COST_CONTAINS_IP:
		return part(2 * s0, 1);
	case CEL_COST_CONTAINS_IP_STRING:
		return part(2 * s0, 1) + part(s1, 1);
	case CEL_COST_CONTAINS_CIDR:
		return part(2 * s0, 1) + part(s0, 1) + 1;
	case CEL_COST_CONTAINS_CIDR_STRING:
		return part(2 * s0, 1) + part(s0, 1) + 1 + part(s1, 1);
	default:
		return 1;
	}
}

uint64_t cel_call_cost(struct cel_call *c, enum cel_cost how, const struct cel_value *args,
	size_t n, struct cel_value result)
{
	switch (how) {
	case CEL_COST_ONE:
		return 1;
	case CEL_COST_NONE:
		return 0;
	case CEL_COST_AUTHZ:
		return COST_AUTHZ;
	case CEL_COST_RESULT_FIFTH:
		return part(cel_value_size(result), 2);
	case CEL_COST_TRAVERSAL:
		return traversal(c, args[0]);
	case CEL_COST_LIST_RESULT:
		return cel_value_size(result) + 1 + COST_LIST;
	case CEL_COST_FLATTEN:
		return flatten(args, n, cel_value_size(args[0]));
	case CEL_COST_SORT:
		return self_compare(c, args[0]);
	case CEL_COST_SORT_BY:
		return self_compare(c, args[1]);
	case CEL_COST_VALIDATE:
		return regex(cel_value_size(args[1]), cel_format_regex_size(args[0]));
	default:
		return of_sizes(how, args, n > 0 ? cel_value_size(args[0]) : 1,
			n > 1 ? cel_value_size(args[1]) : 1);
	}
}
