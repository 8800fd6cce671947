/* event.c: events, seen as core/v1 and as events.k8s.io/v1 (pkg/apis/core/validation/events.go). */
#include <time.h>

#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

enum { SHORT_MAX = 128, NOTE_MAX = 1024 };

static bool is_legacy(const struct strategy_ctx *ctx)
{
	return ctx->addressed == NULL || ctx->addressed->group[0] == 0;
}

static void field_name(struct field_path *p, const char *name)
{
	*p = (struct field_path){.name = str_c(name)};
}

static void require_short(struct str v, const char *name, struct field_errors *e)
{
	struct field_path p;

	field_name(&p, name);
	if (v.n == 0)
		field_required(e, &p, "");
	if (v.n > SHORT_MAX)
		field_invalid(e, &p, S(""), "can have at most %d characters", SHORT_MAX);
}

static void validate_new_style(const struct v1_event *ev, bool legacy, struct field_errors *e)
{
	struct field_path p;

	field_name(&p, legacy ? "reportingComponent" : "reportingController");
	if (ev->reporting_component.n == 0)
		field_required(e, &p, "");
	validate_qualified_name(ev->reporting_component, &p, e);
	require_short(ev->reporting_instance, "reportingInstance", e);
	require_short(ev->action, "action", e);
	require_short(ev->reason, "reason", e);
	if (ev->message.n > NOTE_MAX)
		field_invalid(
			e, AT(NULL, "message"), S(""), "can have at most %d characters", NOTE_MAX);
}

/* What holds in every version. */
static void validate_common(const struct v1_event *ev, bool legacy, struct field_errors *e)
{
	struct field_path object = FIELD(NULL, "involvedObject");
	struct str ns = ev->metadata.namespace, of = ev->involved_object.namespace;
	bool fits = of.n ? ev->event_time.set || str_eq(ns, of)
			 : ns.n == 0 || str_eqc(ns, "default") ||
				    (ev->event_time.set && str_eqc(ns, "kube-system"));

	if (!fits)
		field_invalid(e, AT(&object, "namespace"), of, "does not match event.namespace");
	if (ev->event_time.set)
		validate_new_style(ev, legacy, e);
	validate_dns1123_subdomain(ns, AT(NULL, "namespace"), e);
}

static void validate_series(const struct v1_event *ev, struct field_errors *e)
{
	if (!ev->series)
		return;
	if (ev->series->count < 2)
		field_invalid(e, AT(NULL, "series.count"), S(""), "should be at least 2");
	if (!ev->series->last_observed_time.set)
		field_required(e, AT(NULL, "series.lastObservedTime"), "");
}

static void must_be_unset(bool set, const char *name, struct field_errors *e)
{
	struct field_path p;

	field_name(&p, name);
	if (set)
		field_invalid(e, &p, S(""), "needs to be unset");
}

static void event_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_event *ev = obj;

	validate_common(ev, is_legacy(ctx), e);
	if (is_legacy(ctx))
		return;
	revalidate_meta(ctx, &ev->metadata, e);
	validate_series(ev, e);
	if (!ev->event_time.set)
		field_required(e, AT(NULL, "eventTime"), "");
	if (!str_eqc(ev->type, "Normal") && !str_eqc(ev->type, "Warning"))
		field_invalid(e, AT(NULL, "type"), S(""), "has invalid value: " STR_FMT,
			STR_ARG(ev->type));
	must_be_unset(ev->first_timestamp.set, "firstTimestamp", e);
	must_be_unset(ev->last_timestamp.set, "lastTimestamp", e);
	must_be_unset(ev->count != 0, "count", e);
	must_be_unset(ev->source.component.n || ev->source.host.n, "source", e);
}

static void keep(bool same, struct str text, const char *name, struct field_errors *e)
{
	struct field_path p;

	field_name(&p, name);
	if (!same)
		field_invalid_raw(e, &p, text, "field is immutable");
}

static void keep_str(struct str now, struct str old, const char *name, struct field_errors *e)
{
	keep(str_eq(now, old), go_quote(e->arena, now), name, e);
}

static void keep_struct(const struct schema_type *type, const void *now, const void *old,
	const char *name, struct field_errors *e)
{
	bool same = now && old ? schema_equal(type, now, old) : !now && !old;

	keep(same, now ? go_json(e->arena, type, now) : S("null"), name, e);
}

static struct str time_json(struct arena *a, const struct k8s_time *t)
{
	struct tm tm;
	time_t sec = (time_t)t->sec;

	if (!t->set || !gmtime_r(&sec, &tm))
		return S("null");
	return arena_fmt(a, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void keep_time(const struct k8s_time *now, const struct k8s_time *old, const char *name,
	struct field_errors *e)
{
	keep(now->set == old->set && now->sec == old->sec && now->nsec / 1000 == old->nsec / 1000,
		time_json(e->arena, now), name, e);
}

static void validate_kept(
	const struct v1_event *ev, const struct v1_event *was, struct field_errors *e)
{
	const struct schema_type *ref = &v1_object_reference_schema;

	keep_struct(ref, &ev->involved_object, &was->involved_object, "involvedObject", e);
	keep_str(ev->reason, was->reason, "reason", e);
	keep_str(ev->message, was->message, "message", e);
	keep_struct(&v1_event_source_schema, &ev->source, &was->source, "source", e);
	keep_time(&ev->first_timestamp, &was->first_timestamp, "firstTimestamp", e);
	keep_time(&ev->last_timestamp, &was->last_timestamp, "lastTimestamp", e);
	keep(ev->count == was->count, arena_fmt(e->arena, "%d", ev->count), "count", e);
	keep_str(ev->reason, was->reason, "reason", e);
	keep_str(ev->type, was->type, "type", e);
	keep_time(&ev->event_time, &was->event_time, "eventTime", e);
	keep_str(ev->action, was->action, "action", e);
	keep_struct(ref, ev->related, was->related, "related", e);
	keep_str(ev->reporting_component, was->reporting_component, "reportingController", e);
	keep_str(ev->reporting_instance, was->reporting_instance, "reportingInstance", e);
}

static bool series_equal(const struct v1_event *a, const struct v1_event *b)
{
	if (!a->series || !b->series)
		return a->series == b->series;
	return schema_equal(&v1_event_series_schema, a->series, b->series);
}

static void event_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_event *ev = obj, *was = old;

	validate_common(ev, is_legacy(ctx), e);
	if (is_legacy(ctx))
		return;
	if (!series_equal(ev, was))
		validate_series(ev, e);
	validate_kept(ev, was, e);
}

const struct strategy event_strategy = {
	.resource = &v1_event_resource,
	.create_on_update = true,
	.name_errors = name_is_anything,
	.validate = event_validate,
	.validate_update = event_validate_update,
	.table_row = print_event,
};
