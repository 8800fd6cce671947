/* overlay.c: the executor of overlay.h. */
#include "network/overlay.h"

#include <stdio.h>
#include <stdlib.h>

#include "network/netlink.h"

static const struct overlay_backend *const backends[] = {
	&overlay_bridge, &overlay_host_gw, &overlay_vxlan, &overlay_ovs};

const struct overlay_backend *overlay_backend_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i]->name, name ? name : OVERLAY_DEFAULT))
			return backends[i];
	return NULL;
}

int network_backend_check(const char *backend, struct err *err)
{
	const struct overlay_backend *b = overlay_backend_find(backend);

	if (!b)
		return err_bad_request(err,
			"--network-backend: \"%s\" is none of bridge, host-gw, vxlan, ovs",
			backend);
	return b->check ? b->check(err) : 0;
}

/* The MTU of the link with this address; of no such: what Ethernet carries. */
static int link_mtu(const struct ip_addr *ip)
{
	struct netlink_link l;
	struct mnl_socket *s;
	int mtu = 1500;

	if (!ip->family || netlink_open(NULL, &s) < 0)
		return mtu;
	if (netlink_link_of(s, ip, &l) == 0)
		mtu = l.mtu;
	netlink_close(s);
	return mtu;
}

int overlay_mtu(const struct overlay_opts *opts, struct str node_ip)
{
	const struct overlay_backend *b = overlay_backend_find(opts->backend);
	struct ip_addr ip = {0};

	if (node_ip.n)
		addr_parse(node_ip, &ip);
	return link_mtu(&ip) - (b ? b->overhead(opts, ip.family) : 0);
}

int overlay_check(const struct overlay_opts *opts, struct err *err)
{
	const char *tunnel = opts->ovs_tunnel ? opts->ovs_tunnel : "gre";

	if (strcmp(tunnel, "gre") && strcmp(tunnel, "vxlan"))
		return err_bad_request(
			err, "--ovs-tunnel: \"%s\" is neither gre nor vxlan", tunnel);
	return network_backend_check(opts->backend, err);
}

int overlay_new(const struct overlay_opts *opts, struct overlay **ret, struct err *err)
{
	struct overlay *o;
	int r = overlay_check(opts, err);

	if (r < 0)
		return r;
	o = xcalloc(1, sizeof(*o));
	o->backend = overlay_backend_find(opts->backend);
	o->bridge = o->backend->bridge;
	o->gre = !opts->ovs_tunnel || !strcmp(opts->ovs_tunnel, "gre");
	r = netlink_open(NULL, &o->route);
	if (r < 0) {
		free(o);
		return err_errno(err, -r, "cannot open a netlink socket");
	}
	*ret = o;
	return 0;
}

void overlay_free(struct overlay *o)
{
	if (!o)
		return;
	netlink_close(o->route);
	free(o);
}

struct reading {
	struct overlay *o;
	struct overlay_items *to;
	struct arena *a;
};

static void take_route(void *user_data, const struct netlink_route *r)
{
	struct reading *rd = user_data;
	struct overlay_item item = {.kind = OVERLAY_ROUTE,
		.to = r->to,
		.via = r->via,
		.src = r->src,
		.onlink = r->onlink,
		.table = r->table == OVERLAY_TABLE ? OVERLAY_TABLE : 0};

	if (item.onlink && r->index != rd->o->link) /* of another backend, or a device that was */
		item.onlink = false;
	ARENA_PUSH(rd->a, rd->to, item);
}

static void take_neighbour(void *user_data, const struct ip_addr *ip, const uint8_t mac[MAC_LEN])
{
	struct reading *rd = user_data;
	struct overlay_item item = {.kind = OVERLAY_NEIGHBOUR, .to = {*ip, addr_bits(ip)}};

	memcpy(item.mac, mac, MAC_LEN);
	ARENA_PUSH(rd->a, rd->to, item);
}

static int read_items(
	struct overlay *o, struct overlay_items *ret, struct arena *a, struct err *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct reading rd = {o, ret, a};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		r = netlink_each_route(o->route, families[i], OVERLAY_PROTOCOL, take_route, &rd);
		if (r == 0 && o->link)
			r = netlink_each_neighbour(
				o->route, families[i], o->link, take_neighbour, &rd);
	}
	if (r < 0)
		return err_errno(err, -r, "cannot read the kernel's routes");
	return o->backend->read ? o->backend->read(o, ret, a, err) : 0;
}

static int apply_route(struct overlay *o, const struct overlay_op *op, struct err *err)
{
	const struct overlay_item *i = &op->item;
	const struct netlink_route route = {.to = i->to,
		.via = i->via,
		.src = i->src,
		.index = i->onlink ? o->link : 0,
		.table = i->table,
		.protocol = OVERLAY_PROTOCOL,
		.onlink = i->onlink};
	char to[IP_TEXT_MAX], via[IP_TEXT_MAX];
	int r = op->add ? netlink_add_route(o->route, &route)
			: netlink_delete_route(o->route, &route);

	if (r == 0)
		return 0;
	if (op->add && !i->onlink)
		return err_fmt(err, 500, "InternalError",
			"no route to the pods %s by the machine %s (%s): with host-gw all machines "
			"must be on one link; choose --network-backend=vxlan",
			ip_prefix_text(&i->to, to), addr_text(&i->via, via), strerror(-r));
	return err_errno(err, -r, "cannot change the route to %s", ip_prefix_text(&i->to, to));
}

static int apply(struct overlay *o, const struct overlay_op *op, struct err *err)
{
	const struct overlay_item *i = &op->item;
	int r = 0;

	switch (i->kind) {
	case OVERLAY_PORT:
	case OVERLAY_FDB:
		return o->backend->apply(o, op, err);
	case OVERLAY_ROUTE:
		return apply_route(o, op, err);
	case OVERLAY_NEIGHBOUR:
		r = op->add ? netlink_add_neighbour(o->route, o->link, &i->to.addr, i->mac)
			    : netlink_delete_neighbour(o->route, o->link, &i->to.addr);
	}
	return r < 0 ? err_errno(err, -r, "cannot change a neighbour of the overlay") : 0;
}

/* What comes from this machine's pods to other machines' own addresses takes the tunnel. (Not what
 * comes from other machines' pods: that is the answer to somebody who used a node port here.) */
static void set_rule(struct overlay *o, const struct overlay_machine *self, bool wanted)
{
	for (size_t i = 0; i < self->n_cidrs; i++) {
		const struct netlink_rule rule = {
			o->bridge, self->cidrs[i], OVERLAY_TABLE, OVERLAY_RULE_PRIORITY};

		if (wanted)
			netlink_add_rule(o->route, &rule);
		else
			netlink_delete_rule(o->route, &rule);
	}
}

/* What another backend left behind: routes are taken away as unwanted items, devices here. */
static void clear_others(struct overlay *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (backends[i] != o->backend && backends[i]->clear) {
			struct overlay other = *o;

			other.backend = backends[i];
			backends[i]->clear(&other);
		}
}

static void keep_first(struct err *first, int *first_r, struct err *err, int r)
{
	if (r == 0)
		return;
	if (*first_r == 0) {
		*first_r = r;
		if (first)
			err_move(first, err);
	}
	err_release(err);
}

int overlay_sync(struct overlay *o, const struct overlay_view *v, int mtu, struct err *err)
{
	const struct overlay_backend *b = o->backend;
	struct overlay_items now = {0}, wanted = {0};
	struct overlay_ops ops = {0};
	struct err e = {0};
	int r = 0, first = 0;

	if (!v->self.n_cidrs || !v->self.n_ips)
		return 0;
	if (!o->cleared) {
		clear_others(o);
		o->cleared = true;
	}
	if (b->prepare && v->peers.n)
		r = b->prepare(o, v, mtu, err);
	if (r == 0)
		r = read_items(o, &now, v->arena, err);
	if (r < 0)
		return r;
	if (b->plan)
		b->plan(v, &now, &wanted);
	overlay_diff(&now, &wanted, v->arena, &ops);
	for (size_t i = 0; i < ops.n; i++) {
		struct str text = overlay_op_text(&ops.v[i], v->arena);

		log_debug("pod network: " STR_FMT, STR_ARG(text));
		r = apply(o, &ops.v[i], &e);
		keep_first(err, &first, &e, r);
	}
	set_rule(o, &v->self, b->prepare && v->peers.n);
	if (b->finish && o->link) {
		r = b->finish(o, v, &wanted, &e);
		keep_first(err, &first, &e, r);
	}
	return first;
}
