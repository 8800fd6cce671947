/* admission_policy.c: Validating- and MutatingAdmissionPolicy and their bindings
 * (pkg/apis/admissionregistration/validation).
 */
#include "apiserver/resources/match_rules.h"
#include "apiserver/resources/printers.h"

enum { AUDIT_ANNOTATIONS_MAX = 20, AUDIT_EXPRESSION_MAX = 5 * 1024 };

static const char *const failure_policies[] = {"Fail", "Ignore", NULL};

static bool blank(struct str s)
{
	return !str_trim(s).n;
}

/* --- what policies and bindings are for --- */

static void validate_named_rule(const struct admissionregistration_v1_named_rule_with_operations *r,
	const struct field_path *p, struct field_errors *e)
{
	const struct admissionregistration_v1_rule_with_operations rule = {
		.operations = r->operations,
		.api_groups = r->api_groups,
		.api_versions = r->api_versions,
		.resources = r->resources,
		.scope = r->scope,
	};
	struct field_path names = FIELD(p, "resourceNames");

	for (size_t i = 0; i < r->resource_names.n; i++) {
		struct field_path at = FIELD_INDEX(&names, i);
		struct str name = r->resource_names.v[i];
		struct str_vec before = {r->resource_names.v, i};

		field_invalid_each(e, &at, name, is_path_segment_name(e->arena, name));
		if (str_vec_has(&before, name))
			field_duplicate(e, &at, name);
	}
	validate_admission_rule(&rule, p, e);
}

static void validate_selector_of(
	const struct meta_v1_label_selector *s, const struct field_path *p, struct field_errors *e)
{
	if (s)
		validate_label_selector(s, p, e);
	else
		field_required(e, p, "%s", "");
}

static void validate_match_resources(const struct admissionregistration_v1_match_resources *m,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const policies[] = {"Equivalent", "Exact", NULL};
	struct field_path rules = FIELD(p, "resourceRules");
	struct field_path exclude = FIELD(p, "excludeResourceRules");

	if (!m->match_policy.p)
		field_required(e, AT(p, "matchPolicy"), "%s", "");
	else
		field_one_of(e, AT(p, "matchPolicy"), m->match_policy, policies);
	validate_selector_of(m->namespace_selector, AT(p, "namespaceSelector"), e);
	validate_selector_of(m->object_selector, AT(p, "objectSelector"), e);
	for (size_t i = 0; i < m->resource_rules.n; i++)
		validate_named_rule(&m->resource_rules.v[i], AT_INDEX(&rules, i), e);
	for (size_t i = 0; i < m->exclude_resource_rules.n; i++)
		validate_named_rule(&m->exclude_resource_rules.v[i], AT_INDEX(&exclude, i), e);
}

/* Deletions cannot be mutated. */
static void validate_mutable(const struct admissionregistration_v1_match_resources *m,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const operations[] = {"*", "CONNECT", "CREATE", "UPDATE", NULL};
	struct field_path rules = FIELD(p, "resourceRules");

	for (size_t i = 0; i < m->resource_rules.n; i++)
		for (size_t k = 0; k < m->resource_rules.v[i].operations.n; k++)
			field_one_of(e, AT(&rules, "operations"),
				m->resource_rules.v[i].operations.v[k], operations);
}

static struct str joined(struct field_errors *e, const struct str_vec *why)
{
	struct str s = S("");

	for (size_t i = 0; i < why->n; i++)
		s = arena_fmt(e->arena, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "",
			STR_ARG(why->v[i]));
	return s;
}

static void validate_group_version(
	struct str text, const struct field_path *p, struct field_errors *e)
{
	struct str group, version, more;
	struct str_vec why;

	if (!str_cut(text, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	if (str_cut(version, '/', &version, &more)) {
		field_invalid(
			e, p, text, "unexpected GroupVersion string: " STR_FMT, STR_ARG(text));
		return;
	}
	why = is_dns1123_subdomain(e->arena, group);
	if (group.n && why.n)
		field_invalid(e, p, group, STR_FMT, STR_ARG(joined(e, &why)));
	why = is_dns1035_label(e->arena, version);
	if (!version.n)
		field_invalid(e, p, text, "version must be specified");
	else if (why.n)
		field_invalid(e, p, version, STR_FMT, STR_ARG(joined(e, &why)));
}

static void validate_param_kind(const struct admissionregistration_v1_param_kind *k,
	const struct field_path *p, struct field_errors *e)
{
	struct str_vec why = is_dns1035_label(e->arena, str_lower(e->arena, k->kind));

	if (!k->api_version.n)
		field_required(e, AT(p, "apiVersion"), "%s", "");
	else
		validate_group_version(k->api_version, AT(p, "apiVersion"), e);
	if (!k->kind.n)
		field_required(e, AT(p, "kind"), "%s", "");
	else if (why.n)
		field_invalid(e, AT(p, "kind"), k->kind,
			"may have mixed case, but should otherwise match: " STR_FMT,
			STR_ARG(joined(e, &why)));
}

static bool is_identifier(struct str s)
{
	static const char *const reserved[] = {"true", "false", "null", "in", "as", "break",
		"const", "continue", "else", "for", "function", "if", "import", "let", "loop",
		"package", "namespace", "return", "var", "void", "while"};

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (str_eqc(s, reserved[i]))
			return false;
	return true;
}

static void validate_variables(struct expressions *x,
	const struct admissionregistration_v1_variable_vec *v, const struct field_path *spec,
	struct field_errors *e)
{
	struct field_path list = FIELD(spec, "variables");
	struct expression made;

	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(&list, i);

		if (blank(v->v[i].name))
			field_required(e, AT(&at, "name"), "name is not specified");
		else if (!is_identifier(v->v[i].name))
			field_invalid(
				e, AT(&at, "name"), v->v[i].name, "must be a valid CEL identifier");
		if (blank(v->v[i].expression)) {
			field_required(e, AT(&at, "expression"), "expression is not specified");
			continue;
		}
		expressions_variable(x, v->v[i].name, v->v[i].expression, &made);
		if (made.error.n)
			field_invalid(e, AT(&at, "expression"), v->v[i].expression, STR_FMT,
				STR_ARG(made.error));
	}
}

static void validate_failure_policy(
	struct str policy, const struct field_path *spec, struct field_errors *e)
{
	if (!policy.p)
		field_required(e, AT(spec, "failurePolicy"), "%s", "");
	else
		field_one_of(e, AT(spec, "failurePolicy"), policy, failure_policies);
}

static void validate_constraints(const struct admissionregistration_v1_match_resources *m,
	const struct field_path *spec, bool mutating, struct field_errors *e)
{
	struct field_path p = FIELD(spec, "matchConstraints");

	if (!m) {
		field_required(e, &p, "%s", "");
		return;
	}
	validate_match_resources(m, &p, e);
	if (!m->resource_rules.n)
		field_required(e, AT(&p, "resourceRules"), "%s", "");
	if (mutating)
		validate_mutable(m, &p, e);
}

/* --- ValidatingAdmissionPolicy --- */

static bool has_line_break(struct str s)
{
	return str_chr(s, '\n') >= 0 || str_chr(s, '\r') >= 0;
}

static void validate_validation(struct expressions *x,
	const struct admissionregistration_v1_validation *v, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const reasons[] = {
		"Forbidden", "Invalid", "RequestEntityTooLarge", NULL};

	if (blank(v->expression))
		field_required(e, AT(p, "expression"), "expression is not specified");
	else
		validate_expression(
			x, EXPRESSION_VALIDATION, v->expression, AT(p, "expression"), e);
	if (v->message_expression.n && blank(v->message_expression))
		field_invalid(e, AT(p, "messageExpression"), v->message_expression,
			"must be non-empty if specified");
	else if (v->message_expression.n)
		validate_expression(x, EXPRESSION_MESSAGE, v->message_expression,
			AT(p, "messageExpression"), e);
	if (v->message.n && blank(v->message))
		field_invalid(e, AT(p, "message"), v->message, "must be non-empty if specified");
	else if (has_line_break(str_trim(v->message)))
		field_invalid(e, AT(p, "message"), v->message, "must not contain line breaks");
	if (v->reason.p)
		field_one_of(e, AT(p, "reason"), v->reason, reasons);
}

static void validate_value(
	struct expressions *x, struct str text, const struct field_path *p, struct field_errors *e)
{
	struct expression made;

	if (blank(text)) {
		field_required(e, p, "valueExpression is not specified");
	} else if (str_trim(text).n > AUDIT_EXPRESSION_MAX) {
		field_required(e, p, "must not exceed %d bytes in length", AUDIT_EXPRESSION_MAX);
	} else {
		expression_compile(x, EXPRESSION_AUDIT, str_trim(text), &made);
		if (made.error.n)
			field_invalid(e, p, text, STR_FMT, STR_ARG(made.error));
	}
}

static void validate_audit(struct expressions *x, struct str policy,
	const struct admissionregistration_v1_audit_annotation_vec *v, const struct field_path *p,
	struct field_errors *e)
{
	struct str_vec keys = {0};

	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(p, i), key = FIELD(&at, "key");
		struct field_path value = FIELD(&at, "valueExpression");
		struct str name = arena_fmt(
			e->arena, STR_FMT "/" STR_FMT, STR_ARG(policy), STR_ARG(v->v[i].key));

		if (policy.n)
			validate_qualified_name(name, &key, e);
		else
			field_invalid(e, &key, v->v[i].key, "requires metadata.name be non-empty");
		validate_value(x, v->v[i].value_expression, &value, e);
		if (str_vec_has(&keys, v->v[i].key))
			field_duplicate(e, &key, v->v[i].key);
		ARENA_PUSH(e->arena, &keys, v->v[i].key);
	}
}

#define NOTHING_SAID "validations or auditAnnotations must contain at least one item"

static void policy_check(const void *obj, bool leave_conditions, struct field_errors *e)
{
	const struct admissionregistration_v1_validating_admission_policy *policy = obj;
	const struct admissionregistration_v1_validating_admission_policy_spec *s = &policy->spec;
	struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "validations");
	struct field_path audit = FIELD(&spec, "auditAnnotations");
	struct expressions *x =
		validation_expressions(e, (s->variables.n ? EXPRESSIONS_VARIABLES : 0) |
						  (s->param_kind ? EXPRESSIONS_PARAMS : 0));

	validate_failure_policy(s->failure_policy, &spec, e);
	if (s->param_kind)
		validate_param_kind(s->param_kind, AT(&spec, "paramKind"), e);
	validate_constraints(s->match_constraints, &spec, false, e);
	if (!leave_conditions)
		validate_match_conditions(
			&s->match_conditions, s->param_kind, AT(&spec, "matchConditions"), e);
	validate_variables(x, &s->variables, &spec, e);
	if (!s->validations.n && !s->audit_annotations.n) {
		field_required(e, &list, NOTHING_SAID);
		field_required(e, &audit, NOTHING_SAID);
	}
	for (size_t i = 0; i < s->validations.n; i++)
		validate_validation(x, &s->validations.v[i], AT_INDEX(&list, i), e);
	if (s->audit_annotations.n > AUDIT_ANNOTATIONS_MAX)
		field_invalid_raw(e, &audit, S("[...]"),
			"must not have more than %d auditAnnotations", AUDIT_ANNOTATIONS_MAX);
	validate_audit(x, policy->metadata.name, &s->audit_annotations, &audit, e);
}

static void policy_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	policy_check(obj, false, e);
}

static bool same_param_kind(const struct admissionregistration_v1_param_kind *x,
	const struct admissionregistration_v1_param_kind *y)
{
	if (!x || !y)
		return x == y;
	return str_eq(x->api_version, y->api_version) && str_eq(x->kind, y->kind);
}

static void policy_validate_status(
	const struct admissionregistration_v1_validating_admission_policy *p,
	struct field_errors *e)
{
	const struct admissionregistration_v1_type_checking *t = p->status.type_checking;
	struct field_path status = FIELD(NULL, "status"), typed = FIELD(&status, "typeChecking");
	struct field_path list = FIELD(&typed, "expressionWarnings");

	for (size_t i = 0; t && i < t->expression_warnings.n; i++) {
		struct field_path at = FIELD_INDEX(&list, i);

		if (!t->expression_warnings.v[i].warning.n)
			field_required(e, AT(&at, "warning"), "%s", "");
		if (blank(t->expression_warnings.v[i].field_ref))
			field_required(e, AT(&at, "fieldRef"), "%s", "");
	}
}

static void policy_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct admissionregistration_v1_validating_admission_policy *p = obj, *was = old;

	if (is_status(ctx)) {
		policy_validate_status(p, e);
		return;
	}
	revalidate_meta(ctx, meta_of_const(ctx->resource, obj), e);
	policy_check(obj,
		same_param_kind(p->spec.param_kind, was->spec.param_kind) &&
			match_conditions_equal(
				&p->spec.match_conditions, &was->spec.match_conditions),
		e);
}

static void policy_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct admissionregistration_v1_validating_admission_policy *p = obj;

	p->status = (struct admissionregistration_v1_validating_admission_policy_status){0};
}

static void policy_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct admissionregistration_v1_validating_admission_policy *was = old;
	struct admissionregistration_v1_validating_admission_policy *p = obj;

	if (is_status(ctx))
		p->spec = was->spec;
	else
		p->status = was->status;
}

static void warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	warn_static_name(ctx, meta_of_const(ctx->resource, obj)->name);
}

/* --- MutatingAdmissionPolicy --- */

static void validate_mutation(struct expressions *x,
	const struct admissionregistration_v1_mutation *m, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const types[] = {"ApplyConfiguration", "JSONPatch", NULL};
	struct field_path apply = FIELD(p, "applyConfiguration"), patch = FIELD(p, "jsonPatch");
	bool json = str_eqc(m->patch_type, "JSONPatch");
	struct str text = json && m->json_patch    ? m->json_patch->expression
			  : m->apply_configuration ? m->apply_configuration->expression
						   : S("");

	if (!m->patch_type.n) {
		field_required(e, AT(p, "patchType"), "%s", "");
		return;
	}
	if (!field_one_of(e, AT(p, "patchType"), m->patch_type, types))
		return;
	if (json ? !m->json_patch : !m->apply_configuration)
		field_required(e, json ? &patch : &apply,
			"must be specified when patchType is " STR_FMT, STR_ARG(m->patch_type));
	else if (blank(text))
		field_required(e, AT(json ? &patch : &apply, "expression"), "%s", "");
	else
		validate_expression(x, json ? EXPRESSION_JSON_PATCH : EXPRESSION_APPLY,
			str_trim(text), AT(json ? &patch : &apply, "expression"), e);
	if (json && m->apply_configuration)
		field_invalid(e, &apply, S("{applyConfiguration}"),
			"must not be specified when patchType is JSONPatch");
	if (!json && m->json_patch)
		field_invalid(e, &patch, S("{jsonPatch}"),
			"must not be specified when patchType is ApplyConfiguration");
}

static void mutating_check(const void *obj, bool leave_conditions, struct field_errors *e)
{
	static const char *const again[] = {"IfNeeded", "Never", NULL};
	const struct admissionregistration_v1_mutating_admission_policy *policy = obj;
	const struct admissionregistration_v1_mutating_admission_policy_spec *s = &policy->spec;
	struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "mutations");
	struct expressions *x = validation_expressions(
		e, EXPRESSIONS_VARIABLES | (s->param_kind ? EXPRESSIONS_PARAMS : 0));

	validate_failure_policy(s->failure_policy, &spec, e);
	if (s->param_kind)
		validate_param_kind(s->param_kind, AT(&spec, "paramKind"), e);
	validate_constraints(s->match_constraints, &spec, true, e);
	if (!leave_conditions)
		validate_match_conditions(
			&s->match_conditions, s->param_kind, AT(&spec, "matchConditions"), e);
	validate_variables(x, &s->variables, &spec, e);
	if (!s->mutations.n)
		field_required(e, &list, "mutations must contain at least one item");
	for (size_t i = 0; i < s->mutations.n; i++)
		validate_mutation(x, &s->mutations.v[i], AT_INDEX(&list, i), e);
	if (!s->reinvocation_policy.n)
		field_required(e, AT(&spec, "reinvocationPolicy"), "%s", "");
	else
		field_one_of(e, AT(&spec, "reinvocationPolicy"), s->reinvocation_policy, again);
}

static void mutating_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	mutating_check(obj, false, e);
}

static void mutating_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct admissionregistration_v1_mutating_admission_policy *p = obj, *was = old;

	revalidate_meta(ctx, meta_of_const(ctx->resource, obj), e);
	mutating_check(obj,
		same_param_kind(p->spec.param_kind, was->spec.param_kind) &&
			match_conditions_equal(
				&p->spec.match_conditions, &was->spec.match_conditions),
		e);
}

/* --- bindings --- */

static void validate_param_ref(const struct admissionregistration_v1_param_ref *r,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const actions[] = {"Deny", "Allow", NULL};
	struct field_path name = FIELD(p, "name"), action = FIELD(p, "parameterNotFoundAction");

	if (!r)
		return;
	if (r->name.n)
		field_invalid_each(e, &name, r->name, is_path_segment_name(e->arena, r->name));
	if (r->name.n && r->selector)
		field_forbidden(e, &name, "name and selector are mutually exclusive");
	if (r->selector) {
		validate_label_selector(r->selector, AT(p, "selector"), e);
		if (r->name.n)
			field_forbidden(
				e, AT(p, "selector"), "name and selector are mutually exclusive");
	}
	if (!r->name.n && !r->selector)
		field_required(e, p, "one of name or selector must be specified");
	if (!r->parameter_not_found_action.n)
		field_required(e, &action, "%s", "");
	else
		field_one_of(e, &action, r->parameter_not_found_action, actions);
}

static void validate_policy_name(
	struct str name, const struct field_path *spec, struct field_errors *e)
{
	struct field_path p = FIELD(spec, "policyName");

	if (!name.n)
		field_required(e, &p, "%s", "");
	else
		field_invalid_each(e, &p, name, name_is_dns_subdomain(e->arena, name, false));
}

static void validate_actions(
	const struct str_vec *v, const struct field_path *p, struct field_errors *e)
{
	static const char *const actions[] = {"Audit", "Deny", "Warn", NULL};

	for (size_t i = 0; i < v->n; i++) {
		struct field_path at = FIELD_INDEX(p, i);
		struct str_vec before = {v->v, i};

		field_one_of(e, &at, v->v[i], actions);
		if (str_vec_has(&before, v->v[i]))
			field_duplicate(e, &at, v->v[i]);
	}
	if (str_vec_has(v, S("Deny")) && str_vec_has(v, S("Warn")))
		field_invalid_raw(e, p, str_vec_json(e->arena, v),
			"must not contain both Deny and Warn (repeating the same validation "
			"failure information in the API response and headers serves no purpose)");
	if (!v->n)
		field_required(e, p, "at least one validation action is required");
}

static void binding_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct admissionregistration_v1_validating_admission_policy_binding *b = obj;
	struct field_path spec = FIELD(NULL, "spec");

	validate_policy_name(b->spec.policy_name, &spec, e);
	validate_param_ref(b->spec.param_ref, AT(&spec, "paramRef"), e);
	if (b->spec.match_resources)
		validate_match_resources(b->spec.match_resources, AT(&spec, "matchResources"), e);
	validate_actions(&b->spec.validation_actions, AT(&spec, "validationActions"), e);
}

static void mutating_binding_validate(
	struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct admissionregistration_v1_mutating_admission_policy_binding *b = obj;
	struct field_path spec = FIELD(NULL, "spec"), match = FIELD(&spec, "matchResources");

	validate_policy_name(b->spec.policy_name, &spec, e);
	validate_param_ref(b->spec.param_ref, AT(&spec, "paramRef"), e);
	if (!b->spec.match_resources)
		return;
	validate_match_resources(b->spec.match_resources, &match, e);
	validate_mutable(b->spec.match_resources, &match, e);
}

static void binding_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	revalidate_meta(ctx, meta_of_const(ctx->resource, obj), e);
	binding_validate(ctx, obj, e);
}

static void mutating_binding_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	revalidate_meta(ctx, meta_of_const(ctx->resource, obj), e);
	mutating_binding_validate(ctx, obj, e);
}

/* --- rows --- */

static void param_kind(struct row *r, const struct admissionregistration_v1_param_kind *k)
{
	if (k)
		row_fmt(r, STR_FMT "/" STR_FMT, STR_ARG(k->api_version), STR_ARG(k->kind));
	else
		row_strc(r, "<unset>");
}

static void param_ref(struct row *r, const struct admissionregistration_v1_param_ref *ref)
{
	if (!ref)
		row_strc(r, "<unset>");
	else if (ref->namespace.n)
		row_fmt(r, STR_FMT "/" STR_FMT, STR_ARG(ref->namespace), STR_ARG(ref->name));
	else
		row_fmt(r, "*/" STR_FMT, STR_ARG(ref->name));
}

static void print_policy(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_validating_admission_policy *p = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, p->metadata.name);
	row_int(&r, (int64_t)p->spec.validations.n);
	param_kind(&r, p->spec.param_kind);
	row_age(&r, &p->metadata.creation_timestamp);
}

static void print_mutating(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_mutating_admission_policy *p = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, p->metadata.name);
	row_int(&r, (int64_t)p->spec.mutations.n);
	param_kind(&r, p->spec.param_kind);
	row_age(&r, &p->metadata.creation_timestamp);
}

static void print_binding(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_validating_admission_policy_binding *b = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, b->metadata.name);
	row_str(&r, b->spec.policy_name);
	param_ref(&r, b->spec.param_ref);
	row_age(&r, &b->metadata.creation_timestamp);
}

static void print_mutating_binding(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct admissionregistration_v1_mutating_admission_policy_binding *b = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, b->metadata.name);
	row_str(&r, b->spec.policy_name);
	param_ref(&r, b->spec.param_ref);
	row_age(&r, &b->metadata.creation_timestamp);
}

const struct strategy validating_admission_policy_strategy = {
	.resource = &admissionregistration_v1_validating_admission_policy_resource,
	.no_unconditional_update = true,
	.generate_generation = true,
	.prepare_create = policy_prepare_create,
	.prepare_update = policy_prepare_update,
	.validate = policy_validate,
	.validate_update = policy_validate_update,
	.warn = warn,
	.table_row = print_policy,
};

const struct strategy mutating_admission_policy_strategy = {
	.resource = &admissionregistration_v1_mutating_admission_policy_resource,
	.no_unconditional_update = true,
	.generate_generation = true,
	.validate = mutating_validate,
	.validate_update = mutating_validate_update,
	.warn = warn,
	.table_row = print_mutating,
};

const struct strategy validating_admission_policy_binding_strategy = {
	.resource = &admissionregistration_v1_validating_admission_policy_binding_resource,
	.no_unconditional_update = true,
	.generate_generation = true,
	.validate = binding_validate,
	.validate_update = binding_validate_update,
	.warn = warn,
	.table_row = print_binding,
};

const struct strategy mutating_admission_policy_binding_strategy = {
	.resource = &admissionregistration_v1_mutating_admission_policy_binding_resource,
	.no_unconditional_update = true,
	.generate_generation = true,
	.validate = mutating_binding_validate,
	.validate_update = mutating_binding_validate_update,
	.warn = warn,
	.table_row = print_mutating_binding,
};
