#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/map.h"

enum { N = 2000 };

static struct str key_of(char *buf, int i)
{
	return str_n(buf, snprintf(buf, 32, "key-%d", i));
}

/* Against the simplest thing that could be right: an array of flags. */
static void behaves_like_an_array(void **state)
{
	static int values[N];
	bool in[N] = {0};
	struct map m = {0};
	uint32_t x = 12345;
	size_t n = 0;
	char buf[32];

	for (int step = 0; step < 40000; step++) {
		int i = (x = x * 1664525u + 1013904223u) >> 16 & 2047;

		if (i >= N)
			continue;
		if (x & 1) {
			assert_ptr_equal(map_set(&m, key_of(buf, i), &values[i]), in[i] ? &values[i] : NULL);
			n += !in[i];
			in[i] = true;
		} else {
			assert_ptr_equal(map_remove(&m, key_of(buf, i)), in[i] ? &values[i] : NULL);
			n -= in[i];
			in[i] = false;
		}
		assert_int_equal(m.n, n);
	}
	for (int i = 0; i < N; i++)
		assert_ptr_equal(map_get(&m, key_of(buf, i)), in[i] ? &values[i] : NULL);
	for (struct map_entry *e = map_first(&m); e; e = map_next(&m, e))
		n--;
	assert_int_equal(n, 0);
	map_release(&m);
	assert_null(map_get(&m, S("x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(behaves_like_an_array)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
