/* test_retained.c: how long continue tokens live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/retained.h"

#define MINUTE_NS (60 * 1000000000LL)

/* A revision is compacted five to ten minutes after it was the newest one, never earlier. */
static void test_compaction(void **state)
{
	struct retained *r = retained_new();
	int64_t start = 1000 * MINUTE_NS;

	assert_false(retained_is_compacted(r, 10, 10, start));
	assert_false(retained_is_compacted(r, 10, 20, start + 4 * MINUTE_NS));
	assert_true(retained_is_compacted(r, 10, 20, start + 5 * MINUTE_NS));
	assert_false(retained_is_compacted(r, 11, 20, start + 5 * MINUTE_NS));
	assert_false(retained_is_compacted(r, 20, 30, start + 9 * MINUTE_NS));
	assert_true(retained_is_compacted(r, 20, 30, start + 10 * MINUTE_NS));
	assert_false(retained_is_compacted(r, 30, 30, start + 10 * MINUTE_NS));
	assert_false(retained_is_compacted(r, 0, 40, start + 60 * MINUTE_NS)); /* "any" */
	retained_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_compaction)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
