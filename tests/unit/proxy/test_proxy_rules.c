/*
 * Golden files: what one service is in each mode, and that a change rewrites no more than it must.
 * tests/golden/proxy/NAME.MODE holds the commands of each step of a case. SAMPAN_GOLDEN_WRITE=1
 * writes them anew; read the difference before you believe it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/file.h"
#include "proxy/iptables_rules.h"
#include "proxy_objects.h"

enum { STEPS_MAX = 5 };

static const struct golden {
	const char *name;
	struct {
		const char *what, *service, *slice; /* service NULL: it is gone */
	} steps[STEPS_MAX];
	bool ipv6;
} cases[] = {
	{"cluster-ip", {{"one endpoint", SVC("", ""), SLICE(EP("10.1.0.2", "\"ready\":true"))},
			       {"a second one comes", SVC("", ""),
				       SLICE(EP("10.1.0.3", "") "," EP("10.1.0.2", ""))},
			       {"another takes its place", SVC("", ""),
				       SLICE(EP("10.1.0.4", "") "," EP("10.1.0.2", ""))},
			       {"none left", SVC("", ""), SLICE(EP("10.1.0.2", "\"ready\":false"))},
			       {"gone", NULL, NULL}}},
	{"node-port",
		{{"policy Cluster", SVC(",\"nodePort\":30080", ",\"type\":\"NodePort\""),
			 SLICE(EP("10.1.0.2", "") "," EP_ON("n2", "10.2.0.2", "", ""))},
			{"policy Local",
				SVC(",\"nodePort\":30080", ",\"type\":\"NodePort\","
							   "\"externalTrafficPolicy\":\"Local\""),
				SLICE(EP("10.1.0.2", "") "," EP_ON("n2", "10.2.0.2", "", ""))},
			{"policy Local, nothing here",
				SVC(",\"nodePort\":30080", ",\"type\":\"NodePort\","
							   "\"externalTrafficPolicy\":\"Local\""),
				SLICE(EP_ON("n2", "10.2.0.2", "", ""))},
			{"nothing anywhere", SVC(",\"nodePort\":30080", ",\"type\":\"NodePort\""),
				SLICE("")},
			{"gone", NULL, NULL}}},
	{"internal-local",
		{{"one here", SVC("", ",\"internalTrafficPolicy\":\"Local\""),
			 SLICE(EP("10.1.0.2", "") "," EP_ON("n2", "10.2.0.2", "", ""))},
			{"one elsewhere", SVC("", ",\"internalTrafficPolicy\":\"Local\""),
				SLICE(EP_ON("n2", "10.2.0.2", "", ""))}}},
	{"affinity",
		{{"two endpoints",
			 SVC("", ",\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{"
				 "\"clientIP\":{\"timeoutSeconds\":60}}"),
			 SLICE(EP("10.1.0.2", "") "," EP("10.1.0.3", ""))},
			{"another timeout, one endpoint less",
				SVC("", ",\"sessionAffinity\":\"ClientIP\","
					"\"sessionAffinityConfig\":{"
					"\"clientIP\":{\"timeoutSeconds\":90}}"),
				SLICE(EP("10.1.0.2", ""))}}},
	{"load-balancer",
		{{"from some only",
			"{\"metadata\":{\"name\":\"lb\",\"namespace\":\"d\"},\"spec\":{\"type\":"
			"\"LoadBalancer\",\"clusterIP\":\"10.254.0.9\",\"externalIPs\":[\"192.0.2."
			"1\"],"
			"\"externalTrafficPolicy\":\"Local\",\"healthCheckNodePort\":30999,"
			"\"loadBalancerSourceRanges\":[\"203.0.113.0/24\",\"10.0.0.7/"
			"32\"],\"ports\":[{"
			"\"name\":\"http\",\"port\":53,\"protocol\":\"TCP\"}]},\"status\":{"
			"\"loadBalancer\":{\"ingress\":[{\"ip\":\"198.51.100.1\"}]}}}",
			SLICE(EP("10.1.0.2", ""))}}},
	{"ipv6",
		{{"one endpoint",
			"{\"metadata\":{\"name\":\"six\",\"namespace\":\"d\"},\"spec\":{"
			"\"clusterIP\":"
			"\"fd25::5\",\"sessionAffinity\":\"ClientIP\",\"ports\":[{\"port\":80,"
			"\"nodePort\":"
			"30080,\"protocol\":\"TCP\"}],\"type\":\"NodePort\"}}",
			"{\"addressType\":\"IPv6\",\"ports\":[{\"name\":\"\",\"protocol\":\"TCP\","
			"\"port\":"
			"8080}],\"endpoints\":[{\"addresses\":[\"fd01::2\"],\"conditions\":{}}]}"}},
		true},
};

static struct proxy_config config(void)
{
	struct proxy_config c;

	proxy_config_init(&c);
	c.ipv6 = true;
	assert_int_equal(proxy_config_set_cluster_cidr(&c, S("10.1.0.0/16"), NULL), 0);
	c.node_ips[0] = S("10.0.0.7");
	return c;
}

typedef void write_steps_fn(const struct golden *g, const struct proxy_config *c, struct buf *out);

static void write_nft(const struct golden *g, const struct proxy_config *c, struct buf *out)
{
	struct nft_shared shared = {0};
	struct ruleset before = {0};
	struct arena a = {0};

	for (size_t i = 0; i < STEPS_MAX && g->steps[i].what; i++) {
		struct ruleset after = {0};
		struct proxy_service view;

		if (g->steps[i].service) {
			view = view_of(&a, g->steps[i].service, g->steps[i].slice, g->ipv6);
			nft_render(c, &view, &after, &a);
			ruleset_sort(&after);
		}
		buf_fmt(out, "# %s\n", g->steps[i].what);
		nft_diff(&shared, &before, &after, out);
		before = after;
	}
	nft_shared_release(&shared);
	arena_release(&a);
}

static void write_iptables(const struct golden *g, const struct proxy_config *c, struct buf *out)
{
	struct ruleset before = {0};
	struct arena a = {0};

	for (size_t i = 0; i < STEPS_MAX && g->steps[i].what; i++) {
		struct iptables_batch batch;
		struct ruleset after = {0};
		struct proxy_service view;

		iptables_batch_init(&batch);
		if (g->steps[i].service) {
			view = view_of(&a, g->steps[i].service, g->steps[i].slice, g->ipv6);
			iptables_render(c, &view, &after, &a);
			ruleset_sort(&after);
		}
		buf_fmt(out, "# %s\n", g->steps[i].what);
		iptables_diff(&before, &after, g->ipv6, &batch, NULL);
		iptables_batch_write(&batch, out);
		iptables_batch_release(&batch);
		before = after;
	}
	arena_release(&a);
}

static void write_base(const struct golden *g, const struct proxy_config *c, struct buf *out)
{
	bool missing[IPTABLES_JUMPS];
	struct iptables_top top = {0};

	memset(missing, true, sizeof(missing));
	nft_base(c, g->ipv6, NFT_ALONE, out);
	iptables_base(c, out);
	iptables_finish(c, g->ipv6, &top, missing, false, out);
}

static void check(const struct golden *g, const char *mode, write_steps_fn *write_steps)
{
	struct proxy_config c = config();
	struct err err CLEANUP(err_release) = {0};
	struct arena a = {0};
	struct buf got;
	struct str want;
	char path[128];

	snprintf(path, sizeof(path), "tests/golden/proxy/%s.%s", g->name, mode);
	buf_init(&got, 1 << 20);
	write_steps(g, &c, &got);
	if (getenv("SAMPAN_GOLDEN_WRITE"))
		assert_int_equal(file_write(path, buf_str(&got), 0644, NULL), 0);
	if (file_read(path, 1 << 20, &a, &want, &err) < 0)
		fail_msg("%s: %s", path, err_text(&err));
	if (!str_eq(want, buf_str(&got)))
		print_error("%s differs:\n%s", path, got.p);
	assert_true(str_eq(want, buf_str(&got)));
	buf_release(&got);
	arena_release(&a);
	proxy_config_release(&c);
}

static void nftables_golden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i], "nftables", write_nft);
}

static void iptables_golden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i], "iptables", write_iptables);
}

static void base_golden(void **state)
{
	static const struct golden v4 = {.name = "base4"}, v6 = {.name = "base6", .ipv6 = true};

	check(&v4, "both", write_base);
	check(&v6, "both", write_base);
}

static void nothing_changes_nothing(void **state)
{
	struct proxy_config c = config();
	struct nft_shared shared = {0};
	struct arena a = {0};
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proxy_service view = view_of(
			&a, cases[i].steps[0].service, cases[i].steps[0].slice, cases[i].ipv6);
		struct ruleset once = {0}, twice = {0};

		nft_render(&c, &view, &once, &a);
		nft_render(&c, &view, &twice, &a);
		ruleset_sort(&once);
		ruleset_sort(&twice);
		nft_diff(&shared, &once, &twice, &out);
		assert_int_equal(out.n, 0);
	}
	buf_release(&out);
	nft_shared_release(&shared);
	arena_release(&a);
	proxy_config_release(&c);
}

/* As everybody's cluster has them. */
static void chain_names_are_upstreams(void **state)
{
	static const struct {
		const char *ns, *name, *port, *protocol, *chain;
	} known[] = {{"default", "kubernetes", "https", "TCP", "KUBE-SVC-NPX46M4PTMTKRN6Y"},
		{"kube-system", "kube-dns", "dns", "UDP", "KUBE-SVC-TCOU7JCQXEZGVUNU"},
		{"kube-system", "kube-dns", "dns-tcp", "TCP", "KUBE-SVC-ERIFXISQEP7F7OF4"}};
	struct proxy_config c = config();
	struct arena a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const char *svc = arena_fmt(&a,
			"{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"spec\":{"
			"\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"name\":\"%s\",\"port\":1,"
			"\"protocol\":\"%s\"}]}}",
			known[i].name, known[i].ns, known[i].port, known[i].protocol)
					  .p;
		const char *slice = arena_fmt(&a,
			"{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"%s\",\"protocol\":\"%s\","
			"\"port\":1}],\"endpoints\":[{\"addresses\":[\"10.1.0.2\"]}]}",
			known[i].port, known[i].protocol)
					    .p;
		struct proxy_service view = view_of(&a, svc, slice, false);
		struct ruleset rules = {0};
		bool found = false;

		iptables_render(&c, &view, &rules, &a);
		for (size_t k = 0; k < rules.n; k++)
			found |= str_eqc(rules.v[k].name, known[i].chain);
		assert_true(found);
	}
	arena_release(&a);
	proxy_config_release(&c);
}

static void many_endpoints_go_in_groups(void **state)
{
	struct proxy_config c = config();
	struct arena a = {0};
	struct proxy_service view = view_of(&a, SVC("", ""), SLICE(EP("10.1.0.2", "")), false);
	struct ruleset rules = {0};
	size_t destinations = 0, chains = 0;

	view.ports[0].cluster.n = 0;
	view.ports[0].cluster.v = NULL;
	for (int i = 0; i < 70; i++)
		ARENA_PUSH(&a, &view.ports[0].cluster,
			((struct proxy_endpoint){arena_fmt(&a, "10.1.1.%d", i), 80, false}));
	nft_render(&c, &view, &rules, &a);
	ruleset_sort(&rules);
	for (size_t i = 0; i < rules.n; i++) {
		struct str rest = rules.v[i].body;
		ssize_t at;

		chains += rules.v[i].kind == NFT_CHAIN;
		while ((at = str_find(rest, S("dnat to"))) >= 0) {
			destinations++;
			rest = str_sub(rest, (size_t)at + 1, rest.n);
		}
		if (str_eqc(rules.v[i].name, "svc-default/web/tcp/80"))
			assert_non_null(strstr(rules.v[i].body.p,
				"numgen random mod 70 < 32 goto svc-default/web/tcp/80/0\n"
				"numgen random mod 38 < 32 goto svc-default/web/tcp/80/1\n"
				"goto svc-default/web/tcp/80/2\n"));
	}
	assert_int_equal(destinations, 70);
	assert_int_equal(chains, 4);
	arena_release(&a);
	proxy_config_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nftables_golden),
		cmocka_unit_test(iptables_golden),
		cmocka_unit_test(base_golden),
		cmocka_unit_test(nothing_changes_nothing),
		cmocka_unit_test(chain_names_are_upstreams),
		cmocka_unit_test(many_endpoints_go_in_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
