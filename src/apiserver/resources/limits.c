/* limits.c: LimitRange and ResourceQuota (ValidateLimitRange, ValidateResourceQuota). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "schema/quantity.h"

/* --- LimitRange --- */

static void fill(struct arena *a, struct str_map *to, const struct str_map *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (!str_map_get(to, from->v[i].key))
			str_map_put(a, to, from->v[i].key, from->v[i].value);
}

static void limit_range_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_limit_range *l = obj;

	for (size_t i = 0; i < l->spec.limits.n; i++) {
		struct v1_limit_range_item *item = &l->spec.limits.v[i];

		default_resource_list(&item->max, ctx->arena);
		default_resource_list(&item->min, ctx->arena);
		default_resource_list(&item->default_, ctx->arena);
		default_resource_list(&item->default_request, ctx->arena);
		default_resource_list(&item->max_limit_request_ratio, ctx->arena);
		if (!str_eqc(item->type, "Container"))
			continue;
		fill(ctx->arena, &item->default_, &item->max);
		fill(ctx->arena, &item->default_request, &item->default_);
		fill(ctx->arena, &item->default_request, &item->min);
	}
}

static void validate_limit_names(const struct v1_limit_range_item *item, const struct str_map *m,
	const struct field_path *p, struct str_vec *keys, struct field_errors *e)
{
	bool container = str_eqc(item->type, "Pod") || str_eqc(item->type, "Container");

	for (size_t i = 0; i < m->n; i++) {
		struct str name = m->v[i].key;

		if (container)
			validate_container_resource_name(name, AT_KEY(p, name), e);
		else
			validate_resource_name(name, AT_KEY(p, name), e);
		if (!str_vec_has(keys, name))
			ARENA_PUSH(e->arena, keys, name);
	}
}

struct amount {
	const struct str *text;
	struct quantity q;
};

static struct amount amount_of(const struct str_map *m, struct str key)
{
	struct amount a = {.text = str_map_get(m, key)};

	if (a.text)
		a.q = quantity_of(*a.text);
	return a;
}

static struct str shown(struct field_errors *e, const struct amount *a)
{
	return quantity_text(&a->q, e->arena);
}

/* low must not be greater than high; `value` is what the message names. */
static void validate_order(const struct amount *low, const struct amount *high,
	const char *low_name, const char *high_name, const struct amount *value,
	const struct field_path *p, struct field_errors *e)
{
	if (!low->text || !high->text || quantity_cmp(&low->q, &high->q) <= 0)
		return;
	struct str l = shown(e, low), h = shown(e, high);
	field_invalid(e, p, shown(e, value),
		"%s value " STR_FMT " is greater than %s value " STR_FMT, low_name, STR_ARG(l),
		high_name, STR_ARG(h));
}

static void validate_ratio(const struct amount *ratio, const struct amount *min,
	const struct amount *max, const struct field_path *p, struct field_errors *e)
{
	struct quantity one = quantity_from_value(1, QUANTITY_DECIMAL_SI);
	double limit;

	if (!ratio->text)
		return;
	struct str text = shown(e, ratio);
	if (quantity_cmp(&ratio->q, &one) < 0)
		field_invalid(e, p, text, "ratio " STR_FMT " is less than 1", STR_ARG(text));
	if (!min->text || !max->text)
		return;
	limit = (double)max->q.nano / (double)min->q.nano;
	if ((double)ratio->q.nano / 1e9 > limit)
		field_invalid(e, p, text, "ratio " STR_FMT " is greater than max/min = %f",
			STR_ARG(text), limit);
}

static void validate_limit_key(const struct v1_limit_range_item *item, struct str key,
	const struct field_path *p, struct field_errors *e)
{
	static const struct str_map none;
	bool pod = str_eqc(item->type, "Pod");
	struct amount min = amount_of(&item->min, key), max = amount_of(&item->max, key);
	struct amount def = amount_of(pod ? &none : &item->default_, key);
	struct amount req = amount_of(pod ? &none : &item->default_request, key);
	struct amount ratio = amount_of(&item->max_limit_request_ratio, key);
	struct field_path minp = FIELD(p, "min"), reqp = FIELD(p, "defaultRequest"),
			  defp = FIELD(p, "default");
	struct field_path ratiop = FIELD(p, "maxLimitRequestRatio");

	validate_order(&min, &max, "min", "max", &min, AT_KEY(&minp, key), e);
	validate_order(&min, &req, "min", "default request", &req, AT_KEY(&reqp, key), e);
	validate_order(&req, &max, "default request", "max", &req, AT_KEY(&reqp, key), e);
	validate_order(&req, &def, "default request", "default limit", &req, AT_KEY(&reqp, key), e);
	validate_order(&min, &def, "min", "default", &min, AT_KEY(&defp, key), e);
	validate_order(&def, &max, "default", "max", &max, AT_KEY(&defp, key), e);
	validate_ratio(&ratio, &min, &max, AT_KEY(&ratiop, key), e);
	if (!resource_overcommit_allowed(key) && def.text && req.text &&
		quantity_cmp(&def.q, &req.q) != 0) {
		struct str d = shown(e, &def), r = shown(e, &req);
		field_invalid(e, AT_KEY(&reqp, key), r,
			"default value " STR_FMT " must equal to defaultRequest value " STR_FMT
			" in " STR_FMT,
			STR_ARG(d), STR_ARG(r), STR_ARG(key));
	}
}

static void validate_limit_type(struct str type, const struct field_path *p, struct field_errors *e)
{
	size_t before = e->n;

	validate_qualified_name(type, p, e);
	if (e->n == before && str_chr(type, '/') < 0 && !str_eqc(type, "Pod") &&
		!str_eqc(type, "Container") && !str_eqc(type, "PersistentVolumeClaim"))
		field_invalid(e, p, type, "must be a standard limit type or fully qualified");
}

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void validate_limit(
	const struct v1_limit_range_item *item, const struct field_path *p, struct field_errors *e)
{
	struct str_vec keys = {0};

	validate_limit_names(item, &item->max, AT(p, "max"), &keys, e);
	validate_limit_names(item, &item->min, AT(p, "min"), &keys, e);
	if (str_eqc(item->type, "Pod")) {
		if (item->default_.n)
			field_forbidden(
				e, AT(p, "default"), "may not be specified when `type` is 'Pod'");
		if (item->default_request.n)
			field_forbidden(e, AT(p, "defaultRequest"),
				"may not be specified when `type` is 'Pod'");
	} else {
		validate_limit_names(item, &item->default_, AT(p, "default"), &keys, e);
		validate_limit_names(
			item, &item->default_request, AT(p, "defaultRequest"), &keys, e);
	}
	if (str_eqc(item->type, "PersistentVolumeClaim") &&
		!str_map_get(&item->min, S("storage")) && !str_map_get(&item->max, S("storage")))
		field_required(e, AT(p, "limits"),
			"either minimum or maximum storage value is required, but neither was "
			"provided");
	validate_limit_names(
		item, &item->max_limit_request_ratio, AT(p, "maxLimitRequestRatio"), &keys, e);
	if (keys.n)
		qsort(keys.v, keys.n, sizeof(*keys.v), compare_str);
	for (size_t i = 0; i < keys.n; i++)
		validate_limit_key(item, keys.v[i], p, e);
}

static void limit_range_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_limit_range *l = obj;
	struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "limits");

	for (size_t i = 0; i < l->spec.limits.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i), type = FIELD(&item, "type");

		validate_limit_type(l->spec.limits.v[i].type, &type, e);
		for (size_t k = 0; k < i; k++)
			if (str_eq(l->spec.limits.v[k].type, l->spec.limits.v[i].type)) {
				field_duplicate(e, &type, l->spec.limits.v[i].type);
				break;
			}
		validate_limit(&l->spec.limits.v[i], &item, e);
	}
}

static void limit_range_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_limit_range *l = obj;

	revalidate_meta(ctx, &l->metadata, e);
	limit_range_validate(ctx, obj, e);
}

const struct strategy limit_range_strategy = {
	.resource = &v1_limit_range_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = limit_range_default,
	.validate = limit_range_validate,
	.validate_update = limit_range_validate_update,
};

/* --- ResourceQuota --- */

static void quota_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_resource_quota *q = obj;

	default_resource_list(&q->spec.hard, ctx->arena);
	default_resource_list(&q->status.hard, ctx->arena);
	default_resource_list(&q->status.used, ctx->arena);
}

static void quota_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_resource_quota *q = obj;

	q->status = (struct v1_resource_quota_status){0};
}

static void quota_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_resource_quota *was = old;
	struct v1_resource_quota *q = obj;

	if (is_status(ctx))
		q->spec = was->spec;
	else
		q->status = was->status;
}

static bool is_quota_resource(struct str name)
{
	static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu",
		"requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
		"limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services",
		"replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
		"services.nodeports", "services.loadbalancers"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return str_starts(name, S("hugepages-")) || str_starts(name, S("requests.hugepages-"));
}

static void validate_quota_list(
	const struct str_map *m, const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < m->n; i++) {
		struct str name = m->v[i].key;
		struct field_path at = FIELD_KEY(p, name);

		validate_resource_name(name, &at, e);
		if (str_chr(name, '/') < 0 && !is_quota_resource(name))
			field_invalid(e, &at, name, "must be a standard resource for quota");
		validate_resource_quantity(name, m->v[i].value, &at, e);
	}
}

static bool is_scope(struct str s)
{
	static const char *const scopes[] = {"Terminating", "NotTerminating", "BestEffort",
		"NotBestEffort", "PriorityClass", "VolumeAttributesClass",
		"CrossNamespacePodAffinity"};

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (str_eqc(s, scopes[i]))
			return true;
	return false;
}

static bool scope_fits(struct str scope, struct str resource)
{
	static const char *const compute[] = {"pods", "cpu", "memory", "requests.cpu",
		"requests.memory", "limits.cpu", "limits.memory", "ephemeral-storage",
		"requests.ephemeral-storage", "limits.ephemeral-storage"};

	if (str_eqc(scope, "BestEffort"))
		return str_eqc(resource, "pods");
	if (str_eqc(scope, "VolumeAttributesClass"))
		return str_eqc(resource, "persistentvolumeclaims") ||
		       str_eqc(resource, "requests.storage");
	for (size_t i = 0; i < ARRAY_SIZE(compute); i++)
		if (str_eqc(resource, compute[i]))
			return true;
	return false;
}

static void validate_scopes(const struct v1_resource_quota_spec *spec, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), at = FIELD(&p, "scopes");
	struct str text = str_vec_json(e->arena, &spec->scopes);

	for (size_t i = 0; i < spec->scopes.n; i++) {
		if (!is_scope(spec->scopes.v[i]))
			field_invalid_raw(e, &at, text, "unsupported scope");
		for (size_t k = 0; k < spec->hard.n; k++)
			if (is_quota_resource(spec->hard.v[k].key) &&
				!scope_fits(spec->scopes.v[i], spec->hard.v[k].key))
				field_invalid_raw(
					e, &at, text, "unsupported scope applied to resource");
	}
	if (str_vec_has(&spec->scopes, S("BestEffort")) &&
		str_vec_has(&spec->scopes, S("NotBestEffort")))
		field_invalid_raw(e, &at, text, "conflicting scopes");
	if (str_vec_has(&spec->scopes, S("Terminating")) &&
		str_vec_has(&spec->scopes, S("NotTerminating")))
		field_invalid_raw(e, &at, text, "conflicting scopes");
}

static void quota_validate_spec(const struct v1_resource_quota *q, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec");

	validate_quota_list(&q->spec.hard, AT(&spec, "hard"), e);
	validate_scopes(&q->spec, e);
}

static void quota_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	quota_validate_spec(obj, e);
}

static bool same_scopes(const struct str_vec *a, const struct str_vec *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!str_vec_has(b, a->v[i]))
			return false;
	for (size_t i = 0; i < b->n; i++)
		if (!str_vec_has(a, b->v[i]))
			return false;
	return true;
}

static void quota_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_resource_quota *q = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec"), status = FIELD(NULL, "status");

	if (is_status(ctx)) {
		validate_quota_list(&q->status.hard, AT(&status, "hard"), e);
		validate_quota_list(&q->status.used, AT(&status, "used"), e);
		return;
	}
	quota_validate_spec(q, e);
	if (!same_scopes(&q->spec.scopes, &was->spec.scopes))
		field_invalid_raw(e, AT(&spec, "scopes"), str_vec_json(e->arena, &q->spec.scopes),
			"field is immutable");
}

const struct strategy resource_quota_strategy = {
	.resource = &v1_resource_quota_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = quota_default,
	.prepare_create = quota_prepare_create,
	.prepare_update = quota_prepare_update,
	.validate = quota_validate,
	.validate_update = quota_validate_update,
	.table_row = print_resource_quota,
};
