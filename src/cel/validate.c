/* validate.c: what the checker lets pass and upstream's validators do not. */
#include "cel/check.h"
#include "cel/eval.h"
#include "cel/regex.h"

static const struct cel_type * final(struct cel_checker *k, const struct cel_node *n)
{
	return cel_type_resolve(&k->types, n->type, true);
}

/* The same type as the first of the kind, which *want remembers. */
static bool same(
	struct cel_checker *k, const struct cel_node *n, bool mark, const struct cel_type **want)
{
	const struct cel_type *t = final(k, n);

	if (mark && t->kind == CEL_OPTIONAL)
		t = t->params[0];
	if (!*want)
		*want = t;
	if (cel_type_same(*want, t))
		return true;
	cel_issue_at(k->c, n->pos, "expected type '" STR_FMT "' but found '" STR_FMT "'",
		STR_ARG(cel_type_text(*want, k->c->scratch)),
		STR_ARG(cel_type_text(t, k->c->scratch)));
	return false;
}

static void one_type(struct cel_checker *k, const struct cel_node *n)
{
	const struct cel_type *item = NULL, *key = NULL;

	if (n->kind == CEL_NODE_LIST) {
		for (size_t i = 0; i < n->n_args; i++)
			if (!same(k, n->args[i], n->optionals && n->optionals[i], &item))
				return;
		return;
	}
	for (size_t i = 0; i + 1 < n->n_args; i += 2) {
		same(k, n->args[i], false, &key);
		same(k, n->args[i + 1], n->optionals && n->optionals[i / 2], &item);
	}
}

static bool readable(struct cel_checker *k, const char *function, struct str s)
{
	struct cel_regex *re;
	struct str error;
	struct cel_value v;

	if (strcmp(function, "matches") == 0)
		return cel_regex_compile(s, k->c->scratch, &re, &error);
	if (strcmp(function, "duration") == 0)
		v = cel_duration_parse(s, k->c->scratch);
	else
		v = cel_timestamp_parse(s, k->c->scratch);
	return v.kind != CEL_ERROR;
}

static void literal(struct cel_checker *k, const struct cel_node *n)
{
	static const char *const functions[] = {"duration", "timestamp", "matches"};
	const struct cel_node *arg;

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (strcmp(n->function->name, functions[i]) != 0)
			continue;
		arg = n->args[n->member]; /* of matches(s, pattern) upstream looks at s */
		if (arg->kind == CEL_NODE_CONST && arg->value.kind == CEL_STRING &&
			!readable(k, functions[i], arg->value.s))
			cel_issue_at(k->c, arg->pos, "invalid %s argument", functions[i]);
		return;
	}
}

void cel_validate(struct cel_checker *k, struct cel_node *n, bool in_format)
{
	if (n->kind == CEL_NODE_CALL) {
		literal(k, n);
		if (strcmp(n->function->name, "format") == 0)
			cel_validate_format(k, n);
		in_format = in_format || strcmp(n->function->name, "format") == 0;
	}
	if (!in_format && (n->kind == CEL_NODE_LIST || n->kind == CEL_NODE_MAP))
		one_type(k, n);
	for (size_t i = 0; i < n->n_args; i++)
		cel_validate(k, n->args[i], in_format);
	if (n->kind == CEL_NODE_FOLD) {
		struct cel_node *const parts[] = {n->fold->range, n->fold->init, n->fold->cond,
			n->fold->step, n->fold->result};

		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			cel_validate(k, parts[i], in_format);
	}
}
