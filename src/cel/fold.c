/* fold.c: what is constant is computed when compiling, as upstream's planner does: lists and maps
 * of constants, conversions, patterns. That is also what costs nothing later. */
#include "cel/eval.h"
#include "cel/regex.h"

static bool all_constant(const struct cel_node *n)
{
	for (size_t i = 0; i < n->n_args; i++)
		if (n->args[i]->kind != CEL_NODE_CONST)
			return false;
	return true;
}

static struct cel_node *constant(struct cel_compile *c, struct cel_node *n, struct cel_value v)
{
	struct cel_node *to = cel_node_new(c, CEL_NODE_CONST, n->pos);

	to->type = n->type;
	to->value = v;
	return to;
}

/* Evaluates a node of constants in the program's own arena. */
static bool compute(struct cel_compile *c, struct cel_node **n, struct str *ret_error)
{
	struct cel_call call = {.a = c->a, .memory_from = c->a->total, .cost_max = UINT64_MAX};
	struct cel_value v;

	if ((*n)->kind == CEL_NODE_LIST)
		v = cel_eval_list(&call, *n);
	else if ((*n)->kind == CEL_NODE_MAP)
		v = cel_eval_map(&call, *n);
	else
		v = cel_eval_call(&call, *n);
	if (v.kind == CEL_ERROR) {
		if ((*n)->kind != CEL_NODE_CALL)
			return true; /* it will fail when it is evaluated */
		*ret_error = v.s;
		return false;
	}
	*n = constant(c, *n, v);
	return true;
}

/* x in [1, 2, 3] */
static void membership(struct cel_compile *c, struct cel_node **n)
{
	struct cel_node *list = (*n)->args[1];
	struct cel_value item;

	if (list->kind != CEL_NODE_CONST || list->value.kind != CEL_LIST || !(*n)->overload)
		return;
	if (cel_size(list->value) == 0) {
		*n = constant(c, *n, cel_bool(false));
		return;
	}
	for (size_t i = 0; i < cel_size(list->value); i++) {
		item = cel_list_at(list->value, i, c->a);
		if (item.kind < CEL_BOOL || item.kind > CEL_STRING)
			return;
	}
	(*n)->set = true;
}

static bool pattern(struct cel_compile *c, struct cel_node *n, struct str *ret_error)
{
	struct cel_regex *re;

	if (n->args[1]->kind != CEL_NODE_CONST || n->args[1]->value.kind != CEL_STRING)
		return true;
	if (!cel_regex_compile(n->args[1]->value.s, c->a, &re, ret_error))
		return false;
	n->regex = re;
	return true;
}

static bool fold_call(struct cel_compile *c, struct cel_node **n, struct str *ret_error)
{
	uint8_t flags = (*n)->function->flags;

	if (flags & CEL_FN_CONVERSION && (*n)->n_args == 1 && all_constant(*n))
		return compute(c, n, ret_error);
	if (flags & CEL_FN_REGEX && (*n)->n_args > 1)
		return pattern(c, *n, ret_error);
	if (strcmp((*n)->function->name, "@in") == 0)
		membership(c, n);
	return true;
}

bool cel_fold_constants(struct cel_compile *c, struct cel_node **n, struct str *ret_error)
{
	struct cel_fold *f;

	for (size_t i = 0; i < (*n)->n_args; i++)
		if (!cel_fold_constants(c, &(*n)->args[i], ret_error))
			return false;
	switch ((enum cel_node_kind)(*n)->kind) {
	case CEL_NODE_LIST:
	case CEL_NODE_MAP:
		return all_constant(*n) ? compute(c, n, ret_error) : true;
	case CEL_NODE_CALL:
		return fold_call(c, n, ret_error);
	case CEL_NODE_FOLD:
		f = (*n)->fold;
		return cel_fold_constants(c, &f->range, ret_error) &&
		       cel_fold_constants(c, &f->init, ret_error) &&
		       cel_fold_constants(c, &f->cond, ret_error) &&
		       cel_fold_constants(c, &f->step, ret_error) &&
		       cel_fold_constants(c, &f->result, ret_error);
	default:
		return true;
	}
}
