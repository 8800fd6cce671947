/* Services and slices in; which endpoints count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "proxy_objects.h"

static void expect_endpoints(const struct proxy_endpoints *e, const char *want)
{
	char got[256] = "";

	for (size_t i = 0; i < e->n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s" STR_FMT ":%d",
			i ? " " : "", STR_ARG(e->v[i].ip), e->v[i].port);
	assert_string_equal(got, want);
}

static void endpoints_that_end_serve_while_there_are_no_others(void **state)
{
	struct arena a = {0};
	struct proxy_service s = view_of(&a, SVC("", ""),
		SLICE(EP("10.1.0.2", "\"ready\":false,\"serving\":true,\"terminating\":true") ","
			EP("10.1.0.3", "\"ready\":false,\"serving\":false,\"terminating\":true")),
		false);

	expect_endpoints(&s.ports[0].cluster, "10.1.0.2:8080");
	assert_true(s.ports[0].any);
	s = view_of(&a, SVC("", ""),
		SLICE(EP("10.1.0.2", "\"ready\":false,\"serving\":true,\"terminating\":true") ","
			EP("10.1.0.3", "\"ready\":true")),
		false);
	expect_endpoints(&s.ports[0].cluster, "10.1.0.3:8080");
	expect_endpoints(&s.ports[0].serving, "10.1.0.2:8080 10.1.0.3:8080");
	s = view_of(&a, SVC("", ""), SLICE(EP("10.1.0.2", "\"ready\":false")), false);
	assert_false(s.ports[0].any);
	arena_release(&a);
}

#define TWO_NODES                                                                                  \
	SLICE(EP_ON("n1", "10.1.0.2", "", "") "," EP_ON("n2", "10.1.0.3", "", ""))

static void policies_choose(void **state)
{
	struct arena a = {0};
	struct proxy_service s = view_of(&a, SVC("", ""), TWO_NODES, false);

	expect_endpoints(&s.ports[0].cluster, "10.1.0.2:8080 10.1.0.3:8080");
	expect_endpoints(&s.ports[0].local, "");
	s = view_of(&a, SVC("", ",\"internalTrafficPolicy\":\"Local\""), TWO_NODES, false);
	expect_endpoints(&s.ports[0].cluster, "");
	expect_endpoints(&s.ports[0].local, "10.1.0.2:8080");
	assert_true(s.internal_local && s.ports[0].any);
	s = view_of(&a,
		SVC(",\"nodePort\":30080",
			",\"type\":\"NodePort\",\"externalTrafficPolicy\":\"Local\""),
		TWO_NODES, false);
	expect_endpoints(&s.ports[0].cluster, "10.1.0.2:8080 10.1.0.3:8080");
	expect_endpoints(&s.ports[0].local, "10.1.0.2:8080");
	assert_true(s.external_local && !s.internal_local);
	arena_release(&a);
}

#define ZONE(z) ",\"hints\":{\"forZones\":[{\"name\":\"" z "\"}]}"
#define NODE(n, z)                                                                                 \
	",\"hints\":{\"forNodes\":[{\"name\":\"" n "\"}],\"forZones\":[{\"name\":\"" z "\"}]}"

static void hints_count_when_all_have_them(void **state)
{
	struct arena a = {0};
	static const struct {
		const char *slice, *want;
	} cases[] = {
		{SLICE(EP_ON("n1", "10.1.0.2", "", ZONE("z1")) ","
			 EP_ON("n2", "10.1.0.3", "", ZONE("z2"))),
			"10.1.0.2:8080"},
		{SLICE(EP_ON("n1", "10.1.0.2", "", ZONE("z1")) "," EP_ON("n2", "10.1.0.3", "", "")),
			"10.1.0.2:8080 10.1.0.3:8080"},
		{SLICE(EP_ON("n3", "10.1.0.2", "", ZONE("z3")) ","
			 EP_ON("n2", "10.1.0.3", "", ZONE("z2"))),
			"10.1.0.2:8080 10.1.0.3:8080"},
		{SLICE(EP_ON("n1", "10.1.0.2", "", NODE("n1", "z1")) ","
			 EP_ON("n2", "10.1.0.3", "", NODE("n2", "z1"))),
			"10.1.0.2:8080"},
		{SLICE(EP_ON("n3", "10.1.0.2", "", NODE("n3", "z1")) ","
			 EP_ON("n2", "10.1.0.3", "", NODE("n2", "z2"))),
			"10.1.0.2:8080"},
		/* one that is not ready does not spoil it */
		{SLICE(EP_ON("n1", "10.1.0.2", "", ZONE("z1")) ","
			 EP_ON("n2", "10.1.0.3", "\"ready\":false", "")),
			"10.1.0.2:8080"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proxy_service s = view_of(&a, SVC("", ""), cases[i].slice, false);

		expect_endpoints(&s.ports[0].cluster, cases[i].want);
	}
	arena_release(&a);
}

static void addresses_by_family_and_mode(void **state)
{
	struct arena a = {0};
	const char *text =
		"{\"metadata\":{\"name\":\"web\",\"namespace\":\"d\"},\"spec\":{\"type\":"
		"\"LoadBalancer\",\"clusterIP\":\"10.254.0.5\",\"clusterIPs\":[\"10.254.0.5\","
		"\"fd00::5\"],\"externalIPs\":[\"192.0.2.1\",\"2001:db8::1\"],"
		"\"externalTrafficPolicy\":\"Local\",\"healthCheckNodePort\":30999,"
		"\"loadBalancerSourceRanges\":[\" 10.0.0.0/8\",\"::/0\",\"fd00::/8\"],"
		"\"ports\":[{\"port\":80}]},\"status\":{\"loadBalancer\":{\"ingress\":["
		"{\"ip\":\"198.51.100.1\",\"ipMode\":\"VIP\"},{\"ip\":\"198.51.100.2\","
		"\"ipMode\":\"Proxy\"},{\"ip\":\"2001:db8::2\"}]}}}";
	struct proxy_service s = view_of(&a, text, NULL, false);

	assert_true(str_eqc(s.cluster_ip, "10.254.0.5"));
	assert_int_equal(s.external_ips.n, 1);
	assert_int_equal(s.balancer_ips.n, 1);
	assert_true(str_eqc(s.balancer_ips.v[0], "198.51.100.1"));
	assert_int_equal(s.source_ranges.n, 1);
	assert_true(str_eqc(s.source_ranges.v[0], "10.0.0.0/8"));
	assert_int_equal(s.health_check_port, 30999);
	s = view_of(&a, text, NULL, true);
	assert_true(str_eqc(s.cluster_ip, "fd00::5"));
	assert_true(str_eqc(s.balancer_ips.v[0], "2001:db8::2"));
	assert_int_equal(s.source_ranges.n, 0); /* ::/0 is everybody */
	arena_release(&a);
}

static void some_services_are_not_ours(void **state)
{
	static const char *const texts[] = {
		"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{"
		"\"port\":80}]}}",
		"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"type\":\"ExternalName\","
		"\"externalName\":\"a.b\",\"ports\":[{\"port\":80}]}}",
		"{\"metadata\":{\"name\":\"h\",\"labels\":{\"service.kubernetes.io/"
		"service-proxy-name\":\"other\"}},\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":["
		"{\"port\":80}]}}",
	};
	struct arena a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(
			view_of(&a, texts[i], SLICE(EP("10.1.0.2", "")), false).n_ports, 0);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_that_end_serve_while_there_are_no_others),
		cmocka_unit_test(policies_choose),
		cmocka_unit_test(hints_count_when_all_have_them),
		cmocka_unit_test(addresses_by_family_and_mode),
		cmocka_unit_test(some_services_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
