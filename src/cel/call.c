/* call.c: function calls: arguments, the choice of the overload, cost. */
#include "cel/eval.h"

static struct cel_value no_such(
	struct cel_call *c, const struct cel_function *f, const struct cel_value *args, size_t n)
{
	struct buf b;
	struct cel_value v;

	buf_init(&b, 4096);
	buf_fmt(&b, "no such overload: %s(", f->name);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%s", i ? ", " : "",
			cel_type_runtime_name(cel_type_of_value(args[i])));
	buf_add_char(&b, ')');
	v = cel_error(arena_str(c->a, buf_str(&b)));
	buf_release(&b);
	return v;
}

static bool accepts(
	struct cel_call *c, const struct cel_overload *o, const struct cel_value *args, size_t n)
{
	if (o->n_args != n || !o->fn)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!cel_type_accepts(o->args[i], args[i], c->a))
			return false;
	return true;
}

struct cel_value cel_apply(struct cel_call *c, const struct cel_function *f,
	const struct cel_overload *o, const struct cel_value *args, size_t n)
{
	if (f->flags & CEL_FN_SINGLETON)
		return f->overloads[0].fn(c, args);
	if (c->node && c->node->regex && c->node->function == f) /* upstream checks nothing then */
		return accepts(c, &f->overloads[n - 2], args, n) ? f->overloads[n - 2].fn(c, args)
								 : cel_no_overload();
	if (o) {
		if (f->flags & CEL_FN_UNGUARDED || accepts(c, o, args, n))
			return o->fn(c, args);
		return no_such(c, f, args, n);
	}
	for (size_t i = 0; i < f->n_overloads; i++)
		if (accepts(c, &f->overloads[i], args, n))
			return f->overloads[i].fn(c, args);
	return no_such(c, f, args, n);
}

static struct cel_value alternative(struct cel_call *c, const struct cel_node *n)
{
	struct cel_value v = cel_eval_node(c, n->args[0]);

	if (v.kind != CEL_OPTIONAL || c->over)
		return v;
	if (v.optional)
		return n->function->flags & CEL_FN_OR ? v : *v.optional;
	return cel_eval_node(c, n->args[1]);
}

/* Whether the call is upstream's kind of many arguments, which stops at the first error. */
static bool stops_early(const struct cel_node *n)
{
	const struct cel_function *f = n->function;

	return n->n_args > 2 || n->regex ||
	       (!n->overload && f->n_overloads > 1 && !(f->flags & CEL_FN_SINGLETON));
}

static enum cel_cost cost_of(const struct cel_node *n)
{
	if (n->set)
		return CEL_COST_NONE;
	if (n->overload)
		return n->overload->cost;
	return n->function->flags & CEL_FN_COST_BY_NAME ? n->function->overloads[0].cost
							: CEL_COST_ONE;
}

/* The cost is that after the call, but what does not depend on the result is known, and checked,
 * before: an expensive call is not made at all then. */
static struct cel_value run(struct cel_call *c, const struct cel_node *n,
	const struct cel_value *args, struct cel_value error)
{
	const struct cel_node *outer = c->node;
	enum cel_cost how = cost_of(n);
	bool by_result = how == CEL_COST_RESULT_FIFTH || how == CEL_COST_LIST_RESULT;
	struct cel_value v = error;

	if (!by_result && !cel_spend(c, cel_call_cost(c, how, args, n->n_args, error)))
		return cel_error(S(""));
	if (v.kind != CEL_ERROR) {
		c->node = n;
		v = cel_apply(c, n->function, n->overload, args, n->n_args);
		c->node = outer;
	}
	if (by_result)
		cel_spend(c, cel_call_cost(c, how, args, n->n_args, v));
	return v;
}

struct cel_value cel_eval_call(struct cel_call *c, const struct cel_node *n)
{
	struct cel_value args[CEL_ARGS_MAX], error = {.kind = CEL_UNSET};
	bool early = stops_early(n);

	if (n->function->flags & (CEL_FN_OR | CEL_FN_OR_VALUE))
		return alternative(c, n);
	for (size_t i = 0; i < n->n_args; i++) {
		args[i] = cel_eval_node(c, n->args[i]);
		if (c->over)
			return args[i];
		if (args[i].kind != CEL_ERROR || n->function->flags & CEL_FN_NONSTRICT)
			continue;
		if (early && i + 1 < n->n_args)
			return args[i];
		if (error.kind != CEL_ERROR)
			error = args[i];
	}
	return run(c, n, args, error);
}
