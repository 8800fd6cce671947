/* The kernel takes what ruleset.c writes: in a network namespace of its own; skipped, loudly, without the rights. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "proxy/proxy.h"
#include "proxy/ruleset.h"

static struct proxy_port port_with(struct arena *a, int n, int node_port, bool local)
{
	struct proxy_port p = {.protocol = "tcp", .port = 80, .node_port = node_port, .external_local_only = local};

	for (int i = 0; i < n; i++)
		ARENA_PUSH(a, &p.internal, ((struct proxy_endpoint){arena_fmt(a, "10.1.0.%d", i + 2), 8080, true}));
	p.external = p.internal;
	return p;
}

static void kernel_takes_every_form(void **state)
{
	struct proxy_backend *b = NULL;
	struct err err CLEANUP(err_release) = {0};
	struct arena a = {0};
	struct ruleset_shared shared = {0};
	struct ruleset before = {0};
	struct buf nft;

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "SKIPPED: no right to make a network namespace\n");
		skip();
	}
	assert_int_equal(proxy_backend_nft_new(&b, &err), 0);
	buf_init(&nft, 1 << 20);
	ruleset_base(false, &nft);
	ruleset_base(true, &nft);
	if (b->apply(b, buf_str(&nft), &err) < 0)
		fail_msg("%s", err_text(&err));
	for (int step = 0; step < 32; step++) {
		struct proxy_port port = port_with(&a, step & 3, step & 4 ? 30080 : 0, step & 8);
		struct str ips[] = {S("10.254.0.9")}, out[] = {S("192.0.2.1")}, ranges[] = {S("198.51.100.0/24")};
		struct proxy_service svc = {.ns = S("a-b"), .name = S("x.y"), .ports = &port, .n_ports = 1,
			.cluster_ips = {ips, 1}, .affinity_s = step & 16 ? 60 : 0};
		struct ruleset after = {0};

		if (step & 2) {
			svc.external_ips = (struct str_vec){out, 1};
			svc.source_ranges = (struct str_vec){ranges, 1};
		}
		ruleset_add_service(&after, &svc, &a);
		ruleset_sort(&after);
		buf_reset(&nft);
		ruleset_diff(&before, &after, &shared, &nft);
		if (nft.n && b->apply(b, buf_str(&nft), &err) < 0)
			fail_msg("step %d: %s\n%s", step, err_text(&err), nft.p);
		before = after;
	}
	b->ensure_route(b, S("10.254.0.9"));
	buf_release(&nft);
	map_release(&shared.hairpins);
	arena_release(&a);
	b->free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kernel_takes_every_form)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
