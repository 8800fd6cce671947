/* attribute.c: chains of fields and indices (object.spec.?x["y"].z), has(), with upstream's
 * accounting: one for each step that is taken, one for the chain. */
#include "cel/eval.h"

#include <math.h>

/* What a chain has come to. */
struct chain {
	bool optional; /* a step was `?`: what is missing makes the whole none */
	bool none;     /* it did */
	bool free;     /* of a condition: no cost for the chain itself */
};

static struct cel_value resolve(struct cel_call *c, const struct cel_node *n, struct chain *ch);

static bool is_attribute(const struct cel_node *n)
{
	return n->kind == CEL_NODE_IDENT || n->kind == CEL_NODE_SELECT ||
	       n->kind == CEL_NODE_INDEX || n->kind == CEL_NODE_COND;
}

static struct cel_value local(struct cel_call *c, const struct cel_node *n)
{
	struct cel_slot *s = &c->slots[n->slot];

	if (s->lazy) {
		const struct cel_node *init = s->lazy;

		s->lazy = NULL;
		s->value = cel_eval_node(c, init);
	}
	return s->value;
}

static struct cel_value ident(struct cel_call *c, const struct cel_node *n)
{
	struct cel_value v;

	if (n->scope == CEL_SCOPE_LOCAL)
		return local(c, n);
	v = c->activation->values[n->slot];
	if (v.kind == CEL_UNSET)
		return cel_error_fmt(
			c->a, "no such attribute(s): %s", c->program->env->vars[n->slot].name);
	return v;
}

static struct cel_value condition(struct cel_call *c, const struct cel_node *n, struct chain *ch)
{
	struct cel_value v = cel_eval_node(c, n->args[0]);
	const struct cel_node *branch;

	if (v.kind == CEL_ERROR)
		return v;
	if (v.kind != CEL_BOOL)
		return cel_no_overload();
	branch = n->args[v.b ? 1 : 2];
	return is_attribute(branch) ? resolve(c, branch, ch) : cel_eval_node(c, branch);
}

bool cel_index(struct cel_value v, int64_t *ret, struct cel_value *ret_error, struct arena *a)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_INT:
		*ret = v.i;
		return true;
	case CEL_UINT:
		*ret = (int64_t)v.u;
		if (v.u <= INT64_MAX)
			return true;
		*ret_error = cel_error_fmt(
			a, "unsupported index value %llu in list", (unsigned long long)v.u);
		return false;
	case CEL_DOUBLE:
		if (v.d > -0x1p63 && v.d < 0x1p63 && v.d == trunc(v.d)) {
			*ret = (int64_t)v.d;
			return true;
		}
		*ret_error = cel_error_fmt(a, "unsupported index value " STR_FMT " in list",
			STR_ARG(cel_double_text(v.d, 'g', a)));
		return false;
	default:
		*ret_error = cel_error_fmt(a, "unsupported index type '%s' in list",
			cel_type_runtime_name(cel_type_of_value(v)));
		return false;
	}
}

static bool names_something(struct cel_value key)
{
	return key.kind == CEL_STRING || key.kind == CEL_INT || key.kind == CEL_UINT ||
	       key.kind == CEL_BOOL || key.kind == CEL_DOUBLE;
}

/* obj[key]; *ret_found false: it is not there, and the value the error that says so. */
static struct cel_value step(struct cel_call *c, struct cel_value obj, struct cel_value key,
	bool *ret_found, bool *ret_bad)
{
	struct cel_value v;
	int64_t i;

	*ret_found = true;
	*ret_bad = false;
	if (!names_something(key)) {
		*ret_bad = true;
		return cel_error_fmt(c->a, "invalid qualifier type: %s", cel_go_type(key));
	}
	if (obj.kind == CEL_MAP) {
		if (cel_map_find(obj, key, c->a, &v)) {
			*ret_bad = v.kind == CEL_ERROR;
			return v;
		}
	} else if (obj.kind == CEL_LIST) {
		if (!cel_index(key, &i, &v, c->a)) {
			*ret_bad = true;
			return v;
		}
		if (i >= 0 && (uint64_t)i < cel_size(obj))
			return cel_list_at(obj, i, c->a);
		*ret_found = false;
		return cel_error_fmt(
			c->a, "index out of bounds: " STR_FMT, STR_ARG(cel_show(key, c->a)));
	}
	*ret_found = false;
	return cel_no_key(key, c->a);
}

static bool key_of(struct cel_call *c, const struct cel_node *n, struct cel_value *ret)
{
	const struct cel_node *arg = n->n_args > 1 ? n->args[1] : NULL;
	struct chain ch = {0};

	if (n->kind == CEL_NODE_SELECT) {
		*ret = cel_string(n->name);
	} else if (is_attribute(arg)) {
		*ret = resolve(c, arg, &ch);
	} else {
		*ret = cel_eval_node(c, arg);
	}
	return ret->kind != CEL_ERROR;
}

/* Steps cost when they are taken: what is only looked for (`?`, and all behind it) must be there.
 */
static bool costs(const struct chain *ch, bool found, bool bad)
{
	if (!ch->optional)
		return true;
	return found && !bad;
}

/* One more step of the chain: n's field or index of obj. */
static struct cel_value qualify(
	struct cel_call *c, const struct cel_node *n, struct cel_value obj, struct chain *ch)
{
	bool found = false, bad = true;
	struct cel_value key, v;

	ch->optional |= n->optional;
	if (!key_of(c, n, &key)) {
		cel_spend(c, costs(ch, false, true));
		return key;
	}
	v = step(c, obj, key, &found, &bad);
	cel_spend(c, costs(ch, found, bad));
	if (bad || found)
		return n->test_only && !bad ? cel_bool(true) : v;
	if (n->test_only)
		return cel_bool(false);
	ch->none = ch->optional;
	return v;
}

/* The chain's value, without the optional around it. */
static struct cel_value resolve(struct cel_call *c, const struct cel_node *n, struct chain *ch)
{
	const struct cel_node *base;
	struct cel_value obj;

	if (n->kind == CEL_NODE_IDENT)
		return ident(c, n);
	if (n->kind == CEL_NODE_COND) {
		ch->free = true;
		return condition(c, n, ch);
	}
	base = n->args[0];
	obj = is_attribute(base) ? resolve(c, base, ch) : cel_eval_node(c, base);
	if (obj.kind == CEL_ERROR || ch->none)
		return obj;
	if (obj.kind == CEL_OPTIONAL && base->kind != CEL_NODE_SELECT &&
		base->kind != CEL_NODE_INDEX) {
		if (!obj.optional) {
			ch->none = true;
			return obj;
		}
		ch->optional = true;
		obj = *obj.optional;
	}
	if (c->over)
		return obj;
	return qualify(c, n, obj, ch);
}

struct cel_value cel_eval_attribute(struct cel_call *c, const struct cel_node *n)
{
	struct chain ch = {0};
	struct cel_value v = resolve(c, n, &ch);

	if (!ch.free && !n->test_only)
		cel_spend(c, 1);
	if (ch.none)
		return n->test_only ? cel_bool(false) : cel_none();
	if (v.kind == CEL_ERROR || !ch.optional)
		return v;
	return n->test_only ? v : cel_optional_of(v, c->a);
}
