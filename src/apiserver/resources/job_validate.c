/* job_validate.c: a job's spec (pkg/apis/batch/validation). */
#include "apiserver/resources/job.h"

enum {
	INDEXED_PARALLELISM_MAX = 100000,
	FAILED_INDEXES_MAX = 100000,
	COMPLETIONS_SOFT_LIMIT = 100000,
	HIGH_PARALLELISM_MAX = 10000,
	HIGH_FAILED_INDEXES_MAX = 10000,
	MANAGED_BY_MAX = 63,
};

static void validate_counts(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	if (s->parallelism)
		validate_nonnegative(*s->parallelism, AT(p, "parallelism"), e);
	if (s->completions)
		validate_nonnegative(*s->completions, AT(p, "completions"), e);
	if (s->active_deadline_seconds)
		validate_nonnegative(
			*s->active_deadline_seconds, AT(p, "activeDeadlineSeconds"), e);
	if (s->backoff_limit)
		validate_nonnegative(*s->backoff_limit, AT(p, "backoffLimit"), e);
	if (s->ttl_seconds_after_finished)
		validate_nonnegative(
			*s->ttl_seconds_after_finished, AT(p, "ttlSecondsAfterFinished"), e);
	if (s->backoff_limit_per_index)
		validate_nonnegative(*s->backoff_limit_per_index, AT(p, "backoffLimitPerIndex"), e);
	if (!s->max_failed_indexes)
		return;
	validate_nonnegative(*s->max_failed_indexes, AT(p, "maxFailedIndexes"), e);
	if (!s->backoff_limit_per_index)
		field_required(
			e, AT(p, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
}

/* So many indexes that not all of them can be in the status. */
static void validate_many_indexes(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	if (!s->max_failed_indexes)
		field_required(e, AT(p, "maxFailedIndexes"),
			"must be specified when completions is above %d", COMPLETIONS_SOFT_LIMIT);
	if (s->parallelism && *s->parallelism > HIGH_PARALLELISM_MAX)
		field_invalid_int(e, AT(p, "parallelism"), *s->parallelism,
			"must be less than or equal to %d when completions are above %d and used "
			"with backoff limit per index",
			HIGH_PARALLELISM_MAX, COMPLETIONS_SOFT_LIMIT);
	if (s->max_failed_indexes && *s->max_failed_indexes > HIGH_FAILED_INDEXES_MAX)
		field_invalid_int(e, AT(p, "maxFailedIndexes"), *s->max_failed_indexes,
			"must be less than or equal to %d when completions are above %d and used "
			"with backoff limit per index",
			HIGH_FAILED_INDEXES_MAX, COMPLETIONS_SOFT_LIMIT);
}

static void validate_indexed(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	const int32_t *failed = s->max_failed_indexes;

	if (!s->completions)
		field_required(e, AT(p, "completions"), "when completion mode is Indexed");
	if (s->parallelism && *s->parallelism > INDEXED_PARALLELISM_MAX)
		field_invalid_int(e, AT(p, "parallelism"), *s->parallelism,
			"must be less than or equal to %d when completion mode is Indexed",
			INDEXED_PARALLELISM_MAX);
	if (s->completions && failed && *failed > *s->completions)
		field_invalid_int(e, AT(p, "maxFailedIndexes"), *failed,
			"must be less than or equal to completions");
	if (failed && *failed > FAILED_INDEXES_MAX)
		field_invalid_int(e, AT(p, "maxFailedIndexes"), *failed,
			"must be less than or equal to %d", FAILED_INDEXES_MAX);
	if (s->completions && *s->completions > COMPLETIONS_SOFT_LIMIT &&
		s->backoff_limit_per_index)
		validate_many_indexes(s, p, e);
}

static void validate_mode(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	static const char *const modes[] = {"NonIndexed", "Indexed", NULL};

	if (s->completion_mode.p)
		field_one_of(e, AT(p, "completionMode"), s->completion_mode, modes);
	if (str_eqc(s->completion_mode, "Indexed"))
		validate_indexed(s, p, e);
	if (s->completion_mode.p && !str_eqc(s->completion_mode, "NonIndexed"))
		return;
	if (s->backoff_limit_per_index)
		field_invalid_int(e, AT(p, "backoffLimitPerIndex"), *s->backoff_limit_per_index,
			"requires indexed completion mode");
	if (s->max_failed_indexes)
		field_invalid_int(e, AT(p, "maxFailedIndexes"), *s->max_failed_indexes,
			"requires indexed completion mode");
}

static void validate_policies(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	static const char *const failed[] = {"Failed", NULL}, *const replacement[] = {"Failed",
								      "TerminatingOrFailed", NULL};
	struct field_path success = FIELD(p, "successPolicy");

	if (s->pod_failure_policy)
		validate_pod_failure_policy(s, AT(p, "podFailurePolicy"), e);
	if (s->success_policy && !str_eqc(s->completion_mode, "Indexed"))
		field_invalid_raw(e, &success,
			go_json(e->arena, &batch_v1_success_policy_schema, s->success_policy),
			"requires indexed completion mode");
	else if (s->success_policy)
		validate_success_policy(s, &success, e);
	if (s->pod_replacement_policy.p)
		field_one_of(e, AT(p, "podReplacementPolicy"), s->pod_replacement_policy,
			s->pod_failure_policy ? failed : replacement);
}

static void validate_restart_policy(
	const struct batch_v1_job_spec *s, const struct field_path *p, struct field_errors *e)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	struct field_path template = FIELD(p, "template"), spec = FIELD(&template, "spec");
	struct field_path path = FIELD(&spec, "restartPolicy");
	struct str policy = s->template.spec.restart_policy;

	if (policy.n == 0 || str_eqc(policy, "Always"))
		field_required(e, &path, "valid values: \"OnFailure\", \"Never\"");
	else if (field_one_of(e, &path, policy, policies) && s->pod_failure_policy &&
		 !str_eqc(policy, "Never"))
		field_invalid(e, &path, policy,
			"only \"Never\" is supported when podFailurePolicy is specified");
}

void validate_job_spec(struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec,
	const struct field_path *p, struct field_errors *e)
{
	validate_counts(spec, p, e);
	if (spec->managed_by.p) {
		validate_domain_prefixed_path(spec->managed_by, AT(p, "managedBy"), e);
		if (spec->managed_by.n > MANAGED_BY_MAX)
			field_too_long(e, AT(p, "managedBy"), MANAGED_BY_MAX);
	}
	validate_mode(spec, p, e);
	validate_policies(spec, p, e);
	validate_pod_template_spec(&spec->template, AT(p, "template"), pod_opts_of(ctx, false), e);
	validate_restart_policy(spec, p, e);
}
