/* Command lines: retired flags, those of upstream without effect, refused ones, groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/flags.h"

struct values {
	int port;
	const char *bind;
	bool on;
};

static int run_on(struct values *v, const char *a, const char *b)
{
	const struct flag inner[] = {
		{"bind-address", FLAG_STRING, &v->bind, "IP", "where"}, {NULL}};
	const struct flag flags[] = {
		{"secure-port", FLAG_INT, &v->port, "PORT", "which"},
		{"port", FLAG_INT, &v->port, "PORT", "--secure-port", .retired = true},
		{"on", FLAG_BOOL, &v->on, NULL, "switch"},
		{"encrypt", FLAG_REFUSED, NULL, "true", "cannot"},
		{"profiling", FLAG_UNUSED, NULL, NULL, "no"},
		FLAGS_HEADING("Inner"),
		FLAGS_INCLUDE(inner),
		FLAGS_INCLUDE(NULL),
		FLAGS_INCLUDE(flags_logging),
		{NULL},
	};
	char *argv[] = {"p", (char *)a, (char *)b, NULL};

	return flags_parse(flags, "p", b ? 3 : 2, argv, NULL);
}

/* What was said on stderr meanwhile. */
static char *said(struct values *v, const char *a, const char *b, int *ret)
{
	static char text[1024];
	FILE *f = tmpfile();
	int keep = dup(2);
	size_t n;

	fflush(stderr);
	dup2(fileno(f), 2);
	*ret = run_on(v, a, b);
	dup2(keep, 2);
	close(keep);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static void retired_works_with_one_warning(void **state)
{
	struct values v = {0};
	int r;

	assert_string_equal(said(&v, "--port=8080", NULL, &r),
		"p: warning: --port is retired; today: --secure-port\n");
	assert_int_equal(r, 0);
	assert_int_equal(v.port, 8080);
}

static void groups_are_searched(void **state)
{
	struct values v = {0};
	int r;

	assert_string_equal(said(&v, "--bind_address", "10.0.0.1", &r), "");
	assert_int_equal(r, 0);
	assert_string_equal(v.bind, "10.0.0.1");
	assert_string_equal(said(&v, "--logtostderr", "--on", &r),
		"p: warning: --logtostderr is no longer used: the log goes to standard error "
		"always; how much: --v\n");
	assert_int_equal(r, 0);
	assert_true(v.on);
}

static void unknown_names_the_nearest(void **state)
{
	struct values v = {0};
	int r;

	assert_string_equal(said(&v, "--bind-adress=1", NULL, &r),
		"p: unknown flag: --bind-adress (did you mean --bind-address?)\n");
	assert_int_equal(r, -EINVAL);
	assert_string_equal(said(&v, "--prt=1", NULL, &r), "p: unknown flag: --prt\n");
	assert_string_equal(said(&v, "--nothing-like-it-at-all", NULL, &r),
		"p: unknown flag: --nothing-like-it-at-all\n");
}

static void refused_unless_harmless(void **state)
{
	struct values v = {0};
	int r;

	assert_string_equal(
		said(&v, "--encrypt=key", NULL, &r), "p: --encrypt=key is not supported: cannot\n");
	assert_int_equal(r, -EINVAL);
	said(&v, "--encrypt=true", NULL, &r);
	assert_int_equal(r, 0);
	said(&v, "--encrypt=false", NULL, &r);
	assert_int_equal(r, 0);
	assert_string_equal(
		said(&v, "--profiling", "--on", &r), "p: --profiling has no effect here: no\n");
	assert_int_equal(r, 0);
}

/* A program that runs two others hands each what is its. */
static void picked_for_another_program(void **state)
{
	struct values own = {0}, first = {0}, second = {0};
	const struct flag of_first[] = {{"port", FLAG_INT, &first.port},
		{"on", FLAG_BOOL, &first.on}, {"old", FLAG_RETIRED}, {NULL}};
	const struct flag of_second[] = {{"port", FLAG_INT, &second.port},
		{"bind-address", FLAG_STRING, &second.bind}, {NULL}};
	const struct flag flags[] = {{"on", FLAG_BOOL, &own.on}, FLAGS_INCLUDE(of_first),
		FLAGS_INCLUDE(of_second), {NULL}};
	char *argv[] = {"p", "--bind_address", "::", "-v", "4", "--on", "--old", "--port=1",
		"--port", "2", NULL};
	int argc = ARRAY_SIZE(argv) - 1;
	struct str_vec got = {0};
	struct arena a;

	arena_init(&a);
	assert_int_equal(flags_parse(flags, "p", argc, argv, NULL), 0);
	flags_pick(flags, of_first, argc, argv, &a, &got);
	assert_int_equal(got.n, 3);
	assert_string_equal(got.v[0].p, "--old=true");
	assert_string_equal(got.v[1].p, "--port=1");
	assert_string_equal(got.v[2].p, "--port=2");
	got.n = 0;
	flags_pick(flags, of_second, argc, argv, &a, &got);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.v[0].p, "--bind-address=::");
	arena_release(&a);
	log_level = LOG_INFO;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retired_works_with_one_warning),
		cmocka_unit_test(groups_are_searched),
		cmocka_unit_test(unknown_names_the_nearest),
		cmocka_unit_test(refused_unless_harmless),
		cmocka_unit_test(picked_for_another_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
