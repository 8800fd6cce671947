#include "apiserver/admission/policy.h"
#include "apiserver/server.h"

struct bound_policies {
	struct derived *policies, *bindings;
};

/* --- policies --- */

static const struct schema_resource *param_resource(
	const struct admissionregistration_v1_param_kind *k)
{
	struct str group, version;

	if (!k)
		return NULL;
	if (!str_cut(k->api_version, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	return schema_resource_by_kind(group, version, k->kind);
}

static struct policy *policy_new(const struct object *o,
	const struct admissionregistration_v1_param_kind *k, struct arena *a)
{
	struct policy *p = ARENA_NEW(a, struct policy);

	p->name = o->name;
	p->param_kind = k;
	p->params = param_resource(k);
	expressions_init(&p->expressions, a, EXPRESSIONS_VARIABLES | (k ? EXPRESSIONS_PARAMS : 0));
	return p;
}

static void add_variables(struct policy *p, const struct admissionregistration_v1_variable_vec *v)
{
	struct expression x;

	for (size_t i = 0; i < v->n; i++)
		expressions_variable(&p->expressions, v->v[i].name, v->v[i].expression, &x);
}

static void add_validation(
	struct policy *p, const struct admissionregistration_v1_validation *from, struct arena *a)
{
	struct policy_validation v = {.text = str_trim(from->message),
		.reason = from->reason.n ? from->reason : S("Invalid")};

	expression_compile(&p->expressions, EXPRESSION_VALIDATION, from->expression, &v.check);
	if (from->message_expression.n)
		expression_compile(
			&p->expressions, EXPRESSION_MESSAGE, from->message_expression, &v.message);
	ARENA_PUSH(a, &p->validations, v);
}

static void *make_validating(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_validating_admission_policy *from =
		object_decode(o, a);
	const struct admissionregistration_v1_validating_admission_policy_spec *s = &from->spec;
	struct policy *p = policy_new(o, s->param_kind, a);

	match_resources_of(s->match_constraints, a, &p->match);
	p->ignore = str_eqc(s->failure_policy, "Ignore");
	add_variables(p, &s->variables);
	p->conditions = conditions_of(&s->match_conditions, &p->expressions);
	for (size_t i = 0; i < s->validations.n; i++)
		add_validation(p, &s->validations.v[i], a);
	for (size_t i = 0; i < s->audit_annotations.n; i++) {
		struct policy_audit audit = {.key = s->audit_annotations.v[i].key};

		expression_compile(&p->expressions, EXPRESSION_AUDIT,
			s->audit_annotations.v[i].value_expression, &audit.value);
		ARENA_PUSH(a, &p->audits, audit);
	}
	return p;
}

static void *make_mutating(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_mutating_admission_policy *from = object_decode(o, a);
	const struct admissionregistration_v1_mutating_admission_policy_spec *s = &from->spec;
	struct policy *p = policy_new(o, s->param_kind, a);

	match_resources_of(s->match_constraints, a, &p->match);
	p->ignore = str_eqc(s->failure_policy, "Ignore");
	p->again = str_eqc(s->reinvocation_policy, "IfNeeded");
	add_variables(p, &s->variables);
	p->conditions = conditions_of(&s->match_conditions, &p->expressions);
	for (size_t i = 0; i < s->mutations.n; i++) {
		const struct admissionregistration_v1_mutation *m = &s->mutations.v[i];
		struct policy_mutation mutation = {.apply = !m->json_patch};

		if (m->json_patch)
			expression_compile(&p->expressions, EXPRESSION_JSON_PATCH,
				m->json_patch->expression, &mutation.patch);
		else if (m->apply_configuration)
			expression_compile(&p->expressions, EXPRESSION_APPLY,
				m->apply_configuration->expression, &mutation.patch);
		ARENA_PUSH(a, &p->mutations, mutation);
	}
	return p;
}

/* --- bindings --- */

static void *make_validating_binding(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_validating_admission_policy_binding *from =
		object_decode(o, a);
	struct policy_binding *b = ARENA_NEW(a, struct policy_binding);

	*b = (struct policy_binding){.name = o->name,
		.policy = from->spec.policy_name,
		.param_ref = from->spec.param_ref,
		.actions = from->spec.validation_actions};
	match_resources_of(from->spec.match_resources, a, &b->match);
	return b;
}

static void *make_mutating_binding(const struct object *o, struct arena *a)
{
	const struct admissionregistration_v1_mutating_admission_policy_binding *from =
		object_decode(o, a);
	struct policy_binding *b = ARENA_NEW(a, struct policy_binding);

	*b = (struct policy_binding){.name = o->name,
		.policy = from->spec.policy_name,
		.param_ref = from->spec.param_ref};
	match_resources_of(from->spec.match_resources, a, &b->match);
	return b;
}

/* --- all of them --- */

struct bound_policies *bound_policies_new(struct store *store, bool mutating)
{
	struct bound_policies *p = xcalloc(1, sizeof(*p));

	if (mutating) {
		p->policies = derived_new(store,
			&admissionregistration_v1_mutating_admission_policy_resource,
			make_mutating);
		p->bindings = derived_new(store,
			&admissionregistration_v1_mutating_admission_policy_binding_resource,
			make_mutating_binding);
	} else {
		p->policies = derived_new(store,
			&admissionregistration_v1_validating_admission_policy_resource,
			make_validating);
		p->bindings = derived_new(store,
			&admissionregistration_v1_validating_admission_policy_binding_resource,
			make_validating_binding);
	}
	return p;
}

void bound_policies_free(struct bound_policies *p)
{
	if (!p)
		return;
	derived_free(p->policies);
	derived_free(p->bindings);
	free(p);
}

struct policy_hooks bound_policies_hooks(struct bound_policies *p, struct arena *a)
{
	struct derived_all bindings = derived_all(p->bindings, a), policies = {0};
	struct policy_hooks hooks = {0};

	if (bindings.n)
		policies = derived_all(p->policies, a);
	for (size_t i = 0; i < policies.n; i++) {
		struct policy_hook h = {.policy = policies.v[i]};

		for (size_t k = 0; k < bindings.n; k++) {
			const struct policy_binding *b = bindings.v[k];

			if (!str_eq(b->policy, h.policy->name))
				continue;
			if (!h.bindings)
				h.bindings =
					ARENA_ARRAY(a, const struct policy_binding *, bindings.n);
			h.bindings[h.n_bindings++] = b;
		}
		if (h.n_bindings)
			ARENA_PUSH(a, &hooks, h);
	}
	return hooks;
}

bool policy_is_exempt(const struct admission_attrs *attrs)
{
	static const struct schema_resource *const exempt[] = {
		&admissionregistration_v1_validating_admission_policy_resource,
		&admissionregistration_v1_validating_admission_policy_binding_resource,
		&admissionregistration_v1_mutating_admission_policy_resource,
		&admissionregistration_v1_mutating_admission_policy_binding_resource,
	};

	for (size_t i = 0; i < ARRAY_SIZE(exempt); i++)
		if (attrs->resource == exempt[i])
			return true;
	return false;
}
