/* replication_controller.c: replication controllers (pkg/registry/core/replicationcontroller). */
#include "api/selector.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"

static void rc_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_replication_controller *rc = obj;
	struct v1_pod_template_spec *t = rc->spec.template;

	if (!t)
		return;
	if (t->metadata.labels.v && rc->spec.selector.n == 0)
		rc->spec.selector = t->metadata.labels;
	if (t->metadata.labels.v && rc->metadata.labels.n == 0)
		rc->metadata.labels = t->metadata.labels;
	default_pod_spec(&t->spec, ctx->arena);
}

static void rc_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_replication_controller *rc = obj;

	rc->status = (struct v1_replication_controller_status){0};
	if (rc->spec.template)
		drop_disabled_pod_fields(&rc->spec.template->spec, NULL);
}

static void rc_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_replication_controller *was = old;
	struct v1_replication_controller *rc = obj;

	if (is_status(ctx)) {
		rc->spec = was->spec;
		return;
	}
	rc->status = was->status;
	if (rc->spec.template)
		drop_disabled_pod_fields(&rc->spec.template->spec,
			was->spec.template ? &was->spec.template->spec : NULL);
}

static void validate_template(struct strategy_ctx *ctx,
	const struct v1_replication_controller_spec *spec, const struct field_path *p,
	struct field_errors *e)
{
	const struct v1_pod_template_spec *t = spec->template;
	struct label_selector selector = label_selector_from_map(&spec->selector, e->arena);
	struct field_path meta = FIELD(p, "metadata");

	if (!t) {
		field_required(e, p, "");
		return;
	}
	if (!label_selector_is_empty(&selector) &&
		!label_selector_matches(&selector, &t->metadata.labels))
		field_invalid_raw(e, AT(&meta, "labels"),
			str_map_json(e->arena, &t->metadata.labels),
			"`selector` does not match template `labels`");
	validate_pod_template_spec(t, p, pod_opts_of(ctx, false), e);
	validate_restart_always(t, "ReplicationController", p, e);
}

static void validate_spec(struct strategy_ctx *ctx,
	const struct v1_replication_controller_spec *spec, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");

	validate_nonnegative(spec->min_ready_seconds, AT(&p, "minReadySeconds"), e);
	if (spec->selector.n == 0)
		field_required(e, AT(&p, "selector"), "");
	if (!spec->replicas)
		field_required(e, AT(&p, "replicas"), "");
	else
		validate_nonnegative(*spec->replicas, AT(&p, "replicas"), e);
	validate_template(ctx, spec, AT(&p, "template"), e);
}

static void rc_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_replication_controller *rc = obj;

	validate_spec(ctx, &rc->spec, e);
}

static void validate_status(
	const struct v1_replication_controller_status *s, struct field_errors *e)
{
	struct replica_count counts[] = {
		{"replicas", s->replicas, false},
		{"fullyLabeledReplicas", s->fully_labeled_replicas, true},
		{"readyReplicas", s->ready_replicas, true},
		{"availableReplicas", s->available_replicas, true},
		{"observedGeneration", s->observed_generation, false},
	};

	validate_replica_counts(counts, ARRAY_SIZE(counts), s->replicas, s->ready_replicas,
		s->available_replicas, e);
}

static void rc_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_replication_controller *rc = obj;

	if (is_status(ctx))
		validate_status(&rc->status, e);
	else
		validate_spec(ctx, &rc->spec, e);
}

static void rc_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_replication_controller *rc = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	if (!old)
		warn_pod_names(ctx, rc->metadata.name, "Pod names and hostnames");
	/* On an update upstream looks at the old template. */
	if (!old && rc->spec.template)
		warn_template(ctx, rc->spec.template, AT(&spec, "template"));
	else if (old && rc->metadata.generation != was->metadata.generation && was->spec.template)
		warn_template(ctx, was->spec.template, AT(&spec, "template"));
}

const struct strategy replication_controller_strategy = {
	.resource = &v1_replication_controller_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = rc_default,
	.prepare_create = rc_prepare_create,
	.prepare_update = rc_prepare_update,
	.validate = rc_validate,
	.validate_update = rc_validate_update,
	.warn = rc_warn,
	.table_row = print_replication_controller,
};
