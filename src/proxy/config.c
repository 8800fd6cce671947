#include "proxy/config.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { MASQUERADE_BIT = 14, SYNC_PERIOD_MS = 30000 };

void proxy_config_init(struct proxy_config *c)
{
	*c = (struct proxy_config){
		.mode = PROXY_NFTABLES,
		.healthz_address = S("0.0.0.0:10256"),
		.metrics_address = S("127.0.0.1:10249"),
		.masquerade_bit = MASQUERADE_BIT,
		.localhost_node_ports = true,
		.detect = PROXY_DETECT_CLUSTER_CIDR,
		.sync_period_ms = SYNC_PERIOD_MS,
	};
}

void proxy_config_release(struct proxy_config *c)
{
	arena_release(&c->arena);
}

/* Address bytes and prefix length; false when it is none. */
static bool cidr_parse(struct str s, unsigned char *ret_addr, int *ret_family, int *ret_bits)
{
	struct str host, length;
	char text[INET6_ADDRSTRLEN];
	bool prefix = str_cut(s, '/', &host, &length);
	int family = str_chr(host, ':') >= 0 ? AF_INET6 : AF_INET;
	uint64_t bits = family == AF_INET ? 32 : 128, max = bits;

	if (host.n >= sizeof(text) || (prefix && str_to_u64(length, &bits) < 0) || bits > max)
		return false;
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(host));
	if (inet_pton(family, text, ret_addr) != 1)
		return false;
	*ret_family = family;
	*ret_bits = (int)bits;
	return true;
}

bool proxy_cidr_has(struct str cidr, struct str ip)
{
	unsigned char net[16], addr[16];
	int family, bits, ip_family, ip_bits;

	if (!cidr_parse(cidr, net, &family, &bits) || !cidr_parse(ip, addr, &ip_family, &ip_bits) ||
		family != ip_family)
		return false;
	for (int i = 0; i < bits; i++)
		if ((net[i / 8] ^ addr[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

bool proxy_cidr_valid(struct str cidr)
{
	unsigned char addr[16];
	int family, bits;

	return str_chr(cidr, '/') > 0 && cidr_parse(cidr, addr, &family, &bits);
}

int proxy_config_set_mode(struct proxy_config *c, struct str mode, struct err *err)
{
	if (!mode.n || str_eqc(mode, "nftables")) {
		c->mode = PROXY_NFTABLES;
		return 0;
	}
	if (str_eqc(mode, "iptables")) {
		c->mode = PROXY_IPTABLES;
		return 0;
	}
	if (str_eqc(mode, "userspace"))
		return err_bad_request(err,
			"proxy mode userspace is gone: it copied every byte through this process, "
			"and Kubernetes removed it in 1.26; use nftables or iptables");
	if (str_eqc(mode, "ipvs"))
		return err_bad_request(err,
			"proxy mode ipvs is not there: Kubernetes deprecates it for nftables, "
			"which finds a service as fast; use nftables or iptables");
	return err_bad_request(err,
		"proxy mode \"" STR_FMT "\" is unknown: use nftables or iptables", STR_ARG(mode));
}

int proxy_config_set_detect(struct proxy_config *c, struct str mode, struct err *err)
{
	static const struct {
		const char *name;
		enum proxy_detect detect;
	} modes[] = {
		{"", PROXY_DETECT_CLUSTER_CIDR},
		{"ClusterCIDR", PROXY_DETECT_CLUSTER_CIDR},
		{"NodeCIDR", PROXY_DETECT_NODE_CIDR},
		{"BridgeInterface", PROXY_DETECT_BRIDGE},
		{"InterfaceNamePrefix", PROXY_DETECT_PREFIX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (str_eqc(mode, modes[i].name)) {
			c->detect = modes[i].detect;
			return 0;
		}
	return err_bad_request(err,
		"detect-local-mode \"" STR_FMT "\" is unknown: use ClusterCIDR, NodeCIDR, "
		"BridgeInterface or InterfaceNamePrefix",
		STR_ARG(mode));
}

int proxy_config_set_cluster_cidr(struct proxy_config *c, struct str cidrs, struct err *err)
{
	struct str rest = cidrs, one;

	while (rest.n) {
		str_cut(rest, ',', &one, &rest);
		one = str_trim(one);
		if (!proxy_cidr_valid(one))
			return err_bad_request(
				err, "cluster-cidr: \"" STR_FMT "\" is no CIDR", STR_ARG(one));
		c->local_cidr[str_chr(one, ':') >= 0] = arena_str(&c->arena, one);
	}
	return 0;
}

int proxy_config_add_node_port_address(struct proxy_config *c, struct str s, struct err *err)
{
	if (str_eqc(s, "primary")) {
		c->node_port_primary = true;
		return 0;
	}
	if (!proxy_cidr_valid(s))
		return err_bad_request(err,
			"nodeport-addresses: \"" STR_FMT "\" is neither a CIDR nor \"primary\"",
			STR_ARG(s));
	/* the whole family: as if nothing was said about it */
	if (!str_ends(s, S("/0")))
		ARENA_PUSH(&c->arena, &c->node_port_cidrs, arena_str(&c->arena, s));
	return 0;
}

int proxy_config_address(struct str s, int default_port, struct arena *a, struct str *ret_address,
	int *ret_port, struct err *err)
{
	struct str host = s, port = {0};
	ssize_t close = str_chr(s, ']'), colon = str_rchr(s, ':');
	unsigned char addr[16];
	int family, bits;
	int64_t n = default_port;

	if (s.n && s.p[0] == '[' && close > 0) {
		host = str_sub(s, 1, close);
		port = (size_t)close + 2 < s.n ? str_sub(s, close + 2, s.n) : port;
	} else if (colon >= 0 && colon == str_chr(s, ':')) { /* an IPv6 address alone has more */
		host = str_sub(s, 0, colon);
		port = str_sub(s, colon + 1, s.n);
	}
	if ((port.n && str_to_i64(port, &n) < 0) || n < 0 || n > 65535 || str_chr(host, '/') >= 0 ||
		!cidr_parse(host, addr, &family, &bits))
		return err_bad_request(err,
			"\"" STR_FMT "\" is no address to listen on, like "
			"0.0.0.0:%d",
			STR_ARG(s), default_port);
	*ret_address = arena_str(a, host);
	*ret_port = (int)n;
	return 0;
}

int proxy_config_check(const struct proxy_config *c, struct err *err)
{
	struct arena a = {0};
	struct str host;
	int port, r = 0;

	if (c->masquerade_bit < 0 || c->masquerade_bit > 31)
		return err_bad_request(
			err, "masquerade bit %d is not in the range [0, 31]", c->masquerade_bit);
	if (c->detect == PROXY_DETECT_BRIDGE && !c->interface.n)
		return err_bad_request(
			err, "detect-local-mode BridgeInterface needs --pod-bridge-interface");
	if (c->detect == PROXY_DETECT_PREFIX && !c->interface.n)
		return err_bad_request(err,
			"detect-local-mode InterfaceNamePrefix needs --pod-interface-name-prefix");
	if (c->interface.n > 15)
		return err_bad_request(
			err, "interface \"" STR_FMT "\": at most 15 bytes", STR_ARG(c->interface));
	if (c->node_port_primary && c->node_port_cidrs.n)
		return err_bad_request(err, "nodeport-addresses: \"primary\" stands alone");
	if (c->sync_period_ms <= 0)
		return err_bad_request(err, "the sync period must be greater than 0");
	if (c->healthz_address.n)
		r = proxy_config_address(c->healthz_address, 10256, &a, &host, &port, err);
	if (r == 0 && c->metrics_address.n)
		r = proxy_config_address(c->metrics_address, 10249, &a, &host, &port, err);
	arena_release(&a);
	return r;
}
