/* node.c: nodes (ValidateNode, ValidateNodeUpdate). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"
#include "json/value.h"

enum { FEATURE_MAX_LEN = 253 };

/* podCIDR is the first of podCIDRs, and wins when they differ (conversion of core/v1). */
static void sync_cidrs(struct v1_node_spec *spec, struct arena *a)
{
	if (spec->pod_cidr.n &&
		(spec->pod_cidrs.n == 0 || !str_eq(spec->pod_cidr, spec->pod_cidrs.v[0]))) {
		spec->pod_cidrs = (struct str_vec){0};
		ARENA_PUSH(a, &spec->pod_cidrs, spec->pod_cidr);
	}
	if (spec->pod_cidrs.n)
		spec->pod_cidr = spec->pod_cidrs.v[0];
}

static void node_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_node *node = obj;

	sync_cidrs(&node->spec, ctx->arena);
	default_resource_list(&node->status.capacity, ctx->arena);
	default_resource_list(&node->status.allocatable, ctx->arena);
	if (!node->status.allocatable.v && node->status.capacity.v)
		for (size_t i = 0; i < node->status.capacity.n; i++)
			str_map_put(ctx->arena, &node->status.allocatable,
				node->status.capacity.v[i].key, node->status.capacity.v[i].value);
}

static void node_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_node *node = obj;

	node->spec.config_source = NULL;
	node->status.config = NULL;
}

static void node_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_node *was = old;
	struct v1_node *node = obj;

	if (is_status(ctx)) {
		node->spec = was->spec;
		if (!was->status.config)
			node->status.config = NULL;
		return;
	}
	node->status = was->status;
	if (!was->spec.config_source)
		node->spec.config_source = NULL;
}

static void validate_taints(const struct v1_taint_vec *taints, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), p = FIELD(&meta, "taints");

	for (size_t i = 0; i < taints->n; i++) {
		const struct v1_taint *t = &taints->v[i];
		struct field_path item = FIELD_INDEX(&p, i);
		struct str_vec msgs = is_label_value(e->arena, t->value);
		bool twice = false;

		validate_qualified_name(t->key, AT(&item, "key"), e);
		if (msgs.n == 2)
			field_invalid(e, AT(&item, "value"), t->value, STR_FMT ";" STR_FMT,
				STR_ARG(msgs.v[0]), STR_ARG(msgs.v[1]));
		else
			field_invalid_each(e, AT(&item, "value"), t->value, msgs);
		validate_taint_effect(t->effect, false, AT(&item, "effect"), e);
		for (size_t k = 0; k < i; k++)
			twice = twice || (str_eq(taints->v[k].key, t->key) &&
						 str_eq(taints->v[k].effect, t->effect));
		if (twice)
			field_add(e, FIELD_DUPLICATE, &item, go_json(e->arena, &v1_taint_schema, t),
				"taints must be unique by key and effect pair");
	}
}

static void validate_amounts(const struct str_map *m, const char *list, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status"),
			  p = {.parent = &status, .name = str_c(list)};

	for (size_t i = 0; i < m->n; i++) {
		struct field_path at = {.parent = &p, .name = m->v[i].key};
		validate_resource_quantity(m->v[i].key, m->v[i].value, &at, e);
	}
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_alpha(char c)
{
	return is_upper(c) || (c >= 'a' && c <= 'z');
}

/* [A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)* */
static bool is_feature(struct str s)
{
	if (s.n == 0 || !is_upper(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++) {
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';
		if (s.p[i] == '/' ? i + 1 == s.n || s.p[i - 1] == '/'
				  : !(is_alpha(s.p[i]) || (digit && s.p[i - 1] != '/')))
			return false;
	}
	return true;
}

static void validate_features(const struct str_vec *list, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status"), p = FIELD(&status, "declaredFeatures");

	for (size_t i = 0; i < list->n; i++) {
		struct str f = list->v[i], quoted = go_quote(e->arena, f);

		if (f.n > FEATURE_MAX_LEN)
			field_invalid(e, AT_INDEX(&p, i), f,
				"invalid feature name " STR_FMT
				": must be no more than %d characters",
				STR_ARG(quoted), FEATURE_MAX_LEN);
		else if (!is_feature(f))
			field_invalid(e, AT_INDEX(&p, i), f,
				"invalid feature name " STR_FMT
				": must start with an UpperCamelCase segment, with subsequent "
				"segments "
				"separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and "
				"contain "
				"only alphanumeric characters and slashes",
				STR_ARG(quoted));
		if (i + 1 < list->n && str_eq(f, list->v[i + 1]))
			field_duplicate(e, AT_INDEX(&p, i + 1), f);
		else if (i + 1 < list->n && str_cmp(f, list->v[i + 1]) > 0)
			field_invalid(e, AT_INDEX(&p, i + 1), list->v[i + 1],
				"list must be sorted alphabetically");
	}
}

static void validate_cidrs(const struct v1_node_spec *spec, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), list = FIELD(&p, "podCIDRs");

	for (size_t i = 0; i < spec->pod_cidrs.n; i++)
		validate_cidr_legacy(spec->pod_cidrs.v[i], NULL, AT_INDEX(&list, i), e);
	if (spec->pod_cidrs.n > 2 ||
		(spec->pod_cidrs.n == 2 && !ip_texts_dual_stack(spec->pod_cidrs)))
		field_invalid_raw(e, &list, str_vec_json(e->arena, &spec->pod_cidrs),
			"may specify no more than one CIDR for each IP family");
}

/* An annotation of old that schedulers read as JSON. */
static void validate_avoid_pods(const struct v1_node *node, struct field_errors *e)
{
	struct str key = S("scheduler.alpha.kubernetes.io/preferAvoidPods");
	const struct str *v = str_map_get(&node->metadata.annotations, key);
	struct field_path meta = FIELD(NULL, "metadata"), p = FIELD(&meta, "annotations");
	struct err err CLEANUP(err_release) = {0};
	struct json_value *value;

	if (v && v->n && json_parse(*v, e->arena, &value, &err) < 0)
		field_invalid(e, AT(&p, "AvoidPods"), key, "%s", err_text(&err));
}

static void node_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), swap = FIELD(&meta, "nodeSwapStatus");
	const struct v1_node *node = obj;
	const struct v1_node_swap_status *s = node->status.node_info.swap;

	validate_avoid_pods(node, e);
	validate_taints(&node->spec.taints, e);
	validate_amounts(&node->status.capacity, "capacity", e);
	validate_amounts(&node->status.allocatable, "allocatable", e);
	if (s && s->capacity && *s->capacity <= 0)
		field_invalid_int(
			e, AT(&swap, "capacity"), *s->capacity, "must be greater than zero");
	validate_features(&node->status.declared_features, e);
	validate_cidrs(&node->spec, e);
}

static void validate_addresses(const struct v1_node_address_vec *list, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status"), p = FIELD(&status, "addresses");

	for (size_t i = 0; i < list->n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(list->v[k].type, list->v[i].type) &&
				str_eq(list->v[k].address, list->v[i].address)) {
				field_duplicate_raw(e, AT_INDEX(&p, i),
					go_json(e->arena, &v1_node_address_schema, &list->v[i]));
				break;
			}
}

static void validate_kept(
	const struct v1_node *node, const struct v1_node *was, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), cidrs = FIELD(&spec, "podCIDRs");

	if (was->spec.pod_cidrs.n && node->spec.pod_cidrs.n != was->spec.pod_cidrs.n)
		field_forbidden(
			e, &cidrs, "node updates may not change podCIDR except from \"\" to valid");
	else
		for (size_t i = 0; i < was->spec.pod_cidrs.n; i++)
			if (!str_eq(was->spec.pod_cidrs.v[i], node->spec.pod_cidrs.v[i]))
				field_forbidden(e, &cidrs,
					"node updates may not change podCIDR except from \"\" to "
					"valid");
	if (was->spec.provider_id.n && !str_eq(was->spec.provider_id, node->spec.provider_id))
		field_forbidden(e, AT(&spec, "providerID"),
			"node updates may not change providerID except from \"\" to valid");
	validate_taints(&node->spec.taints, e);
	if (!str_eq(node->spec.external_id, was->spec.external_id))
		field_forbidden(e, AT(&spec, "externalID"), "may not be updated");
}

static void node_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_node *node = obj, *was = old;

	if (!is_status(ctx)) {
		revalidate_meta(ctx, &node->metadata, e);
		node_validate(ctx, obj, e);
	}
	validate_avoid_pods(node, e);
	validate_amounts(&node->status.capacity, "capacity", e);
	validate_amounts(&node->status.allocatable, "allocatable", e);
	validate_features(&node->status.declared_features, e);
	validate_addresses(&node->status.addresses, e);
	validate_kept(node, was, e);
}

static void node_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "podCIDRs");
	const struct v1_node *node = obj;

	if (is_status(ctx))
		return;
	if (node->spec.config_source)
		ctx_warn(ctx, "spec.configSource: the feature is removed");
	if (node->spec.external_id.n)
		ctx_warn(ctx,
			"spec.externalID: this field is deprecated, and is unused by Kubernetes");
	for (size_t i = 0; i < node->spec.pod_cidrs.n; i++)
		warn_all(ctx,
			cidr_warnings(ctx->arena, AT_INDEX(&list, i), node->spec.pod_cidrs.v[i]));
}

const struct strategy node_strategy = {
	.resource = &v1_node_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = node_default,
	.prepare_create = node_prepare_create,
	.prepare_update = node_prepare_update,
	.validate = node_validate,
	.validate_update = node_validate_update,
	.warn = node_warn,
	.table_row = print_node,
};
