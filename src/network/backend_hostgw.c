/* backend_hostgw.c: host-gw, a route to each machine's pods by its own address; and bridge, which
 * does nothing between machines. */
#include "network/netlink.h"
#include "network/network.h"
#include "network/overlay.h"

static int no_overhead(const struct overlay_opts *opts, int underlay_family)
{
	return 0;
}

static void plan(
	const struct overlay_view *v, const struct overlay_items *now, struct overlay_items *ret)
{
	for (size_t i = 0; i < v->peers.n; i++) {
		const struct overlay_machine *peer = &v->peers.v[i];

		for (size_t k = 0; k < peer->n_cidrs; k++) {
			const struct ip_addr *ip = overlay_ip(peer, peer->cidrs[k].addr.family);
			const struct overlay_item route = {.kind = OVERLAY_ROUTE,
				.to = peer->cidrs[k],
				.via = ip ? *ip : (struct ip_addr){0}};

			if (ip)
				ARENA_PUSH(v->arena, ret, route);
		}
	}
}

const struct overlay_backend overlay_bridge = {
	.name = "bridge", .bridge = NETWORK_BRIDGE, .overhead = no_overhead};

const struct overlay_backend overlay_host_gw = {
	.name = "host-gw", .bridge = NETWORK_BRIDGE, .overhead = no_overhead, .plan = plan};
