/* rbac.c: Role, ClusterRole and their bindings (apis/rbac/validation, registry/rbac). */
#include "api/selector.h"
#include "apiserver/auth/escalation.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

#define API_GROUP "rbac.authorization.k8s.io"

/* --- what is written --- */

static void default_subjects(struct rbac_v1_subject_vec *subjects)
{
	for (size_t i = 0; i < subjects->n; i++) {
		struct rbac_v1_subject *s = &subjects->v[i];

		if (!s->api_group.n && (str_eqc(s->kind, "User") || str_eqc(s->kind, "Group")))
			s->api_group = S(API_GROUP);
	}
}

static void default_ref(struct rbac_v1_role_ref *ref)
{
	if (!ref->api_group.n)
		ref->api_group = S(API_GROUP);
}

static void binding_default(struct strategy_ctx *ctx, void *obj)
{
	struct rbac_v1_role_binding *b = obj;

	default_ref(&b->role_ref);
	default_subjects(&b->subjects);
}

static void cluster_binding_default(struct strategy_ctx *ctx, void *obj)
{
	struct rbac_v1_cluster_role_binding *b = obj;

	default_ref(&b->role_ref);
	default_subjects(&b->subjects);
}

static void prepare_create(struct strategy_ctx *ctx, void *obj)
{
}

static void prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
}

/* --- rules --- */

static struct str list_json(struct arena *a, const struct str_vec *v)
{
	struct str out = S("[");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "",
			STR_ARG(go_quote(a, v->v[i])));
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void validate_rule(const struct rbac_v1_policy_rule *r, bool namespaced,
	const struct field_path *p, struct field_errors *e)
{
	if (!r->verbs.n)
		field_required(e, AT(p, "verbs"), "verbs must contain at least one value");
	if (r->non_resource_urls.n) {
		struct str urls = list_json(e->arena, &r->non_resource_urls);

		if (namespaced)
			field_invalid_raw(e, AT(p, "nonResourceURLs"), urls,
				"namespaced rules cannot apply to non-resource URLs");
		if (r->api_groups.n || r->resources.n || r->resource_names.n)
			field_invalid_raw(e, AT(p, "nonResourceURLs"), urls,
				"rules cannot apply to both regular resources and non-resource "
				"URLs");
		return;
	}
	if (!r->api_groups.n)
		field_required(
			e, AT(p, "apiGroups"), "resource rules must supply at least one api group");
	if (!r->resources.n)
		field_required(
			e, AT(p, "resources"), "resource rules must supply at least one resource");
}

static void validate_rules(
	const struct rbac_v1_policy_rule_vec *rules, bool namespaced, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "rules");

	for (size_t i = 0; i < rules->n; i++)
		validate_rule(&rules->v[i], namespaced, AT_INDEX(&p, i), e);
}

static void role_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_rules(&((const struct rbac_v1_role *)obj)->rules, true, e);
}

static void role_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	revalidate_meta(ctx, &((const struct rbac_v1_role *)obj)->metadata, e);
	role_validate(ctx, obj, e);
}

static void cluster_role_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct rbac_v1_cluster_role *role = obj;
	struct field_path rule = FIELD(NULL, "aggregationRule"),
			  selectors = FIELD(&rule, "clusterRoleSelectors");

	validate_rules(&role->rules, false, e);
	if (!role->aggregation_rule)
		return;
	if (!role->aggregation_rule->cluster_role_selectors.n)
		field_required(e, &selectors,
			"at least one clusterRoleSelector required if aggregationRule is non-nil");
	for (size_t i = 0; i < role->aggregation_rule->cluster_role_selectors.n; i++) {
		const struct meta_v1_label_selector *s =
			&role->aggregation_rule->cluster_role_selectors.v[i];
		struct label_selector parsed;

		validate_label_selector(s, AT_INDEX(&selectors, i), e);
		if (label_selector_from(s, e->arena, &parsed, NULL) < 0)
			field_invalid_raw(
				e, AT_INDEX(&selectors, i), S("null"), "invalid label selector.");
	}
}

static void cluster_role_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	revalidate_meta(ctx, &((const struct rbac_v1_cluster_role *)obj)->metadata, e);
	cluster_role_validate(ctx, obj, e);
}

/* --- bindings --- */

static void validate_subject(const struct rbac_v1_subject *s, bool namespaced,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const none[] = {"", NULL}, *const group[] = {API_GROUP, NULL},
				 *const kinds[] = {"ServiceAccount", "User", "Group", NULL};

	if (!s->name.n)
		field_required(e, AT(p, "name"), "");
	if (str_eqc(s->kind, "ServiceAccount")) {
		if (s->name.n)
			field_invalid_each(
				e, AT(p, "name"), s->name, is_dns1123_subdomain(e->arena, s->name));
		if (s->api_group.n)
			field_not_supported(e, AT(p, "apiGroup"), s->api_group, none);
		if (!namespaced && !s->namespace.n)
			field_required(e, AT(p, "namespace"), "");
	} else if (str_eqc(s->kind, "User") || str_eqc(s->kind, "Group")) {
		if (!str_eqc(s->api_group, API_GROUP))
			field_not_supported(e, AT(p, "apiGroup"), s->api_group, group);
	} else {
		field_not_supported(e, AT(p, "kind"), s->kind, kinds);
	}
}

static void validate_binding(const struct rbac_v1_role_ref *ref,
	const struct rbac_v1_subject_vec *subjects, bool namespaced, struct field_errors *e)
{
	static const char *const group[] = {API_GROUP, NULL},
				 *const both[] = {"Role", "ClusterRole", NULL},
				 *const one[] = {"ClusterRole", NULL};
	struct field_path p = FIELD(NULL, "roleRef"), list = FIELD(NULL, "subjects");

	if (!str_eqc(ref->api_group, API_GROUP))
		field_not_supported(e, AT(&p, "apiGroup"), ref->api_group, group);
	if (!str_eqc(ref->kind, "ClusterRole") && !(namespaced && str_eqc(ref->kind, "Role")))
		field_not_supported(e, AT(&p, "kind"), ref->kind, namespaced ? both : one);
	if (!ref->name.n)
		field_required(e, AT(&p, "name"), "");
	else
		field_invalid_each(e, AT(&p, "name"), ref->name,
			name_is_path_segment(e->arena, ref->name, false));
	for (size_t i = 0; i < subjects->n; i++)
		validate_subject(&subjects->v[i], namespaced, AT_INDEX(&list, i), e);
}

static void validate_ref_kept(const struct rbac_v1_role_ref *now,
	const struct rbac_v1_role_ref *old, struct field_errors *e)
{
	struct arena *a = e->arena;

	if (!schema_equal(&rbac_v1_role_ref_schema, now, old))
		field_invalid_raw(e, AT(NULL, "roleRef"),
			arena_fmt(a,
				"{\"APIGroup\":" STR_FMT ",\"Kind\":" STR_FMT ",\"Name\":" STR_FMT
				"}",
				STR_ARG(go_quote(a, now->api_group)),
				STR_ARG(go_quote(a, now->kind)), STR_ARG(go_quote(a, now->name))),
			"cannot change roleRef");
}

static void binding_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct rbac_v1_role_binding *b = obj;

	validate_binding(&b->role_ref, &b->subjects, true, e);
}

static void binding_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct rbac_v1_role_binding *b = obj, *was = old;

	revalidate_meta(ctx, &b->metadata, e);
	binding_validate(ctx, obj, e);
	validate_ref_kept(&b->role_ref, &was->role_ref, e);
}

static void cluster_binding_validate(
	struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct rbac_v1_cluster_role_binding *b = obj;

	validate_binding(&b->role_ref, &b->subjects, false, e);
}

static void cluster_binding_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct rbac_v1_cluster_role_binding *b = obj, *was = old;

	revalidate_meta(ctx, &b->metadata, e);
	cluster_binding_validate(ctx, obj, e);
	validate_ref_kept(&b->role_ref, &was->role_ref, e);
}

/* --- who may write it --- */

/* Only what the garbage collector touches is different. */
static bool only_owners_change(const struct strategy_ctx *ctx, const void *obj, const void *old)
{
	void *copy = schema_copy(ctx->resource->type, obj, ctx->arena);
	struct meta_v1_object_meta *m = meta_of(ctx->resource, copy);
	const struct meta_v1_object_meta *was = meta_of_const(ctx->resource, old);

	m->owner_references = was->owner_references;
	m->finalizers = was->finalizers;
	m->managed_fields = was->managed_fields;
	return schema_equal(ctx->resource->type, copy, old);
}

static int role_authorize(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct err *err)
{
	const struct rbac_v1_role *role = obj;

	if (old && only_owners_change(ctx, obj, old))
		return 0;
	return check_role_escalation(ctx, role->metadata.name, &role->rules, !old, err);
}

static bool gathers(const struct rbac_v1_cluster_role *r)
{
	return r && r->aggregation_rule && r->aggregation_rule->cluster_role_selectors.n;
}

static int cluster_role_authorize(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct err *err)
{
	const struct rbac_v1_cluster_role *role = obj, *was = old;
	int r;

	if (old && only_owners_change(ctx, obj, old))
		return 0;
	r = check_role_escalation(ctx, role->metadata.name, &role->rules, !old, err);
	if (r == 0 && (gathers(role) || gathers(was)))
		r = check_aggregation(ctx, role->metadata.name, !old, err);
	return r;
}

static int binding_authorize(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct err *err)
{
	const struct rbac_v1_role_binding *b = obj;

	if (old && only_owners_change(ctx, obj, old))
		return 0;
	return check_binding(ctx, b->metadata.name, ctx->ns, &b->role_ref, err);
}

static int cluster_binding_authorize(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct err *err)
{
	const struct rbac_v1_cluster_role_binding *b = obj;

	if (old && only_owners_change(ctx, obj, old))
		return 0;
	return check_binding(ctx, b->metadata.name, S(""), &b->role_ref, err);
}

/* --- */

const struct strategy role_strategy = {
	.resource = &rbac_v1_role_resource,
	.create_on_update = true,
	.name_errors = name_is_path_segment,
	.authorize = role_authorize,
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate = role_validate,
	.validate_update = role_validate_update,
	.table_row = print_role,
};

const struct strategy cluster_role_strategy = {
	.resource = &rbac_v1_cluster_role_resource,
	.create_on_update = true,
	.name_errors = name_is_path_segment,
	.authorize = cluster_role_authorize,
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate = cluster_role_validate,
	.validate_update = cluster_role_validate_update,
	.table_row = print_cluster_role,
};

const struct strategy role_binding_strategy = {
	.resource = &rbac_v1_role_binding_resource,
	.create_on_update = true,
	.name_errors = name_is_path_segment,
	.default_ = binding_default,
	.authorize = binding_authorize,
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate = binding_validate,
	.validate_update = binding_validate_update,
	.table_row = print_role_binding,
};

const struct strategy cluster_role_binding_strategy = {
	.resource = &rbac_v1_cluster_role_binding_resource,
	.create_on_update = true,
	.name_errors = name_is_path_segment,
	.default_ = cluster_binding_default,
	.authorize = cluster_binding_authorize,
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate = cluster_binding_validate,
	.validate_update = cluster_binding_validate_update,
	.table_row = print_cluster_role_binding,
};
