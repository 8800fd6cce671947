/* Rates from counters, interfaces from the kernel's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "node/stats.h"

#define S_NS 1000000000ll

static struct usage_rate note(
	struct usage_history *h, const char *key, double at_s, uint64_t cpu_ns)
{
	struct usage_rate r;

	usage_begin(h);
	r = usage_note(h, str_c(key), (int64_t)(at_s * S_NS), cpu_ns);
	usage_end(h);
	return r;
}

static void a_rate_needs_two_samples(void **state)
{
	struct usage_history h = {0};

	assert_int_equal(note(&h, "a", 100, 5 * S_NS).window_ns, 0);
	assert_int_equal(note(&h, "a", 100.5, 6 * S_NS).window_ns, 0); /* too close */
	assert_int_equal(note(&h, "a", 102, 6 * S_NS).nano_cores, S_NS / 2);
	usage_release(&h);
}

static void windows_are_ten_to_twenty_seconds(void **state)
{
	struct usage_history h = {0};

	for (int s = 0; s < 100; s++) {
		/* a tenth of a core, then a whole one */
		uint64_t cpu = s < 50 ? s * S_NS / 10 : 5 * S_NS + (s - 50) * S_NS;
		struct usage_rate r = note(&h, "a", 1000 + s, cpu);

		if (s >= 20)
			assert_in_range(r.window_ns, 10 * S_NS, 20 * S_NS);
		if (s == 49)
			assert_in_range(r.nano_cores, S_NS / 10 - 1, S_NS / 10 + 1);
		if (s >= 71)
			assert_in_range(r.nano_cores, S_NS - 1, S_NS + 1);
	}
	usage_release(&h);
}

static void what_is_old_or_began_again_tells_nothing(void **state)
{
	struct usage_history h = {0};

	note(&h, "a", 100, 5 * S_NS);
	assert_int_equal(note(&h, "a", 200, 9 * S_NS).window_ns, 0); /* nobody looked for long */
	assert_int_equal(note(&h, "a", 201, S_NS).window_ns, 0);     /* a new counter */
	assert_int_equal(note(&h, "a", 203, 2 * S_NS).nano_cores, S_NS / 2);
	/* what is not noted is forgotten */
	note(&h, "b", 204, 1);
	assert_int_equal(h.samples.n, 1);
	assert_int_equal(note(&h, "a", 205, 3 * S_NS).window_ns, 0);
	usage_release(&h);
}

static void interfaces(void **state)
{
	struct arena a = {0};
	struct network_stats n = network_stats_parse(
		S("Inter-|   Receive                                                |  Transmit\n"
		  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		  "packets errs drop fifo colls carrier compressed\n"
		  "    lo: 1111 9 0 0 0 0 0 0 1111 9 0 0 0 0 0 0\n"
		  "  eth0:1294 15 2 0 0 0 0 0 866 11 3 0 0 0 0 0\n"
		  "broken: 1 2\n"),
		&a);

	assert_int_equal(n.n, 1);
	assert_true(str_eqc(n.v[0].name, "eth0"));
	assert_int_equal(n.v[0].rx_bytes, 1294);
	assert_int_equal(n.v[0].rx_errors, 2);
	assert_int_equal(n.v[0].tx_bytes, 866);
	assert_int_equal(n.v[0].tx_errors, 3);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_needs_two_samples),
		cmocka_unit_test(windows_are_ten_to_twenty_seconds),
		cmocka_unit_test(what_is_old_or_began_again_tells_nothing),
		cmocka_unit_test(interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
