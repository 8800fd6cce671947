/* When certificates are renewed, on a clock that the test moves: also backwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "node/rotation.h"

enum { T0 = 1800000000, YEAR = 365 * 86400 };

static void look(const struct rotation *r, int64_t now, enum rotation_step want)
{
	int64_t wait = -1;

	assert_int_equal(rotation_look(r, now, &wait), want);
	assert_in_range(wait, 1, ROTATION_LOOK_S);
}

static void renewed_at_70_to_90_percent(void **state)
{
	int64_t first = INT64_MAX, last = 0;

	for (uint64_t random = 0; random < 1000; random++) {
		struct rotation r = {0};

		rotation_have(&r, T0, T0 + YEAR, random * 0x9e3779b97f4a7c15u);
		first = MIN(first, r.due_s - T0);
		last = MAX(last, r.due_s - T0);
		look(&r, T0 + YEAR / 10 * 7 - 11, ROTATION_WAIT);
		look(&r, T0 + YEAR / 10 * 9 + 11, ROTATION_RENEW);
		look(&r, T0 + YEAR - 1, ROTATION_RENEW);
		look(&r, T0 + YEAR, ROTATION_ENDED);
	}
	/* spread over the whole span, and never outside */
	assert_in_range(first, YEAR / 100 * 70 - 10, YEAR / 100 * 71);
	assert_in_range(last, YEAR / 100 * 89, YEAR / 100 * 90 + 60);
}

static void short_lives_too(void **state)
{
	struct rotation r = {0};

	rotation_have(&r, T0, T0 + 10, 0);
	look(&r, T0 + 6, ROTATION_WAIT);
	look(&r, T0 + 7, ROTATION_RENEW);
	look(&r, T0 + 10, ROTATION_ENDED);
	rotation_have(&r, T0, T0, 0); /* nonsense ends at once */
	look(&r, T0, ROTATION_ENDED);
}

static void none_is_asked_for_at_once(void **state)
{
	struct rotation r = {0};

	look(&r, T0, ROTATION_ENDED);
}

static void failures_pause_longer_and_longer(void **state)
{
	struct rotation r = {0};
	int64_t now = T0 + YEAR - 86400, wait, sum = 0;

	rotation_have(&r, T0, T0 + YEAR, 0);
	for (int i = 0; i < 12; i++) {
		look(&r, now, ROTATION_RENEW);
		rotation_failed(&r, now);
		look(&r, now, ROTATION_WAIT);
		assert_true(r.pause_s <= 300 && r.pause_s >= MIN(1 << i, 300));
		sum += r.pause_s;
		now += r.pause_s;
	}
	assert_in_range(sum, 500, 1500);
	assert_int_equal(rotation_look(&r, now, &wait), ROTATION_RENEW);
	/* a success forgets them */
	rotation_have(&r, now, now + YEAR, 0);
	assert_int_equal(r.failures, 0);
	look(&r, now, ROTATION_WAIT);
}

static void pauses_fit_into_short_lives(void **state)
{
	struct rotation r = {0};

	rotation_have(&r, T0, T0 + 100, 0);
	for (int i = 0; i < 10; i++)
		rotation_failed(&r, T0 + 70);
	assert_int_equal(r.pause_s, 5);
}

static void the_clock_may_jump(void **state)
{
	struct rotation r = {0};

	rotation_have(&r, T0, T0 + YEAR, 0);
	rotation_failed(&r, T0 + YEAR / 2);
	/* back before the failure: its pause does not last until then */
	look(&r, T0 + YEAR / 10, ROTATION_WAIT);
	assert_int_equal(r.failures, 1);
	rotation_failed(&r, T0 + 2 * (int64_t)YEAR); /* far ahead, by mistake */
	look(&r, T0 + YEAR - 5, ROTATION_RENEW);     /* and back: at once */
	look(&r, T0 - 3600, ROTATION_WAIT);          /* not valid yet by our clock: wait */
	look(&r, T0 + 3 * (int64_t)YEAR, ROTATION_ENDED);
}

static void a_refused_one_has_ended(void **state)
{
	struct rotation r = {0};

	rotation_have(&r, T0, T0 + YEAR, 0);
	look(&r, T0 + 5, ROTATION_WAIT);
	rotation_refused(&r);
	look(&r, T0 + 5, ROTATION_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renewed_at_70_to_90_percent),
		cmocka_unit_test(short_lives_too),
		cmocka_unit_test(none_is_asked_for_at_once),
		cmocka_unit_test(failures_pause_longer_and_longer),
		cmocka_unit_test(pauses_fit_into_short_lives),
		cmocka_unit_test(the_clock_may_jump),
		cmocka_unit_test(a_refused_one_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
