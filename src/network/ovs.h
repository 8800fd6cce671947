/*
 * ovs.h: the texts that the ovs backend hands to Open vSwitch and nftables. Pure.
 *
 * obr0 forwards by fixed flows, not by learning or a spanning tree: what comes out of a tunnel goes
 * to this machine only, never into another tunnel, so the full mesh has no loop; what this machine
 * sends goes into the one tunnel that leads to the link address, or, when it is for all, once into
 * each.
 *
 * Without the kernel's module Open vSwitch makes and opens the tunnels' packets itself, and they
 * have to come from and go to a bridge of its own. So there is a second bridge, obr0u, with a port
 * obr0k into the kernel: outer packets pass between it and the machine's own interfaces by the
 * kernel's routing, where two stateless rules exchange the machine's address for OVS_INNER_IP. The
 * machine's interfaces keep their addresses and need not be given to Open vSwitch.
 *
 *     pods -- kbr0 -- obr0 ==gre0== obr0u -- obr0k -- kernel's routing -- eth0
 */
#ifndef SAMPAN_NETWORK_OVS_H
#define SAMPAN_NETWORK_OVS_H

#include "network/overlay.h"

#define OVS_BRIDGE "obr0"
#define OVS_UNDERLAY "obr0u"
#define OVS_KERNEL_PORT "obr0k"
#define OVS_KERNEL_IP "169.254.83.1"   /* obr0k's: the gateway of Open vSwitch */
#define OVS_UNDERLAY_IP "169.254.83.2" /* obr0u's: where tunnels end */
#define OVS_INNER_IP "169.254.83.3"    /* the same as the kernel sees it */

enum { OVS_PORT_BASE = 100 }; /* OpenFlow port of gre0 */

/* ovs-ofctl's flows of obr0. ports: items of kind OVERLAY_PORT (others are passed over). */
void ovs_flows(const struct overlay_view *v, const struct overlay_items *ports, struct buf *to);
/* Those of obr0u. */
void ovs_underlay_flows(bool gre, struct buf *to);
/* The exchange of addresses between obr0k and the machine's interfaces. */
void ovs_underlay_rules(
	bool gre, const struct ip_addr *self, const struct overlay_items *ports, struct buf *nft);
/* The OpenFlow port of a port's name. */
int ovs_port_number(const char *port);

#endif
