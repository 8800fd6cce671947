/*
 * backend_vxlan.c: one VXLAN device (RFC 7348) whose forwarding entries say which machine is behind
 * which link address. It has no address of its own, floods nothing and learns nothing.
 */
#include <linux/if_link.h>
#include <stdio.h>

#include "network/netlink.h"
#include "network/network.h"
#include "network/overlay.h"
#include "base/fs.h"

#define DEVICE "sampan-vxlan"

/* Inner Ethernet header, VXLAN, UDP, and the outer IP header. */
enum { OVERHEAD_IPV4 = 14 + 8 + 8 + 20, OVERHEAD_IPV6 = 14 + 8 + 8 + 40 };

static int overhead(const struct overlay_opts *opts, int underlay_family)
{
	return underlay_family == AF_INET6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;
}

static void plan(
	const struct overlay_view *v, const struct overlay_items *now, struct overlay_items *ret)
{
	for (size_t i = 0; i < v->peers.n; i++) {
		const struct overlay_machine *peer = &v->peers.v[i];
		const struct ip_addr *ip = overlay_ip(peer, v->self.ips[0].family);
		struct overlay_item fdb = {.kind = OVERLAY_FDB};

		if (!ip) /* the underlay has two families and it is not on ours */
			continue;
		overlay_mac(peer, fdb.mac);
		fdb.via = *ip;
		ARENA_PUSH(v->arena, ret, fdb);
		overlay_plan_tunnel(v, peer, ret);
	}
}

static bool is_right(const struct netlink_link *l, const struct netlink_vxlan *want)
{
	return !strcmp(l->kind, "vxlan") && l->vxlan.vni == want->vni &&
	       l->vxlan.port == want->port && addr_eq(&l->vxlan.local, &want->local);
}

static int prepare(struct overlay *o, const struct overlay_view *v, int mtu, struct err *err)
{
	const struct netlink_vxlan want = {OVERLAY_VNI, OVERLAY_VXLAN_PORT, v->self.ips[0]};
	struct netlink_link l;
	uint8_t mac[MAC_LEN];
	int r = netlink_get_link(o->route, DEVICE, &l);

	overlay_mac(&v->self, mac);
	if (r == 0 && !is_right(&l, &want)) { /* this machine's address has changed */
		netlink_delete_link(o->route, DEVICE);
		r = -ENODEV;
	}
	if (r < 0) {
		r = netlink_add_vxlan(o->route, DEVICE, &want, mtu, mac);
		if (r == -EOPNOTSUPP)
			return err_fmt(err, 500, "InternalError",
				"this kernel has no VXLAN: choose --network-backend=host-gw, or "
				"install the kernel's modules");
		if (r == 0) /* it has no business in IPv6 of its own */
			fs_put("/proc/sys/net/ipv6/conf/" DEVICE "/addr_gen_mode", S("1"));
		if (r == 0)
			r = netlink_get_link(o->route, DEVICE, &l);
	}
	if (r == 0 && l.mtu != mtu)
		r = netlink_set_mtu(o->route, l.index, mtu);
	if (r == 0 && memcmp(l.mac, mac, MAC_LEN))
		r = netlink_set_mac(o->route, l.index, mac);
	if (r == 0)
		r = netlink_link_up(o->route, l.index);
	if (r < 0)
		return err_errno(err, -r, "cannot make the VXLAN device %s", DEVICE);
	o->link = l.index;
	return 0;
}

struct reading {
	struct overlay_items *to;
	struct arena *a;
};

static void take_fdb(void *user_data, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct reading *r = user_data;
	struct overlay_item item = {.kind = OVERLAY_FDB, .via = *dst};

	memcpy(item.mac, mac, MAC_LEN);
	ARENA_PUSH(r->a, r->to, item);
}

static int read_items(
	struct overlay *o, struct overlay_items *ret, struct arena *a, struct err *err)
{
	struct reading reading = {ret, a};
	int r = o->link ? netlink_each_fdb(o->route, o->link, take_fdb, &reading) : 0;

	return r < 0 ? err_errno(err, -r, "cannot read the forwarding entries of %s", DEVICE) : 0;
}

static int apply(struct overlay *o, const struct overlay_op *op, struct err *err)
{
	const struct overlay_item *i = &op->item;
	int r = op->add ? netlink_add_fdb(o->route, o->link, i->mac, &i->via)
			: netlink_delete_fdb(o->route, o->link, i->mac, &i->via);

	return r < 0 ? err_errno(err, -r, "cannot change a forwarding entry of %s", DEVICE) : 0;
}

static void clear(struct overlay *o)
{
	netlink_delete_link(o->route, DEVICE);
	o->link = 0;
}

const struct overlay_backend overlay_vxlan = {
	.name = "vxlan",
	.bridge = NETWORK_BRIDGE,
	.overhead = overhead,
	.plan = plan,
	.prepare = prepare,
	.read = read_items,
	.apply = apply,
	.clear = clear,
};
