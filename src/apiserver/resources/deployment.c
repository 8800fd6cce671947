/* deployment.c: deployments (pkg/registry/apps/deployment, pkg/apis/apps/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"

static struct int_or_string *percent(struct arena *a, const char *text)
{
	struct int_or_string *v = ARENA_NEW(a, struct int_or_string);

	v->is_string = true;
	v->s = str_c(text);
	return v;
}

static void deployment_default(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_deployment *d = obj;
	struct apps_v1_deployment_strategy *st = &d->spec.strategy;

	if (str_eqc(st->type, "RollingUpdate")) {
		if (!st->rolling_update)
			st->rolling_update =
				ARENA_NEW(ctx->arena, struct apps_v1_rolling_update_deployment);
		if (!st->rolling_update->max_unavailable)
			st->rolling_update->max_unavailable = percent(ctx->arena, "25%");
		if (!st->rolling_update->max_surge)
			st->rolling_update->max_surge = percent(ctx->arena, "25%");
	}
	default_pod_spec(&d->spec.template.spec, ctx->arena);
}

static void deployment_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_deployment *d = obj;

	d->status = (struct apps_v1_deployment_status){0};
	drop_disabled_pod_fields(&d->spec.template.spec, NULL);
}

static bool annotations_equal(const struct str_map *a, const struct str_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static void deployment_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct apps_v1_deployment *was = old;
	struct apps_v1_deployment *d = obj;

	if (is_status(ctx)) {
		d->spec = was->spec;
		d->metadata.labels = was->metadata.labels;
		return;
	}
	d->status = was->status;
	drop_disabled_pod_fields(&d->spec.template.spec, &was->spec.template.spec);
	if (!annotations_equal(&d->metadata.annotations, &was->metadata.annotations) ||
		!schema_equal(&apps_v1_deployment_spec_schema, &d->spec, &was->spec))
		d->metadata.generation = was->metadata.generation + 1;
}

static void validate_rolling_update(const struct apps_v1_rolling_update_deployment *r,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path unavailable = FIELD(p, "maxUnavailable"), surge = FIELD(p, "maxSurge");

	validate_int_or_percent(r->max_unavailable, &unavailable, e);
	validate_int_or_percent(r->max_surge, &surge, e);
	if (int_or_percent_value(r->max_unavailable) == 0 &&
		int_or_percent_value(r->max_surge) == 0)
		field_invalid_int_or_string(
			e, &unavailable, r->max_unavailable, "may not be 0 when `maxSurge` is 0");
	validate_max_100_percent(r->max_unavailable, &unavailable, e);
}

/* As Go shows the internal struct, whose rollingUpdate has no pointers. */
static struct str strategy_json(struct arena *a, const struct apps_v1_deployment_strategy *st)
{
	struct str type = go_quote(a, st->type), update = S("null");

	if (st->rolling_update)
		update = go_json(a, &apps_v1_rolling_update_deployment_schema, st->rolling_update);
	return arena_fmt(a, "{\"Type\":" STR_FMT ",\"RollingUpdate\":" STR_FMT "}", STR_ARG(type),
		STR_ARG(update));
}

static void validate_strategy(const struct apps_v1_deployment_strategy *st,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path update = FIELD(p, "rollingUpdate");

	if (str_eqc(st->type, "Recreate")) {
		if (st->rolling_update)
			field_forbidden(e, &update,
				"may not be specified when strategy `type` is 'Recreate'");
	} else if (str_eqc(st->type, "RollingUpdate")) {
		validate_rolling_update(st->rolling_update, &update, e);
	} else {
		field_add(e, FIELD_NOT_SUPPORTED, p, strategy_json(e->arena, st),
			"supported values: \"Recreate\", \"RollingUpdate\"");
	}
}

static void validate_spec(struct strategy_ctx *ctx, const struct apps_v1_deployment_spec *spec,
	struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");

	validate_nonnegative(spec->replicas ? *spec->replicas : 0, AT(&p, "replicas"), e);
	validate_selector_and_template(ctx, spec->selector, &spec->template, &p, e);
	validate_strategy(&spec->strategy, AT(&p, "strategy"), e);
	validate_nonnegative(spec->min_ready_seconds, AT(&p, "minReadySeconds"), e);
	if (spec->revision_history_limit)
		validate_nonnegative(
			*spec->revision_history_limit, AT(&p, "revisionHistoryLimit"), e);
	if (!spec->progress_deadline_seconds)
		return;
	validate_nonnegative(
		*spec->progress_deadline_seconds, AT(&p, "progressDeadlineSeconds"), e);
	if (*spec->progress_deadline_seconds <= spec->min_ready_seconds)
		field_invalid_int(e, AT(&p, "progressDeadlineSeconds"),
			*spec->progress_deadline_seconds, "must be greater than minReadySeconds");
}

static void deployment_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct apps_v1_deployment *d = obj;

	validate_spec(ctx, &d->spec, e);
}

static void validate_status(const struct apps_v1_deployment_status *s,
	const struct apps_v1_deployment_status *old, struct field_errors *e)
{
	struct replica_count counts[] = {
		{"observedGeneration", s->observed_generation, false},
		{"replicas", s->replicas, false},
		{"updatedReplicas", s->updated_replicas, true},
		{"readyReplicas", s->ready_replicas, true},
		{"availableReplicas", s->available_replicas, true},
		{"unavailableReplicas", s->unavailable_replicas, false},
		{"terminatingReplicas", s->terminating_replicas ? *s->terminating_replicas : 0,
			false},
		{"collisionCount", s->collision_count ? *s->collision_count : 0, false},
	};

	validate_replica_counts(counts, ARRAY_SIZE(counts), s->replicas, s->ready_replicas,
		s->available_replicas, e);
	validate_collision_count(s->collision_count, old->collision_count, e);
}

static void deployment_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct apps_v1_deployment *d = obj, *was = old;

	if (is_status(ctx)) {
		validate_status(&d->status, &was->status, e);
		return;
	}
	validate_spec(ctx, &d->spec, e);
	validate_selector_kept(d->spec.selector, was->spec.selector, e);
}

static void deployment_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct apps_v1_deployment *d = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	if (!old)
		warn_pod_names(ctx, d->metadata.name, "Pod names and hostnames");
	if (!old || d->metadata.generation != was->metadata.generation)
		warn_template(ctx, &d->spec.template, AT(&spec, "template"));
}

const struct strategy deployment_strategy = {
	.resource = &apps_v1_deployment_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = deployment_default,
	.prepare_create = deployment_prepare_create,
	.prepare_update = deployment_prepare_update,
	.validate = deployment_validate,
	.validate_update = deployment_validate_update,
	.warn = deployment_warn,
	.table_row = print_deployment,
};
