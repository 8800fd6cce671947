#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "schema/schema.h"

static void test_in(void **state)
{
	static const char *const cases[][2] = {
		{"", "null"},
		{"b: 1\na: x\n", "{\"a\":\"x\",\"b\":1}"},
		{"{a: yes, b: \"yes\", c: ~, d: 0x10, e: 010, f: 1_000, g: 1e3, h: 1.50, i: .5}",
			"{\"a\":true,\"b\":\"yes\",\"c\":null,\"d\":16,\"e\":8,\"f\":1000,\"g\":"
			"1000,\"h\":1.5,\"i\":0.5}"},
		{"{a: 2024-01-01, b: 2024-01-01T00:00:00Z, c: 1.2.3, d: '', e: -5, f: +5, g: 0b11}",
			"{\"a\":\"2024-01-01\",\"b\":\"2024-01-01T00:00:00Z\",\"c\":\"1.2.3\","
			"\"d\":\"\",\"e\":-5,"
			"\"f\":5,\"g\":3}"},
		{"a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"},
		{"{1: a, on: b}", "{\"1\":\"a\",\"true\":\"b\"}"},
		{"a: &x {k: v}\nb: *x\n", "{\"a\":{\"k\":\"v\"},\"b\":{\"k\":\"v\"}}"},
		{"{<<: {a: b}, c: d}", "{\"a\":\"b\",\"c\":\"d\"}"},
		{"{a: !!binary aGk=, b: !!str 5}", "{\"a\":\"hi\",\"b\":\"5\"}"},
		{"a: 1\n---\nb: 2\n", "{\"a\":1}"},
		{"%YAML 1.1\n---\r\na: 1\r\n", "{\"a\":1}"},
		{"- a\n- [b, {c: d}]\n", "[\"a\",[\"b\",{\"c\":\"d\"}]]"},
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct str json;

		if (yaml_to_json(str_c(cases[i][0]), &a, &json, NULL, &err) < 0)
			fail_msg("%s: %s", cases[i][0], err_text(&err));
		assert_string_equal(json.p, cases[i][1]);
	}
	arena_release(&a);
}

static void test_errors(void **state)
{
	static const char *const cases[][2] = {
		{"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n\tdata: {}\n",
			"yaml: line 5: found a tab character that violates indentation"},
		{"a: 1\nb:\n  c: d\ne: {a: b\n", "yaml: line 4: did not find expected ',' or '}'"},
		{"a: *x\n", "yaml: unknown anchor 'x' referenced"},
		{"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c "
		 "[*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
		 "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
		 "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
			"yaml: document contains excessive aliasing"},
		{"a: &a [*a]\n", "yaml: anchor value contains itself"},
		{"? [a]\n: b\n", "yaml: invalid map key"},
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};
		struct str json;

		assert_true(yaml_to_json(str_c(cases[i][0]), &a, &json, NULL, &err) < 0);
		assert_string_equal(err_text(&err), cases[i][1]);
		err_release(&err);
	}
	arena_release(&a);
}

static void test_duplicates(void **state)
{
	struct str_vec twice = {0};
	struct str json;
	struct arena a;

	arena_init(&a);
	assert_int_equal(
		yaml_to_json(S("k: v\na: 1\nd: {a: b, a: c}\n"), &a, &json, &twice, NULL), 0);
	assert_string_equal(json.p, "{\"a\":1,\"d\":{\"a\":\"c\"},\"k\":\"v\"}");
	assert_int_equal(twice.n, 1);
	assert_true(str_eqc(twice.v[0], "line 3: key \"a\" already set in map"));
	arena_release(&a);
}

static void test_out(void **state)
{
	static const char json[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"a\":[],\"b\":{},"
				   "\"c\":[{\"x\":1,\"w\":[\"p\","
				   "[1]]},\"yes\",\"\",\"1.5\",\"a: "
				   "b\",\"it's\"],\"d\":null,\"e\":\"x\\ny\\n\",\"f\":\"\\u0001\"}";
	struct buf b;
	struct str back;
	struct arena a;

	arena_init(&a);
	buf_init(&b, 1 << 20);
	json_to_yaml(str_c(json), &b);
	assert_string_equal(b.p, "a: []\napiVersion: v1\nb: {}\nc:\n- w:\n  - p\n  - - 1\n  x: "
				 "1\n- \"yes\"\n- \"\"\n"
				 "- \"1.5\"\n- 'a: b'\n- it's\nd: null\ne: |\n  x\n  y\nf: "
				 "\"\\x01\"\nkind: Pod\n");
	assert_int_equal(yaml_to_json(buf_str(&b), &a, &back, NULL, NULL), 0);
	assert_string_equal(back.p,
		"{\"a\":[],\"apiVersion\":\"v1\",\"b\":{},\"c\":[{\"w\":[\"p\",[1]],\"x\":1},"
		"\"yes\","
		"\"\",\"1.5\",\"a: b\",\"it's\"],\"d\":null,\"e\":\"x\\ny\\n\",\"f\":\"\\u0001\","
		"\"kind\":\"Pod\"}");
	buf_release(&b);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_in), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_duplicates), cmocka_unit_test(test_out)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
