#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "schema/quantity.h"

static const char *canonical(const char *text, struct arena *a)
{
	struct quantity q;

	assert_int_equal(quantity_parse(str_c(text), &q, NULL), 0);
	return quantity_text(&q, a).p;
}

static void test_canonical(void **state)
{
	static const char *const cases[][2] = {{"0", "0"}, {".", "0"}, {"-", "0"}, {"100m", "100m"},
		{"1.5", "1500m"}, {"0.5", "500m"}, {"1000m", "1"}, {"1.5Gi", "1536Mi"},
		{"1024Ki", "1Mi"}, {"1024", "1024"}, {"1e3", "1e3"}, {"1e2", "100"}, {"1E", "1E"},
		{"12e6", "12e6"}, {"0.1n", "1n"}, {"-0.1n", "-1n"}, {"1000000", "1M"},
		{"999999", "999999"}, {"0.5Ki", "512"}, {"0.0001Ki", "102400u"},
		{"2000Ki", "2000Ki"}, {"-5", "-5"}, {"+5", "5"}, {"1.", "1"},
		{"128974848", "128974848"}, {"123Mi", "123Mi"},
		{"9223372036854775807", "9223372036854775807"}, {"1e-3", "1e-3"},
		{"100Ei", "9223372036854775807"}, {"1.25Ki", "1280"}, {"1500Mi", "1500Mi"},
		{"00100", "100"}};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(canonical(cases[i][0], &a), cases[i][1]);
	arena_release(&a);
}

static void test_normalize_keeps(void **state)
{
	static const char *const cases[][2] = {{"1.500", "1.500"}, {"1.5", "1500m"},
		{"100Mi", "100Mi"}, {"+5", "+5"}, {"1000", "1k"}, {"1.000", "1"}, {"0.500", "500m"},
		{"1025Ki", "1025Ki"}, {"1024Ki", "1Mi"}, {"1e3", "1e3"}};
	struct arena a;
	struct str s;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(quantity_normalize(str_c(cases[i][0]), &a, &s, NULL), 0);
		if (!str_eqc(s, cases[i][1]))
			print_error("%s -> %.*s\n", cases[i][0], (int)s.n, s.p);
		assert_true(str_eqc(s, cases[i][1]));
	}
	arena_release(&a);
}

static void test_errors(void **state)
{
	static const char *const cases[][2] = {{"", "quantities must match"},
		{"x", "quantities must match"}, {"1x", "quantities must match"},
		{"1e", "unable to parse quantity's suffix"},
		{"1ki", "unable to parse quantity's suffix"}, {"1 ", "quantities must match"},
		{"1.2.3", "quantities must match"}, {"1mi", "unable to parse quantity's suffix"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct quantity q;

		assert_true(quantity_parse(str_c(cases[i][0]), &q, &err) < 0);
		assert_int_equal(err.code, 400);
		if (!strstr(err_text(&err), cases[i][1]))
			print_error("%s: %s\n", cases[i][0], err_text(&err));
		assert_non_null(strstr(err_text(&err), cases[i][1]));
		err_release(&err);
	}
}

static void test_values(void **state)
{
	struct quantity a = quantity_of(S("1500m")), b = quantity_of(S("1Gi"));

	assert_int_equal(quantity_value(&a), 2);
	assert_int_equal(quantity_milli(&a), 1500);
	assert_int_equal(quantity_value(&b), 1 << 30);
	assert_int_equal(quantity_milli_of(S("0.1m")), 1);
	assert_int_equal(quantity_value_of(S("-1500m")), -2);
	assert_int_equal(quantity_value_of(S("1e40")), INT64_MAX);
	assert_true(quantity_cmp(&a, &b) < 0);
	quantity_add(&a, &b);
	quantity_sub(&a, &b);
	assert_int_equal(quantity_milli(&a), 1500);
	a = (struct quantity){0};
	quantity_add(&a, &b);
	assert_int_equal(a.format, QUANTITY_BINARY_SI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_normalize_keeps), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_values)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
