/* job.c: jobs (pkg/registry/batch/job). */
#include "api/selector.h"
#include "apiserver/resources/job.h"
#include "apiserver/resources/printers.h"

enum { BACKOFF_LIMIT = 6, MANY_COMPLETIONS = 100000, MANY_AT_ONCE = 10000 };

#define LEGACY_UID_LABEL "controller-uid"
#define LEGACY_NAME_LABEL "job-name"
#define UID_LABEL "batch.kubernetes.io/controller-uid"
#define NAME_LABEL "batch.kubernetes.io/job-name"

static int32_t *int_of(struct arena *a, int32_t v)
{
	int32_t *p = ARENA_NEW(a, int32_t);

	*p = v;
	return p;
}

static void job_default(struct strategy_ctx *ctx, void *obj)
{
	struct arena *a = ctx->arena;
	struct batch_v1_job *job = obj;
	struct batch_v1_job_spec *s = &job->spec;

	if (!s->completions && !s->parallelism)
		s->completions = int_of(a, 1);
	if (!s->parallelism)
		s->parallelism = int_of(a, 1);
	if (!s->backoff_limit)
		s->backoff_limit =
			int_of(a, s->backoff_limit_per_index ? INT32_MAX : BACKOFF_LIMIT);
	if (job->metadata.labels.n == 0)
		job->metadata.labels = s->template.metadata.labels;
	if (!s->completion_mode.p)
		s->completion_mode = S("NonIndexed");
	if (!s->suspend)
		s->suspend = ARENA_NEW(a, bool);
	if (!s->pod_replacement_policy.p)
		s->pod_replacement_policy =
			s->pod_failure_policy ? S("Failed") : S("TerminatingOrFailed");
	if (!s->manual_selector)
		s->manual_selector = ARENA_NEW(a, bool);
	default_pod_spec(&s->template.spec, a);
}

static void put_missing(struct arena *a, struct str_map *m, const char *key, struct str value)
{
	if (!str_map_get(m, str_c(key)))
		str_map_put(a, m, str_c(key), value);
}

/* Labels that only this job's pods have, and the selector for them. */
static void generate_selector(struct strategy_ctx *ctx, struct batch_v1_job *job)
{
	struct str_map *labels = &job->spec.template.metadata.labels;
	struct arena *a = ctx->arena;

	put_missing(a, labels, LEGACY_NAME_LABEL, job->metadata.name);
	put_missing(a, labels, NAME_LABEL, job->metadata.name);
	put_missing(a, labels, LEGACY_UID_LABEL, job->metadata.uid);
	put_missing(a, labels, UID_LABEL, job->metadata.uid);
	if (!job->spec.selector)
		job->spec.selector = ARENA_NEW(a, struct meta_v1_label_selector);
	put_missing(a, &job->spec.selector->match_labels, UID_LABEL, job->metadata.uid);
}

static void job_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct batch_v1_job *job = obj;
	struct str_map *labels = &job->spec.template.metadata.labels;
	/* Labels that defaults took from the template go on to be the template's, as upstream's two
	 * maps are one. */
	bool same = labels->n && job->metadata.labels.v == labels->v;

	if (!*job->spec.manual_selector)
		generate_selector(ctx, job);
	if (same)
		job->metadata.labels = *labels;
	job->status = (struct batch_v1_job_status){0};
	drop_disabled_pod_fields(&job->spec.template.spec, NULL);
}

/* What defaults make of it when it is read back. */
static void job_canonicalize(struct strategy_ctx *ctx, void *obj)
{
	struct batch_v1_job *job = obj;

	if (job->metadata.labels.n == 0)
		job->metadata.labels = job->spec.template.metadata.labels;
}

static void job_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct batch_v1_job *was = old;
	struct batch_v1_job *job = obj;

	if (is_status(ctx)) {
		job->spec = was->spec;
		return;
	}
	job->status = was->status;
	drop_disabled_pod_fields(&job->spec.template.spec, &was->spec.template.spec);
}

/* apivalidation.ValidateHasLabel */
static void validate_has_label(
	const struct batch_v1_job *job, const char *key, struct str value, struct field_errors *e)
{
	struct field_path spec = FIELD(NULL, "spec"), template = FIELD(&spec, "template");
	struct field_path meta = FIELD(&template, "metadata"), labels = FIELD(&meta, "labels");
	const struct str *v = str_map_get(&job->spec.template.metadata.labels, str_c(key));

	if (!v)
		field_required(
			e, AT_KEY(&labels, str_c(key)), "must be '" STR_FMT "'", STR_ARG(value));
	else if (!str_eq(*v, value))
		field_invalid_raw(e, AT_KEY(&labels, str_c(key)),
			str_map_json(e->arena, &job->spec.template.metadata.labels),
			"must be '" STR_FMT "'", STR_ARG(value));
}

static void validate_generated(
	const struct batch_v1_job *job, bool prefixed, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), spec = FIELD(NULL, "spec");
	struct str uid = job->metadata.uid, name = job->metadata.name;
	struct label_selector parsed;
	struct str_map expected = {0};

	if (!job->spec.selector || (job->spec.manual_selector && *job->spec.manual_selector))
		return;
	if (uid.n == 0)
		field_required(e, AT(&meta, "uid"), "");
	validate_has_label(job, LEGACY_UID_LABEL, uid, e);
	validate_has_label(job, LEGACY_NAME_LABEL, name, e);
	if (prefixed) {
		validate_has_label(job, UID_LABEL, uid, e);
		validate_has_label(job, NAME_LABEL, name, e);
		str_map_put(e->arena, &expected, S(UID_LABEL), uid);
		str_map_put(e->arena, &expected, S(NAME_LABEL), name);
	}
	str_map_put(e->arena, &expected, S(LEGACY_UID_LABEL), uid);
	str_map_put(e->arena, &expected, S(LEGACY_NAME_LABEL), name);
	if (label_selector_from(job->spec.selector, e->arena, &parsed, NULL) == 0 &&
		!label_selector_matches(&parsed, &expected))
		field_invalid_raw(e, AT(&spec, "selector"),
			go_json(e->arena, &meta_v1_label_selector_schema, job->spec.selector),
			"`selector` not auto-generated");
}

static void validate_spec(
	struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), template = FIELD(&p, "template");
	struct field_path meta = FIELD(&template, "metadata");
	struct label_selector parsed;

	validate_job_spec(ctx, spec, &p, e);
	if (!spec->selector)
		field_required(e, AT(&p, "selector"), "");
	else
		validate_label_selector(spec->selector, AT(&p, "selector"), e);
	if (!spec->selector ||
		(label_selector_from(spec->selector, e->arena, &parsed, NULL) == 0 &&
			!label_selector_matches(&parsed, &spec->template.metadata.labels)))
		field_invalid_raw(e, AT(&meta, "labels"),
			str_map_json(e->arena, &spec->template.metadata.labels),
			"`selector` does not match template `labels`");
}

static void validate_whole(struct strategy_ctx *ctx, const struct batch_v1_job *job, bool prefixed,
	struct field_errors *e)
{
	const int32_t *completions = job->spec.completions;
	struct field_path meta = FIELD(NULL, "metadata");
	struct str host;

	validate_generated(job, prefixed, e);
	validate_spec(ctx, &job->spec, e);
	if (!str_eqc(job->spec.completion_mode, "Indexed") || !completions || *completions <= 0)
		return;
	host = arena_fmt(e->arena, STR_FMT "-%d", STR_ARG(job->metadata.name), *completions - 1);
	if (is_dns1123_label(e->arena, host).n)
		field_invalid(e, AT(&meta, "name"), job->metadata.name,
			"will not able to create pod with invalid DNS label: " STR_FMT,
			STR_ARG(host));
}

static void job_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_whole(ctx, obj, true, e);
}

/* As Go shows a template, whose ObjectMeta is embedded. */
static struct str template_json(struct arena *a, const struct v1_pod_template_spec *t)
{
	struct str meta = go_json(a, &meta_v1_object_meta_schema, &t->metadata);
	struct str spec = go_json(a, &v1_pod_spec_schema, &t->spec);

	return arena_fmt(a, STR_FMT "%s\"Spec\":" STR_FMT "}",
		STR_ARG(str_sub(meta, 0, meta.n - 1)), meta.n > sizeof("{}") - 1 ? "," : "",
		STR_ARG(spec));
}

/* A suspended job that runs nothing may be told where to run, and with what. */
static bool template_mutable(const struct batch_v1_job *old)
{
	return old->spec.suspend && *old->spec.suspend && old->status.active == 0 &&
	       (!old->status.start_time.set || job_condition_true(old, "Suspended"));
}

static const struct v1_affinity *affinity_allowed(
	const struct v1_affinity *now, const struct v1_affinity *old, struct arena *a)
{
	struct v1_affinity *copy;

	if (!now && (!old || (!old->pod_affinity && !old->pod_anti_affinity)))
		return NULL;
	copy = ARENA_NEW(a, struct v1_affinity);
	if (old)
		*copy = *old;
	copy->node_affinity = now ? now->node_affinity : NULL;
	return copy;
}

static struct v1_container_vec with_resources_of(
	const struct v1_container_vec *now, const struct v1_container_vec *old, struct arena *a)
{
	struct v1_container_vec out = {0};

	if (now->n != old->n)
		return *old;
	for (size_t i = 0; i < old->n; i++) {
		struct v1_container ctr = old->v[i];
		if (str_eq(ctr.name, now->v[i].name))
			ctr.resources = now->v[i].resources;
		ARENA_PUSH(a, &out, ctr);
	}
	return out;
}

static void validate_template_kept(
	const struct batch_v1_job_spec *now, const struct batch_v1_job *was, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");
	struct v1_pod_template_spec old = was->spec.template;
	const struct v1_pod_template_spec *t = &now->template;
	bool free = template_mutable(was);
	const struct schema_type *type = &v1_pod_template_spec_schema;

	if (free) {
		old.spec.affinity = (struct v1_affinity *)affinity_allowed(
			t->spec.affinity, old.spec.affinity, e->arena);
		old.spec.node_selector = t->spec.node_selector;
		old.spec.tolerations = t->spec.tolerations;
		old.metadata.annotations = t->metadata.annotations;
		old.metadata.labels = t->metadata.labels;
		old.spec.scheduling_gates = t->spec.scheduling_gates;
	}
	if (!free) {
		if (!schema_equal(type, t, &old))
			field_invalid_raw(e, AT(&p, "template"), template_json(e->arena, t),
				"field is immutable");
		return;
	}
	old.spec.containers =
		with_resources_of(&t->spec.containers, &old.spec.containers, e->arena);
	old.spec.init_containers =
		with_resources_of(&t->spec.init_containers, &old.spec.init_containers, e->arena);
	if (!schema_equal(&v1_pod_spec_schema, &t->spec, &old.spec))
		field_invalid_raw(e, AT(&p, "template.spec"),
			go_json(e->arena, &v1_pod_spec_schema, &t->spec), "field is immutable");
}

static bool same_int(const int32_t *a, const int32_t *b)
{
	return !a == !b && (!a || *a == *b);
}

static struct str int_json(struct arena *a, const int32_t *v)
{
	return v ? arena_fmt(a, "%d", *v) : S("null");
}

static void validate_completions(const struct batch_v1_job_spec *now,
	const struct batch_v1_job_spec *old, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec"), path = FIELD(&p, "completions");

	if (same_int(now->completions, old->completions))
		return;
	if (!str_eqc(now->completion_mode, "Indexed"))
		field_invalid_raw(
			e, &path, int_json(e->arena, now->completions), "field is immutable");
	else if (now->completions && now->parallelism && *now->completions != *now->parallelism)
		field_invalid_int(e, &path, *now->completions,
			"can only be modified in tandem with spec.parallelism");
}

/* A pointer to a message that may never change. */
static void validate_kept(const struct schema_type *type, const void *now, const void *old,
	const struct field_path *p, struct field_errors *e)
{
	if (!now == !old && (!now || schema_equal(type, now, old)))
		return;
	field_invalid_raw(
		e, p, now ? go_json(e->arena, type, now) : S("null"), "field is immutable");
}

static void validate_str_kept(
	struct str now, struct str old, const struct field_path *p, struct field_errors *e)
{
	if (!now.p == !old.p && str_eq(now, old))
		return;
	field_invalid_raw(e, p, now.p ? go_quote(e->arena, now) : S("null"), "field is immutable");
}

static void job_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct batch_v1_job *job = obj, *was = old;
	const struct batch_v1_job_spec *now = &job->spec, *prev = &was->spec;
	const struct str_map *labels = &prev->template.metadata.labels;
	struct field_path p = FIELD(NULL, "spec");

	if (is_status(ctx)) {
		validate_job_status(job, was, e);
		return;
	}
	validate_whole(ctx, job,
		str_map_get(labels, S(NAME_LABEL)) && str_map_get(labels, S(UID_LABEL)), e);
	validate_spec(ctx, now, e);
	validate_completions(now, prev, e);
	validate_selector_kept(now->selector, prev->selector, e);
	validate_template_kept(now, was, e);
	validate_str_kept(now->completion_mode, prev->completion_mode, AT(&p, "completionMode"), e);
	validate_kept(&batch_v1_pod_failure_policy_schema, now->pod_failure_policy,
		prev->pod_failure_policy, AT(&p, "podFailurePolicy"), e);
	if (!same_int(now->backoff_limit_per_index, prev->backoff_limit_per_index))
		field_invalid_raw(e, AT(&p, "backoffLimitPerIndex"),
			int_json(e->arena, now->backoff_limit_per_index), "field is immutable");
	validate_str_kept(now->managed_by, prev->managed_by, AT(&p, "managedBy"), e);
	validate_kept(&batch_v1_success_policy_schema, now->success_policy, prev->success_policy,
		AT(&p, "successPolicy"), e);
}

void warn_job_spec(
	struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec, const struct field_path *p)
{
	struct str path = field_path_text(ctx->arena, p);

	if (str_eqc(spec->completion_mode, "Indexed") && spec->completions && spec->parallelism &&
		*spec->completions > MANY_COMPLETIONS && *spec->parallelism > MANY_AT_ONCE)
		ctx_warn(ctx,
			STR_FMT
			": In Indexed Jobs with a number of completions higher than 10^5 and a "
			"parallelism higher than 10^4, Kubernetes might not be able to track "
			"completedIndexes when a big number of indexes fail",
			STR_ARG(path));
	warn_template(ctx, &spec->template, AT(p, "template"));
}

static void job_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct batch_v1_job *job = obj, *was = old;

	if (!old)
		warn_pod_names(ctx, job->metadata.name, "Pod names and hostnames");
	if (!old || job->metadata.generation != was->metadata.generation)
		warn_job_spec(ctx, &job->spec, AT(NULL, "spec"));
}

const struct strategy job_strategy = {
	.resource = &batch_v1_job_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = job_default,
	.prepare_create = job_prepare_create,
	.prepare_update = job_prepare_update,
	.validate = job_validate,
	.validate_update = job_validate_update,
	.canonicalize = job_canonicalize,
	.warn = job_warn,
	.table_row = print_job,
};
