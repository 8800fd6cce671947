#include "network/rules.h"

#define TABLE "sampan_net"
#define GUARD "sampan_guard"
#define PASSED "0x00002000"

static const char *word(int family)
{
	return family == AF_INET6 ? "ip6" : "ip";
}

static const char *type(int family)
{
	return family == AF_INET6 ? "ipv6_addr" : "ipv4_addr";
}

static void add_elements(
	int family, const struct network_cluster *c, struct buf *nft, const char *set, bool pods)
{
	size_t n = pods ? c->n_pods : c->n_nodes, written = 0;
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		const struct ip_addr *ip = pods ? &c->pods[i].addr : &c->nodes[i];

		if (ip->family != family)
			continue;
		if (!written++)
			buf_fmt(nft, "add element %s " TABLE " %s { ", word(family), set);
		else
			buf_add_c(nft, ", ");
		buf_add_c(nft, pods ? ip_prefix_text(&c->pods[i], text) : addr_text(ip, text));
	}
	if (written)
		buf_add_c(nft, " }\n");
}

void rules_cluster(int family, const struct network_cluster *c, struct buf *nft)
{
	buf_fmt(nft, "flush set %s " TABLE " pods\nflush set %s " TABLE " nodes\n", word(family),
		word(family));
	add_elements(family, c, nft, "pods", true);
	add_elements(family, c, nft, "nodes", false);
}

void rules_guard(const char *bridge, struct buf *nft)
{
	buf_fmt(nft,
		"add table inet " GUARD "\ndelete table inet " GUARD "\ntable inet " GUARD " {\n"
		"chain in {\ntype filter hook prerouting priority raw\n"
		"iifname \"%s\" meta mark set meta mark or " PASSED "\n}\n}\n"
		"add table bridge " GUARD "\ndelete table bridge " GUARD "\n"
		"table bridge " GUARD " {\nchain forward {\ntype filter hook forward priority 0\n"
		"meta mark & " PASSED " == " PASSED " accept\n"
		"iifname \"pod*\" drop\noifname \"pod*\" drop\n}\n}\n",
		bridge);
}

static void host_port_chains(int family, struct buf *nft)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	const char *ip = word(family);

	for (size_t i = 0; i < ARRAY_SIZE(protocols);
		i++) /* the statement wants them spelled out */
		buf_fmt(nft,
			"chain host_ports_%s {\n"
			"meta l4proto %s dnat %s addr . port to %s daddr . meta l4proto . th dport "
			"map @one_address\n"
			"meta l4proto %s dnat %s addr . port to meta l4proto . th dport map "
			"@any_address\n}\n",
			protocols[i], protocols[i], ip, ip, protocols[i], ip);
	buf_add_c(nft, "chain host_ports {\nfib daddr type != local return\n");
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		buf_fmt(nft, "meta l4proto %s jump host_ports_%s\n", protocols[i], protocols[i]);
	buf_add_c(nft, "}\n");
}

void rules_base(const char *bridge, const struct ip_prefix *own, const struct network_cluster *c,
	struct buf *nft)
{
	int family = own->addr.family;
	const char *ip = word(family), *t = type(family);
	char text[IP_TEXT_MAX];

	buf_fmt(nft,
		"add table %s " TABLE "\ndelete table %s " TABLE "\ntable %s " TABLE " {\n"
		"map any_address {\ntype inet_proto . inet_service : %s . inet_service\n}\n"
		"map one_address {\ntype %s . inet_proto . inet_service : %s . inet_service\n}\n"
		"set hairpin {\ntype %s . %s\n}\n"
		"set pods {\ntype %s\nflags interval\nauto-merge\n}\nset nodes {\ntype %s\n}\n",
		ip, ip, ip, t, t, t, t, t, t, t);
	host_port_chains(family, nft);
	buf_fmt(nft,
		"chain nat_in {\ntype nat hook prerouting priority -101\njump host_ports\n}\n"
		"chain nat_out {\ntype nat hook output priority -101\njump host_ports\n}\n"
		"chain nat_post {\ntype nat hook postrouting priority 101\n"
		"%s saddr . %s daddr @hairpin masquerade\n",
		ip, ip);
	if (family == AF_INET)
		buf_add_c(
			nft, "oifname != \"lo\" ip saddr 127.0.0.0/8 ct status dnat masquerade\n");
	ip_prefix_text(own, text);
	buf_fmt(nft,
		"oifname != { \"%s\", \"lo\" } %s saddr %s %s daddr != %s %s daddr != @pods "
		"%s daddr != @nodes masquerade\n}\n}\n",
		bridge, ip, text, ip, text, ip, ip);
	add_elements(family, c, nft, "pods", true);
	add_elements(family, c, nft, "nodes", false);
}

static void port_rule(
	const struct lease_port *p, const struct ip_addr *to, const char *verb, struct buf *nft)
{
	char text[IP_TEXT_MAX];

	if (p->host_ip.family && p->host_ip.family != to->family)
		return;
	buf_fmt(nft, "%s element %s " TABLE " %s { ", verb, word(to->family),
		p->host_ip.family ? "one_address" : "any_address");
	if (p->host_ip.family)
		buf_fmt(nft, "%s . ", addr_text(&p->host_ip, text));
	buf_fmt(nft, "%s . %d", p->protocol, p->host_port);
	if (verb[0] == 'a')
		buf_fmt(nft, " : %s . %d", addr_text(to, text), p->container_port);
	buf_add_c(nft, " }\n");
}

void rules_ports(const struct lease *lease, const char *verb, struct buf *nft)
{
	char text[IP_TEXT_MAX];

	for (size_t k = 0; k < lease->n_ips && lease->n_ports; k++) {
		for (size_t i = 0; i < lease->n_ports; i++)
			port_rule(&lease->ports[i], &lease->ips[k], verb, nft);
		addr_text(&lease->ips[k], text);
		buf_fmt(nft, "%s element %s " TABLE " hairpin { %s . %s }\n", verb,
			word(lease->ips[k].family), text, text);
	}
}
