#include <setjmp.h>
#include <stdio.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/flags.h"

static void arena_keeps_what_it_gave(void **state)
{
	struct arena a;
	struct str all[1000];

	arena_init(&a);
	for (int i = 0; i < 1000; i++)
		all[i] = arena_fmt(&a, "string %d", i);
	for (int i = 0; i < 1000; i++) {
		char want[32];

		snprintf(want, sizeof(want), "string %d", i);
		assert_string_equal(all[i].p, want);
	}
	char *big = arena_alloc(&a, 10 << 20);
	assert_int_equal(big[(10 << 20) - 1], 0);
	assert_string_equal(arena_strc(&a, "after").p, "after");
	arena_release(&a);
}

static void count_hook(void *p)
{
	++*(int *)p;
}

static void arena_runs_hooks_and_grows(void **state)
{
	struct {
		int *v;
		size_t n;
	} vec = {0};
	struct arena a = {0};
	int hooks = 0;

	arena_ref(&a, count_hook, &hooks);
	vec.v = ARENA_ARRAY(&a, int, 3);
	vec.n = 3;
	for (int i = 3; i < 100; i++)
		ARENA_PUSH(&a, &vec, i);
	assert_int_equal(vec.n, 100);
	assert_int_equal(vec.v[99], 99);
	arena_release(&a);
	assert_int_equal(hooks, 1);
}

static void buf_stops_at_its_maximum(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	buf_add_c(&b, "12345");
	buf_add_c(&b, "123456");
	assert_true(buf_failed(&b));
	assert_int_equal(b.n, 5);
	buf_add_c(&b, "1");
	assert_int_equal(b.n, 5);
	buf_reset(&b);
	buf_add_i64(&b, INT32_MIN);
	assert_false(buf_failed(&b) && b.n > 10);
	buf_release(&b);
	buf_init(&b, 100);
	buf_add_i64(&b, INT64_MIN);
	assert_string_equal(b.p, "-9223372036854775808");
	buf_consume(&b, 18);
	assert_string_equal(b.p, "08");
	buf_release(&b);
}

static void numbers(void **state)
{
	int64_t v = 0;
	uint64_t u = 0;

	assert_int_equal(str_to_i64(S("-9223372036854775808"), &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(str_to_i64(S("9223372036854775808"), &v), -ERANGE);
	assert_int_equal(str_to_u64(S("18446744073709551615"), &u), 0);
	assert_int_equal(str_to_u64(S("18446744073709551616"), &u), -ERANGE);
	assert_int_equal(str_to_u64(S("1x"), &u), -EINVAL);
	assert_int_equal(str_to_u64(S(""), &u), -EINVAL);
}

static void errors_say_what_upstream_says(void **state)
{
	struct err err CLEANUP(err_release) = {0};

	assert_int_equal(err_not_found(&err, S("apps"), S("deployments"), S("x")), -ENOENT);
	assert_string_equal(err_text(&err), "deployments.apps \"x\" not found");
	assert_int_equal(err.code, 404);
	/* the old text may be an argument of the new one */
	err_fmt(&err, 500, "InternalError", "again: %s", err_text(&err));
	assert_string_equal(err_text(&err), "again: deployments.apps \"x\" not found");
	assert_false(err.has_details);
	assert_int_equal(err_already_exists(NULL, S(""), S("pods"), S("x")), -EEXIST);
}

static void flags(void **state)
{
	bool on = false;
	int port = 1;
	const char *name = "none";
	int64_t wait = 0;
	struct flag_list list = {0};
	struct flag_args rest;
	const struct flag table[] = {{"on", FLAG_BOOL, &on, NULL, "on"},
		{"port", FLAG_INT, &port, "PORT", "port"},
		{"name", FLAG_STRING, &name, "NAME", "name"},
		{"wait", FLAG_DURATION, &wait, "T", "wait"},
		{"list", FLAG_LIST, &list, "A,B", "list"}, {NULL}};
	char *good[] = {"p", "--on", "a", "--port=7", "--name", "x", "--wait=1m30s", "--list=a,b",
		"--list", "c", "--", "-b"};
	char *unknown_flag[] = {"p", "--prot=7"}, *no_number[] = {"p", "--port", "x"},
	     *no_value[] = {"p", "--name"};

	assert_int_equal(flags_parse(table, "p", ARRAY_SIZE(good), good, &rest), 0);
	assert_true(on);
	assert_int_equal(port, 7);
	assert_string_equal(name, "x");
	assert_int_equal(wait, 90000);
	assert_int_equal(list.n, 3);
	assert_int_equal(rest.n, 2);
	assert_string_equal(rest.v[0], "a");
	assert_string_equal(rest.v[1], "-b");
	assert_int_equal(flags_parse(table, "p", 2, unknown_flag, NULL), -EINVAL);
	assert_int_equal(flags_parse(table, "p", 3, no_number, NULL), -EINVAL);
	assert_int_equal(flags_parse(table, "p", 2, no_value, NULL), -EINVAL);
}

static void files_of_the_kernel_are_read_to_their_end(void **state)
{
	struct arena a = {0};
	struct str text;

	assert_int_equal(file_read("/proc/filesystems", 1 << 16, &a, &text, NULL), 0);
	assert_true(text.n > 10);
	assert_int_equal(file_read("/proc/filesystems", 4, &a, &text, NULL), -EFBIG);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_keeps_what_it_gave),
		cmocka_unit_test(arena_runs_hooks_and_grows),
		cmocka_unit_test(buf_stops_at_its_maximum),
		cmocka_unit_test(numbers),
		cmocka_unit_test(errors_say_what_upstream_says),
		cmocka_unit_test(flags),
		cmocka_unit_test(files_of_the_kernel_are_read_to_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
