/* The kernel takes what nft_rules.c writes, through netlink and through libnftables alike: in a
 * network namespace of its own; skipped, loudly, without the rights. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <nftables/libnftables.h>

#include "proxy/nft_rules.h"
#include "proxy/nft_wire.h"
#include "proxy/route.h"

/* Every form of a service, chosen by the bits of `step`. */
static struct proxy_service service_of(struct arena *a, int step, bool ipv6)
{
	static struct str out4[] = {S("192.0.2.1")}, out6[] = {S("2001:db8::1")};
	static struct str lb4[] = {S("198.51.100.1")}, lb6[] = {S("2001:db8::2")};
	static struct str ranges4[] = {S("203.0.113.0/25"), S("10.0.0.7")};
	static struct str ranges6[] = {S("2001:db8:1::/52"), S("fd00::7")};
	struct proxy_port *p = ARENA_NEW(a, struct proxy_port);
	struct proxy_service s = {.ns = S("a-b"), .name = S("x.y"), .ipv6 = ipv6, .ports = p,
		.n_ports = 1, .cluster_ip = ipv6 ? S("fd25::9") : S("10.254.0.9")};

	*p = (struct proxy_port){.protocol = step & 1 ? "udp" : "tcp", .port = 80,
		.node_port = step & 4 ? 30080 : 0};
	for (int i = 0; i < (step & 3 ? (step & 3) + (step & 4) * 10 : 0); i++)
		ARENA_PUSH(a, &p->cluster,
			((struct proxy_endpoint){
				arena_fmt(a, ipv6 ? "fd01::%d" : "10.1.0.%d", i + 2), 8080, true}));
	p->any = p->cluster.n > 0;
	s.external_local = step & 8;
	if (step & 8)
		p->local = p->cluster;
	s.affinity_s = step & 16 ? 60 : 0;
	if (step & 2) {
		s.external_ips = (struct str_vec){ipv6 ? out6 : out4, 1};
		s.balancer_ips = (struct str_vec){ipv6 ? lb6 : lb4, 1};
		s.source_ranges = (struct str_vec){ipv6 ? ranges6 : ranges4, 2};
	}
	return s;
}

static void program(struct proxy_backend *b, struct ruleset *before, const struct ruleset *after)
{
	struct err err CLEANUP(err_release) = {0};

	b->ops->begin(b, !before);
	b->ops->change(b, before ? before : &(struct ruleset){0}, after);
	if (b->ops->commit(b, &err) < 0)
		fail_msg("%s", err_text(&err));
}

static bool in_own_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	fprintf(stderr, "SKIPPED: no right to make a network namespace\n");
	return false;
}

static void with_detection(struct proxy_config *c, int step)
{
	c->detect = step % 3 == 0   ? PROXY_DETECT_CLUSTER_CIDR
		    : step % 3 == 1 ? PROXY_DETECT_BRIDGE
				    : PROXY_DETECT_PREFIX;
	c->interface = S("cali");
	c->local_cidr[0] = S("10.1.0.0/17");
	c->local_cidr[1] = S("fd01::/61");
}

static void kernel_takes_every_form(void **state)
{
	struct proxy_config c;
	struct proxy_backend *b = NULL;
	struct proxy_routes routes = {0};
	struct arena a = {0};
	struct ruleset before = {0}, none = {0};

	if (!in_own_namespace())
		skip();
	proxy_config_init(&c);
	c.ipv6 = true;
	assert_int_equal(proxy_backend_nft_new(&c, &b, NULL), 0);
	program(b, NULL, &none);
	assert_true(b->ops->intact(b));
	for (int step = 0; step < 64; step++) {
		struct proxy_service svc = service_of(&a, step & 31, step & 32);
		struct ruleset after = {0};

		with_detection(&c, step);
		b->ops->render(b, &svc, &after, &a);
		ruleset_sort(&after);
		program(b, &before, &after);
		b->ops->tidy(b);
		before = after;
	}
	/* a later run finds what this one left, and leaves nothing of it */
	b->ops->free(b);
	assert_int_equal(proxy_backend_nft_new(&c, &b, NULL), 0);
	program(b, NULL, &none);
	b->ops->tidy(b);
	proxy_nft_cleanup();
	assert_false(b->ops->intact(b));
	proxy_ensure_route(&routes, S("10.254.0.9"));
	proxy_routes_release(&routes);
	b->ops->free(b);
	arena_release(&a);
	proxy_config_release(&c);
}

static char *list_tables(void)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	char *text;

	nft_ctx_buffer_output(nft);
	assert_int_equal(nft_run_cmd_from_buffer(nft, "list ruleset"), 0);
	text = xstrdup(nft_ctx_get_output_buffer(nft));
	nft_ctx_free(nft);
	return text;
}

static void run_text(const char *text)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	nft_ctx_buffer_error(nft);
	if (nft_run_cmd_from_buffer(nft, text) != 0)
		fail_msg("%s\n%s", nft_ctx_get_error_buffer(nft), text);
	nft_ctx_free(nft);
}

/* The kernel has the same afterwards, whichever way the commands took. */
static void netlink_says_what_libnftables_says(void **state)
{
	struct proxy_config c;
	struct arena a = {0};

	proxy_config_init(&c);
	c.ipv6 = true;
	for (int step = 0; step < 64; step++) {
		bool ipv6 = step & 32;
		struct proxy_service svc = service_of(&a, step & 31, ipv6);
		struct nft_shared shared = {0};
		struct ruleset none = {0}, after = {0};
		struct proxy_backend *b = NULL;
		char *by_netlink, *by_text;
		struct buf text;

		if (!in_own_namespace())
			skip();
		with_detection(&c, step);
		assert_int_equal(proxy_backend_nft_new(&c, &b, NULL), 0);
		b->ops->render(b, &svc, &after, &a);
		ruleset_sort(&after);
		program(b, NULL, &after);
		by_netlink = list_tables();
		b->ops->free(b);

		proxy_nft_cleanup();
		buf_init(&text, 1 << 20);
		nft_base(&c, false, &text);
		nft_base(&c, true, &text);
		run_text(text.p);
		buf_reset(&text);
		nft_diff(&shared, &none, &after, &text);
		run_text(text.p);
		by_text = list_tables();
		assert_string_equal(by_netlink, by_text);
		free(by_netlink);
		free(by_text);
		buf_release(&text);
		nft_shared_release(&shared);
	}
	arena_release(&a);
	proxy_config_release(&c);
}

static void what_is_not_understood_is_left(void **state)
{
	static const char *const lines[] = {"add rule ip t c log\n", "add rule ip t c ip saddr x drop\n",
		"list ruleset\n", "add rule inet t c drop\n", "add element ip t services { 1 . 2\n",
		"add rule ip t c tcp dport x drop\n", "add rule ip t c dnat to 1.2.3.4\n",
		"add rule ip t c numgen random mod 3\n", "add set ip t s { type mark; }\n", "add rule\n",
		"add element ip t services { 1 : }\n"};
	struct buf out;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		buf_init(&out, 1 << 20);
		assert_int_equal(nft_wire_assemble(str_c(lines[i]), &out), -ENOTSUP);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_takes_every_form),
		cmocka_unit_test(netlink_says_what_libnftables_says),
		cmocka_unit_test(what_is_not_understood_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
