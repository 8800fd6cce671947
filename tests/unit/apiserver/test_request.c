/* test_request.c: what a method, a path and a query ask for; queries; Accept headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/negotiate.h"
#include "apiserver/request.h"

static const struct {
	const char *method, *path, *query;
	bool resource;
	const char *verb, *group, *version, *ns, *what, *sub, *name;
} cases[] = {
	{"GET", "/", "", false, "get", "", "", "", "", "", ""},
	{"POST", "/healthz", "", false, "post", "", "", "", "", "", ""},
	{"GET", "/api/v1", "", false, "get", "", "", "", "", "", ""},
	{"GET", "/apis/apps/v1", "", false, "get", "", "", "", "", "", ""},
	{"GET", "/api/v1/pods", "", true, "list", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/pods/", "", true, "list", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/pods", "watch=1", true, "watch", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/pods", "watch=false", true, "list", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/pods", "watch", true, "watch", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/pods", "fieldSelector=metadata.name%3Dx", true, "list", "", "v1", "",
		"pods", "", "x"},
	{"HEAD", "/api/v1/namespaces/a/pods/b", "", true, "get", "", "v1", "a", "pods", "", "b"},
	{"GET", "/api/v1/namespaces/a", "", true, "get", "", "v1", "a", "namespaces", "", "a"},
	{"PUT", "/api/v1/namespaces/a/finalize", "", true, "update", "", "v1", "a", "namespaces",
		"finalize", "a"},
	{"DELETE", "/apis/apps/v1/namespaces/a/deployments", "", true, "deletecollection", "apps",
		"v1", "a", "deployments", "", ""},
	{"DELETE", "/apis/apps/v1/namespaces/a/deployments/d", "", true, "delete", "apps", "v1",
		"a", "deployments", "", "d"},
	{"PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", true, "patch", "apps", "v1",
		"a", "deployments", "scale", "d"},
	{"GET", "/api/v1/watch/namespaces/a/pods/b", "", true, "watch", "", "v1", "a", "pods", "",
		"b"},
	{"OPTIONS", "/api/v1/pods", "", true, "", "", "v1", "", "pods", "", ""},
	{"GET", "/api/v1/namespaces/a/pods/b/proxy/c/d", "", true, "get", "", "v1", "a", "pods",
		"proxy", "b"},
};

static void check(struct str got, const char *want, size_t at)
{
	if (!str_eqc(got, want))
		fail_msg("case %zu (%s %s): \"" STR_FMT "\", want \"%s\"", at, cases[at].method,
			cases[at].path, STR_ARG(got), want);
}

static void test_request_info(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a = {0};
		struct request_info info;
		struct query q;

		query_parse(&a, str_c(cases[i].query), &q);
		assert_int_equal(request_info_parse(&a, str_c(cases[i].method),
					 str_c(cases[i].path), &q, &info, NULL),
			0);
		assert_int_equal(info.is_resource, cases[i].resource);
		check(info.verb, cases[i].verb, i);
		check(info.group, cases[i].group, i);
		check(info.version, cases[i].version, i);
		check(info.ns, cases[i].ns, i);
		check(info.resource, cases[i].what, i);
		check(info.subresource, cases[i].sub, i);
		check(info.name, cases[i].name, i);
		arena_release(&a);
	}
}

static void test_watch_alone(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct arena a = {0};
	struct request_info info;
	struct query q = {0};

	assert_true(request_info_parse(&a, S("GET"), S("/api/v1/watch"), &q, &info, &err) < 0);
	assert_int_equal(err.code, 500);
	arena_release(&a);
}

static void test_query(void **state)
{
	struct arena a = {0};
	struct query q;

	query_parse(&a, S("a=1&b=x%20y+z&c&a=2&bad=%zz&semi;=1&=empty&e="), &q);
	assert_true(str_eqc(query_get(&q, "a"), "1"));
	assert_true(str_eqc(query_get(&q, "b"), "x y z"));
	assert_true(query_has(&q, "c"));
	assert_true(query_has(&q, "e"));
	assert_false(query_has(&q, "bad"));
	assert_false(query_has(&q, "semi;"));
	assert_int_equal(query_all(&q, &a, "a").n, 2);
	assert_true(query_bool(&q, "c"));
	assert_false(query_bool(&q, "nothere"));
	arena_release(&a);
}

static void test_accept(void **state)
{
	static const char *const json[] = {"application/json", NULL};
	struct arena a = {0};
	struct accept v;

	accept_parse(&a,
		S("*/*;q=0.1, text/html, application/json;as=Table;v=v1;q=0.9, application/*"), &v);
	assert_int_equal(v.n, 4);
	assert_true(str_eqc(v.v[0].type, "text"));
	assert_true(str_eqc(v.v[1].subtype, "*"));
	assert_true(str_eqc(accept_param(&v.v[2], "as"), "Table"));
	assert_true(str_eqc(v.v[3].type, "*"));
	assert_true(accept_matches(&v.v[3], "application", "json"));
	assert_true(accept_route_matches(S(""), json));
	assert_true(accept_route_matches(S("text/html, application/json;q=0.5"), json));
	assert_false(accept_route_matches(S("application/*"), json));
	arena_release(&a);
}

static void test_durations(void **state)
{
	static const char *const durations[][2] = {
		{"5s", ""},
		{"0", ""},
		{"0s", ""},
		{"-1s", ""},
		{"+1h2m3.5s", ""},
		{".5ms", ""},
		{"999h", ""},
		{"1\xc2\xb5s", ""},
		{"", "time: invalid duration \"\""},
		{"abc", "time: invalid duration \"abc\""},
		{"-", "time: invalid duration \"-\""},
		{".s", "time: invalid duration \".s\""},
		{"10", "time: missing unit in duration \"10\""},
		{"1s5", "time: missing unit in duration \"1s5\""},
		{"10x", "time: unknown unit \"x\" in duration \"10x\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct arena a CLEANUP(arena_release) = {0};

		assert_string_equal(
			arena_cstr(&a, query_duration_problem(&a, str_c(durations[i][0]))),
			durations[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_request_info),
		cmocka_unit_test(test_watch_alone),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_accept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
