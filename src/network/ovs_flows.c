/* ovs_flows.c: see ovs.h. */
#include <stdio.h>
#include <stdlib.h>

#include "network/ovs.h"

#define KERNEL_MAC "0a:5a:00:00:00:01"
#define KERNEL_MAC_NUMBER "0x0a5a00000001"

int ovs_port_number(const char *port)
{
	const char *digits = port + strcspn(port, "0123456789");

	return OVS_PORT_BASE + atoi(digits);
}

static const struct overlay_machine *machine_of(
	const struct overlay_view *v, const struct overlay_item *port)
{
	for (size_t i = 0; i < v->peers.n; i++)
		if (str_eq(v->peers.v[i].name, port->machine))
			return &v->peers.v[i];
	return NULL;
}

void ovs_flows(const struct overlay_view *v, const struct overlay_items *ports, struct buf *to)
{
	const char *join = "";
	size_t n = 0;

	for (size_t i = 0; i < ports->n; i++) {
		const struct overlay_item *p = &ports->v[i];
		const struct overlay_machine *m = p->kind == OVERLAY_PORT ? machine_of(v, p) : NULL;
		uint8_t mac[MAC_LEN];

		if (!m)
			continue;
		overlay_mac(m, mac);
		n++;
		buf_fmt(to, "priority=20,in_port=%d actions=LOCAL\n", ovs_port_number(p->port));
		buf_fmt(to,
			"priority=20,in_port=LOCAL,dl_dst=%02x:%02x:%02x:%02x:%02x:%02x "
			"actions=output:%d\n",
			mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], ovs_port_number(p->port));
	}
	if (!n)
		return;
	buf_add_c(to,
		"priority=10,in_port=LOCAL,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=");
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].kind == OVERLAY_PORT && machine_of(v, &ports->v[i])) {
			buf_fmt(to, "%soutput:%d", join, ovs_port_number(ports->v[i].port));
			join = ",";
		}
	buf_add_c(to, "\n");
}

static const char *outer(bool gre)
{
	return gre ? "ip,nw_proto=47" : "udp,tp_dst=4789";
}

void ovs_underlay_flows(bool gre, struct buf *to)
{
	/* whatever Open vSwitch looks for is behind the kernel */
	buf_add_c(to, "priority=20,in_port=LOCAL,arp,arp_op=1 actions="
		      "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:" KERNEL_MAC
		      ",load:2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
		      "move:NXM_OF_ARP_TPA[]->NXM_NX_REG0[],"
		      "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
		      "move:NXM_NX_REG0[]->NXM_OF_ARP_SPA[],load:" KERNEL_MAC_NUMBER
		      "->NXM_NX_ARP_SHA[],in_port\n");
	buf_fmt(to, "priority=20,in_port=LOCAL,%s actions=mod_nw_src:" OVS_INNER_IP ",output:%d\n",
		outer(gre), OVS_PORT_BASE);
	buf_fmt(to,
		"priority=20,in_port=%d,%s,nw_dst=" OVS_INNER_IP
		" actions=mod_nw_dst:" OVS_UNDERLAY_IP ",LOCAL\n",
		OVS_PORT_BASE, outer(gre));
}

void ovs_underlay_rules(
	bool gre, const struct ip_addr *self, const struct overlay_items *ports, struct buf *nft)
{
	const char *match = gre ? "ip protocol 47" : "udp dport 4789", *join = "";
	char text[IP_TEXT_MAX];

	buf_add_c(nft, "add table ip sampan_ovs\ndelete table ip sampan_ovs\n"
		       "table ip sampan_ovs {\nset peers {\ntype ipv4_addr\nelements = { ");
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].kind == OVERLAY_PORT) {
			buf_fmt(nft, "%s%s", join, addr_text(&ports->v[i].via, text));
			join = ", ";
		}
	if (!*join)
		buf_add_c(nft, OVS_INNER_IP); /* an empty list is no syntax; nobody has this one */
	addr_text(self, text);
	buf_fmt(nft,
		" }\n}\nchain in {\ntype filter hook prerouting priority raw\n"
		"ip daddr %s ip saddr @peers %s notrack ip daddr set " OVS_INNER_IP "\n"
		"iifname \"" OVS_KERNEL_PORT "\" notrack\n}\n"
		"chain out {\ntype filter hook postrouting priority 110\n"
		"ip saddr " OVS_INNER_IP " ip saddr set %s\n}\n}\n",
		text, match, text);
}
