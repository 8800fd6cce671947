/* job_policy.c: what a job does about failures and successes of its pods. */
#include "apiserver/resources/job.h"

enum {
	RULES_MAX = 20,
	EXIT_CODES_MAX = 255,
	PATTERNS_MAX = 20,
	SUCCEEDED_INDEXES_MAX = 64 * 1024,
};

static struct str parse_index(struct str s, int32_t completions, struct arena *a, int64_t *ret)
{
	if (str_to_i64(s, ret) < 0)
		return arena_fmt(a, "cannot convert string to integer for index: " STR_FMT,
			STR_ARG(go_quote(a, s)));
	if (*ret >= completions)
		return arena_fmt(a, "too large index: " STR_FMT, STR_ARG(go_quote(a, s)));
	return (struct str){0};
}

static struct str parse_interval(
	struct str s, int32_t completions, struct arena *a, int64_t *low, int64_t *high)
{
	struct str first, second = {0}, wrong;
	bool two = str_cut(s, '-', &first, &second);

	if (two && str_chr(second, '-') >= 0)
		return arena_fmt(a,
			"the fragment " STR_FMT " violates the requirement that an index interval "
			"can have at most two parts separated by '-'",
			STR_ARG(go_quote(a, s)));
	wrong = parse_index(first, completions, a, low);
	*high = *low;
	if (wrong.n || !two)
		return wrong;
	wrong = parse_index(second, completions, a, high);
	if (!wrong.n && *low >= *high)
		return arena_fmt(a, "non-increasing order, previous: %lld, current: %lld",
			(long long)*low, (long long)*high);
	return wrong;
}

int32_t count_indexes(struct str text, int32_t completions, struct arena *a, struct str *wrong)
{
	int64_t low = 0, high = 0, last = -1, total = 0;
	struct str part, rest = text;
	bool more = text.n > 0;

	*wrong = (struct str){0};
	for (bool first = true; more; first = false) {
		more = str_cut(rest, ',', &part, &rest);
		*wrong = parse_interval(part, completions, a, &low, &high);
		if (!wrong->n && !first && last >= low)
			*wrong = arena_fmt(a, "non-increasing order, previous: %lld, current: %lld",
				(long long)last, (long long)low);
		if (wrong->n)
			return 0;
		total += high - low + 1;
		last = high;
	}
	return (int32_t)total;
}

static struct str int_list(struct arena *a, const struct int32_vec *v)
{
	struct str out = S("[");

	if (!v->v)
		return S("null");
	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(a, STR_FMT "%s%d", STR_ARG(out), i ? "," : "", v->v[i]);
	return arena_fmt(a, STR_FMT "]", STR_ARG(out));
}

static void validate_exit_code_values(
	const struct batch_v1_pod_failure_policy_on_exit_codes_requirement *r,
	const struct field_path *values, struct field_errors *e)
{
	bool ordered = true;

	if (r->values.n == 0)
		field_invalid_raw(e, values, int_list(e->arena, &r->values),
			"at least one value is required");
	else if (r->values.n > EXIT_CODES_MAX)
		field_too_many(e, values, r->values.n, EXIT_CODES_MAX);
	for (size_t i = 0; i < r->values.n; i++) {
		int32_t code = r->values.v[i];
		size_t k = 0;
		if (str_eqc(r->operator, "In") && code == 0)
			field_invalid_int(
				e, AT_INDEX(values, i), code, "must not be 0 for the In operator");
		while (k < i && r->values.v[k] != code)
			k++;
		if (k < i)
			field_duplicate_raw(
				e, AT_INDEX(values, i), arena_fmt(e->arena, "%d", code));
		ordered = ordered && (i == 0 || r->values.v[i - 1] <= code);
	}
	if (!ordered)
		field_invalid_raw(e, values, int_list(e->arena, &r->values), "must be ordered");
}

static bool has_container(const struct v1_pod_spec *spec, struct str name)
{
	for (size_t i = 0; i < spec->containers.n; i++)
		if (str_eq(spec->containers.v[i].name, name))
			return true;
	for (size_t i = 0; i < spec->init_containers.n; i++)
		if (str_eq(spec->init_containers.v[i].name, name))
			return true;
	return false;
}

static void validate_exit_codes(
	const struct batch_v1_pod_failure_policy_on_exit_codes_requirement *r,
	const struct v1_pod_spec *pod, const struct field_path *p, struct field_errors *e)
{
	static const char *const operators[] = {"In", "NotIn", NULL};

	if (r->operator.n == 0)
		field_required(e, AT(p, "operator"), "valid values: [\"In\" \"NotIn\"]");
	else
		field_one_of(e, AT(p, "operator"), r->operator, operators);
	if (r->container_name.p && !has_container(pod, r->container_name))
		field_invalid(e, AT(p, "containerName"), r->container_name,
			"must be one of the container or initContainer names in the pod template");
	validate_exit_code_values(r, AT(p, "values"), e);
}

static void validate_conditions(
	const struct batch_v1_pod_failure_policy_on_pod_conditions_pattern_vec *v,
	const struct field_path *p, struct field_errors *e)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};

	if (v->n > PATTERNS_MAX)
		field_too_many(e, p, v->n, PATTERNS_MAX);
	for (size_t i = 0; i < v->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		validate_qualified_name(v->v[i].type, AT(&item, "type"), e);
		if (v->v[i].status.n == 0)
			field_required(e, AT(&item, "status"),
				"valid values: [\"False\" \"True\" \"Unknown\"]");
		else
			field_one_of(e, AT(&item, "status"), v->v[i].status, statuses);
	}
}

static void validate_failure_rule(const struct batch_v1_job_spec *spec,
	const struct batch_v1_pod_failure_policy_rule *r, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
	struct field_path action = FIELD(p, "action");
	bool conditions = r->on_pod_conditions.n > 0;

	if (r->action.n == 0)
		field_required(e, &action,
			"valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
	else if (!str_eqc(r->action, "FailIndex"))
		field_one_of(e, &action, r->action, actions);
	else if (!spec->backoff_limit_per_index)
		field_invalid(e, &action, r->action, "requires the backoffLimitPerIndex to be set");
	if (r->on_exit_codes)
		validate_exit_codes(
			r->on_exit_codes, &spec->template.spec, AT(p, "onExitCodes"), e);
	if (conditions)
		validate_conditions(&r->on_pod_conditions, AT(p, "onPodConditions"), e);
	if (r->on_exit_codes && conditions)
		field_invalid_raw(e, p, (struct str){0},
			"specifying both OnExitCodes and OnPodConditions is not supported");
	if (!r->on_exit_codes && !conditions)
		field_invalid_raw(e, p, (struct str){0},
			"specifying one of OnExitCodes and OnPodConditions is required");
}

void validate_pod_failure_policy(
	const struct batch_v1_job_spec *spec, const struct field_path *p, struct field_errors *e)
{
	const struct batch_v1_pod_failure_policy *policy = spec->pod_failure_policy;
	struct field_path rules = FIELD(p, "rules");

	if (policy->rules.n > RULES_MAX)
		field_too_many(e, &rules, policy->rules.n, RULES_MAX);
	for (size_t i = 0; i < policy->rules.n; i++)
		validate_failure_rule(spec, &policy->rules.v[i], AT_INDEX(&rules, i), e);
}

static void validate_success_rule(const struct batch_v1_success_policy_rule *r, int32_t completions,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path indexes = FIELD(p, "succeededIndexes"),
			  count = FIELD(p, "succeededCount");
	int32_t total = 0;
	struct str wrong;

	if (!r->succeeded_count && !r->succeeded_indexes.p)
		field_required(e, p,
			"at least one of succeededCount or succeededIndexes must be specified");
	if (r->succeeded_indexes.p) {
		if (r->succeeded_indexes.n > SUCCEEDED_INDEXES_MAX)
			field_too_long(e, &indexes, SUCCEEDED_INDEXES_MAX);
		total = count_indexes(r->succeeded_indexes, completions, e->arena, &wrong);
		if (wrong.n)
			field_invalid(e, &indexes, r->succeeded_indexes,
				"error parsing succeededIndexes: " STR_FMT, STR_ARG(wrong));
	}
	if (!r->succeeded_count)
		return;
	validate_nonnegative(*r->succeeded_count, &count, e);
	if (*r->succeeded_count > completions)
		field_invalid_int(e, &count, *r->succeeded_count,
			"must be less than or equal to %d (the number of specified completions)",
			completions);
	if (r->succeeded_indexes.p && *r->succeeded_count > total)
		field_invalid_int(e, &count, *r->succeeded_count,
			"must be less than or equal to %d (the number of indexes in the specified "
			"succeededIndexes field)",
			total);
}

void validate_success_policy(
	const struct batch_v1_job_spec *spec, const struct field_path *p, struct field_errors *e)
{
	const struct batch_v1_success_policy *policy = spec->success_policy;
	struct field_path rules = FIELD(p, "rules");

	if (policy->rules.n == 0)
		field_required(e, &rules,
			"at least one rules must be specified when the successPolicy is specified");
	if (policy->rules.n > RULES_MAX)
		field_too_many(e, &rules, policy->rules.n, RULES_MAX);
	for (size_t i = 0; i < policy->rules.n; i++)
		validate_success_rule(&policy->rules.v[i],
			spec->completions ? *spec->completions : 0, AT_INDEX(&rules, i), e);
}
