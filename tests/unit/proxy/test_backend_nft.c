/* The kernel takes what nft_rules.c writes, through netlink and through libnftables alike: in a
 * network namespace of its own; skipped, loudly, without the rights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <nftables/libnftables.h>

#include "proxy/nft_rules.h"
#include "proxy/nft_socket.h"
#include "proxy/nft_wire.h"
#include "proxy/route.h"
#include "proxy_forms.h"

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
		assert_int_equal(b->ops->tidy(b, NULL), 0);
		before = after;
	}
	/* a later run finds what this one left, and leaves nothing of it */
	b->ops->free(b);
	assert_int_equal(proxy_backend_nft_new(&c, &b, NULL), 0);
	program(b, NULL, &none);
	assert_int_equal(b->ops->tidy(b, NULL), 0);
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
		nft_base(&c, false, NFT_ALONE, &text);
		nft_base(&c, true, NFT_ALONE, &text);
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
	static const char *const lines[] = {"add rule ip t c log\n",
		"add rule ip t c ip saddr x drop\n", "list ruleset\n", "add rule inet t c drop\n",
		"add element ip t services { 1 . 2\n", "add rule ip t c tcp dport x drop\n",
		"add rule ip t c dnat to 1.2.3.4\n", "add rule ip t c numgen random mod 3\n",
		"add set ip t s { type mark; }\n", "add rule\n",
		"add element ip t services { 1 : }\n"};
	struct buf out;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		uint32_t seq = NFT_BATCH_FIRST;

		buf_init(&out, 1 << 20);
		assert_int_equal(nft_wire_append(str_c(lines[i]), &seq, &out), -ENOTSUP);
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
