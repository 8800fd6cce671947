/* stateful_set.c: stateful sets (pkg/registry/apps/statefulset, pkg/apis/apps/validation). */
#include "api/selector.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/workload.h"
#include "apiserver/validation/storage.h"

/* What an update does not check again because it cannot have changed, or was wrong before. */
struct set_opts {
	bool any_service_name, skip_claims, skip_template;
};

static void set_default(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_stateful_set *set = obj;
	struct apps_v1_stateful_set_update_strategy *st = &set->spec.update_strategy;

	if (st->type.n == 0) {
		st->type = S("RollingUpdate");
		if (!st->rolling_update)
			st->rolling_update = ARENA_NEW(
				ctx->arena, struct apps_v1_rolling_update_stateful_set_strategy);
	}
	if (str_eqc(st->type, "RollingUpdate") && st->rolling_update &&
		!st->rolling_update->partition)
		st->rolling_update->partition = ARENA_NEW(ctx->arena, int32_t);
	default_pod_spec(&set->spec.template.spec, ctx->arena);
	for (size_t i = 0; i < set->spec.volume_claim_templates.n; i++) {
		struct v1_persistent_volume_claim *c = &set->spec.volume_claim_templates.v[i];
		default_resource_list(&c->spec.resources.limits, ctx->arena);
		default_resource_list(&c->spec.resources.requests, ctx->arena);
	}
}

/* spec.updateStrategy.rollingUpdate.maxUnavailable is behind a feature that is off. */
static void drop_disabled(struct apps_v1_stateful_set *set, const struct apps_v1_stateful_set *old)
{
	struct apps_v1_rolling_update_stateful_set_strategy *r =
		set->spec.update_strategy.rolling_update;
	bool used = old && old->spec.update_strategy.rolling_update &&
		    old->spec.update_strategy.rolling_update->max_unavailable;

	if (r && !used)
		r->max_unavailable = NULL;
	drop_disabled_pod_fields(&set->spec.template.spec, old ? &old->spec.template.spec : NULL);
}

static void set_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct apps_v1_stateful_set *set = obj;

	set->status = (struct apps_v1_stateful_set_status){0};
	drop_disabled(set, NULL);
	/* Claims in the set say what they are. */
	for (size_t i = 0; i < set->spec.volume_claim_templates.n; i++) {
		set->spec.volume_claim_templates.v[i].api_version = S("v1");
		set->spec.volume_claim_templates.v[i].kind = S("PersistentVolumeClaim");
	}
}

static void set_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct apps_v1_stateful_set *was = old;
	struct apps_v1_stateful_set *set = obj;

	if (is_status(ctx)) {
		set->spec = was->spec;
		return;
	}
	set->status = was->status;
	drop_disabled(set, was);
	for (size_t i = 0; i < set->spec.volume_claim_templates.n; i++) {
		set->spec.volume_claim_templates.v[i].api_version = S("v1");
		set->spec.volume_claim_templates.v[i].kind = S("PersistentVolumeClaim");
	}
}

static void validate_rolling_update(const struct apps_v1_rolling_update_stateful_set_strategy *r,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path unavailable = FIELD(p, "maxUnavailable");

	validate_nonnegative(r->partition ? *r->partition : 0, AT(p, "partition"), e);
	if (!r->max_unavailable)
		return;
	validate_int_or_percent(r->max_unavailable, &unavailable, e);
	if (int_or_percent_value(r->max_unavailable) == 0)
		field_invalid_int_or_string(e, &unavailable, r->max_unavailable, "cannot be 0");
	validate_max_100_percent(r->max_unavailable, &unavailable, e);
}

static void validate_update_strategy(const struct apps_v1_stateful_set_update_strategy *st,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path update = FIELD(p, "rollingUpdate");
	const struct schema_type *type = &apps_v1_rolling_update_stateful_set_strategy_schema;
	struct str text = S("null");

	if (st->rolling_update)
		text = go_json(e->arena, type, st->rolling_update);
	if (st->type.n == 0) {
		field_required(e, p, "");
	} else if (str_eqc(st->type, "OnDelete")) {
		if (st->rolling_update)
			field_invalid_raw(e, &update, text,
				"only allowed for updateStrategy 'RollingUpdate'");
	} else if (str_eqc(st->type, "RollingUpdate")) {
		if (st->rolling_update)
			validate_rolling_update(st->rolling_update, &update, e);
	} else {
		field_invalid_raw(e, p,
			arena_fmt(e->arena, "{\"Type\":" STR_FMT ",\"RollingUpdate\":" STR_FMT "}",
				STR_ARG(go_quote(e->arena, st->type)), STR_ARG(text)),
			"must be 'RollingUpdate' or 'OnDelete'");
	}
}

/* The template as its pods will be: the controller sets the names, and adds the claims' volumes. */
static struct v1_pod_template_spec as_pods_get_it(
	const struct apps_v1_stateful_set_spec *spec, struct arena *a)
{
	struct v1_pod_template_spec t = spec->template;
	const struct v1_volume_vec *own = &spec->template.spec.volumes;
	struct v1_volume_vec volumes = {0};
	struct str_vec claims = {0};

	t.spec.subdomain = t.spec.hostname = (struct str){0};
	for (size_t i = 0; i < spec->volume_claim_templates.n; i++) {
		struct v1_volume v = {.name = spec->volume_claim_templates.v[i].metadata.name};
		if (str_vec_has(&claims, v.name))
			continue;
		ARENA_PUSH(a, &claims, v.name);
		v.persistent_volume_claim =
			ARENA_NEW(a, struct v1_persistent_volume_claim_volume_source);
		v.persistent_volume_claim->claim_name = v.name;
		ARENA_PUSH(a, &volumes, v);
	}
	for (size_t i = 0; i < own->n; i++)
		if (!str_vec_has(&claims, own->v[i].name))
			ARENA_PUSH(a, &volumes, own->v[i]);
	t.spec.volumes = volumes;
	return t;
}

static void validate_template(struct strategy_ctx *ctx,
	const struct apps_v1_stateful_set_spec *spec, const struct label_selector *selector,
	bool skip, const struct field_path *p, struct field_errors *e)
{
	struct v1_pod_template_spec t = as_pods_get_it(spec, ctx->arena);
	struct field_path meta = FIELD(p, "metadata"), annotations = FIELD(p, "annotations");

	if (!selector || (!label_selector_is_empty(selector) &&
				 !label_selector_matches(selector, &t.metadata.labels)))
		field_invalid_raw(e, AT(&meta, "labels"),
			str_map_json(e->arena, &t.metadata.labels),
			"`selector` does not match template `labels`");
	if (!skip)
		validate_pod_template_spec(&t, p, pod_opts_of(ctx, false), e);
	validate_labels(&t.metadata.labels, AT(p, "labels"), e);
	validate_annotations(&t.metadata.annotations, &annotations, e);
	validate_pod_annotations(&t.metadata.annotations, &t.spec, &annotations, e);
}

static void validate_selector_template(struct strategy_ctx *ctx,
	const struct apps_v1_stateful_set_spec *spec, bool skip, const struct field_path *p,
	struct field_errors *e)
{
	const struct meta_v1_label_selector *s = spec->selector;
	struct field_path selector = FIELD(p, "selector"), template = FIELD(p, "template");
	struct label_selector parsed;
	struct str text;

	if (!s) {
		field_required(e, &selector, "");
		/* matches nothing, and so is not empty */
		validate_template(ctx, spec, NULL, skip, &template, e);
		return;
	}
	text = go_json(e->arena, &meta_v1_label_selector_schema, s);
	validate_label_selector(s, &selector, e);
	if (s->match_labels.n + s->match_expressions.n == 0)
		field_invalid_raw(e, &selector, text, "empty selector is invalid for statefulset");
	if (label_selector_from(s, e->arena, &parsed, NULL) < 0)
		field_invalid_raw(e, &selector, text, "");
	else
		validate_template(ctx, spec, &parsed, skip, &template, e);
}

static void validate_retention(
	const struct apps_v1_stateful_set_persistent_volume_claim_retention_policy *r,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const policies[] = {"Retain", "Delete", NULL};

	if (!r)
		return;
	field_one_of(e, AT(p, "whenDeleted"), r->when_deleted, policies);
	field_one_of(e, AT(p, "whenScaled"), r->when_scaled, policies);
}

static void validate_spec(struct strategy_ctx *ctx, const struct apps_v1_stateful_set_spec *spec,
	struct set_opts opts, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), claims = FIELD(&p, "volumeClaimTemplates");
	const struct str policy = spec->pod_management_policy;

	if (policy.n == 0)
		field_required(e, AT(&p, "podManagementPolicy"), "");
	else if (!str_eqc(policy, "OrderedReady") && !str_eqc(policy, "Parallel"))
		field_invalid(e, AT(&p, "podManagementPolicy"), policy,
			"must be 'OrderedReady' or 'Parallel'");
	validate_update_strategy(&spec->update_strategy, AT(&p, "updateStrategy"), e);
	validate_retention(spec->persistent_volume_claim_retention_policy,
		AT(&p, "persistentVolumeClaimRetentionPolicy"), e);
	for (size_t i = 0; !opts.skip_claims && i < spec->volume_claim_templates.n; i++) {
		struct field_path claim = FIELD_INDEX(&claims, i);
		validate_claim_spec(
			&spec->volume_claim_templates.v[i].spec, false, AT(&claim, "spec"), e);
	}
	validate_nonnegative(spec->replicas ? *spec->replicas : 0, AT(&p, "replicas"), e);
	validate_nonnegative(spec->min_ready_seconds, AT(&p, "minReadySeconds"), e);
	if (spec->ordinals)
		validate_nonnegative(spec->ordinals->start, AT(&p, "ordinals.start"), e);
	if (!opts.any_service_name && spec->service_name.n)
		validate_dns1123_label(spec->service_name, AT(&p, "serviceName"), e);
	validate_selector_template(ctx, spec, opts.skip_template, &p, e);
	validate_restart_always(&spec->template, "StatefulSet", AT(&p, "template"), e);
}

static void set_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct apps_v1_stateful_set *set = obj;

	validate_spec(ctx, &set->spec, (struct set_opts){0}, e);
}

static void validate_status(const struct apps_v1_stateful_set_status *s,
	const struct apps_v1_stateful_set_status *old, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "status");
	struct replica_count counts[] = {
		{"replicas", s->replicas, false},
		{"readyReplicas", s->ready_replicas, true},
		{"currentReplicas", s->current_replicas, true},
		{"updatedReplicas", s->updated_replicas, true},
		{"availableReplicas", s->available_replicas, true},
		{"observedGeneration", s->observed_generation, false},
		{"collisionCount", s->collision_count ? *s->collision_count : 0, false},
	};

	validate_replica_counts(counts, ARRAY_SIZE(counts), s->replicas, 0, 0, e);
	if (s->available_replicas > s->ready_replicas)
		field_invalid_int(e, AT(&p, "availableReplicas"), s->available_replicas,
			"cannot be greater than status.readyReplicas");
	validate_collision_count(s->collision_count, old->collision_count, e);
}

static bool only_allowed_changes(
	const struct apps_v1_stateful_set_spec *now, const struct apps_v1_stateful_set_spec *old)
{
	struct apps_v1_stateful_set_spec copy = *now;

	copy.replicas = old->replicas;
	copy.template = old->template;
	copy.update_strategy = old->update_strategy;
	copy.min_ready_seconds = old->min_ready_seconds;
	copy.ordinals = old->ordinals;
	copy.revision_history_limit = old->revision_history_limit;
	copy.persistent_volume_claim_retention_policy =
		old->persistent_volume_claim_retention_policy;
	return schema_equal(&apps_v1_stateful_set_spec_schema, &copy, old);
}

static void set_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct apps_v1_stateful_set *set = obj, *was = old;
	struct set_opts opts = {.any_service_name = true, .skip_claims = true};
	size_t n = e->n;

	if (is_status(ctx)) {
		validate_status(&set->status, &was->status, e);
		return;
	}
	validate_spec(ctx, &was->spec, opts, e);
	opts.skip_template = e->n > n;
	field_errors_truncate(e, n);
	validate_spec(ctx, &set->spec, opts, e);
	if (!only_allowed_changes(&set->spec, &was->spec))
		field_forbidden(e, AT(NULL, "spec"),
			"updates to statefulset spec for fields other than 'replicas', 'ordinals', "
			"'template', 'updateStrategy', 'revisionHistoryLimit', "
			"'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
			"forbidden");
}

static void set_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct apps_v1_stateful_set *set = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec");

	if (!old || set->metadata.generation != was->metadata.generation)
		warn_template(ctx, &set->spec.template, AT(&spec, "template"));
	if (set->spec.revision_history_limit && *set->spec.revision_history_limit < 0)
		ctx_warn(ctx, "spec.revisionHistoryLimit: a negative value retains all historical "
			      "revisions; a value >= 0 is recommended");
}

const struct strategy stateful_set_strategy = {
	.resource = &apps_v1_stateful_set_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_label,
	.default_ = set_default,
	.prepare_create = set_prepare_create,
	.prepare_update = set_prepare_update,
	.validate = set_validate,
	.validate_update = set_validate_update,
	.warn = set_warn,
	.table_row = print_stateful_set,
};
