/* Golden validations: specs on the left, what is wrong with them on the right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "apiserver/resources/job.h"
#include "apiserver/validation/schedule.h"

static struct arena a;

static int setup(void **state)
{
	arena_init(&a);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&a);
	return 0;
}

static struct str texts(const struct field_errors *e)
{
	struct str out = S("");

	for (size_t i = 0; i < e->n; i++)
		out = arena_fmt(&a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "\n" : "",
			STR_ARG(field_error_text(&a, &e->v[i])));
	return out;
}

/* The errors of a pod's spec, after defaults. */
static const char *pod_errors(const char *json)
{
	struct field_errors e = {.arena = &a};
	struct v1_pod_spec *spec;
	void *obj;

	assert_true(
		schema_decode_json(&v1_pod_spec_schema, str_c(json), &a, NULL, &obj, NULL) >= 0);
	spec = obj;
	schema_default(&v1_pod_spec_schema, spec, &a);
	default_pod_spec(spec, &a);
	validate_pod_spec(
		spec, NULL, AT(NULL, "spec"), (struct pod_opts){.allow_privileged = true}, &e);
	return arena_cstr(&a, texts(&e));
}

static void test_pod(void **state)
{
	static const struct {
		const char *spec, *wrong;
	} cases[] = {
		{"{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}", ""},
		{"{}", "spec.containers: Required value"},
		{"{\"containers\":[{\"name\":\"C\",\"image\":\"i\"}]}",
			"spec.containers[0].name: Invalid value: \"C\": a lowercase RFC 1123 label "
			"must consist of lower case alphanumeric characters or '-', and must start "
			"and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
			"regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"},
		{"{\"containers\":[{\"name\":\"c\"},{\"name\":\"c\",\"image\":\"i\"}]}",
			"spec.containers[0].image: Required value\n"
			"spec.containers[1].name: Duplicate value: \"c\""},
		{"{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"volumeMounts\":[{\"name\":"
		 "\"v\",\"mountPath\":\"/v\"}]}]}",
			"spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
		{"{\"restartPolicy\":\"X\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}",
			"spec.restartPolicy: Unsupported value: \"X\": supported values: "
			"\"Always\", \"OnFailure\", \"Never\""},
		{"{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":{"
		 "\"cpu\":\"2\"},\"limits\":{\"cpu\":\"1\"}}}]}",
			"spec.containers[0].resources.requests: Invalid value: \"2\": must be less "
			"than or equal to cpu limit of 1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(pod_errors(cases[i].spec), cases[i].wrong);
}

static void test_schedule(void **state)
{
	static const struct {
		const char *spec, *wrong;
	} cases[] = {
		{"*/5 1-3 * jan,Feb mon", ""},
		{"@hourly", ""},
		{"@every 5m", ""},
		{"@never", "unrecognized descriptor: @never"},
		{"* * *", "expected exactly 5 fields, found 3: [* * *]"},
		{"60 * * * *", "end of range (60) above maximum (59): 60"},
		{"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
		{"5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"},
		{"*/0 * * * *", "step of range should be a positive number: */0"},
		{"1-2-3 * * * *", "too many hyphens: 1-2-3"},
		{"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid "
			      "syntax"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str wrong = schedule_error(str_c(cases[i].spec), &a);
		assert_string_equal(arena_cstr(&a, wrong), cases[i].wrong);
	}
	assert_int_equal(time_zone_error(S("UTC"), &a).n, 0);
	assert_string_equal(time_zone_error(S("../etc"), &a).p, "unknown time zone ../etc");
}

static void test_indexes(void **state)
{
	struct str wrong;

	assert_int_equal(count_indexes(S(""), 5, &a, &wrong), 0);
	assert_int_equal(count_indexes(S("0,2-4"), 5, &a, &wrong), 4);
	assert_int_equal(wrong.n, 0);
	count_indexes(S("3,2"), 5, &a, &wrong);
	assert_string_equal(wrong.p, "non-increasing order, previous: 3, current: 2");
	count_indexes(S("5"), 5, &a, &wrong);
	assert_string_equal(wrong.p, "too large index: \"5\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_schedule, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indexes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
