/* CRI's messages: what we write byte by byte, and what we make of what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "node/cri_grpc/messages.h"

static void assert_bytes(const struct wire_type *t, const void *v, struct str want)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, 65536);
	wire_encode(t, v, &b);
	assert_int_equal(b.n, want.n);
	assert_memory_equal(b.p, want.p, want.n);
}

static void test_writes_scalars_and_lists(void **state)
{
	struct stop_container_request stop = {S("c1"), 30};
	struct str command[] = {S("a"), S(""), S("b")};
	struct exec_sync_request exec = {S("c"), {command, 3}, 300};
	int64_t port = 8080;
	struct forward_request forward = {S("s"), &port, 1};

	(void)state;
	assert_bytes(&stop_container_request, &stop, S("\x0a\x02\x63\x31\x10\x1e"));
	assert_bytes(&exec_sync_request, &exec,
		S("\x0a\x01"
		  "c\x12\x01"
		  "a\x12\x00\x12\x01"
		  "b\x18\xac\x02"));
	assert_bytes(&forward_request, &forward, S("\x0a\x01s\x12\x02\x90\x3f"));
	stop.timeout_s = -1;
	assert_bytes(&stop_container_request, &stop,
		S("\x0a\x02\x63\x31\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
}

/* What is zero is not written, but the profile and namespaces of a sandbox are there all the same.
 */
static void test_writes_a_sandbox(void **state)
{
	struct str_pair label = {S("k"), S("")};
	int64_t user = 0;
	struct port_message port = {1, 53, 0, {0}};
	struct sandbox_message m = {
		.c = {.name = S("n"),
			.uid = S("u"),
			.ns = S("d"),
			.labels = {&label, 1},
			.network = CRI_NS_NODE,
			.pid = CRI_NS_CONTAINER,
			.user.run_as_user = &user,
			.seccomp = {CRI_PROFILE_LOCALHOST, S("p")}},
		.ports = &port,
		.n_ports = 1,
	};
	struct run_sandbox_request r = {&m, S("h")};

	(void)state;
	assert_bytes(&run_sandbox_request, &r,
		S("\x0a\x2d"
		  "\x0a\x09\x0a\x01n\x12\x01u\x1a\x01"
		  "d"                         /* metadata */
		  "\x22\x00"                  /* dns_config */
		  "\x2a\x04\x08\x01\x10\x35"  /* port_mappings */
		  "\x32\x05\x0a\x01k\x12\x00" /* labels */
		  "\x42\x11\x12\x0f"          /* linux, security_context */
		  "\x0a\x04\x08\x02\x10\x01"  /* namespace_options */
		  "\x1a\x00"                  /* run_as_user 0 */
		  "\x4a\x05\x08\x02\x12\x01p" /* seccomp */
		  "\x12\x01h"));
}

static void test_reads_a_container(void **state)
{
	static const char bytes[] =
		"\x0a\x3b"
		"\x0a\x02id"
		"\x12\x05\x0a\x01m\x10\x02" /* metadata */
		"\x18\x02"                  /* CONTAINER_EXITED */
		"\x38\x89\x01"              /* exit_code 137 */
		"\x42\x03\x0a\x01i"         /* image */
		"\x52\x09OOMKilled"
		"\x62\x06\x0a\x01k\x12\x01v"            /* labels */
		"\xf8\x3f\x07"                          /* unknown field 1023 */
		"\x82\x01\x04\x0a\x02\x20\x64"          /* resources.linux.memory_limit */
		"\x92\x01\x06\x0a\x04\x1a\x02\x05\x06"; /* user.linux.groups */
	struct container_reply r = {0};
	struct arena a CLEANUP(arena_release);

	(void)state;
	arena_init(&a);
	assert_int_equal(wire_decode(&container_reply, str_n(bytes, sizeof(bytes) - 1), &a, &r), 0);
	assert_true(str_eq(r.s.id, S("id")) && str_eq(r.s.name, S("m")));
	assert_int_equal(r.s.attempt, 2);
	assert_int_equal(r.s.state, CRI_EXITED);
	assert_int_equal(r.s.exit_code, 137);
	assert_true(str_eq(r.s.image, S("i")) && str_eq(r.s.reason, S("OOMKilled")));
	assert_int_equal(r.s.labels.n, 1);
	assert_true(str_eq(r.s.labels.v[0].value, S("v")));
	assert_int_equal(r.s.resources.memory_limit, 100);
	assert_non_null(r.user);
	assert_int_equal(r.user->uid, 0);
	assert_int_equal(r.user->n_groups, 2);
	assert_int_equal(r.user->groups[1], 6);
}

static void test_reads_values(void **state)
{
	struct stats_reply stats = {0};
	struct images_reply images = {0};
	struct arena a CLEANUP(arena_release);

	(void)state;
	arena_init(&a);
	assert_int_equal(wire_decode(&stats_reply,
				 S("\x0a\x0f"
				   "\x0a\x03\x0a\x01"
				   "c\x12\x08\x08\x05\x12\x04\x08\x80\x89\x7a"),
				 &a, &stats),
		0);
	assert_int_equal(stats.n, 1);
	assert_int_equal(stats.v[0].time_ns, 5);
	assert_int_equal(stats.v[0].cpu_usage_ns, 2000000);
	assert_int_equal(wire_decode(&images_reply, S("\x0a\x02\x2a\x00\x0a\x00"), &a, &images), 0);
	assert_int_equal(images.n, 2);
	assert_non_null(images.v[0].uid); /* given, as 0 */
	assert_null(images.v[1].uid);
}

static void test_refuses_what_is_no_message(void **state)
{
	static const struct str bad[] = {
		{"\x0a", 1},
		{"\x0a\x05x", 3},
		{"\x10", 1},
		{"\x08\x01", 2},  /* a string as number */
		{"\x12\x01x", 3}, /* a number as bytes */
		{"\x00\x00", 2},
		{"\x0b", 1},
		{"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
	};
	struct arena a CLEANUP(arena_release);

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct stop_container_request r = {0};

		assert_int_equal(wire_decode(&stop_container_request, bad[i], &a, &r), -EPROTO);
	}
}

static void test_bounds_lists(void **state)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct images_reply images = {0};
	struct arena a CLEANUP(arena_release);

	(void)state;
	arena_init(&a);
	buf_init(&b, 4 * WIRE_ITEMS_MAX);
	for (int i = 0; i <= WIRE_ITEMS_MAX; i++)
		buf_add_str(&b, S("\x0a\x00"));
	assert_int_equal(wire_decode(&images_reply, buf_str(&b), &a, &images), -EPROTO);
}

static void test_signals(void **state)
{
	(void)state;
	assert_int_equal(signal_number(S("SIGABRT")), 1);
	assert_int_equal(signal_number(S("SIGTERM")), 23);
	assert_int_equal(signal_number(S("SIGRTMIN")), 35);
	assert_int_equal(signal_number(S("SIGRTMIN+15")), 50);
	assert_int_equal(signal_number(S("SIGRTMAX-14")), 51);
	assert_int_equal(signal_number(S("SIGRTMAX-1")), 64);
	assert_int_equal(signal_number(S("SIGRTMAX")), 65);
	assert_int_equal(signal_number(S("SIGRTMIN+16")), 0);
	assert_int_equal(signal_number(S("")), 0);
	assert_int_equal(signal_number(S("SIGNOSUCH")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes_scalars_and_lists),
		cmocka_unit_test(test_writes_a_sandbox),
		cmocka_unit_test(test_reads_a_container),
		cmocka_unit_test(test_reads_values),
		cmocka_unit_test(test_refuses_what_is_no_message),
		cmocka_unit_test(test_bounds_lists),
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
