/* macro.c: the macros, expanded as cel-go expands them (parser/macro.go, ext/comprehensions.go,
 * ext/lists.go): has, all, exists, exists_one, map, filter, their forms of two variables,
 * transformList, transformMap, transformMapEntry, optMap, optFlatMap, sortBy. */
#include "cel/node.h"

#define ACCU "@result"
#define SORT_INPUT "@__sortBy_input__"

struct expansion {
	struct cel_compile *c;
	uint32_t pos;
	struct str name;
	struct cel_node *target;
	struct cel_node **args;
	size_t n;
};

static struct cel_node *fail(struct expansion *e, const struct cel_node *at, const char *message)
{
	cel_issue_at(e->c, at->pos, "%s", message);
	return cel_node_new(e->c, CEL_NODE_CONST, e->pos);
}

static struct cel_node *ident(struct expansion *e, struct str name)
{
	struct cel_node *n = cel_node_new(e->c, CEL_NODE_IDENT, e->pos);

	n->name = name;
	return n;
}

static struct cel_node *accu(struct expansion *e)
{
	return ident(e, S(ACCU));
}

static struct cel_node *constant(struct expansion *e, struct cel_value v)
{
	struct cel_node *n = cel_node_new(e->c, CEL_NODE_CONST, e->pos);

	n->value = v;
	return n;
}

static struct cel_node *list(struct expansion *e, struct cel_node *item)
{
	struct cel_node *n = cel_node_new(e->c, CEL_NODE_LIST, e->pos);

	if (item) {
		n->args = arena_memdup(e->c->a, &item, sizeof(item));
		n->n_args = 1;
	}
	return n;
}

static struct cel_node *cond(
	struct expansion *e, struct cel_node *x, struct cel_node *yes, struct cel_node *no)
{
	struct cel_node *n = cel_node_call(e->c, e->pos, "_?_:_", 3, x, yes, no);

	n->kind = CEL_NODE_COND;
	return n;
}

static struct cel_node *logic(
	struct expansion *e, enum cel_node_kind kind, struct cel_node *x, struct cel_node *y)
{
	struct cel_node *n = cel_node_call(e->c, e->pos, "", 2, x, y);

	n->kind = kind;
	return n;
}

static struct cel_node *member(struct expansion *e, const char *name, struct cel_node *target)
{
	struct cel_node *n = cel_node_call(e->c, e->pos, name, 1, target);

	n->member = true;
	return n;
}

/* A copy, for a subtree that stands twice: each is checked by itself. Copies of copies would double
 * with every macro in a chain: there is a limit. */
static struct cel_node *copy(struct cel_compile *c, const struct cel_node *n)
{
	struct cel_node *to;

	if (!n)
		return NULL;
	if (c->n_nodes++ == CEL_COPIES_MAX) {
		cel_issue_at(c, n->pos, "macros expand to too large an expression");
		c->stop = true;
	}
	if (c->stop)
		return cel_node_new(c, CEL_NODE_CONST, n->pos);
	to = arena_memdup(c->a, n, sizeof(*n));
	if (n->n_args)
		to->args = arena_memdup(c->a, n->args, n->n_args * sizeof(*n->args));
	for (size_t i = 0; i < n->n_args; i++)
		to->args[i] = copy(c, n->args[i]);
	if (n->kind == CEL_NODE_FOLD) {
		struct cel_fold *f = arena_memdup(c->a, n->fold, sizeof(*n->fold));

		f->range = copy(c, f->range);
		f->init = copy(c, f->init);
		f->cond = copy(c, f->cond);
		f->step = copy(c, f->step);
		f->result = copy(c, f->result);
		to->fold = f;
	}
	return to;
}

static struct cel_node *fold(struct expansion *e, struct cel_fold fold_)
{
	struct cel_node *n = cel_node_new(e->c, CEL_NODE_FOLD, e->pos);

	n->fold = arena_memdup(e->c->a, &fold_, sizeof(fold_));
	return n;
}

/* --- has --- */

static struct cel_node *expand_has(struct expansion *e)
{
	struct cel_node *arg = e->args[0], *n;

	if (arg->kind != CEL_NODE_SELECT || arg->optional || arg->test_only)
		return fail(e, arg, "invalid argument to has() macro");
	n = cel_node_new(e->c, CEL_NODE_SELECT, e->pos);
	n->name = arg->name;
	n->args = arg->args;
	n->n_args = 1;
	n->test_only = true;
	return n;
}

/* --- one and two variables --- */

static bool is_accu(struct str s)
{
	return str_eqc(s, ACCU) || str_eqc(s, "__result__");
}

/* The iteration variables, the first n arguments; NULL or the node that reports what is wrong. */
static struct cel_node *variables(
	struct expansion *e, size_t n, const char *not_a_name, struct cel_fold *f)
{
	static const char overwrites[] = "iteration variable overwrites accumulator variable";

	for (size_t i = 0; i < n; i++)
		if (e->args[i]->kind != CEL_NODE_IDENT)
			return fail(e, e->args[i], not_a_name);
	f->iter = e->args[0]->name;
	if (n == 2) {
		f->iter2 = e->args[1]->name;
		if (str_eq(f->iter, f->iter2)) {
			struct str message = arena_fmt(e->c->scratch,
				"duplicate variable name: " STR_FMT, STR_ARG(f->iter));

			return fail(e, e->args[1], message.p);
		}
	}
	for (size_t i = 0; i < n; i++)
		if (is_accu(e->args[i]->name))
			return fail(e, e->args[i], overwrites);
	f->accu = S(ACCU);
	f->range = e->target;
	return NULL;
}

static const char simple_name[] = "argument must be a simple name";

static struct cel_node *expand_all(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, e->n - 1, simple_name, &f);

	if (bad)
		return bad;
	f.init = constant(e, cel_bool(true));
	f.cond = cel_node_call(e->c, e->pos, "@not_strictly_false", 1, accu(e));
	f.step = logic(e, CEL_NODE_AND, accu(e), e->args[e->n - 1]);
	f.result = accu(e);
	return fold(e, f);
}

static struct cel_node *expand_exists(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, e->n - 1, simple_name, &f);

	if (bad)
		return bad;
	f.init = constant(e, cel_bool(false));
	f.cond = cel_node_call(e->c, e->pos, "@not_strictly_false", 1,
		cel_node_call(e->c, e->pos, "!_", 1, accu(e)));
	f.step = logic(e, CEL_NODE_OR, accu(e), e->args[e->n - 1]);
	f.result = accu(e);
	return fold(e, f);
}

static struct cel_node *expand_exists_one(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, e->n - 1, simple_name, &f);

	if (bad)
		return bad;
	f.init = constant(e, cel_int(0));
	f.cond = constant(e, cel_bool(true));
	f.step = cond(e, e->args[e->n - 1],
		cel_node_call(e->c, e->pos, "_+_", 2, accu(e), constant(e, cel_int(1))), accu(e));
	f.result = cel_node_call(e->c, e->pos, "_==_", 2, accu(e), constant(e, cel_int(1)));
	return fold(e, f);
}

/* accu + [transform], where the filter (may be NULL) holds */
static struct cel_node *collect(struct expansion *e, struct cel_fold *f, struct cel_node *filter,
	struct cel_node *transform)
{
	f->init = list(e, NULL);
	f->cond = constant(e, cel_bool(true));
	f->step = cel_node_call(e->c, e->pos, "_+_", 2, accu(e), list(e, transform));
	if (filter)
		f->step = cond(e, filter, f->step, accu(e));
	f->result = accu(e);
	return fold(e, *f);
}

static const char not_ident[] = "argument is not an identifier";

static struct cel_node *expand_map(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, 1, not_ident, &f);

	return bad ? bad : collect(e, &f, e->n == 3 ? e->args[1] : NULL, e->args[e->n - 1]);
}

static struct cel_node *expand_filter(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, 1, not_ident, &f);

	return bad ? bad : collect(e, &f, e->args[1], copy(e->c, e->args[0]));
}

static struct cel_node *expand_transform_list(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, 2, simple_name, &f);

	return bad ? bad : collect(e, &f, e->n == 4 ? e->args[2] : NULL, e->args[e->n - 1]);
}

static struct cel_node *insert(struct expansion *e, struct cel_fold *f, struct cel_node *step)
{
	f->init = cel_node_new(e->c, CEL_NODE_MAP, e->pos);
	f->cond = constant(e, cel_bool(true));
	f->step = e->n == 4 ? cond(e, e->args[2], step, accu(e)) : step;
	f->result = accu(e);
	return fold(e, *f);
}

static struct cel_node *expand_transform_map(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, 2, simple_name, &f);

	if (bad)
		return bad;
	return insert(e, &f,
		cel_node_call(e->c, e->pos, "cel.@mapInsert", 3, accu(e), ident(e, f.iter),
			e->args[e->n - 1]));
}

static struct cel_node *expand_transform_map_entry(struct expansion *e)
{
	struct cel_fold f = {0};
	struct cel_node *bad = variables(e, 2, simple_name, &f);

	if (bad)
		return bad;
	return insert(e, &f,
		cel_node_call(e->c, e->pos, "cel.@mapInsert", 2, accu(e), e->args[e->n - 1]));
}

/* --- optionals --- */

/* The value of `target`, when there is one, bound to the variable in `body`: a fold over nothing.
 */
static struct cel_node *bind_value(struct expansion *e)
{
	struct cel_fold f = {.iter = S("#unused"), .accu = e->args[0]->name};

	f.range = list(e, NULL);
	f.init = member(e, "value", copy(e->c, e->target));
	f.cond = constant(e, cel_bool(false));
	f.step = ident(e, f.accu);
	f.result = e->args[1];
	return fold(e, f);
}

static struct cel_node *optional_none(struct expansion *e)
{
	return cel_node_call(e->c, e->pos, "optional.none", 0);
}

static struct cel_node *expand_opt_map(struct expansion *e)
{
	if (e->args[0]->kind != CEL_NODE_IDENT)
		return fail(e, e->args[0], "optMap() variable name must be a simple identifier");
	return cond(e, member(e, "hasValue", e->target),
		cel_node_call(e->c, e->pos, "optional.of", 1, bind_value(e)), optional_none(e));
}

static struct cel_node *expand_opt_flat_map(struct expansion *e)
{
	if (e->args[0]->kind != CEL_NODE_IDENT)
		return fail(
			e, e->args[0], "optFlatMap() variable name must be a simple identifier");
	return cond(e, member(e, "hasValue", e->target), bind_value(e), optional_none(e));
}

/* --- sortBy --- */

/* The input bound to a variable, then input.@sortByAssociatedKeys(input.map(x, key)) */
static struct cel_node *expand_sort_by(struct expansion *e)
{
	struct cel_fold map = {0}, bound = {.iter = S("#unused"), .accu = S(SORT_INPUT)};
	struct cel_node *keys, *n;

	if (e->target->kind != CEL_NODE_LIST && e->target->kind != CEL_NODE_SELECT &&
		e->target->kind != CEL_NODE_IDENT && e->target->kind != CEL_NODE_FOLD &&
		e->target->kind != CEL_NODE_CALL && e->target->kind != CEL_NODE_INDEX &&
		e->target->kind != CEL_NODE_COND)
		return fail(e, e->target,
			"sortBy can only be applied to a list, identifier, comprehension, call or "
			"select expression");
	if (e->args[0]->kind != CEL_NODE_IDENT)
		return fail(e, e->args[0], not_ident);
	map.iter = e->args[0]->name;
	map.accu = S(ACCU);
	map.range = ident(e, S(SORT_INPUT));
	keys = collect(e, &map, NULL, e->args[1]);
	n = cel_node_call(e->c, e->pos, "@sortByAssociatedKeys", 2, ident(e, S(SORT_INPUT)), keys);
	n->member = true;
	bound.range = list(e, NULL);
	bound.init = e->target;
	bound.cond = constant(e, cel_bool(false));
	bound.step = ident(e, bound.accu);
	bound.result = n;
	return fold(e, bound);
}

static const struct {
	const char *name;
	uint8_t n_min, n_max;
	bool member;
	struct cel_node *(*expand)(struct expansion *e);
} macros[] = {
	{"has", 1, 1, false, expand_has},
	{"all", 2, 3, true, expand_all},
	{"exists", 2, 3, true, expand_exists},
	{"exists_one", 2, 3, true, expand_exists_one},
	{"existsOne", 3, 3, true, expand_exists_one},
	{"map", 2, 3, true, expand_map},
	{"filter", 2, 2, true, expand_filter},
	{"transformList", 3, 4, true, expand_transform_list},
	{"transformMap", 3, 4, true, expand_transform_map},
	{"transformMapEntry", 3, 4, true, expand_transform_map_entry},
	{"optMap", 2, 2, true, expand_opt_map},
	{"optFlatMap", 2, 2, true, expand_opt_flat_map},
	{"sortBy", 2, 2, true, expand_sort_by},
};

struct cel_node *cel_macro(struct cel_compile *c, uint32_t pos, struct str name,
	struct cel_node *target, struct cel_node **args, size_t n)
{
	struct expansion e = {
		.c = c, .pos = pos, .name = name, .target = target, .args = args, .n = n};

	for (size_t i = 0; i < ARRAY_SIZE(macros); i++)
		if (macros[i].member == (target != NULL) && n >= macros[i].n_min &&
			n <= macros[i].n_max && str_eqc(name, macros[i].name))
			return macros[i].expand(&e);
	return NULL;
}
