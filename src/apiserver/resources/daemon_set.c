/* daemon_set.c: daemon sets (pkg/registry/apps/daemonset, pkg/apis/apps/validation). */
#include "api/selector.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"

#define GENERATION_ANNOTATION "deprecated.daemonset.template.generation"

static struct int_or_string *number(struct arena *a, int32_t n)
{
	struct int_or_string *v = ARENA_NEW(a, struct int_or_string);

	v->i = n;
	return v;
}

static void ds_default(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_daemon_set *ds = obj;
	struct apps_v1_daemon_set_update_strategy *st = &ds->spec.update_strategy;

	if (str_eqc(st->type, "RollingUpdate")) {
		if (!st->rolling_update)
			st->rolling_update =
				ARENA_NEW(ctx->arena, struct apps_v1_rolling_update_daemon_set);
		if (!st->rolling_update->max_unavailable)
			st->rolling_update->max_unavailable = number(ctx->arena, 1);
		if (!st->rolling_update->max_surge)
			st->rolling_update->max_surge = number(ctx->arena, 0);
	}
	default_pod_spec(&ds->spec.template.spec, ctx->arena);
}

/* The counter of the template's changes, which apps/v1 keeps in an annotation; never below one. */
static void set_generation(struct strategy_ctx *ctx, struct apps_v1_daemon_set *ds, int64_t n)
{
	struct str_map annotations = {0};

	for (size_t i = 0; i < ds->metadata.annotations.n; i++)
		str_map_put(ctx->arena, &annotations, ds->metadata.annotations.v[i].key,
			ds->metadata.annotations.v[i].value);
	str_map_put(ctx->arena, &annotations, S(GENERATION_ANNOTATION),
		arena_fmt(ctx->arena, "%lld", (long long)(n < 1 ? 1 : n)));
	ds->metadata.annotations = annotations;
}

static int64_t get_generation(const struct apps_v1_daemon_set *ds)
{
	const struct str *v = str_map_get(&ds->metadata.annotations, S(GENERATION_ANNOTATION));
	int64_t n = 0;

	return v && str_to_i64(*v, &n) == 0 ? n : 0;
}

static void ds_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_daemon_set *ds = obj;

	ds->status = (struct apps_v1_daemon_set_status){0};
	drop_disabled_pod_fields(&ds->spec.template.spec, NULL);
	set_generation(ctx, ds, get_generation(ds));
}

static void ds_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct apps_v1_daemon_set *was = old;
	struct apps_v1_daemon_set *ds = obj;

	if (is_status(ctx)) {
		ds->spec = was->spec;
		set_generation(ctx, ds, get_generation(was));
		return;
	}
	ds->status = was->status;
	drop_disabled_pod_fields(&ds->spec.template.spec, &was->spec.template.spec);
	set_generation(ctx, ds,
		get_generation(was) + !schema_equal(&v1_pod_template_spec_schema,
					      &ds->spec.template, &was->spec.template));
}

static void validate_rolling_update(const struct apps_v1_rolling_update_daemon_set *r,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path unavailable = FIELD(p, "maxUnavailable"), surge = FIELD(p, "maxSurge");
	bool some_unavailable = int_or_percent_value(r->max_unavailable) != 0;
	bool some_surge = int_or_percent_value(r->max_surge) != 0;

	validate_int_or_percent(r->max_unavailable, &unavailable, e);
	validate_int_or_percent(r->max_surge, &surge, e);
	validate_max_100_percent(r->max_unavailable, &unavailable, e);
	validate_max_100_percent(r->max_surge, &surge, e);
	if (some_unavailable && some_surge)
		field_invalid_int_or_string(
			e, &surge, r->max_surge, "may not be set when maxUnavailable is non-zero");
	else if (!some_unavailable && !some_surge)
		field_required(e, &unavailable, "cannot be 0 when maxSurge is 0");
}

static void validate_update_strategy(const struct apps_v1_daemon_set_update_strategy *st,
	const struct field_path *p, struct field_errors *e)
{
	struct str update = S("null");

	if (str_eqc(st->type, "OnDelete"))
		return;
	if (str_eqc(st->type, "RollingUpdate")) {
		validate_rolling_update(st->rolling_update, AT(p, "rollingUpdate"), e);
		return;
	}
	if (st->rolling_update)
		update = go_json(
			e->arena, &apps_v1_rolling_update_daemon_set_schema, st->rolling_update);
	field_add(e, FIELD_NOT_SUPPORTED, p,
		arena_fmt(e->arena, "{\"Type\":" STR_FMT ",\"RollingUpdate\":" STR_FMT "}",
			STR_ARG(go_quote(e->arena, st->type)), STR_ARG(update)),
		"supported values: \"RollingUpdate\", \"OnDelete\"");
}

static void validate_selector(const struct apps_v1_daemon_set_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	const struct meta_v1_label_selector *s = spec->selector;
	struct field_path selector = FIELD(p, "selector"), template = FIELD(p, "template");
	struct field_path meta = FIELD(&template, "metadata");
	struct label_selector parsed;

	if (s)
		validate_label_selector(s, &selector, e);
	/* No selector matches nothing, an empty one everything. */
	if (!s || (label_selector_from(s, e->arena, &parsed, NULL) == 0 &&
			  !label_selector_matches(&parsed, &spec->template.metadata.labels)))
		field_invalid_raw(e, AT(&meta, "labels"),
			str_map_json(e->arena, &spec->template.metadata.labels),
			"`selector` does not match template `labels`");
	if (s && s->match_labels.n + s->match_expressions.n == 0)
		field_invalid_raw(e, &selector,
			go_json(e->arena, &meta_v1_label_selector_schema, s),
			"empty selector is invalid for daemonset");
}

static void validate_spec(struct strategy_ctx *ctx, const struct apps_v1_daemon_set_spec *spec,
	struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), template = FIELD(&p, "template");

	validate_selector(spec, &p, e);
	validate_pod_template_spec(&spec->template, &template, pod_opts_of(ctx, false), e);
	validate_restart_always(&spec->template, "DaemonSet", &template, e);
	validate_nonnegative(spec->min_ready_seconds, AT(&p, "minReadySeconds"), e);
	validate_update_strategy(&spec->update_strategy, AT(&p, "updateStrategy"), e);
	if (spec->revision_history_limit)
		validate_nonnegative(
			*spec->revision_history_limit, AT(&p, "revisionHistoryLimit"), e);
}

static void ds_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct apps_v1_daemon_set *ds = obj;

	validate_spec(ctx, &ds->spec, e);
}

static void validate_status(const struct apps_v1_daemon_set_status *s,
	const struct apps_v1_daemon_set_status *old, struct field_errors *e)
{
	int32_t collisions = s->collision_count ? *s->collision_count : 0;
	struct replica_count counts[] = {
		{"currentNumberScheduled", s->current_number_scheduled, false},
		{"numberMisscheduled", s->number_misscheduled, false},
		{"desiredNumberScheduled", s->desired_number_scheduled, false},
		{"numberReady", s->number_ready, false},
		{"observedGeneration", s->observed_generation, false},
		{"updatedNumberScheduled", s->updated_number_scheduled, false},
		{"numberAvailable", s->number_available, false},
		{"numberUnavailable", s->number_unavailable, false},
		{"collisionCount", collisions, false},
	};

	validate_replica_counts(counts, ARRAY_SIZE(counts), 0, 0, 0, e);
	validate_collision_count(s->collision_count, old->collision_count, e);
}

static void ds_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct apps_v1_daemon_set *ds = obj, *was = old;

	if (is_status(ctx)) {
		validate_status(&ds->status, &was->status, e);
		return;
	}
	validate_selector_kept(ds->spec.selector, was->spec.selector, e);
	validate_spec(ctx, &ds->spec, e);
}

static void ds_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct apps_v1_daemon_set *ds = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	if (!old || !schema_equal(
			    &v1_pod_template_spec_schema, &ds->spec.template, &was->spec.template))
		warn_template(ctx, &ds->spec.template, AT(&spec, "template"));
}

const struct strategy daemon_set_strategy = {
	.resource = &apps_v1_daemon_set_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = ds_default,
	.prepare_create = ds_prepare_create,
	.prepare_update = ds_prepare_update,
	.validate = ds_validate,
	.validate_update = ds_validate_update,
	.warn = ds_warn,
	.table_row = print_daemon_set,
};
