#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "json/quote.h"
#include "json/reader.h"
#include "json/value.h"
#include "json/write.h"

static void test_errors(void **state)
{
	static const char *const cases[][2] = {
		{"", "unexpected end of JSON input"},
		{" ", "unexpected end of JSON input"},
		{"x", "invalid character 'x' looking for beginning of value"},
		{"\xff", "invalid character 'ÿ' looking for beginning of value"},
		{"\x1f", "invalid character '\\x1f' looking for beginning of value"},
		{"\n\a", "invalid character '\\a' looking for beginning of value"},
		{"{", "unexpected end of JSON input"},
		{"{\"a\"}", "invalid character '}' after object key"},
		{"{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"},
		{"{,", "invalid character ',' looking for beginning of object key string"},
		{"[1 2]", "invalid character '2' after array element"},
		{"[1,]", "invalid character ']' looking for beginning of value"},
		{"01", "invalid character '1' after top-level value"},
		{"-", "invalid character ' ' in numeric literal"},
		{"-x", "invalid character 'x' in numeric literal"},
		{"1.", "invalid character ' ' after decimal point in numeric literal"},
		{"1e+", "invalid character ' ' in exponent of numeric literal"},
		{"nul", "invalid character ' ' in literal null (expecting 'l')"},
		{"falze", "invalid character 'z' in literal false (expecting 's')"},
		{"\"a", "unexpected end of JSON input"},
		{"\"a\n\"", "invalid character '\\n' in string literal"},
		{"\"\\x\"", "invalid character 'x' in string escape code"},
		{"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
		{"'a'", "invalid character '\\'' looking for beginning of value"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char error[96] = "";

		assert_false(json_valid(str_c(cases[i][0]), error));
		assert_string_equal(error, cases[i][1]);
	}
}

static void test_tree(void **state)
{
	struct json_value *v, *other;
	struct arena a = {0};
	struct buf b;

	assert_int_equal(json_parse(S("{\"b\":[1,2,{\"x\":null}],\"a\":\"\\t<\\u00e9\",\"b\":7}"),
				 &a, &v, NULL),
		0);
	assert_string_equal(json_text(v, &a).p, "{\"b\":7,\"a\":\"\\t\\u003cé\"}");
	json_set(&a, v, S("c"), json_new(&a, JSON_ARRAY));
	json_append(&a, json_getc(v, "c"), json_new_int(&a, -3));
	json_insert(&a, json_getc(v, "c"), 0, json_new_bool(&a, true));
	other = json_copy(v, &a);
	assert_true(json_equal(v, other));
	json_remove_at(json_getc(other, "c"), 1);
	assert_false(json_equal(v, other));
	assert_true(json_remove(other, S("b")) && !json_remove(other, S("b")));
	buf_init(&b, 1 << 16);
	json_write_sorted(v, &b);
	assert_string_equal(b.p, "{\"a\":\"\\t\\u003cé\",\"b\":7,\"c\":[true,-3]}");
	buf_reset(&b);
	json_write_indent(&b, S("{\"a\":[],\"b\":{\"c\":[1,2]}}"));
	assert_string_equal(
		b.p, "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      2\n    ]\n  }\n}");
	buf_release(&b);
	arena_release(&a);
}

static void test_numbers(void **state)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = {{0, "0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"},
		{1e20, "100000000000000000000"}, {1e21, "1e+21"}, {1e-6, "0.000001"},
		{1e-7, "1e-7"}, {123456789.125, "123456789.125"},
		{1.7976931348623157e308, "1.7976931348623157e+308"}};
	struct buf b;

	buf_init(&b, 1 << 16);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_reset(&b);
		json_write_double(&b, cases[i].v);
		assert_string_equal(b.p, cases[i].text);
	}
	buf_release(&b);
}

static void test_quote(void **state)
{
	struct arena a = {0};

	assert_string_equal(quote_text(&a, S("a\"\\\n\x01é\xff\u200b😀")).p,
		"\"a\\\"\\\\\\n\\x01é\\xff\\u200b😀\"");
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
		cmocka_unit_test(test_tree), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_quote)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
