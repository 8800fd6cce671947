/* cron_job.c: cron jobs (pkg/registry/batch/cronjob). */
#include "apiserver/resources/job.h"
#include "apiserver/resources/printers.h"
#include "apiserver/validation/schedule.h"

/* A job's name is the cron job's with eleven more characters. */
enum { NAME_MAX_BYTES = 63 - 11 };

static void cj_default(struct strategy_ctx *ctx, void *obj)
{
	struct batch_v1_cron_job *cj = obj;

	default_pod_spec(&cj->spec.job_template.spec.template.spec, ctx->arena);
}

static void cj_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	struct batch_v1_cron_job *cj = obj;

	cj->status = (struct batch_v1_cron_job_status){0};
	drop_disabled_pod_fields(&cj->spec.job_template.spec.template.spec, NULL);
}

static void cj_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct batch_v1_cron_job *was = old;
	struct batch_v1_cron_job *cj = obj;

	if (is_status(ctx)) {
		cj->spec = was->spec;
		return;
	}
	cj->status = was->status;
	drop_disabled_pod_fields(&cj->spec.job_template.spec.template.spec,
		&was->spec.job_template.spec.template.spec);
}

static void validate_schedule(const struct batch_v1_cron_job_spec *spec,
	const struct batch_v1_cron_job_spec *old, const struct field_path *p,
	struct field_errors *e)
{
	bool zoned = str_find(spec->schedule, S("TZ")) >= 0;
	bool allowed = old && str_find(old->schedule, S("TZ")) >= 0;
	struct str wrong;

	if (spec->schedule.n == 0) {
		field_required(e, p, "");
		return;
	}
	wrong = schedule_error(spec->schedule, e->arena);
	if (wrong.n)
		field_invalid(e, p, spec->schedule, STR_FMT, STR_ARG(wrong));
	if (zoned && allowed && spec->time_zone.p)
		field_invalid(e, p, spec->schedule,
			"cannot use both timeZone field and TZ or CRON_TZ in schedule");
	else if (zoned && !allowed)
		field_invalid(e, p, spec->schedule,
			"cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
}

static void validate_time_zone(struct str zone, const struct field_path *p, struct field_errors *e)
{
	struct str wrong;

	if (!zone.p)
		return;
	if (zone.n == 0) {
		field_invalid(e, p, zone, "timeZone must be nil or non-empty string");
		return;
	}
	wrong = time_zone_error(zone, e->arena);
	if (str_ieq(zone, S("Local")))
		field_invalid(e, p, zone,
			"timeZone must be an explicit time zone as defined in "
			"https://www.iana.org/time-zones");
	if (wrong.n)
		field_invalid(e, p, zone, STR_FMT, STR_ARG(wrong));
}

static void validate_job_template(struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path s = FIELD(p, "spec");

	validate_job_spec(ctx, spec, &s, e);
	if (spec->selector)
		field_invalid_raw(e, AT(&s, "selector"),
			go_json(e->arena, &meta_v1_label_selector_schema, spec->selector),
			"`selector` will be auto-generated");
	if (spec->manual_selector && *spec->manual_selector)
		field_add(e, FIELD_NOT_SUPPORTED, AT(&s, "manualSelector"), S("true"),
			"supported values: \"nil\", \"false\"");
}

static void validate_spec(struct strategy_ctx *ctx, const struct batch_v1_cron_job_spec *spec,
	const struct batch_v1_cron_job_spec *old, struct field_errors *e)
{
	static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
	struct field_path p = FIELD(NULL, "spec");

	validate_schedule(spec, old, AT(&p, "schedule"), e);
	if (spec->starting_deadline_seconds)
		validate_nonnegative(
			*spec->starting_deadline_seconds, AT(&p, "startingDeadlineSeconds"), e);
	if (!old || !old->time_zone.p != !spec->time_zone.p ||
		!str_eq(old->time_zone, spec->time_zone))
		validate_time_zone(spec->time_zone, AT(&p, "timeZone"), e);
	if (spec->concurrency_policy.n == 0)
		field_required(e, AT(&p, "concurrencyPolicy"), "");
	else
		field_one_of(e, AT(&p, "concurrencyPolicy"), spec->concurrency_policy, policies);
	validate_job_template(ctx, &spec->job_template.spec, AT(&p, "jobTemplate"), e);
	if (spec->successful_jobs_history_limit)
		validate_nonnegative(*spec->successful_jobs_history_limit,
			AT(&p, "successfulJobsHistoryLimit"), e);
	if (spec->failed_jobs_history_limit)
		validate_nonnegative(
			*spec->failed_jobs_history_limit, AT(&p, "failedJobsHistoryLimit"), e);
}

static void cj_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct batch_v1_cron_job *cj = obj;
	struct field_path meta = FIELD(NULL, "metadata");

	validate_spec(ctx, &cj->spec, NULL, e);
	if (cj->metadata.name.n > NAME_MAX_BYTES)
		field_invalid(e, AT(&meta, "name"), cj->metadata.name,
			"must be no more than %d characters", NAME_MAX_BYTES);
}

static void cj_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct batch_v1_cron_job *cj = obj, *was = old;

	if (!is_status(ctx))
		validate_spec(ctx, &cj->spec, &was->spec, e);
}

static void cj_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct batch_v1_cron_job *cj = obj, *was = old;
	struct field_path spec = FIELD(NULL, "spec"), template = FIELD(&spec, "jobTemplate");

	if (!old)
		warn_pod_names(ctx, cj->metadata.name, "Pod names and hostnames");
	if (!old || cj->metadata.generation != was->metadata.generation)
		warn_job_spec(ctx, &cj->spec.job_template.spec, AT(&template, "spec"));
	if (old && str_find(cj->spec.schedule, S("TZ")) >= 0)
		ctx_warn(ctx, "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone "
			      "instead, see https://kubernetes.io/docs/concepts/workloads/"
			      "controllers/cron-jobs/ for more details");
}

const struct strategy cron_job_strategy = {
	.resource = &batch_v1_cron_job_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = cj_default,
	.prepare_create = cj_prepare_create,
	.prepare_update = cj_prepare_update,
	.validate = cj_validate,
	.validate_update = cj_validate_update,
	.warn = cj_warn,
	.table_row = print_cron_job,
};
