/* pod.c: pods (pkg/registry/core/pod/strategy.go). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"

#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"

static void pod_default(struct strategy_ctx *ctx, void *obj)
{
	default_pod(obj, ctx->arena);
}

static void add_requirement(struct arena *a, struct meta_v1_label_selector *s, struct str key,
	const char *op, struct str value)
{
	struct meta_v1_label_selector_requirement r = {.key = key, .operator= str_c(op)};

	ARENA_PUSH(a, &r.values, value);
	ARENA_PUSH(a, &s->match_expressions, r);
}

/* Keys whose value the pod's own label gives become part of the selector. */
static void merge_keys(struct arena *a, const struct str_vec *keys, const char *op,
	const struct str_map *labels, struct meta_v1_label_selector *s)
{
	for (size_t i = 0; s && i < keys->n; i++) {
		const struct str *v = str_map_get(labels, keys->v[i]);
		if (v)
			add_requirement(a, s, keys->v[i], op, *v);
	}
}

static void merge_term(
	struct arena *a, struct v1_pod_affinity_term *t, const struct str_map *labels)
{
	merge_keys(a, &t->match_label_keys, "In", labels, t->label_selector);
	merge_keys(a, &t->mismatch_label_keys, "NotIn", labels, t->label_selector);
}

static void merge_terms(struct arena *a, struct v1_pod_affinity_term_vec *required,
	struct v1_weighted_pod_affinity_term_vec *preferred, const struct str_map *labels)
{
	for (size_t i = 0; i < preferred->n; i++)
		merge_term(a, &preferred->v[i].pod_affinity_term, labels);
	for (size_t i = 0; i < required->n; i++)
		merge_term(a, &required->v[i], labels);
}

static void merge_label_keys(struct v1_pod *pod, struct arena *a)
{
	const struct str_map *labels = &pod->metadata.labels;
	struct v1_affinity *af = pod->spec.affinity;

	if (af && af->pod_affinity)
		merge_terms(a,
			&af->pod_affinity->required_during_scheduling_ignored_during_execution,
			&af->pod_affinity->preferred_during_scheduling_ignored_during_execution,
			labels);
	if (af && af->pod_anti_affinity)
		merge_terms(a,
			&af->pod_anti_affinity->required_during_scheduling_ignored_during_execution,
			&af->pod_anti_affinity
				 ->preferred_during_scheduling_ignored_during_execution,
			labels);
	for (size_t i = 0; i < pod->spec.topology_spread_constraints.n; i++) {
		struct v1_topology_spread_constraint *c =
			&pod->spec.topology_spread_constraints.v[i];
		merge_keys(a, &c->match_label_keys, "In", labels, c->label_selector);
	}
}

static bool apparmor_of(struct str annotation, struct v1_app_armor_profile *ret)
{
	*ret = (struct v1_app_armor_profile){0};
	if (str_eqc(annotation, "unconfined"))
		ret->type = S("Unconfined");
	else if (str_eqc(annotation, "runtime/default"))
		ret->type = S("RuntimeDefault");
	else if (str_starts(annotation, S("localhost/")) && annotation.n > strlen("localhost/")) {
		ret->type = S("Localhost");
		ret->localhost_profile = str_sub(annotation, strlen("localhost/"), annotation.n);
	}
	return ret->type.n > 0 && str_trim(ret->localhost_profile).n == ret->localhost_profile.n;
}

/* The annotation that came before the field fills it, unless the pod says the same for all
 * containers. */
static void sync_apparmor(struct strategy_ctx *ctx, struct v1_pod *pod, struct v1_container *ctr)
{
	const struct v1_pod_security_context *sc = pod->spec.security_context;
	struct str key = arena_fmt(ctx->arena, APPARMOR STR_FMT, STR_ARG(ctr->name));
	const struct str *annotation = str_map_get(&pod->metadata.annotations, key);
	struct v1_app_armor_profile profile;
	bool valid;

	if (!annotation || (ctr->security_context && ctr->security_context->app_armor_profile))
		return;
	valid = apparmor_of(*annotation, &profile);
	if (valid && sc && sc->app_armor_profile &&
		schema_equal(&v1_app_armor_profile_schema, &profile, sc->app_armor_profile))
		return;
	if (valid) {
		if (!ctr->security_context)
			ctr->security_context = ARENA_NEW(ctx->arena, struct v1_security_context);
		ctr->security_context->app_armor_profile =
			arena_memdup(ctx->arena, &profile, sizeof(profile));
	}
	ctx_warn(ctx,
		"metadata.annotations[" STR_FMT
		"]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
		STR_ARG(key));
}

static void pod_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct v1_pod *pod = obj;

	pod->status = (struct v1_pod_status){
		.phase = S("Pending"), .qos_class = pod_qos_class(pod, ctx->arena)};
	drop_disabled_pod_fields(&pod->spec, NULL);
	if (pod->spec.scheduling_gates.n)
		ARENA_PUSH(ctx->arena, &pod->status.conditions,
			((struct v1_pod_condition){.type = S("PodScheduled"),
				.status = S("False"),
				.reason = S("SchedulingGated"),
				.message = S(
					"Scheduling is blocked due to non-empty scheduling gates"),
				.last_transition_time = {
					.set = true, .sec = ctx->now_ns / 1000000000}}));
	merge_label_keys(pod, ctx->arena);
	if (pod->spec.os && str_eqc(pod->spec.os->name, "windows"))
		return;
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		sync_apparmor(ctx, pod, &pod->spec.init_containers.v[i]);
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		sync_apparmor(ctx, pod, &pod->spec.containers.v[i]);
}

/* A condition without an observedGeneration keeps the one it had. */
static void keep_observed_generation(struct v1_pod_status *now, const struct v1_pod_status *old)
{
	if (now->observed_generation == 0)
		now->observed_generation = old->observed_generation;
	for (size_t i = 0; i < now->conditions.n; i++)
		for (size_t k = 0;
			now->conditions.v[i].observed_generation == 0 && k < old->conditions.n; k++)
			if (str_eq(now->conditions.v[i].type, old->conditions.v[k].type)) {
				now->conditions.v[i].observed_generation =
					old->conditions.v[k].observed_generation;
				break;
			}
}

static void prepare_status(struct v1_pod *pod, const struct v1_pod *old)
{
	pod->spec = old->spec;
	pod->metadata.deletion_timestamp = old->metadata.deletion_timestamp;
	pod->metadata.owner_references = old->metadata.owner_references;
	if (pod->status.qos_class.n == 0)
		pod->status.qos_class = old->status.qos_class;
	keep_observed_generation(&pod->status, &old->status);
	pod->status.node_allocatable_resource_claim_statuses =
		old->status.node_allocatable_resource_claim_statuses;
}

/* What a subresource other than status may not touch in the metadata. */
static void reset_meta(struct v1_pod *pod, const struct v1_pod *old)
{
	pod->metadata.deletion_timestamp = old->metadata.deletion_timestamp;
	pod->metadata.generation = old->metadata.generation;
	pod->metadata.self_link = old->metadata.self_link;
	pod->metadata.labels = old->metadata.labels;
	pod->metadata.annotations = old->metadata.annotations;
	pod->metadata.finalizers = old->metadata.finalizers;
	pod->metadata.owner_references = old->metadata.owner_references;
}

static void prepare_ephemeral(struct v1_pod *pod, const struct v1_pod *old)
{
	struct v1_ephemeral_container_vec list = pod->spec.ephemeral_containers;

	pod->spec = old->spec;
	pod->spec.ephemeral_containers = list;
	pod->status = old->status;
	reset_meta(pod, old);
}

/* The old containers with the new resources; the new ones as they are when they are others. */
static struct v1_container_vec merge_resources(
	struct arena *a, const struct v1_container_vec *now, const struct v1_container_vec *old)
{
	struct v1_container_vec out = {0};

	for (size_t i = 0; i < old->n; i++) {
		struct v1_container c = old->v[i];

		if (!str_eq(c.name, now->v[i].name))
			return *now;
		c.resources = now->v[i].resources;
		c.resize_policy = now->v[i].resize_policy;
		ARENA_PUSH(a, &out, c);
	}
	return out;
}

static void prepare_resize(struct v1_pod *pod, const struct v1_pod *old, struct arena *a)
{
	struct v1_resource_requirements *resources = pod->spec.resources;
	struct v1_container_vec regular, init;

	if (pod->spec.containers.n != old->spec.containers.n ||
		pod->spec.init_containers.n != old->spec.init_containers.n)
		return;
	regular = merge_resources(a, &pod->spec.containers, &old->spec.containers);
	init = merge_resources(a, &pod->spec.init_containers, &old->spec.init_containers);
	pod->spec = old->spec;
	pod->spec.resources = resources;
	pod->spec.containers = regular;
	if (init.n)
		pod->spec.init_containers = init;
	pod->status = old->status;
	reset_meta(pod, old);
}

static void pod_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_pod *was = old;
	struct v1_pod *pod = obj;

	if (is_status(ctx))
		prepare_status(pod, was);
	else if (str_eqc(ctx->subresource, "ephemeralcontainers"))
		prepare_ephemeral(pod, was);
	else if (str_eqc(ctx->subresource, "resize"))
		prepare_resize(pod, was, ctx->arena);
	else
		pod->status = was->status;
	if (!is_status(ctx))
		drop_disabled_pod_fields(&pod->spec, &was->spec);
}

static void pod_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *errs)
{
	validate_pod_create(obj, pod_opts_of(ctx, true), errs);
}

static void pod_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *errs)
{
	const struct v1_pod *pod = obj, *was = old;
	struct pod_opts opts = pod_opts_of(ctx, true);

	if (is_status(ctx)) {
		validate_pod_status_update(pod, was, errs);
		return;
	}
	revalidate_meta(ctx, &pod->metadata, errs);
	if (str_eqc(ctx->subresource, "ephemeralcontainers"))
		validate_pod_ephemeral_update(pod, was, opts, errs);
	else if (str_eqc(ctx->subresource, "resize"))
		validate_pod_resize(pod, was, opts, errs);
	else
		validate_pod_update(pod, was, opts, errs);
}

static void warn_ip(struct strategy_ctx *ctx, const char *list, size_t i, struct str ip)
{
	struct field_path status = FIELD(NULL, "status"),
			  p = {.parent = &status, .name = str_c(list)};
	struct field_path item = FIELD_INDEX(&p, i);
	struct str line = ip_warning(ctx->arena, AT(&item, "ip"), ip);

	if (line.n)
		ctx_warn(ctx, STR_FMT, STR_ARG(line));
}

static void pod_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_pod *pod = obj;

	if (!old) {
		warn_pod_names(ctx, pod->metadata.name, "the Pod's hostname");
		warn_all(ctx, pod_warnings(&pod->spec, &pod->metadata, NULL, ctx->arena));
		return;
	}
	for (size_t i = 0; is_status(ctx) && i < pod->status.pod_ips.n; i++)
		warn_ip(ctx, "podIPs", i, pod->status.pod_ips.v[i].ip);
	for (size_t i = 0; is_status(ctx) && i < pod->status.host_ips.n; i++)
		warn_ip(ctx, "hostIPs", i, pod->status.host_ips.v[i].ip);
}

static void pod_delete_grace(struct strategy_ctx *ctx, const void *obj, int64_t *grace_s)
{
	const struct v1_pod *pod = obj;

	if (*grace_s < 0)
		*grace_s = pod->spec.termination_grace_period_seconds
				   ? *pod->spec.termination_grace_period_seconds
				   : 0;
	/* Nobody runs it, or it has run to its end: nothing to wait for. */
	if (pod->spec.node_name.n == 0 || str_eqc(pod->status.phase, "Failed") ||
		str_eqc(pod->status.phase, "Succeeded"))
		*grace_s = 0;
	if (*grace_s < 0)
		*grace_s = 1;
}

const struct strategy pod_strategy = {
	.resource = &v1_pod_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = pod_default,
	.prepare_create = pod_prepare_create,
	.prepare_update = pod_prepare_update,
	.validate = pod_validate,
	.validate_update = pod_validate_update,
	.warn = pod_warn,
	.delete_grace = pod_delete_grace,
	.table_row = print_pod,
};
