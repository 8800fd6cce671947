/* metrics: what is counted is told, in Prometheus' format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/flags.h"
#include "metrics/metrics.h"

static const double limits[] = {0.005, 1, 10};
static const struct metric counter = {"c_total", METRIC_COUNTER, "[STABLE] Counts.", {"a", "b"}};
static const struct metric gauge = {"g", METRIC_GAUGE, "[ALPHA] Is."};
static const struct metric histogram = {
	"h_seconds", METRIC_HISTOGRAM, "[BETA] Lasts.", {"x"}, METRIC_BUCKETS(limits)};
static const struct metric plain_histogram = {
	"h", METRIC_HISTOGRAM, "[BETA] Lasts.", {NULL}, METRIC_BUCKETS(limits)};

static void check_text(struct metrics *m, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	metrics_write(m, &b);
	assert_string_equal(b.p ? b.p : "", want);
	buf_release(&b);
}

static void test_text(void **state)
{
	struct metrics *m = metrics_new();

	check_text(m, "");
	metric_add(METRICS_GET(m, &counter, "y\"\\\n", "2"), 3);
	metric_add(METRICS_GET(m, &counter, "x", "1"), 1);
	metric_add(METRICS_GET(m, &counter, "x", "1"), 1);
	metric_set(metrics_get_plain(m, &gauge), -2.5);
	metric_observe(METRICS_GET(m, &histogram, "z"), 0.004);
	metric_observe(METRICS_GET(m, &histogram, "z"), 1);
	metric_observe(METRICS_GET(m, &histogram, "z"), 11);
	metric_observe(metrics_get_plain(m, &plain_histogram), 2);
	check_text(m, "# HELP c_total [STABLE] Counts.\n"
		      "# TYPE c_total counter\n"
		      "c_total{a=\"x\",b=\"1\"} 2\n"
		      "c_total{a=\"y\\\"\\\\\\n\",b=\"2\"} 3\n"
		      "# HELP g [ALPHA] Is.\n"
		      "# TYPE g gauge\n"
		      "g -2.5\n"
		      "# HELP h [BETA] Lasts.\n"
		      "# TYPE h histogram\n"
		      "h_bucket{le=\"0.005\"} 0\n"
		      "h_bucket{le=\"1\"} 0\n"
		      "h_bucket{le=\"10\"} 1\n"
		      "h_bucket{le=\"+Inf\"} 1\n"
		      "h_sum 2\n"
		      "h_count 1\n"
		      "# HELP h_seconds [BETA] Lasts.\n"
		      "# TYPE h_seconds histogram\n"
		      "h_seconds_bucket{x=\"z\",le=\"0.005\"} 1\n"
		      "h_seconds_bucket{x=\"z\",le=\"1\"} 2\n"
		      "h_seconds_bucket{x=\"z\",le=\"10\"} 2\n"
		      "h_seconds_bucket{x=\"z\",le=\"+Inf\"} 3\n"
		      "h_seconds_sum{x=\"z\"} 12.004\n"
		      "h_seconds_count{x=\"z\"} 3\n");
	metrics_free(m);
}

static void test_numbers(void **state)
{
	static const struct {
		double v;
		const char *text;
	} all[] = {{0, "0"}, {1, "1"}, {0.005, "0.005"}, {1e-05, "1e-05"}, {0.0001, "0.0001"},
		{9.999999999999999e-06, "9.999999999999999e-06"}, {123456, "123456"},
		{1048576, "1.048576e+06"}, {1e9, "1e+09"}, {-0.5, "-0.5"}, {INFINITY, "+Inf"},
		{-INFINITY, "-Inf"}, {NAN, "NaN"}, {12.004, "12.004"}, {100, "100"}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct buf b;

		buf_init(&b, 64);
		metric_number(&b, all[i].v);
		assert_string_equal(b.p, all[i].text);
		buf_release(&b);
	}
}

/* One series for each set of values, whoever asks; too many are lost, not kept. */
static void test_series(void **state)
{
	struct metrics *m = metrics_new();
	struct metric_series *s = METRICS_GET(m, &counter, "a", "b");
	char text[16];

	assert_non_null(s);
	assert_ptr_equal(METRICS_GET(m, &counter, "a", "b"), s);
	assert_ptr_not_equal(METRICS_GET(m, &counter, "a", "c"), s);
	assert_null(METRICS_GET(NULL, &counter, "a", "b"));
	metric_add(NULL, 1);
	metric_observe(NULL, 1);
	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		metric_add(METRICS_GET(m, &counter, text, ""), 1);
	}
	assert_null(METRICS_GET(m, &counter, "one", "more"));
	assert_ptr_equal(METRICS_GET(m, &counter, "a", "b"), s);
	metrics_free(m);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *count(void *arg)
{
	struct metric_series *s = METRICS_GET(arg, &counter, "t", ""),
			     *h = METRICS_GET(arg, &histogram, "t");

	for (int i = 0; i < ROUNDS; i++) {
		metric_add(s, 1);
		metric_observe(h, i % 2 ? 0.5 : 100);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct metrics *m = metrics_new();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, m), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check_text(m, "# HELP c_total [STABLE] Counts.\n"
		      "# TYPE c_total counter\n"
		      "c_total{a=\"t\",b=\"\"} 80000\n"
		      "# HELP h_seconds [BETA] Lasts.\n"
		      "# TYPE h_seconds histogram\n"
		      "h_seconds_bucket{x=\"t\",le=\"0.005\"} 0\n"
		      "h_seconds_bucket{x=\"t\",le=\"1\"} 40000\n"
		      "h_seconds_bucket{x=\"t\",le=\"10\"} 40000\n"
		      "h_seconds_bucket{x=\"t\",le=\"+Inf\"} 80000\n"
		      "h_seconds_sum{x=\"t\"} 4.02e+06\n"
		      "h_seconds_count{x=\"t\"} 80000\n");
	metrics_free(m);
}

static void test_flags_text(void **state)
{
	char *argv[] = {"p", "--wait=90s", "--list=a,b", "--name", "x"};
	int64_t wait_ms = 0, never_ms = 0;
	struct flag_list list = {.n = 0};
	const char *name = NULL, *none = NULL;
	bool yes = true;
	struct arena a = {0};
	const struct flag more[] = {{"yes", FLAG_BOOL, &yes}, {"none", FLAG_STRING, &none}, {NULL}};
	const struct flag flags[] = {{"wait", FLAG_DURATION, &wait_ms},
		{"never", FLAG_DURATION, &never_ms}, {"list", FLAG_LIST, &list},
		{"name", FLAG_STRING, &name}, {"gone", FLAG_RETIRED}, FLAGS_INCLUDE(more), {NULL}};

	assert_int_equal(flags_parse(flags, "p", 5, argv, NULL), 0);
	assert_string_equal(flags_text(flags, &a).p,
		"list: [a,b]\nname: x\nnever: 0s\nnone: \nwait: 1m30s\nyes: true\n");
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_flags_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
