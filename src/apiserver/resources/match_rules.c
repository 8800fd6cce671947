/* match_rules.c: what webhooks and admission policies say about the requests they are for. */
#include "apiserver/resources/match_rules.h"

#include "apiserver/validation/go_json.h"

enum { MATCH_CONDITIONS_MAX = 64 };

#define STATIC_SUFFIX ".static.k8s.io"

static void validate_wildcard(const struct str_vec *v, const char *what, const struct field_path *p,
	struct field_errors *e)
{
	if (v->n > 1 && str_vec_has(v, S("*")))
		field_invalid_raw(e, p, str_vec_json(e->arena, v),
			"if '*' is present, must not specify other %s", what);
}

static void validate_pairs(
	const struct str_vec *v, const struct field_path *p, struct field_errors *e)
{
	struct str_vec whole = {0}, everywhere = {0}; /* with a star behind, before the slash */

	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(p, i);
		struct str res, sub, item = v->v[i];

		if (!item.n)
			field_required(e, &at, "%s", "");
		if (!item.n || !str_cut(item, '/', &res, &sub))
			continue;
		if (str_vec_has(&whole, res))
			field_invalid(e, &at, item,
				"if '" STR_FMT "/*' is present, must not specify " STR_FMT,
				STR_ARG(res), STR_ARG(item));
		if (str_vec_has(&everywhere, sub))
			field_invalid(e, &at, item,
				"if '*/" STR_FMT "' is present, must not specify " STR_FMT,
				STR_ARG(sub), STR_ARG(item));
		if (str_eqc(sub, "*"))
			ARENA_PUSH(e->arena, &whole, res);
		if (str_eqc(res, "*"))
			ARENA_PUSH(e->arena, &everywhere, sub);
	}
}

static void validate_resources(
	const struct str_vec *v, const struct field_path *p, struct field_errors *e)
{
	bool plain = false;

	if (!v->n)
		field_required(e, p, "%s", "");
	validate_pairs(v, p, e);
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].n && str_chr(v->v[i], '/') < 0)
			plain = !str_eqc(v->v[i], "*");
	if (v->n > 1 && str_vec_has(v, S("*/*")))
		field_invalid_raw(e, p, str_vec_json(e->arena, v),
			"if '*/*' is present, must not specify other resources");
	if (str_vec_has(v, S("*")) && plain)
		field_invalid_raw(e, p, str_vec_json(e->arena, v),
			"if '*' is present, must not specify other resources without subresources");
}

void validate_admission_rule(const struct admissionregistration_v1_rule_with_operations *r,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const operations[] = {
		"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL};
	static const char *const scopes[] = {"*", "Cluster", "Namespaced", NULL};
	struct field_path ops = FIELD(p, "operations"), versions = FIELD(p, "apiVersions");

	if (!r->operations.n)
		field_required(e, &ops, "%s", "");
	validate_wildcard(&r->operations, "operations", &ops, e);
	for (size_t i = 0; i < r->operations.n; i++)
		field_one_of(e, AT_INDEX(&ops, i), r->operations.v[i], operations);
	if (!r->api_groups.n)
		field_required(e, AT(p, "apiGroups"), "%s", "");
	validate_wildcard(&r->api_groups, "API groups", AT(p, "apiGroups"), e);
	if (!r->api_versions.n)
		field_required(e, &versions, "%s", "");
	validate_wildcard(&r->api_versions, "API versions", &versions, e);
	for (size_t i = 0; i < r->api_versions.n; i++)
		if (!r->api_versions.v[i].n)
			field_required(e, AT_INDEX(&versions, i), "%s", "");
	validate_resources(&r->resources, AT(p, "resources"), e);
	if (r->scope.p)
		field_one_of(e, AT(p, "scope"), r->scope, scopes);
}

struct expressions *validation_expressions(struct field_errors *e, unsigned flags)
{
	struct expressions *x = ARENA_NEW(e->arena, struct expressions);

	expressions_init(x, e->arena, flags);
	return x;
}

void validate_expression(struct expressions *x, enum expression_sort sort, struct str text,
	const struct field_path *p, struct field_errors *e)
{
	struct expression compiled;

	expression_compile(x, sort, text, &compiled);
	if (compiled.error.n)
		field_invalid(e, p, text, STR_FMT, STR_ARG(compiled.error));
}

void validate_match_conditions(const struct admissionregistration_v1_match_condition_vec *v,
	bool params, const struct field_path *p, struct field_errors *e)
{
	struct expressions *x = validation_expressions(e, params ? EXPRESSIONS_PARAMS : 0);
	struct str_vec names = {0};

	if (v->n > MATCH_CONDITIONS_MAX)
		field_too_many(e, p, v->n, MATCH_CONDITIONS_MAX);
	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(p, i), name = FIELD(&at, "name");
		struct str n = v->v[i].name, expression = str_trim(v->v[i].expression);

		if (!expression.n)
			field_required(e, AT(&at, "expression"), "%s", "");
		else
			validate_expression(
				x, EXPRESSION_VALIDATION, expression, AT(&at, "expression"), e);
		if (!n.n) {
			field_required(e, &name, "%s", "");
			continue;
		}
		validate_qualified_name(n, &name, e);
		if (str_vec_has(&names, n))
			field_duplicate(e, &name, n);
		else
			ARENA_PUSH(e->arena, &names, n);
	}
}

bool match_conditions_equal(const struct admissionregistration_v1_match_condition_vec *x,
	const struct admissionregistration_v1_match_condition_vec *y)
{
	for (size_t i = 0; i < x->n && i < y->n; i++)
		if (!str_eq(x->v[i].name, y->v[i].name) ||
			!str_eq(x->v[i].expression, y->v[i].expression))
			return false;
	return x->n == y->n;
}

void warn_static_name(struct strategy_ctx *ctx, struct str name)
{
	if (str_ends(name, S(STATIC_SUFFIX)))
		ctx_warn(ctx,
			"metadata.name: names ending with \"" STATIC_SUFFIX
			"\" are reserved for static manifest-based configurations and cannot be "
			"managed via the API");
}
