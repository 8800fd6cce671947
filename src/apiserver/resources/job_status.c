/* job_status.c: what a change of a job's status may say. Most rules only hold for what changes. */
#include "apiserver/resources/job.h"
#include "schema/time.h"

bool job_condition_true(const struct batch_v1_job *job, const char *type)
{
	for (size_t i = 0; i < job->status.conditions.n; i++)
		if (str_eqc(job->status.conditions.v[i].type, type) &&
			str_eqc(job->status.conditions.v[i].status, "True"))
			return true;
	return false;
}

static bool finished(const struct batch_v1_job *job)
{
	return job_condition_true(job, "Complete") || job_condition_true(job, "Failed");
}

static bool condition_changed(
	const struct batch_v1_job *job, const struct batch_v1_job *old, const char *type)
{
	return job_condition_true(job, type) != job_condition_true(old, type);
}

static bool int_changed(const int32_t *a, const int32_t *b)
{
	return !a != !b || (a && *a != *b);
}

static bool time_changed(const struct k8s_time *a, const struct k8s_time *b)
{
	return a->set != b->set || (a->set && (a->sec != b->sec || a->nsec != b->nsec));
}

static struct str time_json(struct arena *a, const struct k8s_time *t)
{
	char text[K8S_TIME_TEXT_MAX];
	size_t n;

	if (!t->set)
		return S("null");
	n = k8s_time_format(t, false, text);
	return arena_fmt(a, "\"" STR_FMT "\"", STR_ARG(str_n(text, n)));
}

static void bad_conditions(struct field_errors *e, const char *why)
{
	struct field_path status = FIELD(NULL, "status");

	field_invalid_raw(e, AT(&status, "conditions"), (struct str){0}, "%s", why);
}

static void validate_uids(const struct str_vec *uids, struct str_vec *seen,
	const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < uids->n; i++) {
		if (uids->v[i].n == 0)
			field_invalid(e, AT_INDEX(p, i), uids->v[i], "must not be empty");
		else if (str_vec_has(seen, uids->v[i]))
			field_duplicate(e, AT_INDEX(p, i), uids->v[i]);
		else
			ARENA_PUSH(e->arena, seen, uids->v[i]);
	}
}

static void validate_counters(const struct batch_v1_job_status *s, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "status"), u = FIELD(&p, "uncountedTerminatedPods");
	struct str_vec seen = {0};

	validate_nonnegative(s->active, AT(&p, "active"), e);
	validate_nonnegative(s->succeeded, AT(&p, "succeeded"), e);
	validate_nonnegative(s->failed, AT(&p, "failed"), e);
	if (s->ready)
		validate_nonnegative(*s->ready, AT(&p, "ready"), e);
	if (s->terminating)
		validate_nonnegative(*s->terminating, AT(&p, "terminating"), e);
	if (!s->uncounted_terminated_pods)
		return;
	validate_uids(&s->uncounted_terminated_pods->succeeded, &seen, AT(&u, "succeeded"), e);
	validate_uids(&s->uncounted_terminated_pods->failed, &seen, AT(&u, "failed"), e);
}

static void validate_completion(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e)
{
	const struct batch_v1_job_status *s = &job->status, *was = &old->status;
	struct field_path p = FIELD(NULL, "status"), at = FIELD(&p, "completionTime");
	bool complete = job_condition_true(job, "Complete");
	bool start_changed = time_changed(&s->start_time, &was->start_time);
	bool end_changed = time_changed(&s->completion_time, &was->completion_time);
	bool complete_changed = condition_changed(job, old, "Complete");

	if ((complete_changed || condition_changed(job, old, "Failed")) && complete &&
		job_condition_true(job, "Failed"))
		bad_conditions(e, "cannot set Complete=True and Failed=true conditions");
	if ((complete_changed || condition_changed(job, old, "FailureTarget")) && complete &&
		job_condition_true(job, "FailureTarget"))
		bad_conditions(e, "cannot set Complete=True and FailureTarget=true conditions");
	if ((complete_changed || end_changed) && s->completion_time.set && !complete)
		field_invalid_raw(e, &at, time_json(e->arena, &s->completion_time),
			"cannot set completionTime when there is no Complete=True condition");
	if ((complete_changed || end_changed) && !s->completion_time.set && complete)
		field_required(e, &at, "completionTime is required for Complete jobs");
	if ((start_changed || end_changed) && s->start_time.set && s->completion_time.set &&
		s->completion_time.sec < s->start_time.sec)
		field_invalid_raw(e, &at, time_json(e->arena, &s->completion_time),
			"must be equal to or after `startTime`");
}

static void validate_finished(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e)
{
	const struct batch_v1_job_status *s = &job->status, *was = &old->status;
	const struct batch_v1_uncounted_terminated_pods *u = s->uncounted_terminated_pods;
	struct field_path p = FIELD(NULL, "status");
	bool done = finished(job), changed = done != finished(old);
	bool empty_suspended = job->spec.suspend && *job->spec.suspend && job->spec.completions &&
			       *job->spec.completions == 0;

	if (!done)
		return;
	if ((changed || s->active != was->active) && s->active > 0)
		field_invalid_int(
			e, AT(&p, "active"), s->active, "active>0 is invalid for finished job");
	if ((changed || time_changed(&s->start_time, &was->start_time)) && !empty_suspended &&
		!s->start_time.set)
		field_required(e, AT(&p, "startTime"), "startTime is required for finished job");
	if (changed && u && u->failed.n + u->succeeded.n > 0)
		field_invalid_raw(e, AT(&p, "uncountedTerminatedPods"),
			go_json(e->arena, &batch_v1_uncounted_terminated_pods_schema, u),
			"must be empty for finished job");
}

static void validate_indexes(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e)
{
	const struct batch_v1_job_status *s = &job->status, *was = &old->status;
	struct field_path p = FIELD(NULL, "status"), done = FIELD(&p, "completedIndexes"),
			  failed = FIELD(&p, "failedIndexes");
	const int32_t *completions = job->spec.completions;
	bool done_changed = !str_eq(s->completed_indexes, was->completed_indexes);
	bool failed_changed = !str_eq(s->failed_indexes, was->failed_indexes);
	struct str wrong;

	if (done_changed && completions) {
		count_indexes(s->completed_indexes, *completions, e->arena, &wrong);
		if (wrong.n)
			field_invalid(e, &done, s->completed_indexes,
				"error parsing completedIndexes: " STR_FMT, STR_ARG(wrong));
	}
	if (failed_changed && completions && job->spec.backoff_limit_per_index) {
		count_indexes(s->failed_indexes, *completions, e->arena, &wrong);
		if (wrong.n)
			field_invalid(e, &failed, s->failed_indexes,
				"error parsing failedIndexes: " STR_FMT, STR_ARG(wrong));
	}
	if (done_changed && s->completed_indexes.n &&
		!str_eqc(job->spec.completion_mode, "Indexed"))
		field_invalid(e, &done, s->completed_indexes,
			"cannot set non-empty completedIndexes when non-indexed completion mode");
	if (failed_changed && !job->spec.backoff_limit_per_index && s->failed_indexes.p)
		field_invalid(e, &failed, s->failed_indexes,
			"cannot set non-null failedIndexes when backoffLimitPerIndex is null");
}

static void validate_success_criteria(const struct batch_v1_job *job, struct field_errors *e)
{
	bool met = job_condition_true(job, "SuccessCriteriaMet");

	if (met && job_condition_true(job, "Failed"))
		bad_conditions(e, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
	if (met && job_condition_true(job, "FailureTarget"))
		bad_conditions(
			e, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
	if (job->spec.success_policy && !met && job_condition_true(job, "Complete"))
		bad_conditions(e, "cannot set Complete=True for Job with SuccessPolicy unless "
				  "SuccessCriteriaMet=True");
}

/* What once was true or counted stays so. */
static void validate_kept(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e)
{
	static const char *const terminal[] = {"Failed", "Complete", "FailureTarget"};
	const struct batch_v1_job_status *s = &job->status, *was = &old->status;
	struct field_path p = FIELD(NULL, "status");
	bool indexed = str_eqc(job->spec.completion_mode, "Indexed");
	bool resuming =
		job_condition_true(old, "Suspended") && !job_condition_true(job, "Suspended");

	for (size_t i = 0; i < ARRAY_SIZE(terminal); i++)
		if (job_condition_true(old, terminal[i]) && !job_condition_true(job, terminal[i]))
			field_invalid_raw(e, AT(&p, "conditions"), (struct str){0},
				"cannot disable the terminal %s=True condition", terminal[i]);
	if (s->failed < was->failed)
		field_invalid_int(
			e, AT(&p, "failed"), s->failed, "cannot decrease the failed counter");
	if ((!indexed || int_changed(job->spec.completions, job->spec.parallelism)) &&
		s->succeeded < was->succeeded)
		field_invalid_int(e, AT(&p, "succeeded"), s->succeeded,
			"cannot decrease the succeeded counter");
	if (s->completion_time.set && was->completion_time.set &&
		time_changed(&s->completion_time, &was->completion_time))
		field_invalid_raw(e, AT(&p, "completionTime"),
			time_json(e->arena, &s->completion_time), "field is immutable");
	if (!resuming && was->start_time.set && time_changed(&s->start_time, &was->start_time) &&
		!(job->spec.suspend && *job->spec.suspend))
		field_invalid_raw(e, AT(&p, "startTime"), time_json(e->arena, &s->start_time),
			"field is immutable for unsuspended job once set");
}

void validate_job_status(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e)
{
	const struct batch_v1_job_status *s = &job->status, *was = &old->status;
	struct field_path p = FIELD(NULL, "status");
	bool failed_indexes_changed = !str_eq(s->failed_indexes, was->failed_indexes);
	bool met = job_condition_true(job, "SuccessCriteriaMet");
	bool was_met = job_condition_true(old, "SuccessCriteriaMet");

	validate_counters(s, e);
	validate_completion(job, old, e);
	if ((condition_changed(job, old, "Failed") || failed_indexes_changed) &&
		job_condition_true(job, "Failed") && !job_condition_true(job, "FailureTarget"))
		bad_conditions(e, "cannot set Failed=True condition without the FailureTarget=true "
				  "condition");
	if ((condition_changed(job, old, "Complete") || met != was_met) &&
		job_condition_true(job, "Complete") && !met)
		bad_conditions(e, "cannot set Complete=True condition without the "
				  "SuccessCriteriaMet=true condition");
	validate_finished(job, old, e);
	validate_indexes(job, old, e);
	if ((finished(job) != finished(old) || int_changed(s->terminating, was->terminating)) &&
		s->terminating && *s->terminating > 0 && finished(job))
		field_invalid_int(e, AT(&p, "terminating"), *s->terminating,
			"terminating>0 is invalid for finished job");
	if ((int_changed(s->ready, was->ready) || s->active != was->active) && s->ready &&
		*s->ready > s->active)
		field_invalid_int(
			e, AT(&p, "ready"), *s->ready, "cannot set more ready pods than active");
	validate_success_criteria(job, e);
	validate_kept(job, old, e);
	if (was_met && !met)
		bad_conditions(e, "cannot disable the SuccessCriteriaMet=True condition");
	if (job_condition_true(old, "Complete") && !was_met && met)
		bad_conditions(e, "cannot set SuccessCriteriaMet=True for Job already has "
				  "Complete=true conditions");
}
