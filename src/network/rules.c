#include "network/rules.h"

#include <arpa/inet.h>

#define TABLE "sampan_net"

static const char *text_of(struct in_addr ip, char buf[INET_ADDRSTRLEN])
{
	return inet_ntop(AF_INET, &ip, buf, INET_ADDRSTRLEN);
}

void rules_base(const char *bridge, struct in_addr first, int prefix, struct buf *nft)
{
	char ip[INET_ADDRSTRLEN];

	buf_fmt(nft, "add table ip " TABLE "\ndelete table ip " TABLE "\ntable ip " TABLE " {\n");
	buf_add_c(nft,
		"map any_address {\ntype inet_proto . inet_service : ipv4_addr . inet_service\n}\n"
		"map one_address {\ntype ipv4_addr . inet_proto . inet_service : ipv4_addr . "
		"inet_service\n}\n"
		"set hairpin {\ntype ipv4_addr . ipv4_addr\n}\n");
	for (int i = 0; i < 2; i++) /* the statement wants the protocol spelled out */
		buf_fmt(nft,
			"chain host_ports_%s {\n"
			"meta l4proto %s dnat ip addr . port to ip daddr . meta l4proto . th dport "
			"map @one_address\n"
			"meta l4proto %s dnat ip addr . port to meta l4proto . th dport map "
			"@any_address\n}\n",
			i ? "udp" : "tcp", i ? "udp" : "tcp", i ? "udp" : "tcp");
	buf_add_c(nft,
		"chain host_ports {\nfib daddr type != local return\nmeta l4proto tcp jump "
		"host_ports_tcp\n"
		"meta l4proto udp jump host_ports_udp\n}\n"
		"chain nat_in {\ntype nat hook prerouting priority -101\njump host_ports\n}\n"
		"chain nat_out {\ntype nat hook output priority -101\njump host_ports\n}\n"
		"chain nat_post {\ntype nat hook postrouting priority 101\nip saddr . ip daddr "
		"@hairpin masquerade\n"
		"oifname != \"lo\" ip saddr 127.0.0.0/8 ct status dnat masquerade\n");
	buf_fmt(nft,
		"oifname != { \"%s\", \"lo\" } ip saddr %s/%d ip daddr != %s/%d masquerade\n}\n}\n",
		bridge, text_of(first, ip), prefix, ip, prefix);
}

void rules_ports(const struct lease *lease, const char *verb, struct buf *nft)
{
	char to[INET_ADDRSTRLEN], at[INET_ADDRSTRLEN];
	bool add = verb[0] == 'a';

	text_of(lease->ip, to);
	for (size_t i = 0; i < lease->n_ports; i++) {
		const struct lease_port *p = &lease->ports[i];

		if (p->host_ip.s_addr)
			buf_fmt(nft, "%s element ip " TABLE " one_address { %s . %s . %d", verb,
				text_of(p->host_ip, at), p->protocol, p->host_port);
		else
			buf_fmt(nft, "%s element ip " TABLE " any_address { %s . %d", verb,
				p->protocol, p->host_port);
		if (add)
			buf_fmt(nft, " : %s . %d", to, p->container_port);
		buf_add_c(nft, " }\n");
	}
	if (lease->n_ports)
		buf_fmt(nft, "%s element ip " TABLE " hairpin { %s . %s }\n", verb, to, to);
}
