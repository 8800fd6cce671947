/* eval.c: walks the tree. */
#include "cel/eval.h"

static const char over_budget[] = "operation cancelled: actual cost limit exceeded";

/* x && y, x || y: a term that decides, decides, whatever errors stand beside it. */
static struct cel_value logic(struct cel_call *c, const struct cel_node *n)
{
	bool decides = n->kind == CEL_NODE_OR;
	struct cel_value error = cel_bool(!decides), v;

	for (size_t i = 0; i < n->n_args && !c->over; i++) {
		v = cel_eval_node(c, n->args[i]);
		if (v.kind == CEL_BOOL && v.b == decides)
			return v;
		if (v.kind != CEL_BOOL && error.kind == CEL_BOOL)
			error = v.kind == CEL_ERROR ? v : cel_no_overload();
	}
	return error;
}

struct cel_value cel_eval_list(struct cel_call *c, const struct cel_node *n)
{
	struct cel_value *items = arena_alloc(c->a, (n->n_args + 1) * sizeof(*items)), v;
	size_t count = 0;

	for (size_t i = 0; i < n->n_args; i++) {
		v = cel_eval_node(c, n->args[i]);
		if (v.kind == CEL_ERROR || c->over)
			return v;
		if (n->optionals && n->optionals[i]) {
			if (v.kind != CEL_OPTIONAL)
				return cel_error_fmt(c->a,
					"cannot initialize optional list element from non-optional "
					"value " STR_FMT,
					STR_ARG(cel_show(v, c->a)));
			if (!v.optional)
				continue;
			v = *v.optional;
		}
		items[count++] = v;
	}
	return count ? cel_list(items, count, c->a) : cel_empty_list();
}

static bool is_key(struct cel_value v)
{
	return v.kind == CEL_STRING || v.kind == CEL_INT || v.kind == CEL_UINT ||
	       v.kind == CEL_BOOL || v.kind == CEL_DOUBLE;
}

struct cel_value cel_eval_map(struct cel_call *c, const struct cel_node *n)
{
	struct cel_value map = cel_empty_map(), key, v;

	for (size_t i = 0; i + 1 < n->n_args; i += 2) {
		key = cel_eval_node(c, n->args[i]);
		if (key.kind == CEL_ERROR || c->over)
			return key;
		v = cel_eval_node(c, n->args[i + 1]);
		if (v.kind == CEL_ERROR || c->over)
			return v;
		if (!is_key(key))
			return cel_error_fmt(c->a, "unsupported key type: %s",
				cel_type_runtime_name(cel_type_of_value(key)));
		if (n->optionals && n->optionals[i / 2]) {
			if (v.kind != CEL_OPTIONAL)
				return cel_error_fmt(c->a,
					"cannot initialize optional entry '" STR_FMT
					"' from non-optional value " STR_FMT,
					STR_ARG(cel_show(key, c->a)), STR_ARG(cel_show(v, c->a)));
			if (!v.optional) {
				map = cel_map_without(map, key, c->a);
				continue;
			}
			v = *v.optional;
		}
		map = cel_map_put(map, key, v, c->a);
	}
	return map;
}

/* Constructing costs, also when an item fails. */
static struct cel_value construct(struct cel_call *c, const struct cel_node *n)
{
	static const unsigned costs[] = {
		[CEL_NODE_LIST] = 10, [CEL_NODE_MAP] = 30, [CEL_NODE_STRUCT] = 40};
	struct cel_value v = n->kind == CEL_NODE_LIST ? cel_eval_list(c, n) : cel_eval_map(c, n);

	cel_spend(c, costs[n->kind]);
	return v;
}

static struct cel_value dispatch(struct cel_call *c, const struct cel_node *n)
{
	switch ((enum cel_node_kind)n->kind) {
	case CEL_NODE_CONST:
		return n->value;
	case CEL_NODE_IDENT:
	case CEL_NODE_SELECT:
	case CEL_NODE_INDEX:
	case CEL_NODE_COND:
		return cel_eval_attribute(c, n);
	case CEL_NODE_CALL:
		return cel_eval_call(c, n);
	case CEL_NODE_AND:
	case CEL_NODE_OR:
		return logic(c, n);
	case CEL_NODE_LIST:
	case CEL_NODE_MAP:
	case CEL_NODE_STRUCT:
		return construct(c, n);
	case CEL_NODE_FOLD:
		return cel_eval_fold(c, n);
	}
	return cel_no_overload();
}

struct cel_value cel_eval_node(struct cel_call *c, const struct cel_node *n)
{
	if (c->over)
		return cel_error(S(""));
	return dispatch(c, n);
}

/* --- folds --- */

static bool next(struct cel_call *c, const struct cel_fold *f, struct cel_value range, size_t i)
{
	struct cel_slot *v1 = &c->slots[f->iter_slot], *v2 = &c->slots[f->iter2_slot];
	struct cel_entry e;
	struct cel_value go_on;

	if (range.kind == CEL_LIST) {
		v1->value = cel_list_at(range, i, c->a);
		if (f->iter2.n) {
			v2->value = v1->value;
			v1->value = cel_int(i);
		}
	} else {
		e = cel_map_at(range, i, c->a);
		v1->value = e.key;
		v2->value = e.value;
	}
	go_on = cel_eval_node(c, f->cond);
	return !c->over && !(go_on.kind == CEL_BOOL && !go_on.b);
}

struct cel_value cel_eval_fold(struct cel_call *c, const struct cel_node *n)
{
	const struct cel_fold *f = n->fold;
	struct cel_slot *accu = &c->slots[f->accu_slot];
	struct cel_value range = cel_eval_node(c, f->range), v;
	size_t size;

	if (range.kind == CEL_ERROR || c->over)
		return range;
	if (range.kind != CEL_LIST && range.kind != CEL_MAP)
		return cel_error_fmt(c->a,
			f->iter2.n ? "unsupported comprehension range type: %s"
				   : "got '%s', expected iterable type",
			cel_go_type(range));
	accu->lazy = f->init;
	size = cel_size(range);
	for (size_t i = 0; i < size && next(c, f, range, i); i++) {
		v = cel_eval_node(c, f->step);
		accu->value = v;
		accu->lazy = NULL;
	}
	return cel_eval_node(c, f->result);
}

/* --- the whole --- */

struct cel_result cel_eval(
	const struct cel_program *p, const struct cel_activation *activation, struct arena *a)
{
	struct cel_call c = {
		.program = p,
		.activation = activation,
		.a = a,
		.memory_from = a->total,
		.cost_max = activation->cost_max ? activation->cost_max : CEL_PER_CALL_LIMIT,
	};
	struct cel_result r = {0};

	c.slots = arena_alloc(a, (p->n_locals + 1) * sizeof(*c.slots));
	r.value = cel_eval_node(&c, p->root);
	r.cost = c.cost;
	r.over_budget = c.over;
	if (c.over)
		r.value = cel_error(str_c(over_budget));
	return r;
}
