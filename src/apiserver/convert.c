#include "apiserver/convert.h"

#include "apiserver/convert_int.h"

static void event_to_core(const void *from, void *to, struct arena *a)
{
	const struct events_v1_event *e = from;
	struct v1_event *c = to;

	c->metadata = e->metadata;
	c->event_time = e->event_time;
	c->reporting_component = e->reporting_controller;
	c->reporting_instance = e->reporting_instance;
	c->action = e->action;
	c->reason = e->reason;
	c->involved_object = e->regarding;
	c->related = e->related;
	c->message = e->note;
	c->type = e->type;
	c->source = e->deprecated_source;
	c->first_timestamp = e->deprecated_first_timestamp;
	c->last_timestamp = e->deprecated_last_timestamp;
	c->count = e->deprecated_count;
	if (e->series) {
		c->series = ARENA_NEW(a, struct v1_event_series);
		c->series->count = e->series->count;
		c->series->last_observed_time = e->series->last_observed_time;
	}
}

static void event_from_core(const void *from, void *to, struct arena *a)
{
	const struct v1_event *c = from;
	struct events_v1_event *e = to;

	e->metadata = c->metadata;
	e->event_time = c->event_time;
	e->reporting_controller = c->reporting_component;
	e->reporting_instance = c->reporting_instance;
	e->action = c->action;
	e->reason = c->reason;
	e->regarding = c->involved_object;
	e->related = c->related;
	e->note = c->message;
	e->type = c->type;
	e->deprecated_source = c->source;
	e->deprecated_first_timestamp = c->first_timestamp;
	e->deprecated_last_timestamp = c->last_timestamp;
	e->deprecated_count = c->count;
	if (c->series) {
		e->series = ARENA_NEW(a, struct events_v1_event_series);
		e->series->count = c->series->count;
		e->series->last_observed_time = c->series->last_observed_time;
	}
}

static const struct {
	const struct schema_resource *from, *to;
	convert_fn *fn;
} conversions[] = {
	{&events_v1_event_resource, &v1_event_resource, event_to_core},
	{&v1_event_resource, &events_v1_event_resource, event_from_core},
	{&autoscaling_v1_horizontal_pod_autoscaler_resource,
		&autoscaling_v2_horizontal_pod_autoscaler_resource, hpa_up},
	{&autoscaling_v2_horizontal_pod_autoscaler_resource,
		&autoscaling_v1_horizontal_pod_autoscaler_resource, hpa_down},
};

static convert_fn *find(const struct schema_resource *from, const struct schema_resource *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(conversions); i++)
		if (conversions[i].from == from && conversions[i].to == to)
			return conversions[i].fn;
	return NULL;
}

bool convert_exists(const struct schema_resource *from, const struct schema_resource *to)
{
	return from == to || find(from, to);
}

int convert(const struct schema_resource *from, void *typed, const struct schema_resource *to,
	struct arena *a, void **ret, struct err *err)
{
	convert_fn *fn;

	if (from == to) {
		*ret = typed;
		return 0;
	}
	fn = find(from, to);
	if (!fn)
		return err_internal(
			err, "no conversion from %s to %s", from->type->go_name, to->type->go_name);
	*ret = arena_alloc(a, to->type->size);
	fn(typed, *ret, a);
	return 0;
}
