/*
 * backend_ovs.c: the story's picture, from the Node objects: obr0 with a tunnel port per machine,
 * as a port of kbr0. Talks to Open vSwitch by its own tools, which find a database elsewhere by
 * OVS_RUNDIR.
 */
#include <stdio.h>
#include <unistd.h>

#include "json/value.h"
#include "network/netlink.h"
#include "network/nft_run.h"
#include "network/network.h"
#include "network/ovs.h"
#include "base/fs.h"
#include "base/spawn.h"

enum {
	/* inner Ethernet header, GRE without key and checksum, outer IP header */
	OVERHEAD_GRE = 14 + 4 + 20,
	OVERHEAD_VXLAN = 14 + 8 + 8 + 20,
	TOOL_MS = 20000,
	OUTPUT_MAX = 16 << 20,
	ARGS_MAX = 48,
	UNDERLAY_BITS = 29,
};

static int overhead(const struct overlay_opts *opts, int underlay_family)
{
	bool vxlan = opts->ovs_tunnel && !strcmp(opts->ovs_tunnel, "vxlan");

	return (vxlan ? OVERHEAD_VXLAN : OVERHEAD_GRE) + (underlay_family == AF_INET6 ? 20 : 0);
}

/* --- tools --- */

static char *find_tool(const char *name)
{
	static const char *const dirs[] = {
		"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char *path = xasprintf("%s/%s", dirs[i], name);

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* args: a tool's name and its arguments, ended by NULL. out may be NULL. */
static int run(const char *const *args, struct str input, struct buf *out, struct err *err)
{
	struct buf said CLEANUP(buf_release) = {0}, dropped CLEANUP(buf_release) = {0};
	char *path CLEANUP(free_ptr) = find_tool(args[0]);
	struct spawn_opts opts = {.path = path, .argv = (char *const *)args};
	int r;

	if (!path)
		return err_fmt(err, 500, "InternalError",
			"%s is not found: install openvswitch-switch, or choose another "
			"--network-backend",
			args[0]);
	buf_init(&said, 4096);
	buf_init(&dropped, 4096);
	r = spawn_run(&opts, input, out ? out : &dropped, &said, TOOL_MS);
	if (r < 0)
		return err_errno(err, -r, "%s", args[0]);
	if (r > 0)
		return err_fmt(err, 500, "InternalError", "%s: " STR_FMT, args[0],
			STR_ARG(said.n ? str_trim(buf_str(&said)) : S("failed")));
	return 0;
}

static int check(struct err *err)
{
	static const char *const show[] = {"ovs-vsctl", "--timeout=5", "list-br", NULL};
	struct err e CLEANUP(err_release) = {0};
	char *path CLEANUP(free_ptr) = find_tool("ovs-vsctl");

	if (!path)
		return err_fmt(err, 500, "InternalError",
			"--network-backend=ovs needs Open vSwitch: install openvswitch-switch, or "
			"choose another backend");
	if (run(show, S(""), NULL, &e) < 0)
		return err_fmt(err, 500, "InternalError",
			"--network-backend=ovs: Open vSwitch does not answer (%s): systemctl start "
			"openvswitch-switch",
			err_text(&e));
	return 0;
}

/* --- plan --- */

static const struct overlay_item *port_of(const struct overlay_items *now, struct str machine)
{
	for (size_t i = 0; now && i < now->n; i++)
		if (now->v[i].kind == OVERLAY_PORT && str_eq(now->v[i].machine, machine))
			return &now->v[i];
	return NULL;
}

static bool name_used(const struct overlay_items *items, const char *name)
{
	for (size_t i = 0; items && i < items->n; i++)
		if (items->v[i].kind == OVERLAY_PORT && !strcmp(items->v[i].port, name))
			return true;
	return false;
}

/* A machine keeps its port's name; a new one gets the first that is free. */
static void name_port(struct overlay_item *port, const struct overlay_items *now,
	const struct overlay_items *wanted)
{
	const struct overlay_item *old = port_of(now, port->machine);

	if (old)
		memcpy(port->port, old->port, sizeof(port->port));
	for (unsigned i = 0; !old; i++) {
		snprintf(port->port, sizeof(port->port), "gre%u", i);
		if (!name_used(now, port->port) && !name_used(wanted, port->port))
			return;
	}
}

static void plan(
	const struct overlay_view *v, const struct overlay_items *now, struct overlay_items *ret)
{
	for (size_t i = 0; i < v->peers.n; i++) {
		const struct overlay_machine *peer = &v->peers.v[i];
		const struct ip_addr *ip = overlay_ip(peer, v->self.ips[0].family);
		struct overlay_item port = {
			.kind = OVERLAY_PORT, .machine = peer->name, .src = v->self.ips[0]};
		struct overlay_item fdb = {.kind = OVERLAY_FDB};

		if (!ip)
			continue;
		port.via = *ip;
		name_port(&port, now, ret);
		ARENA_PUSH(v->arena, ret, port);
		overlay_mac(peer, fdb.mac);
		ARENA_PUSH(v->arena, ret, fdb);
		overlay_plan_tunnel(v, peer, ret);
	}
}

/* --- bridges --- */

static int make_bridges(struct overlay *o, int mtu, struct err *err)
{
	const char *datapath = o->netdev ? "datapath_type=netdev" : "datapath_type=system";
	char *inner CLEANUP(free_ptr) = xasprintf("mtu_request=%d", mtu);
	char *outer CLEANUP(free_ptr) =
		xasprintf("mtu_request=%d", mtu + (o->gre ? OVERHEAD_GRE : OVERHEAD_VXLAN));
	char *number CLEANUP(free_ptr) = xasprintf("ofport_request=%d", OVS_PORT_BASE);
	const char *const args[] = {"ovs-vsctl", "--timeout=10", "--", "--may-exist", "add-br",
		OVS_BRIDGE, "--", "set", "bridge", OVS_BRIDGE, datapath, "fail_mode=secure",
		"external_ids:sampan=overlay", "--", "set", "interface", OVS_BRIDGE, inner, NULL};
	const char *const more[] = {"ovs-vsctl", "--timeout=10", "--", "--may-exist", "add-br",
		OVS_UNDERLAY, "--", "set", "bridge", OVS_UNDERLAY, datapath, "fail_mode=secure",
		"external_ids:sampan=overlay", "other_config:hwaddr=0a:5a:00:00:00:02", "--",
		"--may-exist", "add-port", OVS_UNDERLAY, OVS_KERNEL_PORT, "--", "set", "interface",
		OVS_KERNEL_PORT, "type=internal", number, outer, "--", "set", "interface",
		OVS_UNDERLAY, outer, NULL};
	int r = run(args, S(""), NULL, err);

	return r == 0 && o->netdev ? run(more, S(""), NULL, err) : r;
}

static int set_up_link(struct overlay *o, const char *name, const char *ip, int bits)
{
	struct ip_addr addr;
	int index = netlink_link_index(o->route, name), r;

	if (index < 0)
		return index;
	addr_parse(str_c(ip), &addr);
	r = netlink_add_address(o->route, index, &addr, bits);
	return r == 0 ? netlink_link_up(o->route, index) : r;
}

/* The kernel's side of the outer packets. */
static const uint8_t kernel_mac[MAC_LEN] = {0x0a, 0x5a, 0, 0, 0, 1};

static int set_up_underlay(struct overlay *o)
{
	static const uint8_t underlay_mac[MAC_LEN] = {0x0a, 0x5a, 0, 0, 0, 2};
	struct netlink_route inner = {.to = {.bits = 32}, .protocol = 0};
	struct netlink_link port;
	int r = netlink_get_link(o->route, OVS_KERNEL_PORT, &port);

	if (r < 0)
		return r;
	addr_parse(S(OVS_INNER_IP), &inner.to.addr);
	inner.index = port.index;
	/* Setting the address that it has is an event, too: it would bring us here again. */
	if (memcmp(port.mac, kernel_mac, MAC_LEN) != 0)
		r = netlink_set_mac(o->route, port.index, kernel_mac);
	if (r == 0)
		r = set_up_link(o, OVS_UNDERLAY, OVS_UNDERLAY_IP, UNDERLAY_BITS);
	if (r == 0)
		r = set_up_link(o, OVS_KERNEL_PORT, OVS_KERNEL_IP, 32);
	if (r == 0)
		r = netlink_add_route(o->route, &inner);
	if (r == 0)
		r = netlink_add_neighbour(o->route, port.index, &inner.to.addr, underlay_mac);
	return r;
}

/* obr0 becomes a port of kbr0. */
static int join_bridges(struct overlay *o)
{
	struct netlink_link bridge, port;
	int r = netlink_get_link(o->route, o->bridge, &bridge);

	if (r == 0)
		r = netlink_get_link(o->route, OVS_BRIDGE, &port);
	if (r == 0 && port.master != bridge.index)
		r = netlink_set_master(o->route, port.index, bridge.index);
	if (r == 0)
		r = netlink_link_up(o->route, port.index);
	if (r < 0)
		return r;
	o->link = bridge.index;
	o->port = port.index;
	memcpy(o->port_mac, port.mac, MAC_LEN);
	return 0;
}

static int prepare(struct overlay *o, const struct overlay_view *v, int mtu, struct err *err)
{
	int r;

	o->netdev = !netlink_has_family("ovs_datapath");
	if (o->netdev && v->self.ips[0].family != AF_INET)
		return err_fmt(err, 500, "InternalError",
			"--network-backend=ovs without the kernel's openvswitch module needs an "
			"IPv4 address of this machine: modprobe openvswitch, or give one with "
			"--node-ip");
	r = make_bridges(o, mtu, err);
	if (r < 0)
		return r;
	r = o->netdev ? set_up_underlay(o) : 0;
	if (r == 0)
		r = join_bridges(o);
	return r < 0 ? err_errno(err, -r, "cannot set up the links of Open vSwitch") : 0;
}

/* --- what is there --- */

static struct str map_value(const struct json_value *map, const char *key)
{
	/* ["map", [["key", "value"], …]] */
	const struct json_value *pairs = map && map->items.n == 2 ? map->items.v[1] : NULL;

	for (size_t i = 0; pairs && i < pairs->items.n; i++) {
		const struct json_value *pair = pairs->items.v[i];

		if (pair->items.n == 2 && str_eqc(pair->items.v[0]->text, key))
			return pair->items.v[1]->text;
	}
	return S("");
}

static void take_row(const struct overlay *o, const struct json_value *row,
	struct overlay_items *ret, struct arena *a)
{
	struct overlay_item item = {.kind = OVERLAY_PORT};
	struct str name;

	if (row->items.n != 4)
		return;
	name = row->items.v[0]->text;
	item.machine = map_value(row->items.v[2], "sampan-node");
	if (!item.machine.n || name.n >= sizeof(item.port))
		return;
	memcpy(item.port, name.p, name.n);
	if (str_eqc(row->items.v[3]->text, o->gre ? "gre" : "vxlan"))
		addr_parse(map_value(row->items.v[1], "remote_ip"), &item.via);
	addr_parse(map_value(row->items.v[2], "sampan-local"), &item.src);
	ARENA_PUSH(a, ret, item);
}

struct reading {
	struct overlay *o;
	struct overlay_items *to;
	struct arena *a;
};

static void take_fdb(void *user_data, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct reading *r = user_data;
	struct overlay_item item = {.kind = OVERLAY_FDB};

	if (!memcmp(mac, r->o->port_mac, MAC_LEN)) /* the port's own */
		return;
	memcpy(item.mac, mac, MAC_LEN);
	ARENA_PUSH(r->a, r->to, item);
}

static int read_items(
	struct overlay *o, struct overlay_items *ret, struct arena *a, struct err *err)
{
	static const char *const list[] = {"ovs-vsctl", "--timeout=10", "--format=json",
		"--columns=name,options,external_ids,type", "list", "interface", NULL};
	struct buf out CLEANUP(buf_release) = {0};
	struct reading reading = {o, ret, a};
	const struct json_value *rows;
	struct json_value *root;
	int r;

	if (!o->link && netlink_link_index(o->route, OVS_BRIDGE) < 0)
		return 0; /* nothing was ever made */
	buf_init(&out, OUTPUT_MAX);
	r = run(list, S(""), &out, err);
	if (r < 0)
		return r;
	r = json_parse(arena_str(a, buf_str(&out)), a, &root, err);
	if (r < 0)
		return r;
	rows = json_getc(root, "data");
	for (size_t i = 0; rows && i < rows->items.n; i++)
		take_row(o, rows->items.v[i], ret, a);
	r = o->port ? netlink_each_fdb(o->route, o->port, take_fdb, &reading) : 0;
	return r < 0 ? err_errno(err, -r, "cannot read the forwarding entries of %s", o->bridge)
		     : 0;
}

/* --- changes --- */

static int change_port(struct overlay *o, const struct overlay_op *op, struct err *err)
{
	const struct overlay_item *i = &op->item;
	char remote[IP_TEXT_MAX + 32], local[IP_TEXT_MAX + 32], own[IP_TEXT_MAX + 32], number[32],
		ip[IP_TEXT_MAX];
	char *machine CLEANUP(free_ptr) =
		xasprintf("external_ids:sampan-node=\"" STR_FMT "\"", STR_ARG(i->machine));
	const char *const remove[] = {
		"ovs-vsctl", "--timeout=10", "--if-exists", "del-port", OVS_BRIDGE, i->port, NULL};
	const char *add[] = {"ovs-vsctl", "--timeout=10", "--may-exist", "add-port", OVS_BRIDGE,
		i->port, "--", "set", "interface", i->port, o->gre ? "type=gre" : "type=vxlan",
		machine, number, remote, own, NULL, NULL};

	o->tunnels_changed = true;
	if (!op->add)
		return run(remove, S(""), NULL, err);
	snprintf(number, sizeof(number), "ofport_request=%d", ovs_port_number(i->port));
	snprintf(remote, sizeof(remote), "options:remote_ip=\"%s\"", addr_text(&i->via, ip));
	snprintf(own, sizeof(own), "external_ids:sampan-local=\"%s\"", addr_text(&i->src, ip));
	snprintf(local, sizeof(local), "options:local_ip=\"%s\"", ip);
	if (!o->netdev) /* in user space tunnels end at obr0u's */
		add[ARRAY_SIZE(add) - 2] = local;
	return run(add, S(""), NULL, err);
}

static int apply(struct overlay *o, const struct overlay_op *op, struct err *err)
{
	const struct overlay_item *i = &op->item;
	int r;

	if (i->kind == OVERLAY_PORT)
		return change_port(o, op, err);
	r = op->add ? netlink_add_fdb(o->route, o->port, i->mac, NULL)
		    : netlink_delete_fdb(o->route, o->port, i->mac, NULL);
	return r < 0 ? err_errno(err, -r, "cannot change a forwarding entry of %s", o->bridge) : 0;
}

/* --- flows, and the way of the outer packets --- */

static int replace_flows(const char *bridge, struct buf *flows, struct err *err)
{
	const char *const args[] = {"ovs-ofctl", "--bundle", "replace-flows", bridge, "-", NULL};

	if (buf_failed(flows))
		return err_fmt(err, 500, "InternalError", "too many flows");
	return run(args, flows->n ? buf_str(flows) : S("\n"), NULL, err);
}

static bool wants_route(const struct overlay_items *wanted, struct str prefix)
{
	char text[IP_TEXT_MAX + 4];

	for (size_t i = 0; i < wanted->n; i++) {
		char ip[IP_TEXT_MAX];

		if (wanted->v[i].kind != OVERLAY_PORT)
			continue;
		snprintf(text, sizeof(text), "%s/32", addr_text(&wanted->v[i].via, ip));
		if (str_eqc(prefix, text))
			return true;
	}
	return false;
}

static int change_ovs_route(const char *command, const char *prefix, struct err *err)
{
	const bool add = !strcmp(command, "ovs/route/add");
	const char *const args[] = {"ovs-appctl", "--timeout=10", command, prefix,
		add ? OVS_UNDERLAY : NULL, OVS_KERNEL_IP, NULL};

	return run(args, S(""), NULL, err);
}

/* Open vSwitch looks for the tunnels' other ends by routes of its own, which it forgets when it is
 * restarted: "User: 192.0.2.11/32 dev obr0u GW …". */
static int sync_ovs_routes(const struct overlay_items *wanted, struct err *err)
{
	static const char *const show[] = {"ovs-appctl", "--timeout=10", "ovs/route/show", NULL};
	struct buf out CLEANUP(buf_release) = {0};
	struct arena a CLEANUP(arena_release) = {0};
	struct str rest, line, prefix, after;
	struct str_vec have = {0};
	int r;

	buf_init(&out, OUTPUT_MAX);
	r = run(show, S(""), &out, err);
	rest = out.n ? buf_str(&out) : S("");
	while (r == 0 && rest.n) {
		str_cut(rest, '\n', &line, &rest);
		if (!str_starts(line, S("User: ")) ||
			str_find(line, S(" dev " OVS_UNDERLAY " ")) < 0)
			continue;
		str_cut(str_sub(line, 6, line.n), ' ', &prefix, &after);
		if (wants_route(wanted, prefix))
			ARENA_PUSH(&a, &have, prefix);
		else
			r = change_ovs_route("ovs/route/del", arena_cstr(&a, prefix), err);
	}
	for (size_t i = 0; i < wanted->n && r == 0; i++) {
		char ip[IP_TEXT_MAX];

		if (wanted->v[i].kind != OVERLAY_PORT)
			continue;
		prefix = arena_fmt(&a, "%s/32", addr_text(&wanted->v[i].via, ip));
		if (!str_vec_has(&have, prefix))
			r = change_ovs_route("ovs/route/add", prefix.p, err);
	}
	return r;
}

/* When a tunnel goes, Open vSwitch may forget the machine's addresses that the others end at; it
 * looks for them again when a link changes, be it to the address that it has. */
static int find_ends_again(struct overlay *o, struct err *err)
{
	int index = netlink_link_index(o->route, OVS_KERNEL_PORT), r = index;

	if (!o->tunnels_changed)
		return 0;
	if (r >= 0)
		r = netlink_set_mac(o->route, index, kernel_mac);
	if (r < 0)
		return err_errno(err, -r, "cannot touch " OVS_KERNEL_PORT);
	o->tunnels_changed = false;
	return 0;
}

static int finish(struct overlay *o, const struct overlay_view *v,
	const struct overlay_items *wanted, struct err *err)
{
	struct buf text CLEANUP(buf_release) = {0};
	int r;

	buf_init(&text, OUTPUT_MAX);
	ovs_flows(v, wanted, &text);
	r = replace_flows(OVS_BRIDGE, &text, err);
	if (r < 0 || !o->netdev)
		return r;
	buf_reset(&text);
	ovs_underlay_flows(o->gre, &text);
	r = replace_flows(OVS_UNDERLAY, &text, err);
	if (r == 0)
		r = sync_ovs_routes(wanted, err);
	if (r == 0)
		r = find_ends_again(o, err);
	if (r < 0)
		return r;
	buf_reset(&text);
	ovs_underlay_rules(o->gre, &v->self.ips[0], wanted, &text);
	fs_put("/proc/sys/net/ipv4/ip_forward", S("1"));
	return nft_run(buf_str(&text), err);
}

static void clear(struct overlay *o)
{
	static const char *const ask[] = {
		"ovs-vsctl", "--timeout=5", "br-get-external-id", OVS_BRIDGE, "sampan", NULL};
	static const char *const remove[] = {"ovs-vsctl", "--timeout=5", "--if-exists", "del-br",
		OVS_BRIDGE, "--", "--if-exists", "del-br", OVS_UNDERLAY, NULL};
	struct buf out CLEANUP(buf_release) = {0};

	buf_init(&out, 256);
	if (netlink_link_index(o->route, OVS_BRIDGE) < 0 || run(ask, S(""), &out, NULL) < 0 ||
		!out.n || !str_eqc(str_trim(buf_str(&out)), "overlay")) /* it is somebody else's */
		return;
	run(remove, S(""), NULL, NULL);
	nft_run(S("add table ip sampan_ovs\ndelete table ip sampan_ovs\n"), NULL);
}

const struct overlay_backend overlay_ovs = {
	.name = "ovs",
	.bridge = NETWORK_BRIDGE_OVS,
	.overhead = overhead,
	.check = check,
	.plan = plan,
	.prepare = prepare,
	.read = read_items,
	.apply = apply,
	.finish = finish,
	.clear = clear,
};
