/* The settings of the proxy: modes, CIDRs, addresses, and the configuration file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "proxy/config.h"

static void modes(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct proxy_config c;

	proxy_config_init(&c);
	assert_int_equal(proxy_config_set_mode(&c, S("iptables"), &err), 0);
	assert_int_equal(c.mode, PROXY_IPTABLES);
	assert_int_equal(proxy_config_set_mode(&c, S(""), &err), 0);
	assert_int_equal(c.mode, PROXY_NFTABLES);
	assert_true(proxy_config_set_mode(&c, S("userspace"), &err) < 0);
	assert_non_null(strstr(err_text(&err), "is gone"));
	assert_true(proxy_config_set_mode(&c, S("ipvs"), &err) < 0);
	assert_non_null(strstr(err_text(&err), "nftables"));
	assert_true(proxy_config_set_mode(&c, S("nft"), &err) < 0);
	proxy_config_release(&c);
}

static void ranges(void **state)
{
	assert_true(proxy_cidr_has(S("10.0.0.0/8"), S("10.255.0.1")));
	assert_false(proxy_cidr_has(S("10.0.0.0/8"), S("11.0.0.1")));
	assert_true(proxy_cidr_has(S("10.0.0.4/30"), S("10.0.0.7")));
	assert_false(proxy_cidr_has(S("10.0.0.4/30"), S("10.0.0.8")));
	assert_true(proxy_cidr_has(S("fd00::/8"), S("fd12::1")));
	assert_false(proxy_cidr_has(S("fd00::/8"), S("10.0.0.1")));
	assert_false(proxy_cidr_has(S("10.0.0.0/33"), S("10.0.0.1")));
	assert_false(proxy_cidr_has(S("10.0.0.0/8"), S("")));
	assert_true(proxy_cidr_valid(S("0.0.0.0/0")));
	assert_false(proxy_cidr_valid(S("10.0.0.1")));
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *address;
		int port;
	} cases[] = {{"0.0.0.0:99", "0.0.0.0", 99}, {"[::]:99", "::", 99}, {"::1", "::1", 7},
		{"10.0.0.1", "10.0.0.1", 7}, {"[fd00::1]", "fd00::1", 7}};
	static const char *const bad[] = {"x:1", "10.0.0.1:70000", "10.0.0.1:y", "10.0.0.0/8:1"};
	struct arena a = {0};
	struct str address;
	int port;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			proxy_config_address(str_c(cases[i].text), 7, &a, &address, &port, NULL),
			0);
		assert_string_equal(address.p, cases[i].address);
		assert_int_equal(port, cases[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(proxy_config_address(str_c(bad[i]), 7, &a, &address, &port, NULL) < 0);
	arena_release(&a);
}

static int load(struct proxy_config *c, const char *text, struct err *err)
{
	char path[] = "/tmp/sampan-proxy-config-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write(path, str_c(text), 0600, NULL), 0);
	proxy_config_init(c);
	r = proxy_config_load(c, path, err);
	unlink(path);
	return r;
}

#define HEAD "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

static void a_file(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct proxy_config c;

	if (load(&c,
		    HEAD "mode: iptables\nclientConnection: {kubeconfig: /k, qps: 5}\n"
			 "hostnameOverride: n7\nclusterCIDR: 10.244.0.0/16,fd00::/48\n"
			 "iptables: {masqueradeAll: true, masqueradeBit: 3, syncPeriod: 10s}\n"
			 "nftables: {masqueradeBit: 9}\nconntrack: {min: 0}\n"
			 "nodePortAddresses: [10.0.0.0/24]\nmetricsBindAddress: \"\"\n"
			 "healthzBindAddress: 127.0.0.1:1234\ndetectLocalMode: BridgeInterface\n"
			 "detectLocal: {bridgeInterface: cbr0, interfaceNamePrefix: veth}\n"
			 "featureGates: {A: true}\nwinkernel: {networkName: x}\n",
		    &err) < 0)
		fail_msg("%s", err_text(&err));
	assert_int_equal(c.mode, PROXY_IPTABLES);
	assert_string_equal(c.kubeconfig, "/k");
	assert_true(str_eqc(c.node_name, "n7"));
	assert_true(str_eqc(c.local_cidr[1], "fd00::/48"));
	assert_true(c.masquerade_all);
	assert_int_equal(c.masquerade_bit, 3);
	assert_int_equal(c.sync_period_ms, 10000);
	assert_int_equal(c.node_port_cidrs.n, 1);
	assert_true(str_eqc(c.interface, "cbr0"));
	assert_true(str_eqc(c.healthz_address, "127.0.0.1:1234"));
	assert_int_equal(proxy_config_check(&c, &err), 0);
	proxy_config_release(&c);
}

static void bad_files(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"kind: X\n", "not a KubeProxyConfiguration"},
		{HEAD "mode: userspace\n", "is gone"},
		{HEAD "nonsense: 1\n", "unknown field \"nonsense\""},
		{HEAD "iptables: {masqueradeBits: 1}\n",
			"unknown field \"iptables.masqueradeBits\""},
		{HEAD "mode: 7\n", "mode: must be a string"},
		{HEAD "iptables: {masqueradeAll: \"yes\"}\nmode: iptables\n",
			"must be true or false"},
		{HEAD "clusterCIDR: 10.0.0.0\n", "is no CIDR"},
		{HEAD "nodePortAddresses: [eth0]\n", "neither a CIDR"},
		{HEAD "mode: [\n", "yaml"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err CLEANUP(err_release) = {0};
		struct proxy_config c;

		assert_true(load(&c, cases[i].text, &err) < 0);
		if (!strstr(err_text(&err), cases[i].says))
			fail_msg("%s: %s", cases[i].says, err_text(&err));
		proxy_config_release(&c);
	}
}

static void operands(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct proxy_config c;

	proxy_config_init(&c);
	c.masquerade_bit = 32;
	assert_true(proxy_config_check(&c, &err) < 0);
	c.masquerade_bit = 14;
	assert_int_equal(proxy_config_set_detect(&c, S("BridgeInterface"), &err), 0);
	assert_true(proxy_config_check(&c, &err) < 0);
	c.interface = S("cbr0");
	assert_int_equal(proxy_config_check(&c, &err), 0);
	c.healthz_address = S("nowhere");
	assert_true(proxy_config_check(&c, &err) < 0);
	assert_true(proxy_config_set_detect(&c, S("Magic"), &err) < 0);
	proxy_config_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(ranges),
		cmocka_unit_test(addresses),
		cmocka_unit_test(a_file),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
