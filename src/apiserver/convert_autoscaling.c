/*
 * convert_autoscaling.c: autoscaling/v1 HorizontalPodAutoscaler, which knows one metric, as
 * autoscaling/v2's, and back. What v1 has no field for stands in annotations
 * (pkg/apis/autoscaling/v1/conversion.go).
 */
#include <ctype.h>

#include "apiserver/convert_int.h"
#include "apiserver/validation/go_json.h"
#include "json/value.h"

#define METRICS "autoscaling.alpha.kubernetes.io/metrics"
#define CURRENT_METRICS "autoscaling.alpha.kubernetes.io/current-metrics"
#define CONDITIONS "autoscaling.alpha.kubernetes.io/conditions"
#define BEHAVIOR "autoscaling.alpha.kubernetes.io/behavior"

enum { ANNOTATION_MAX = 1024 * 1024, CPU_PERCENT_DEFAULT = 80 };

typedef struct autoscaling_v1_horizontal_pod_autoscaler hpa1;
typedef struct autoscaling_v2_horizontal_pod_autoscaler hpa2;

/* --- what all metrics have --- */

static struct autoscaling_v2_cross_version_object_reference reference_up(
	const struct autoscaling_v1_cross_version_object_reference *r)
{
	return (struct autoscaling_v2_cross_version_object_reference){
		.kind = r->kind, .name = r->name, .api_version = r->api_version};
}

static struct autoscaling_v1_cross_version_object_reference reference_down(
	const struct autoscaling_v2_cross_version_object_reference *r)
{
	return (struct autoscaling_v1_cross_version_object_reference){
		.kind = r->kind, .name = r->name, .api_version = r->api_version};
}

static struct autoscaling_v2_metric_identifier metric(
	struct str name, struct meta_v1_label_selector *selector)
{
	return (struct autoscaling_v2_metric_identifier){.name = name, .selector = selector};
}

static struct autoscaling_v2_metric_target target(
	struct str value, struct str average_value, int32_t *utilization)
{
	return (struct autoscaling_v2_metric_target){.type = utilization ? S("Utilization")
							     : value.n   ? S("Value")
									 : S("AverageValue"),
		.value = value,
		.average_value = average_value,
		.average_utilization = utilization};
}

/* A quantity that v1 cannot leave out. */
static struct str or_zero(struct str quantity)
{
	return quantity.n ? quantity : S("0");
}

/* --- metrics that are wanted --- */

static void object_up(struct autoscaling_v2_metric_spec *to,
	const struct autoscaling_v1_object_metric_source *m, struct arena *a)
{
	bool zero = !m->target_value.n || str_eqc(m->target_value, "0");

	to->object = ARENA_NEW(a, struct autoscaling_v2_object_metric_source);
	to->object->described_object = reference_up(&m->target);
	to->object->metric = metric(m->metric_name, m->selector);
	to->object->target.type = m->average_value.n ? S("AverageValue") : S("Value");
	to->object->target.average_value = m->average_value;
	if (!m->average_value.n || !zero)
		to->object->target.value = or_zero(m->target_value);
}

static void metric_up(struct autoscaling_v2_metric_spec *to,
	const struct autoscaling_v1_metric_spec *m, struct arena *a)
{
	*to = (struct autoscaling_v2_metric_spec){.type = m->type};
	if (m->object)
		object_up(to, m->object, a);
	if (m->pods) {
		to->pods = ARENA_NEW(a, struct autoscaling_v2_pods_metric_source);
		to->pods->metric = metric(m->pods->metric_name, m->pods->selector);
		to->pods->target =
			target((struct str){0}, or_zero(m->pods->target_average_value), NULL);
	}
	if (m->resource) {
		to->resource = ARENA_NEW(a, struct autoscaling_v2_resource_metric_source);
		to->resource->name = m->resource->name;
		to->resource->target = target((struct str){0}, m->resource->target_average_value,
			m->resource->target_average_utilization);
	}
	if (m->container_resource) {
		to->container_resource =
			ARENA_NEW(a, struct autoscaling_v2_container_resource_metric_source);
		to->container_resource->name = m->container_resource->name;
		to->container_resource->container = m->container_resource->container;
		to->container_resource->target =
			target((struct str){0}, m->container_resource->target_average_value,
				m->container_resource->target_average_utilization);
	}
	if (m->external) {
		to->external = ARENA_NEW(a, struct autoscaling_v2_external_metric_source);
		to->external->metric =
			metric(m->external->metric_name, m->external->metric_selector);
		to->external->target =
			target(m->external->target_value, m->external->target_average_value, NULL);
	}
}

static void metric_down(struct autoscaling_v1_metric_spec *to,
	const struct autoscaling_v2_metric_spec *m, struct arena *a)
{
	*to = (struct autoscaling_v1_metric_spec){.type = m->type};
	if (m->object) {
		to->object = ARENA_NEW(a, struct autoscaling_v1_object_metric_source);
		to->object->target = reference_down(&m->object->described_object);
		to->object->metric_name = m->object->metric.name;
		to->object->selector = m->object->metric.selector;
		to->object->target_value = or_zero(m->object->target.value);
		to->object->average_value = m->object->target.average_value;
	}
	if (m->pods) {
		to->pods = ARENA_NEW(a, struct autoscaling_v1_pods_metric_source);
		to->pods->metric_name = m->pods->metric.name;
		to->pods->selector = m->pods->metric.selector;
		to->pods->target_average_value = or_zero(m->pods->target.average_value);
	}
	if (m->resource) {
		to->resource = ARENA_NEW(a, struct autoscaling_v1_resource_metric_source);
		to->resource->name = m->resource->name;
		to->resource->target_average_utilization = m->resource->target.average_utilization;
		to->resource->target_average_value = m->resource->target.average_value;
	}
	if (m->container_resource) {
		to->container_resource =
			ARENA_NEW(a, struct autoscaling_v1_container_resource_metric_source);
		to->container_resource->name = m->container_resource->name;
		to->container_resource->container = m->container_resource->container;
		to->container_resource->target_average_utilization =
			m->container_resource->target.average_utilization;
		to->container_resource->target_average_value =
			m->container_resource->target.average_value;
	}
	if (m->external) {
		to->external = ARENA_NEW(a, struct autoscaling_v1_external_metric_source);
		to->external->metric_name = m->external->metric.name;
		to->external->metric_selector = m->external->metric.selector;
		to->external->target_value = m->external->target.value;
		to->external->target_average_value = m->external->target.average_value;
	}
}

/* --- metrics as they are --- */

static struct autoscaling_v2_metric_value_status current(
	struct str value, struct str average_value, int32_t *utilization)
{
	return (struct autoscaling_v2_metric_value_status){
		.value = value, .average_value = average_value, .average_utilization = utilization};
}

static void status_up(struct autoscaling_v2_metric_status *to,
	const struct autoscaling_v1_metric_status *m, struct arena *a)
{
	struct str none = {0};

	*to = (struct autoscaling_v2_metric_status){.type = m->type};
	if (m->object) {
		to->object = ARENA_NEW(a, struct autoscaling_v2_object_metric_status);
		to->object->described_object = reference_up(&m->object->target);
		to->object->metric = metric(m->object->metric_name, m->object->selector);
		to->object->current =
			current(or_zero(m->object->current_value), m->object->average_value, NULL);
	}
	if (m->pods) {
		to->pods = ARENA_NEW(a, struct autoscaling_v2_pods_metric_status);
		to->pods->metric = metric(m->pods->metric_name, m->pods->selector);
		to->pods->current = current(none, or_zero(m->pods->current_average_value), NULL);
	}
	if (m->resource) {
		to->resource = ARENA_NEW(a, struct autoscaling_v2_resource_metric_status);
		to->resource->name = m->resource->name;
		to->resource->current = current(none, or_zero(m->resource->current_average_value),
			m->resource->current_average_utilization);
	}
	if (m->container_resource) {
		to->container_resource =
			ARENA_NEW(a, struct autoscaling_v2_container_resource_metric_status);
		to->container_resource->name = m->container_resource->name;
		to->container_resource->container = m->container_resource->container;
		to->container_resource->current =
			current(none, or_zero(m->container_resource->current_average_value),
				m->container_resource->current_average_utilization);
	}
	if (m->external) {
		to->external = ARENA_NEW(a, struct autoscaling_v2_external_metric_status);
		to->external->metric =
			metric(m->external->metric_name, m->external->metric_selector);
		to->external->current = current(or_zero(m->external->current_value),
			m->external->current_average_value, NULL);
	}
}

static void status_down(struct autoscaling_v1_metric_status *to,
	const struct autoscaling_v2_metric_status *m, struct arena *a)
{
	*to = (struct autoscaling_v1_metric_status){.type = m->type};
	if (m->object) {
		to->object = ARENA_NEW(a, struct autoscaling_v1_object_metric_status);
		to->object->target = reference_down(&m->object->described_object);
		to->object->metric_name = m->object->metric.name;
		to->object->selector = m->object->metric.selector;
		to->object->current_value = or_zero(m->object->current.value);
		to->object->average_value = m->object->current.average_value;
	}
	if (m->pods) {
		to->pods = ARENA_NEW(a, struct autoscaling_v1_pods_metric_status);
		to->pods->metric_name = m->pods->metric.name;
		to->pods->selector = m->pods->metric.selector;
		to->pods->current_average_value = or_zero(m->pods->current.average_value);
	}
	if (m->resource) {
		to->resource = ARENA_NEW(a, struct autoscaling_v1_resource_metric_status);
		to->resource->name = m->resource->name;
		to->resource->current_average_utilization =
			m->resource->current.average_utilization;
		to->resource->current_average_value = or_zero(m->resource->current.average_value);
	}
	if (m->container_resource) {
		to->container_resource =
			ARENA_NEW(a, struct autoscaling_v1_container_resource_metric_status);
		to->container_resource->name = m->container_resource->name;
		to->container_resource->container = m->container_resource->container;
		to->container_resource->current_average_utilization =
			m->container_resource->current.average_utilization;
		to->container_resource->current_average_value =
			or_zero(m->container_resource->current.average_value);
	}
	if (m->external) {
		to->external = ARENA_NEW(a, struct autoscaling_v1_external_metric_status);
		to->external->metric_name = m->external->metric.name;
		to->external->metric_selector = m->external->metric.selector;
		to->external->current_value = or_zero(m->external->current.value);
		to->external->current_average_value = m->external->current.average_value;
	}
}

/* --- annotations --- */

static bool is_ours(struct str key)
{
	return str_eqc(key, METRICS) || str_eqc(key, CURRENT_METRICS) || str_eqc(key, CONDITIONS) ||
	       str_eqc(key, BEHAVIOR);
}

static struct str_map without_ours(struct arena *a, const struct str_map *m)
{
	struct str_map out = {0};

	for (size_t i = 0; i < m->n; i++)
		if (!is_ours(m->v[i].key))
			ARENA_PUSH(a, &out, m->v[i]);
	return out;
}

/* Maps are sorted. */
static void annotate(struct arena *a, struct str_map *m, const char *key, struct str value)
{
	struct str_map out = {0};
	struct str_pair pair = {str_c(key), value};
	size_t i = 0;

	while (i < m->n && str_cmp(m->v[i].key, pair.key) < 0)
		ARENA_PUSH(a, &out, m->v[i++]);
	ARENA_PUSH(a, &out, pair);
	while (i < m->n)
		ARENA_PUSH(a, &out, m->v[i++]);
	*m = out;
}

static void add_item(struct buf *b, const struct schema_type *type, const void *v)
{
	buf_add_char(b, b->n ? ',' : '[');
	schema_encode_json(type, v, b);
}

static void annotate_list(struct arena *a, struct str_map *m, const char *key, struct buf *list)
{
	if (list->n && !buf_failed(list)) {
		buf_add_char(list, ']');
		annotate(a, m, key, arena_str(a, buf_str(list)));
	}
	buf_release(list);
}

/* The items of an annotation, decoded; nothing when it is not there or not what it should be. */
struct item_list {
	void **v;
	size_t n;
};

static struct item_list read_list(
	struct arena *a, const struct str_map *m, const char *key, const struct schema_type *type)
{
	const struct str *text = str_map_get(m, str_c(key));
	struct item_list list = {0};
	struct json_value *json;

	if (!text || json_parse(*text, a, &json, NULL) < 0 || json->kind != JSON_ARRAY)
		return list;
	for (size_t i = 0; i < json->items.n; i++) {
		void *item;

		if (schema_decode_json(type, json_text(json->items.v[i], a), a, NULL, &item, NULL) <
			0)
			return (struct item_list){0};
		ARENA_PUSH(a, &list, item);
	}
	return list;
}

/* Upstream writes an internal type there: its keys begin with capitals. */
static void lower_keys(struct arena *a, struct json_value *v)
{
	for (size_t i = 0; i < v->items.n; i++)
		lower_keys(a, v->items.v[i]);
	for (size_t i = 0; i < v->members.n; i++) {
		struct str *key = &v->members.v[i].key;

		if (key->n) {
			char *copy = arena_memdup(a, key->p, key->n);

			copy[0] = (char)tolower((unsigned char)copy[0]);
			key->p = copy;
		}
		lower_keys(a, v->members.v[i].value);
	}
}

static struct autoscaling_v2_horizontal_pod_autoscaler_behavior *read_behavior(
	struct arena *a, const struct str_map *m)
{
	const struct str *text = str_map_get(m, S(BEHAVIOR));
	struct autoscaling_v2_horizontal_pod_autoscaler_behavior *b;
	struct json_value *json;
	void *typed;

	if (!text || json_parse(*text, a, &json, NULL) < 0 || json->kind != JSON_OBJECT)
		return NULL;
	lower_keys(a, json);
	if (schema_decode_json(&autoscaling_v2_horizontal_pod_autoscaler_behavior_schema,
		    json_text(json, a), a, NULL, &typed, NULL) < 0)
		return NULL;
	b = typed;
	return b->scale_up || b->scale_down ? b : NULL;
}

/* --- the objects --- */

static bool is_cpu_percent(const struct autoscaling_v2_metric_spec *m)
{
	return str_eqc(m->type, "Resource") && m->resource && str_eqc(m->resource->name, "cpu") &&
	       m->resource->target.average_utilization;
}

static struct autoscaling_v2_metric_spec cpu_percent(struct arena *a, int32_t percent)
{
	struct autoscaling_v2_metric_spec m = {.type = S("Resource")};

	m.resource = ARENA_NEW(a, struct autoscaling_v2_resource_metric_source);
	m.resource->name = S("cpu");
	m.resource->target = target(
		(struct str){0}, (struct str){0}, arena_memdup(a, &percent, sizeof(percent)));
	return m;
}

static void read_annotations(hpa2 *to, const struct str_map *m, struct arena *a)
{
	struct item_list others = read_list(a, m, METRICS, &autoscaling_v1_metric_spec_schema),
			 statuses = read_list(
				 a, m, CURRENT_METRICS, &autoscaling_v1_metric_status_schema),
			 conditions = read_list(a, m, CONDITIONS,
				 &autoscaling_v2_horizontal_pod_autoscaler_condition_schema);

	for (size_t i = 0; i < others.n; i++) {
		struct autoscaling_v2_metric_spec spec;

		metric_up(&spec, others.v[i], a);
		ARENA_PUSH(a, &to->spec.metrics, spec);
	}
	for (size_t i = 0; i < statuses.n; i++) {
		struct autoscaling_v2_metric_status status;

		status_up(&status, statuses.v[i], a);
		ARENA_PUSH(a, &to->status.current_metrics, status);
	}
	for (size_t i = 0; i < conditions.n; i++) {
		const struct autoscaling_v2_horizontal_pod_autoscaler_condition *c =
			conditions.v[i];

		ARENA_PUSH(a, &to->status.conditions, *c);
	}
	to->spec.behavior = read_behavior(a, m);
}

void hpa_up(const void *from, void *ret, struct arena *a)
{
	const hpa1 *v1 = from;
	hpa2 *v2 = ret;

	v2->metadata = v1->metadata;
	v2->metadata.annotations = without_ours(a, &v1->metadata.annotations);
	v2->spec.scale_target_ref = reference_up(&v1->spec.scale_target_ref);
	v2->spec.min_replicas = v1->spec.min_replicas;
	v2->spec.max_replicas = v1->spec.max_replicas;
	v2->status.observed_generation = v1->status.observed_generation;
	v2->status.last_scale_time = v1->status.last_scale_time;
	v2->status.current_replicas = v1->status.current_replicas;
	v2->status.desired_replicas = v1->status.desired_replicas;
	read_annotations(v2, &v1->metadata.annotations, a);
	if (v1->spec.target_cpu_utilization_percentage)
		ARENA_PUSH(a, &v2->spec.metrics,
			cpu_percent(a, *v1->spec.target_cpu_utilization_percentage));
	else if (!v2->spec.metrics.n)
		ARENA_PUSH(a, &v2->spec.metrics, cpu_percent(a, CPU_PERCENT_DEFAULT));
	if (v1->status.current_cpu_utilization_percentage && !v2->status.current_metrics.n) {
		struct autoscaling_v2_metric_status status = {.type = S("Resource")};

		status.resource = ARENA_NEW(a, struct autoscaling_v2_resource_metric_status);
		status.resource->name = S("cpu");
		status.resource->current.average_utilization =
			v1->status.current_cpu_utilization_percentage;
		ARENA_PUSH(a, &v2->status.current_metrics, status);
	}
}

static void write_metrics(hpa1 *to, const hpa2 *v2, struct arena *a)
{
	struct buf others;

	buf_init(&others, ANNOTATION_MAX);
	for (size_t i = 0; i < v2->spec.metrics.n; i++) {
		const struct autoscaling_v2_metric_spec *m = &v2->spec.metrics.v[i];
		struct autoscaling_v1_metric_spec spec;

		if (is_cpu_percent(m)) {
			if (!to->spec.target_cpu_utilization_percentage)
				to->spec.target_cpu_utilization_percentage =
					m->resource->target.average_utilization;
			continue;
		}
		metric_down(&spec, m, a);
		add_item(&others, &autoscaling_v1_metric_spec_schema, &spec);
	}
	annotate_list(a, &to->metadata.annotations, METRICS, &others);
}

static void write_status(hpa1 *to, const hpa2 *v2, struct arena *a)
{
	struct buf statuses, conditions;

	buf_init(&statuses, ANNOTATION_MAX);
	buf_init(&conditions, ANNOTATION_MAX);
	for (size_t i = 0; i < v2->status.current_metrics.n; i++) {
		const struct autoscaling_v2_metric_status *m = &v2->status.current_metrics.v[i];
		struct autoscaling_v1_metric_status status;

		if (m->resource && str_eqc(m->resource->name, "cpu") &&
			m->resource->current.average_utilization)
			to->status.current_cpu_utilization_percentage =
				m->resource->current.average_utilization;
		status_down(&status, m, a);
		add_item(&statuses, &autoscaling_v1_metric_status_schema, &status);
	}
	for (size_t i = 0; i < v2->status.conditions.n; i++)
		add_item(&conditions, &autoscaling_v2_horizontal_pod_autoscaler_condition_schema,
			&v2->status.conditions.v[i]);
	annotate_list(a, &to->metadata.annotations, CURRENT_METRICS, &statuses);
	annotate_list(a, &to->metadata.annotations, CONDITIONS, &conditions);
}

void hpa_down(const void *from, void *ret, struct arena *a)
{
	const hpa2 *v2 = from;
	hpa1 *v1 = ret;

	v1->metadata = v2->metadata;
	v1->metadata.annotations = without_ours(a, &v2->metadata.annotations);
	v1->spec.scale_target_ref = reference_down(&v2->spec.scale_target_ref);
	v1->spec.min_replicas = v2->spec.min_replicas;
	v1->spec.max_replicas = v2->spec.max_replicas;
	v1->status.observed_generation = v2->status.observed_generation;
	v1->status.last_scale_time = v2->status.last_scale_time;
	v1->status.current_replicas = v2->status.current_replicas;
	v1->status.desired_replicas = v2->status.desired_replicas;
	write_metrics(v1, v2, a);
	write_status(v1, v2, a);
	if (v2->spec.behavior)
		annotate(a, &v1->metadata.annotations, BEHAVIOR,
			go_json(a, &autoscaling_v2_horizontal_pod_autoscaler_behavior_schema,
				v2->spec.behavior));
}
