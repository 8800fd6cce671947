/* policy_status.c: checks the expressions of ValidatingAdmissionPolicies against the kinds that
 * their rules name, and tells in their status what would go wrong (upstream's
 * validatingadmissionpolicy-status-controller; apiserver policy/validating/typechecking.go). */
#include <inttypes.h>

#include "cel/expressions.h"
#include "cel/schema_type.h"
#include "controllers/planner.h"
#include "types.gen.h"

enum { TYPES_MAX = 10 };

struct kinds {
	const struct schema_resource **v;
	size_t n;
};

typedef struct admissionregistration_v1_validating_admission_policy policy_t;

/* --- which kinds --- */

static bool names_all(const struct str_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_chr(v->v[i], '*') >= 0)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const struct schema_resource *x = *(const struct schema_resource *const *)a,
				     *y = *(const struct schema_resource *const *)b;
	int r = strcmp(x->group, y->group);

	r = r ? r : strcmp(x->version, y->version);
	return r ? r : strcmp(x->kind, y->kind);
}

static void add_kind(struct arena *a, struct kinds *k, const struct schema_resource *res)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i] == res)
			return;
	ARENA_PUSH(a, k, res);
}

/* What a rule names one by one; wildcards and subresources name nothing. */
static void add_kinds(struct arena *a, struct kinds *k,
	const struct admissionregistration_v1_named_rule_with_operations *r)
{
	size_t count = 0;

	if (names_all(&r->api_groups) || names_all(&r->api_versions))
		return;
	for (size_t g = 0; g < r->api_groups.n; g++)
		for (size_t v = 0; v < r->api_versions.n; v++)
			for (size_t i = 0; i < r->resources.n; i++) {
				const struct schema_resource *res =
					schema_resource_find(r->api_groups.v[g],
						r->api_versions.v[v], r->resources.v[i]);

				if (!res || count == TYPES_MAX)
					continue;
				add_kind(a, k, res);
				count++;
			}
}

static struct kinds kinds_of(struct arena *a, const policy_t *p)
{
	const struct admissionregistration_v1_match_resources *m = p->spec.match_constraints;
	struct kinds k = {0};

	for (size_t i = 0; m && i < m->resource_rules.n; i++)
		add_kinds(a, &k, &m->resource_rules.v[i]);
	if (k.n)
		qsort(k.v, k.n, sizeof(*k.v), compare);
	return k;
}

/* --- checking --- */

static const struct cel_type *type_of(struct view *v, const struct schema_resource *res)
{
	/* upstream makes the names of its types unique by the nanosecond */
	return res ? cel_type_of_schema(res->type,
			     arena_fmt(v->arena, "%s%" PRId64, res->kind, v->now_ns % 1000000000),
			     v->arena)
		   : NULL;
}

static const struct schema_resource *param_kind(const policy_t *p)
{
	const struct admissionregistration_v1_param_kind *k = p->spec.param_kind;
	struct str group, version;

	if (!k)
		return NULL;
	if (!str_cut(k->api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	return schema_resource_by_kind(group, version, k->kind);
}

static struct expressions *environment(
	struct view *v, const policy_t *p, const struct schema_resource *res)
{
	const struct expression_types types = {
		.object = type_of(v, res), .params = type_of(v, param_kind(p))};
	struct expressions *e = ARENA_NEW(v->arena, struct expressions);
	struct expression x;

	expressions_init_typed(e, v->arena,
		EXPRESSIONS_VARIABLES | (p->spec.param_kind ? EXPRESSIONS_PARAMS : 0), &types);
	for (size_t i = 0; i < p->spec.variables.n; i++)
		expressions_variable(
			e, p->spec.variables.v[i].name, p->spec.variables.v[i].expression, &x);
	return e;
}

/* What is wrong with an expression for each kind: a paragraph each. */
static struct str check(struct view *v, const struct kinds *k, struct expressions *const *envs,
	struct str expression)
{
	struct str all = S("");

	for (size_t i = 0; i < k->n; i++) {
		struct cel_program *program = NULL;
		struct cel_issues issues = {0};

		if (cel_compile(&envs[i]->with_authorizer.env, expression, v->arena, &program,
			    &issues) >= 0)
			cel_program_unref(program);
		else
			all = arena_fmt(v->arena, STR_FMT "%s%s/%s, Kind=%s: " STR_FMT "\n",
				STR_ARG(all), all.n ? "\n" : "", k->v[i]->group, k->v[i]->version,
				k->v[i]->kind, STR_ARG(issues.text));
	}
	return all;
}

static void add_warning(struct arena *a, struct admissionregistration_v1_type_checking *t,
	size_t index, const char *field, struct str text)
{
	struct admissionregistration_v1_expression_warning w = {
		.field_ref = arena_fmt(a, "spec.validations[%zu].%s", index, field),
		.warning = text};

	if (text.n)
		ARENA_PUSH(a, &t->expression_warnings, w);
}

static void check_all(
	struct view *v, const policy_t *p, struct admissionregistration_v1_type_checking *t)
{
	struct kinds k = kinds_of(v->arena, p);
	struct expressions **envs;

	if (!k.n)
		return;
	envs = ARENA_ARRAY(v->arena, struct expressions *, k.n);
	for (size_t i = 0; i < k.n; i++)
		envs[i] = environment(v, p, k.v[i]);
	for (size_t i = 0; i < p->spec.validations.n; i++) {
		const struct admissionregistration_v1_validation *val = &p->spec.validations.v[i];

		add_warning(v->arena, t, i, "expression", check(v, &k, envs, val->expression));
		if (val->message_expression.n)
			add_warning(v->arena, t, i, "messageExpression",
				check(v, &k, envs, val->message_expression));
	}
}

/* --- the planner --- */

static int reconcile(struct view *v, struct plan_key key, struct plan *plan, struct err *err)
{
	policy_t *p = view_decode(
		v, &admissionregistration_v1_validating_admission_policy_resource, S(""), key.name);
	struct plan_write *w;

	if (!p || p->metadata.generation <= p->status.observed_generation)
		return 0;
	p->status.observed_generation = p->metadata.generation;
	p->status.type_checking =
		ARENA_NEW(v->arena, struct admissionregistration_v1_type_checking);
	check_all(v, p, p->status.type_checking);
	w = plan_add(plan, PLAN_UPDATE_STATUS,
		&admissionregistration_v1_validating_admission_policy_resource, S(""), key.name);
	w->object = p;
	w->ignore_not_found = true;
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &admissionregistration_v1_validating_admission_policy_resource},
	{0},
};

const struct planner policy_status_planner = {
	.name = "validatingadmissionpolicy-status-controller",
	.user = "validatingadmissionpolicy-status-controller",
	.watches = watches,
	.reconcile = reconcile,
};
