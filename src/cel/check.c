/* check.c: names, types and overloads of every node, as cel-go's checker finds them. */
#include "cel/patch_types.h"
#include "cel/check.h"

static const struct cel_type *check(struct cel_checker *k, struct cel_node *n);

static struct str type_text(struct cel_checker *k, const struct cel_type *t)
{
	return cel_type_text(t, k->c->scratch);
}

static void mismatch(struct cel_checker *k, const struct cel_node *at, const struct cel_type *want,
	const struct cel_type *got)
{
	cel_issue_at(k->c, at->pos, "expected type '" STR_FMT "' but found '" STR_FMT "'",
		STR_ARG(type_text(k, want)), STR_ARG(type_text(k, got)));
}

static const struct cel_type *undeclared(
	struct cel_checker *k, const struct cel_node *at, struct str name)
{
	cel_issue_at(k->c, at->pos, "undeclared reference to '" STR_FMT "' (in container '')",
		STR_ARG(name));
	return &cel_type_error;
}

static const struct cel_type *resolved(struct cel_checker *k, const struct cel_type *t)
{
	return cel_type_resolve(&k->types, t, false);
}

static const struct cel_type *unwrap(const struct cel_type *t, bool *ret_optional)
{
	*ret_optional = t->kind == CEL_OPTIONAL;
	return *ret_optional ? t->params[0] : t;
}

/* --- names --- */

/* Makes the node the identifier, when the name is declared: a local, a variable, a type. */
static const struct cel_type *look_up(struct cel_checker *k, struct cel_node *n, struct str name)
{
	const struct cel_type *type;

	if (name.n && name.p[0] == '.')
		name = str_sub(name, 1, name.n);
	for (const struct cel_local *l = k->locals; l; l = l->outer) {
		if (!str_eq(l->name, name))
			continue;
		n->kind = CEL_NODE_IDENT;
		n->scope = CEL_SCOPE_LOCAL;
		n->slot = l->slot;
		n->name = name;
		return l->type;
	}
	for (size_t i = 0; i < k->c->env->n_vars; i++) {
		if (!str_eqc(name, k->c->env->vars[i].name))
			continue;
		n->kind = CEL_NODE_IDENT;
		n->scope = CEL_SCOPE_VARIABLE;
		n->slot = i;
		n->name = name;
		k->used[i] = true;
		return k->c->env->vars[i].type;
	}
	type = cel_type_named(name);
	if (!type)
		return NULL;
	n->kind = CEL_NODE_CONST;
	n->value = (struct cel_value){.kind = CEL_TYPE, .type = type};
	return cel_type_type_of(k->c->a, type);
}

enum { QUALIFIED_MAX = 256 };

/* "a.b.c" of a chain of selects; 0 when it is none or too long to be declared. */
static size_t qualified(const struct cel_node *n, char out[QUALIFIED_MAX])
{
	size_t len = 0;

	if (n->kind == CEL_NODE_SELECT && !n->test_only && !n->optional) {
		len = qualified(n->args[0], out);
		if (len == 0 || len + 1 >= QUALIFIED_MAX)
			return 0;
		out[len++] = '.';
	} else if (n->kind != CEL_NODE_IDENT) {
		return 0;
	}
	if (len + n->name.n >= QUALIFIED_MAX)
		return 0;
	memcpy(out + len, n->name.p, n->name.n);
	return len + n->name.n;
}

static const struct cel_type *check_ident(struct cel_checker *k, struct cel_node *n)
{
	struct str name = n->name;
	const struct cel_type *t = look_up(k, n, name);

	return t ? t : undeclared(k, n, name);
}

/* --- fields --- */

static const struct cel_type *struct_field(const struct cel_type *t, struct str name)
{
	if (t->lookup)
		return t->lookup(t, name);
	for (size_t i = 0; i < t->n_fields; i++)
		if (str_eqc(name, t->fields[i].name))
			return t->fields[i].type;
	return NULL;
}

static const struct cel_type *field_type(
	struct cel_checker *k, struct cel_node *n, const struct cel_type *t)
{
	const struct cel_type *f;

	switch (t->kind) {
	case CEL_MAP:
		return t->params[1];
	case CEL_STRUCT:
		f = struct_field(t, n->name);
		if (f)
			return f;
		cel_issue_at(k->c, n->pos, "undefined field '" STR_FMT "'", STR_ARG(n->name));
		return &cel_type_error;
	case CEL_PARAM:
		cel_type_assign(&k->types, &cel_type_dyn, t);
		return &cel_type_dyn;
	case CEL_DYN:
	case CEL_ERROR_TYPE:
		return &cel_type_dyn;
	case CEL_OPAQUE:
		if (strncmp(t->name, "kubernetes.", 11) == 0) { /* objects, to upstream */
			cel_issue_at(k->c, n->pos, "unexpected failed resolution of '%s'", t->name);
			return &cel_type_error;
		}
		/* fall through */
	default:
		cel_issue_at(k->c, n->pos, "type '" STR_FMT "' does not support field selection",
			STR_ARG(type_text(k, t)));
		return &cel_type_dyn;
	}
}

static const struct cel_type *check_select(struct cel_checker *k, struct cel_node *n)
{
	char name[QUALIFIED_MAX];
	size_t len = qualified(n, name);
	const struct cel_type *t, *f;
	bool optional;

	if (len) {
		t = look_up(k, n, str_n(name, len));
		if (t)
			return t;
	}
	t = unwrap(resolved(k, check(k, n->args[0])), &optional);
	f = field_type(k, n, t);
	if (optional || n->optional)
		f = cel_type_optional_of(k->c->a, f);
	return n->test_only ? &cel_type_bool : resolved(k, f);
}

/* --- calls --- */

static void no_overload(struct cel_checker *k, const struct cel_node *n, const char *name)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	for (size_t i = 0; i < n->n_args; i++) {
		const struct cel_type *t = cel_type_resolve(&k->types, n->args[i]->type, true);

		if (i == 0 && n->member) {
			buf_add_str(&b, type_text(k, t));
			buf_add_c(&b, ".(");
			continue;
		}
		buf_add_c(&b, i == 0 ? "(" : i == 1 && n->member ? "" : ", ");
		buf_add_str(&b, type_text(k, t));
	}
	buf_add_c(&b, n->n_args ? ")" : "()");
	cel_issue_at(
		k->c, n->pos, "found no matching overload for '%s' applied to '%s'", name, b.p);
	buf_release(&b);
}

static bool holds(const struct cel_type *t, const struct cel_type *param)
{
	return t == param || (t->params[0] && holds(t->params[0], param)) ||
	       (t->params[1] && holds(t->params[1], param));
}

static bool mentions(const struct cel_overload *o, const struct cel_type *param)
{
	for (size_t i = 0; i < o->n_args; i++)
		if (holds(o->args[i], param))
			return true;
	return holds(o->result, param);
}

static bool matches(struct cel_checker *k, const struct cel_node *n, const struct cel_overload *o,
	const struct cel_type **ret)
{
	const struct cel_type *got[CEL_ARGS_MAX], *want[CEL_ARGS_MAX], *a, *b;

	if (o->member != n->member || o->n_args != n->n_args)
		return false;
	a = mentions(o, &cel_type_a) ? cel_type_fresh(&k->types) : NULL;
	b = mentions(o, &cel_type_b) ? cel_type_fresh(&k->types) : NULL;
	for (size_t i = 0; i < n->n_args; i++) {
		got[i] = n->args[i]->type;
		want[i] = cel_type_instantiate(k->c->a, o->args[i], a, b);
	}
	if (!cel_type_assign_list(&k->types, got, want, n->n_args))
		return false;
	*ret = resolved(k, cel_type_instantiate(k->c->a, o->result, a, b));
	return true;
}

const struct cel_type *cel_check_overload(
	struct cel_checker *k, struct cel_node *n, const struct cel_function *f)
{
	const struct cel_type *result = NULL, *t;
	const struct cel_overload *found = NULL;
	bool one = true;

	for (size_t i = 0; i < f->n_overloads; i++) {
		if (!matches(k, n, &f->overloads[i], &t))
			continue;
		one = !found;
		found = &f->overloads[i];
		if (!result)
			result = t;
		else if (!cel_type_is_dyn(result) && !cel_type_same(t, result))
			result = &cel_type_dyn;
	}
	if (!result) {
		no_overload(k, n, f->name);
		return &cel_type_error;
	}
	if (n->kind == CEL_NODE_CALL) {
		n->function = f;
		n->overload = one ? found : NULL;
	}
	return result;
}

/* optional.of(x): what looks like a member call is a function with a dot in its name */
static const struct cel_function *namespaced(struct cel_checker *k, struct cel_node *n)
{
	char name[QUALIFIED_MAX];
	size_t len = n->member ? qualified(n->args[0], name) : 0;
	const struct cel_function *f;

	if (len == 0 || len + 1 + n->name.n > QUALIFIED_MAX)
		return NULL;
	name[len] = '.';
	memcpy(name + len + 1, n->name.p, n->name.n);
	f = cel_function_find(str_n(name, len + 1 + n->name.n));
	if (!f || (f == &cel_jsonpatch_escape_key && !k->c->env->patches))
		return NULL;
	n->member = false;
	n->args++;
	n->n_args--;
	return f;
}

static const struct cel_type *check_call(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_function *f = namespaced(k, n);
	struct str name = n->name;

	for (size_t i = 0; i < n->n_args; i++)
		check(k, n->args[i]);
	if (!f) {
		if (name.p[0] == '.')
			name = str_sub(name, 1, name.n);
		f = cel_function_find(name);
	}
	if (!f)
		return undeclared(k, n, n->name);
	return cel_check_overload(k, n, f);
}

static const struct cel_type *check_operator(struct cel_checker *k, struct cel_node *n)
{
	for (size_t i = 0; i < n->n_args; i++)
		check(k, n->args[i]);
	return cel_check_overload(k, n, cel_function_find(n->name));
}

static const struct cel_type *check_logic(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_type *result = &cel_type_bool;

	for (size_t i = 0; i < n->n_args; i++) {
		const struct cel_type *t = check(k, n->args[i]);

		if (!cel_type_assign(&k->types, t, &cel_type_bool)) {
			mismatch(k, n->args[i], &cel_type_bool, t);
			result = &cel_type_error;
		}
	}
	return result;
}

/* --- lists and maps --- */

static const struct cel_type *join(
	struct cel_checker *k, const struct cel_type *before, const struct cel_type *t)
{
	if (!before)
		return t;
	/* mixed ones are dyn; validate.c says where they may be */
	return cel_type_assign(&k->types, before, t) ? cel_type_general(before, t) : &cel_type_dyn;
}

/* The type of an item or value, which `?` takes out of its optional. */
static const struct cel_type *item_type(struct cel_checker *k, struct cel_node *n, bool mark)
{
	const struct cel_type *t = check(k, n), *inner;
	bool optional;

	if (!mark)
		return t;
	inner = unwrap(t, &optional);
	if (!optional && !cel_type_is_dyn(t))
		mismatch(k, n, cel_type_optional_of(k->c->a, t), t);
	return inner;
}

static const struct cel_type *check_list(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_type *item = NULL;

	for (size_t i = 0; i < n->n_args; i++)
		item = join(k, item, item_type(k, n->args[i], n->optionals && n->optionals[i]));
	return cel_type_list_of(k->c->a, item ? item : cel_type_fresh(&k->types));
}

static const struct cel_type *check_map(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_type *key = NULL, *value = NULL;

	for (size_t i = 0; i + 1 < n->n_args; i += 2) {
		key = join(k, key, check(k, n->args[i]));
		value = join(k, value,
			item_type(k, n->args[i + 1], n->optionals && n->optionals[i / 2]));
	}
	if (!key) {
		key = cel_type_fresh(&k->types);
		value = cel_type_fresh(&k->types);
	}
	return cel_type_map_of(k->c->a, key, value);
}

/* The types of which mutating policies make their patches. */
static const struct cel_type *check_patch(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_type *t = cel_patch_type(n->name, k->c->a);

	for (size_t i = 0; i + 1 < n->n_args; i += 2) {
		struct str name = n->args[i]->value.s;
		const struct cel_type *want = struct_field(t, name), *is;

		is = item_type(k, n->args[i + 1], n->optionals && n->optionals[i / 2]);
		n->args[i]->type = &cel_type_string;
		if (!want)
			cel_issue_at(k->c, n->args[i]->pos, "undefined field '" STR_FMT "'",
				STR_ARG(name));
		else if (!cel_type_assign(&k->types, want, is))
			cel_issue_at(k->c, n->args[i]->pos,
				"expected type of field '" STR_FMT "' is '" STR_FMT
				"' but provided type is '" STR_FMT "'",
				STR_ARG(name), STR_ARG(type_text(k, want)),
				STR_ARG(type_text(k, is)));
	}
	return t;
}

static const struct cel_type *check_struct(struct cel_checker *k, struct cel_node *n)
{
	const struct cel_type *t = cel_type_named(n->name);

	if (k->c->env->patches && cel_is_patch_type(n->name))
		return check_patch(k, n);
	if (!t)
		return undeclared(k, n, n->name);
	cel_issue_at(k->c, n->pos, "'" STR_FMT "' is not a message type", STR_ARG(n->name));
	for (size_t i = 1; i < n->n_args; i += 2)
		check(k, n->args[i]);
	return &cel_type_error;
}

/* --- folds --- */

static void range_types(struct cel_checker *k, const struct cel_node *range,
	const struct cel_type *t, bool two, const struct cel_type **v1, const struct cel_type **v2)
{
	switch (t->kind) {
	case CEL_LIST:
		*v1 = two ? &cel_type_int : t->params[0];
		*v2 = t->params[0];
		break;
	case CEL_MAP:
		*v1 = t->params[0];
		*v2 = t->params[1];
		break;
	case CEL_DYN:
	case CEL_ERROR_TYPE:
	case CEL_PARAM:
		cel_type_assign(&k->types, &cel_type_dyn, t);
		*v1 = *v2 = &cel_type_dyn;
		break;
	default:
		cel_issue_at(k->c, range->pos,
			"expression of type '" STR_FMT
			"' cannot be range of a comprehension (must be "
			"list, map, or dynamic)",
			STR_ARG(type_text(k, t)));
		*v1 = *v2 = &cel_type_error;
	}
}

static void expect(struct cel_checker *k, struct cel_node *n, const struct cel_type *want)
{
	const struct cel_type *t = check(k, n);

	if (!cel_type_assign(&k->types, want, t))
		mismatch(k, n, want, t);
}

static const struct cel_type *check_fold(struct cel_checker *k, struct cel_node *n)
{
	struct cel_fold *f = n->fold;
	const struct cel_local *outer = k->locals;
	const struct cel_type *range = check(k, f->range), *init = check(k, f->init), *v1, *v2;
	struct cel_local accu, iter, iter2;
	const struct cel_type *result;

	range_types(k, f->range, resolved(k, range), f->iter2.n > 0, &v1, &v2);
	f->accu_slot = k->c->n_locals++;
	f->iter_slot = k->c->n_locals++;
	f->iter2_slot = k->c->n_locals++;
	accu = (struct cel_local){f->accu, init, f->accu_slot, outer};
	iter = (struct cel_local){f->iter, v1, f->iter_slot, &accu};
	iter2 = (struct cel_local){f->iter2, v2, f->iter2_slot, &iter};
	k->locals = f->iter2.n ? &iter2 : &iter;
	expect(k, f->cond, &cel_type_bool);
	expect(k, f->step, init);
	k->locals = &accu;
	result = resolved(k, check(k, f->result));
	k->locals = outer;
	return result;
}

static const struct cel_type *check(struct cel_checker *k, struct cel_node *n)
{
	static const struct cel_type *(*const by_kind[])(
		struct cel_checker *, struct cel_node *) = {
		[CEL_NODE_IDENT] = check_ident,
		[CEL_NODE_SELECT] = check_select,
		[CEL_NODE_INDEX] = check_operator,
		[CEL_NODE_CALL] = check_call,
		[CEL_NODE_AND] = check_logic,
		[CEL_NODE_OR] = check_logic,
		[CEL_NODE_COND] = check_operator,
		[CEL_NODE_LIST] = check_list,
		[CEL_NODE_MAP] = check_map,
		[CEL_NODE_STRUCT] = check_struct,
		[CEL_NODE_FOLD] = check_fold,
	};

	if (n->kind == CEL_NODE_CONST)
		n->type = cel_type_of_value(n->value);
	else
		n->type = by_kind[n->kind](k, n);
	return n->type;
}

void cel_check(struct cel_compile *c, struct cel_node *root, bool *used)
{
	struct cel_checker k = {.c = c, .types = {.a = c->a}, .used = used};

	check(&k, root);
	root->type = cel_type_resolve(&k.types, root->type, true);
	if (c->n_issues == 0)
		cel_validate(&k, root, false);
}
