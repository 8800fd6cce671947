/* validate_format.c: the arguments of a constant string.format() against its clauses. */
#include "cel/check.h"
#include "cel/string_format.h"

/* The item that %s cannot write: of a literal list or map one within it. NULL: none. */
static const struct cel_node *unwritable(struct cel_checker *k, const struct cel_node *n)
{
	const struct cel_node *bad;

	if (n->kind != CEL_NODE_LIST && n->kind != CEL_NODE_MAP) {
		const struct cel_type *t = cel_type_resolve(&k->types, n->type, true);

		return t->kind == CEL_OPAQUE || t->kind == CEL_OPTIONAL ? n : NULL;
	}
	for (size_t i = 0; i < n->n_args; i++) {
		bad = unwritable(k, n->args[i]);
		if (bad)
			return bad;
	}
	return NULL;
}

static bool names_a_double(const struct cel_node *n)
{
	return n->kind == CEL_NODE_CONST && n->value.kind == CEL_STRING &&
	       (str_eqc(n->value.s, "NaN") || str_eqc(n->value.s, "Infinity") ||
		       str_eqc(n->value.s, "-Infinity"));
}

/* False: reported. */
static bool fits(struct cel_checker *k, const struct cel_clause *clause, const struct cel_node *arg)
{
	const struct cel_node *bad = arg;
	const struct cel_type *t;
	const char *refusal;

	if (clause->verb == 's') {
		bad = unwritable(k, arg);
		if (!bad)
			return true;
	} else if ((clause->verb == 'f' || clause->verb == 'e') && names_a_double(arg)) {
		return true;
	}
	t = cel_type_resolve(&k->types, bad->type, true);
	refusal = t->kind == CEL_DYN ? NULL : cel_clause_refuses(clause->verb, t->kind);
	if (refusal)
		cel_issue_at(k->c, bad->pos, "error during formatting: %s%s", refusal,
			cel_type_runtime_name(t));
	return !refusal;
}

void cel_validate_format(struct cel_checker *k, const struct cel_node *call)
{
	const struct cel_node *list = call->n_args == 2 ? call->args[1] : NULL;
	struct cel_clause clause;
	struct str error;
	size_t at = 0, used = 0;
	int bad;

	if (!list || !call->member || list->kind != CEL_NODE_LIST ||
		call->args[0]->kind != CEL_NODE_CONST)
		return;
	do {
		bad = cel_clause_next(call->args[0]->value.s, &at, k->c->scratch, &clause, &error);
		if (bad == 0 && (clause.verb == '%' || clause.verb == 0))
			continue;
		if (bad != -1 && used >= list->n_args) {
			cel_issue_at(k->c, call->pos, "index %zu out of range", used);
			return;
		}
		if (bad) {
			cel_issue_at(k->c, call->pos, STR_FMT, STR_ARG(error));
			return;
		}
		if (!fits(k, &clause, list->args[used++]))
			return;
	} while (clause.verb);
	if (list->n_args > used)
		cel_issue_at(k->c, call->pos,
			"too many arguments supplied to string.format (expected %zu, got %u)", used,
			list->n_args);
}
