/* replica_set.c: replica sets (pkg/registry/apps/replicaset, pkg/apis/apps/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"

static void rs_default(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_replica_set *rs = obj;

	default_pod_spec(&rs->spec.template.spec, ctx->arena);
}

static void rs_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_replica_set *rs = obj;

	rs->status = (struct apps_v1_replica_set_status){0};
	drop_disabled_pod_fields(&rs->spec.template.spec, NULL);
}

static void rs_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct apps_v1_replica_set *was = old;
	struct apps_v1_replica_set *rs = obj;

	if (is_status(ctx)) {
		rs->spec = was->spec;
		return;
	}
	rs->status = was->status;
	drop_disabled_pod_fields(&rs->spec.template.spec, &was->spec.template.spec);
}

static void validate_spec(struct strategy_ctx *ctx, const struct apps_v1_replica_set_spec *spec,
	struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");

	validate_nonnegative(spec->replicas ? *spec->replicas : 0, AT(&p, "replicas"), e);
	validate_nonnegative(spec->min_ready_seconds, AT(&p, "minReadySeconds"), e);
	validate_selector_and_template(ctx, spec->selector, &spec->template, &p, e);
}

static void rs_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct apps_v1_replica_set *rs = obj;

	validate_spec(ctx, &rs->spec, e);
}

static void validate_status(const struct apps_v1_replica_set_status *s, struct field_errors *e)
{
	struct replica_count counts[] = {
		{"replicas", s->replicas, false},
		{"fullyLabeledReplicas", s->fully_labeled_replicas, true},
		{"readyReplicas", s->ready_replicas, true},
		{"availableReplicas", s->available_replicas, true},
		{"observedGeneration", s->observed_generation, false},
		{"terminatingReplicas", s->terminating_replicas ? *s->terminating_replicas : 0,
			false},
	};

	validate_replica_counts(counts, ARRAY_SIZE(counts), s->replicas, s->ready_replicas,
		s->available_replicas, e);
}

static void rs_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct apps_v1_replica_set *rs = obj, *was = old;

	if (is_status(ctx)) {
		validate_status(&rs->status, e);
		return;
	}
	validate_spec(ctx, &rs->spec, e);
	validate_selector_kept(rs->spec.selector, was->spec.selector, e);
}

static void rs_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct apps_v1_replica_set *rs = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	if (!old)
		warn_pod_names(ctx, rs->metadata.name, "Pod names and hostnames");
	if (!old || rs->metadata.generation != was->metadata.generation)
		warn_template(ctx, &rs->spec.template, AT(&spec, "template"));
}

const struct strategy replica_set_strategy = {
	.resource = &apps_v1_replica_set_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = rs_default,
	.prepare_create = rs_prepare_create,
	.prepare_update = rs_prepare_update,
	.validate = rs_validate,
	.validate_update = rs_validate_update,
	.warn = rs_warn,
	.table_row = print_replica_set,
};
