#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

/* What Go's StdEncoding and RawURLEncoding make of the same texts: the bytes, or the index of the
 * byte at which they are broken. */
static const struct {
	struct str text, bytes;
	ssize_t bad, bad_url; /* -1: good */
} cases[] = {
	{{"", 0}, {"", 0}, -1, -1},
	{{"YQ==", 4}, {"a", 1}, -1, 2},
	{{"YWI=", 4}, {"ab", 2}, -1, 3},
	{{"YWJj", 4}, {"abc", 3}, -1, -1},
	{{"YQ", 2}, {"a", 1}, 0, -1},
	{{"YWJjY", 5}, {"", 0}, 4, 4},
	{{"YW\nJj\r\n", 7}, {"abc", 3}, -1, -1},
	{{"YW!j", 4}, {"", 0}, 2, 2},
	{{"YQ==x", 5}, {"", 0}, 4, 2},
	{{"YQ=", 3}, {"", 0}, 3, 2},
	{{"=", 1}, {"", 0}, 0, 0},
	{{"+/8=", 4}, {"\xfb\xff", 2}, -1, 0},
	{{"-_8", 3}, {"\xfb\xff", 2}, 0, -1},
};

static void decodes_as_go(void **state)
{
	struct arena a = {0};
	struct str out;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t bad = base64_decode(cases[i].text, &a, &out);

		assert_int_equal((ssize_t)bad - 1, cases[i].bad);
		if (!bad)
			assert_true(str_eq(out, cases[i].bytes));
		bad = base64url_decode(cases[i].text, &a, &out);
		assert_int_equal((ssize_t)bad - 1, cases[i].bad_url);
		if (!bad)
			assert_true(str_eq(out, cases[i].bytes));
	}
	arena_release(&a);
}

static void comes_back(void **state)
{
	char bytes[67];
	struct arena a = {0};
	struct str out;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 151 + 7);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct buf b;

		buf_init(&b, 128);
		base64_encode(str_n(bytes, n), &b);
		assert_int_equal(b.n % 4, 0);
		assert_int_equal(base64_decode(buf_str(&b), &a, &out), 0);
		assert_true(str_eq(out, str_n(bytes, n)));
		buf_release(&b);
		assert_int_equal(
			base64url_decode(base64url_encode(str_n(bytes, n), &a), &a, &out), 0);
		assert_true(str_eq(out, str_n(bytes, n)));
	}
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_as_go),
		cmocka_unit_test(comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
