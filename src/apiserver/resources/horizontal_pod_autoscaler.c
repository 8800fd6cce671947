/* horizontal_pod_autoscaler.c: autoscaling/v2 HorizontalPodAutoscaler (pkg/apis/autoscaling). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "schema/quantity.h"

enum {
	PERIOD_MAX_S = 1800,
	WINDOW_MAX_S = 3600,
	CPU_UTILIZATION = 80,
	UP_PODS = 4,
	PERCENT = 100,
	PERIOD_S = 15,
};

typedef struct autoscaling_v2_horizontal_pod_autoscaler hpa;
typedef struct autoscaling_v2_hpa_scaling_rules rules_t;
typedef struct autoscaling_v2_metric_spec metric_spec;

/* --- defaults --- */

static void default_metrics(hpa *h, struct arena *a)
{
	metric_spec m = {.type = S("Resource"),
		.resource = ARENA_NEW(a, struct autoscaling_v2_resource_metric_source)};

	if (h->spec.metrics.n)
		return;
	m.resource->name = S("cpu");
	m.resource->target.type = S("Utilization");
	m.resource->target.average_utilization = ARENA_NEW(a, int32_t);
	*m.resource->target.average_utilization = CPU_UTILIZATION;
	ARENA_PUSH(a, &h->spec.metrics, m);
}

static void default_rules(rules_t **rules, bool up, struct arena *a)
{
	rules_t *r = *rules;

	if (!r)
		r = *rules = ARENA_NEW(a, rules_t);
	if (!r->select_policy.p)
		r->select_policy = S("Max");
	if (!r->stabilization_window_seconds && up)
		r->stabilization_window_seconds = ARENA_NEW(a, int32_t);
	if (r->policies.v)
		return;
	if (up)
		ARENA_PUSH(a, &r->policies,
			((struct autoscaling_v2_hpa_scaling_policy){S("Pods"), UP_PODS, PERIOD_S}));
	ARENA_PUSH(a, &r->policies,
		((struct autoscaling_v2_hpa_scaling_policy){S("Percent"), PERCENT, PERIOD_S}));
}

static void hpa_default(struct strategy_ctx *ctx, void *obj)
{
	hpa *h = obj;

	default_metrics(h, ctx->arena);
	if (h->spec.behavior) {
		default_rules(&h->spec.behavior->scale_up, true, ctx->arena);
		default_rules(&h->spec.behavior->scale_down, false, ctx->arena);
	}
}

static void hpa_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	((hpa *)obj)->status = (struct autoscaling_v2_horizontal_pod_autoscaler_status){0};
}

static void hpa_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const hpa *was = old;
	hpa *h = obj;

	if (is_status(ctx))
		h->spec = was->spec;
	else
		h->status = was->status;
}

/* --- validation --- */

struct ref_opts {
	bool any_version, core_group;
};

static const char *version_error(struct str version, struct ref_opts opts, struct arena *a)
{
	struct str group, rest, more;
	bool grouped = str_cut(version, '/', &group, &rest);

	if (opts.any_version)
		return NULL;
	if (grouped && str_cut(rest, '/', &group, &more))
		return arena_cstr(a,
			arena_fmt(a, "unexpected GroupVersion string: " STR_FMT, STR_ARG(version)));
	if (!opts.core_group && (!grouped || group.n == 0))
		return "apiVersion must specify API group";
	return NULL;
}

static void validate_ref(const struct autoscaling_v2_cross_version_object_reference *r,
	struct ref_opts opts, const struct field_path *p, struct field_errors *e)
{
	const char *wrong = version_error(r->api_version, opts, e->arena);
	struct field_path kind = FIELD(p, "kind"), name = FIELD(p, "name");

	if (r->kind.n == 0)
		field_required(e, &kind, "");
	else
		field_invalid_each(e, &kind, r->kind, is_path_segment_name(e->arena, r->kind));
	if (r->name.n == 0)
		field_required(e, &name, "");
	else
		field_invalid_each(e, &name, r->name, is_path_segment_name(e->arena, r->name));
	if (wrong)
		field_invalid(e, AT(p, "apiVersion"), r->api_version, "%s", wrong);
}

static void validate_identifier(const struct autoscaling_v2_metric_identifier *m,
	const struct field_path *source, struct field_errors *e)
{
	struct field_path metric = FIELD(source, "metric"), name = FIELD(&metric, "name");

	if (m->name.n == 0)
		field_required(e, &name, "must specify a metric name");
	else
		field_invalid_each(e, &name, m->name, is_path_segment_name(e->arena, m->name));
}

static void validate_amount(struct str quantity, const struct field_path *p, struct field_errors *e)
{
	struct quantity q;

	if (quantity.p && quantity_parse(quantity, &q, NULL) == 0 && q.nano <= 0)
		field_invalid(e, p, quantity_text(&q, e->arena), "must be positive");
}

static void validate_target(const struct autoscaling_v2_metric_target *t,
	const struct field_path *source, struct field_errors *e)
{
	struct field_path p = FIELD(source, "target"), type = FIELD(&p, "type");

	if (t->type.n == 0)
		field_required(e, &type, "must specify a metric target type");
	if (!str_eqc(t->type, "Utilization") && !str_eqc(t->type, "Value") &&
		!str_eqc(t->type, "AverageValue"))
		field_invalid(
			e, &type, t->type, "must be either Utilization, Value, or AverageValue");
	validate_amount(t->value, AT(&p, "value"), e);
	validate_amount(t->average_value, AT(&p, "averageValue"), e);
	if (t->average_utilization && *t->average_utilization < 1)
		field_invalid_int(e, AT(&p, "averageUtilization"), *t->average_utilization,
			"must be greater than 0");
}

static void validate_object(const struct autoscaling_v2_object_metric_source *s,
	struct ref_opts opts, const struct field_path *p, struct field_errors *e)
{
	struct field_path target = FIELD(p, "target");

	validate_ref(&s->described_object, opts, AT(p, "describedObject"), e);
	validate_identifier(&s->metric, p, e);
	validate_target(&s->target, p, e);
	if (!s->target.value.p && !s->target.average_value.p)
		field_required(e, AT(&target, "averageValue"),
			"must set either a target value or averageValue");
}

static void validate_external(const struct autoscaling_v2_external_metric_source *s,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path target = FIELD(p, "target");

	validate_identifier(&s->metric, p, e);
	validate_target(&s->target, p, e);
	if (!s->target.value.p && !s->target.average_value.p)
		field_required(e, AT(&target, "averageValue"),
			"must set either a target value for metric or a per-pod target");
	if (s->target.value.p && s->target.average_value.p)
		field_forbidden(e, AT(&target, "value"),
			"may not set both a target value for metric and a per-pod target");
}

static void validate_pods(const struct autoscaling_v2_pods_metric_source *s,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path target = FIELD(p, "target");

	validate_identifier(&s->metric, p, e);
	validate_target(&s->target, p, e);
	if (!s->target.average_value.p)
		field_required(e, AT(&target, "averageValue"),
			"must specify a positive target averageValue");
}

/* Of a resource: raw or in percent. */
static void validate_use(const struct autoscaling_v2_metric_target *t,
	const struct field_path *source, struct field_errors *e)
{
	struct field_path target = FIELD(source, "target");

	validate_target(t, source, e);
	if (!t->average_utilization && !t->average_value.p)
		field_required(e, AT(&target, "averageUtilization"),
			"must set either a target raw value or a target utilization");
	if (t->average_utilization && t->average_value.p)
		field_forbidden(e, AT(&target, "averageValue"),
			"may not set both a target raw value and a target utilization");
}

static void validate_resource(const struct autoscaling_v2_resource_metric_source *s,
	const struct field_path *p, struct field_errors *e)
{
	if (s->name.n == 0)
		field_required(e, AT(p, "name"), "must specify a resource name");
	validate_use(&s->target, p, e);
}

static void validate_container_resource(
	const struct autoscaling_v2_container_resource_metric_source *s, const struct field_path *p,
	struct field_errors *e)
{
	if (s->name.n == 0)
		field_required(e, AT(p, "name"), "must specify a resource name");
	else
		validate_container_resource_name(s->name, AT(p, "name"), e);
	if (s->container.n == 0)
		field_required(e, AT(p, "container"), "must specify a container");
	else
		validate_dns1123_label(s->container, AT(p, "container"), e);
	validate_use(&s->target, p, e);
}

/* Checks the first source that is there, as upstream does, and that it is the one of the type. */
static void validate_metric(const metric_spec *m, struct ref_opts opts, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const types[] = {
		"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
	const struct {
		const char *type, *field;
		const void *source;
	} sources[] = {
		{"Object", "object", m->object},
		{"External", "external", m->external},
		{"Pods", "pods", m->pods},
		{"Resource", "resource", m->resource},
		{"ContainerResource", "containerResource", m->container_resource},
	};
	struct field_path type = FIELD(p, "type");
	bool known = true;
	size_t present = 0;

	if (m->type.n == 0)
		field_required(e, &type, "must specify a metric source type");
	known = field_one_of(e, &type, m->type, types);
	if (m->object && ++present == 1)
		validate_object(m->object, opts, AT(p, "object"), e);
	if (m->external && ++present == 1)
		validate_external(m->external, AT(p, "external"), e);
	if (m->pods && ++present == 1)
		validate_pods(m->pods, AT(p, "pods"), e);
	if (m->resource && ++present == 1)
		validate_resource(m->resource, AT(p, "resource"), e);
	if (m->container_resource && ++present == 1)
		validate_container_resource(m->container_resource, AT(p, "containerResource"), e);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct field_path at = {.parent = p, .name = str_c(sources[i].field)};

		if (str_eqc(m->type, sources[i].type) && !sources[i].source)
			field_required(
				e, &at, "must populate information for the given metric source");
	}
	if (!known)
		field_not_supported(e, &type, m->type, types);
	for (size_t i = 0; i < ARRAY_SIZE(sources) && present != 1; i++) {
		struct field_path at = {.parent = p, .name = str_c(sources[i].field)};

		if (sources[i].source && !str_eqc(m->type, sources[i].type))
			field_forbidden(e, &at, "must populate the given metric source only");
	}
}

static void validate_metrics(
	const hpa *h, struct ref_opts opts, const struct field_path *p, struct field_errors *e)
{
	bool outside = false;

	for (size_t i = 0; i < h->spec.metrics.n; i++) {
		const metric_spec *m = &h->spec.metrics.v[i];

		validate_metric(m, opts, AT_INDEX(p, i), e);
		outside = outside || str_eqc(m->type, "Object") || str_eqc(m->type, "External");
	}
	if (h->spec.min_replicas && *h->spec.min_replicas == 0 && !outside)
		field_forbidden(e, p,
			"must specify at least one Object or External metric to support scaling to "
			"zero replicas");
}

static void validate_scaling_policy(const struct autoscaling_v2_hpa_scaling_policy *s,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const types[] = {"Percent", "Pods", NULL};
	struct field_path period = FIELD(p, "periodSeconds");

	field_one_of(e, AT(p, "type"), s->type, types);
	if (s->value <= 0)
		field_invalid_int(e, AT(p, "value"), s->value, "must be greater than zero");
	if (s->period_seconds <= 0)
		field_invalid_int(e, &period, s->period_seconds, "must be greater than zero");
	if (s->period_seconds > PERIOD_MAX_S)
		field_invalid_int(e, &period, s->period_seconds, "must be less than or equal to %d",
			PERIOD_MAX_S);
}

static void validate_rules(const rules_t *r, const struct field_path *p, struct field_errors *e)
{
	static const char *const selects[] = {"Disabled", "Max", "Min", NULL};
	struct field_path window = FIELD(p, "stabilizationWindowSeconds"),
			  policies = FIELD(p, "policies"), tolerance = FIELD(p, "tolerance");
	struct quantity q;

	if (!r)
		return;
	if (r->stabilization_window_seconds && *r->stabilization_window_seconds < 0)
		field_invalid_int(e, &window, *r->stabilization_window_seconds,
			"must be greater than or equal to zero");
	if (r->stabilization_window_seconds && *r->stabilization_window_seconds > WINDOW_MAX_S)
		field_invalid_int(e, &window, *r->stabilization_window_seconds,
			"must be less than or equal to %d", WINDOW_MAX_S);
	if (r->select_policy.p)
		field_one_of(e, AT(p, "selectPolicy"), r->select_policy, selects);
	if (!r->policies.n)
		field_required(e, &policies, "must specify at least one Policy");
	for (size_t i = 0; i < r->policies.n; i++)
		validate_scaling_policy(&r->policies.v[i], AT_INDEX(&policies, i), e);
	if (r->tolerance.p && quantity_parse(r->tolerance, &q, NULL) == 0 && q.nano < 0)
		field_invalid(e, &tolerance, quantity_text(&q, e->arena),
			"must be greater than or equal to 0");
}

/* old NULL on create. */
static void validate_spec(const hpa *h, const hpa *old, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), max = FIELD(&spec, "maxReplicas"),
			  behavior = FIELD(&spec, "behavior");
	const struct autoscaling_v2_cross_version_object_reference *ref = &h->spec.scale_target_ref;
	struct ref_opts target = {.core_group = str_eqc(ref->kind, "ReplicationController")},
			described = {.core_group = true};
	int32_t least = old && old->spec.min_replicas && *old->spec.min_replicas == 0 ? 0 : 1;

	/* what was allowed once and is not touched stays */
	if (old && str_eq(old->spec.scale_target_ref.api_version, ref->api_version) &&
		str_eq(old->spec.scale_target_ref.kind, ref->kind))
		target.any_version = true;
	for (size_t i = 0; old && i < old->spec.metrics.n; i++)
		if (str_eqc(old->spec.metrics.v[i].type, "Object") &&
			old->spec.metrics.v[i].object &&
			version_error(old->spec.metrics.v[i].object->described_object.api_version,
				described, e->arena))
			described.any_version = true;
	if (h->spec.min_replicas && *h->spec.min_replicas < least)
		field_invalid_int(e, AT(&spec, "minReplicas"), *h->spec.min_replicas,
			"must be greater than or equal to %d", least);
	if (h->spec.max_replicas == 0)
		field_required(e, &max, "must be set and greater than 0");
	else if (h->spec.max_replicas < 0)
		field_invalid_int(
			e, &max, h->spec.max_replicas, "must be greater than or equal to 1");
	if (h->spec.min_replicas && h->spec.max_replicas < *h->spec.min_replicas)
		field_invalid_int(e, &max, h->spec.max_replicas,
			"must be greater than or equal to `minReplicas`");
	validate_ref(ref, target, AT(&spec, "scaleTargetRef"), e);
	validate_metrics(h, described, AT(&spec, "metrics"), e);
	if (!h->spec.behavior)
		return;
	validate_rules(h->spec.behavior->scale_up, AT(&behavior, "scaleUp"), e);
	validate_rules(h->spec.behavior->scale_down, AT(&behavior, "scaleDown"), e);
}

static void hpa_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_spec(obj, NULL, e);
}

static void hpa_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status");
	const hpa *h = obj;

	if (!is_status(ctx)) {
		validate_spec(h, old, e);
		return;
	}
	validate_nonnegative(h->status.current_replicas, AT(&status, "currentReplicas"), e);
	validate_nonnegative(h->status.desired_replicas, AT(&status, "desiredReplicas"), e);
}

/* --- the row of kubectl get --- */

static struct str percent(const int32_t *v, struct str otherwise, struct arena *a)
{
	return v ? arena_fmt(a, "%d%%", *v) : otherwise;
}

static struct str or_unknown(struct str quantity)
{
	return quantity.p ? quantity : S("<unknown>");
}

/* "now/wanted", of an average with " (avg)". */
static struct str value_text(const struct autoscaling_v2_metric_target *t,
	const struct autoscaling_v2_metric_value_status *now, bool mark, struct arena *a)
{
	bool average = t->average_value.p;
	struct str have = {0};

	if (now)
		have = average ? now->average_value : now->value;
	return arena_fmt(a, STR_FMT "/" STR_FMT "%s", STR_ARG(or_unknown(have)),
		STR_ARG(average ? t->average_value : t->value), average && mark ? " (avg)" : "");
}

static struct str use_text(struct str name, const struct autoscaling_v2_metric_target *t,
	const struct autoscaling_v2_metric_value_status *now, struct arena *a)
{
	struct str text;

	if (t->average_value.p)
		text = value_text(t, now, false, a);
	else
		text = arena_fmt(a, STR_FMT "/" STR_FMT,
			STR_ARG(percent(now ? now->average_utilization : NULL, S("<unknown>"), a)),
			STR_ARG(percent(t->average_utilization, S("<auto>"), a)));
	return arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(text));
}

static struct str metric_text(
	const metric_spec *m, const struct autoscaling_v2_metric_status *now, struct arena *a)
{
	static const struct autoscaling_v2_metric_status nothing;

	now = now ? now : &nothing;
	if (str_eqc(m->type, "External") && m->external)
		return value_text(&m->external->target,
			now->external ? &now->external->current : NULL, true, a);
	if (str_eqc(m->type, "Pods") && m->pods)
		return value_text(
			&m->pods->target, now->pods ? &now->pods->current : NULL, false, a);
	if (str_eqc(m->type, "Object") && m->object)
		return value_text(
			&m->object->target, now->object ? &now->object->current : NULL, true, a);
	if (str_eqc(m->type, "Resource") && m->resource)
		return use_text(m->resource->name, &m->resource->target,
			now->resource ? &now->resource->current : NULL, a);
	if (str_eqc(m->type, "ContainerResource") && m->container_resource)
		return use_text(m->container_resource->name, &m->container_resource->target,
			now->container_resource ? &now->container_resource->current : NULL, a);
	return S("<unknown type>");
}

static struct str metrics_text(const hpa *h, struct arena *a)
{
	enum { SHOWN = 2 };
	struct str_vec list = {0};
	struct str text;

	if (!h->spec.metrics.n)
		return S("<none>");
	for (size_t i = 0; i < h->spec.metrics.n && i < SHOWN; i++)
		ARENA_PUSH(a, &list,
			metric_text(&h->spec.metrics.v[i],
				i < h->status.current_metrics.n ? &h->status.current_metrics.v[i]
								: NULL,
				a));
	text = join_list(a, &list, ", ");
	return h->spec.metrics.n <= SHOWN ? text
					  : arena_fmt(a, STR_FMT " + %zu more...", STR_ARG(text),
						    h->spec.metrics.n - SHOWN);
}

static void hpa_row(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};
	const hpa *h = obj;

	row_str(&r, h->metadata.name);
	row_fmt(&r, STR_FMT "/" STR_FMT, STR_ARG(h->spec.scale_target_ref.kind),
		STR_ARG(h->spec.scale_target_ref.name));
	row_str(&r, metrics_text(h, a));
	if (h->spec.min_replicas)
		row_fmt(&r, "%d", *h->spec.min_replicas);
	else
		row_strc(&r, "<unset>");
	row_int(&r, h->spec.max_replicas);
	row_int(&r, h->status.current_replicas);
	row_age(&r, &h->metadata.creation_timestamp);
}

const struct strategy horizontal_pod_autoscaler_strategy = {
	.resource = &autoscaling_v2_horizontal_pod_autoscaler_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = hpa_default,
	.prepare_create = hpa_prepare_create,
	.prepare_update = hpa_prepare_update,
	.validate = hpa_validate,
	.validate_update = hpa_validate_update,
	.table_row = hpa_row,
};
