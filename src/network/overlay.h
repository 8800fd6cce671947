/*
 * overlay.h: how pods of different machines reach each other: the contract of the backends.
 *
 * Everything follows from the Node objects. Each machine plans by itself: overlay_view_fill() takes
 * from the nodes what counts (name, address, pod CIDRs), the backend's plan() says which items
 * (routes, neighbours, forwarding entries, tunnel ports) the kernel or Open vSwitch should hold,
 * and overlay_diff() what to do about those that it holds. Both are pure, so a golden file shows
 * them. The executor (overlay_sync) reads, plans and applies; it is asked again whenever a node, or
 * a link or address of this machine, changes. Nothing is remembered in between: what is there is
 * read, so a restart of anything at any time ends in the same state.
 *
 *   bridge   nothing between machines
 *   host-gw  a route to each machine's pods by its address: all must be on one link
 *   vxlan    the kernel's VXLAN with fixed forwarding entries: no flooding, no learning
 *   ovs      the story's picture: the Linux bridge kbr0 of the pods on top of the Open vSwitch
 * bridge obr0, which has one tunnel port (gre0…) per machine
 *
 * Where there is a tunnel, what a pod sends to another machine's own address goes through it, too
 * (OVERLAY_TABLE, a policy routing table for what comes from the pods' bridge): it is answered
 * through the tunnel, so both ways are one, and no network in between sees pods' addresses.
 *
 * The link address of a machine's end follows from its pod CIDR (addr_mac), so nobody has to ask
 * for it. Blocking; one thread.
 */
#ifndef SAMPAN_NETWORK_OVERLAY_H
#define SAMPAN_NETWORK_OVERLAY_H

#include "network/address.h"

struct v1_node;
struct mnl_socket;

enum {
	OVERLAY_IPS_MAX = 2,
	OVERLAY_PROTOCOL = 83,      /* on our routes: who made them */
	OVERLAY_TABLE = 83,         /* ways to other machines for what comes from pods */
	OVERLAY_RULE_PRIORITY = 83, /* before the main table */
	OVERLAY_VNI = 1,
	OVERLAY_VXLAN_PORT = 4789,
};

struct overlay_machine {
	struct str name;
	struct ip_addr ips[OVERLAY_IPS_MAX]; /* InternalIPs, at most one of each family */
	struct ip_prefix cidrs[OVERLAY_IPS_MAX];
	size_t n_ips, n_cidrs;
};

struct overlay_view {
	struct overlay_machine self; /* n_cidrs 0: not known yet, nothing is planned */
	struct {
		struct overlay_machine *v; /* in order of name; without those left out */
		size_t n;
	} peers;
	struct str_vec problems; /* one line each: why a machine is left out */
	struct arena *arena;
};

/* nodes: all of the cluster, in any order. */
void overlay_view_fill(struct overlay_view *v, struct str self, const struct v1_node *const *nodes,
	size_t n, struct arena *a);
/* The address of that family; NULL when there is none. */
const struct ip_addr *overlay_ip(const struct overlay_machine *m, int family);
const struct ip_prefix *overlay_cidr(const struct overlay_machine *m, int family);
/* A machine's end of the overlay: its link address, and its address as a gateway. */
void overlay_mac(const struct overlay_machine *m, uint8_t mac[MAC_LEN]);

enum overlay_kind {        /* in the order in which they are made; taken away the other way round */
	OVERLAY_PORT,      /* a tunnel from `src` to `via`, named `port`, to `machine` */
	OVERLAY_FDB,       /* mac is behind `via`, or behind the port to Open vSwitch */
	OVERLAY_NEIGHBOUR, /* to.addr has mac */
	OVERLAY_ROUTE,     /* to is reached by via, from src; table 0: main */
};

struct overlay_item {
	enum overlay_kind kind;
	struct ip_prefix to;
	struct ip_addr via, src;
	int table;
	bool onlink; /* by the overlay's link; else the kernel finds the link */
	uint8_t mac[MAC_LEN];
	struct str machine;
	char port[16];
};

struct overlay_items {
	struct overlay_item *v;
	size_t n;
};

struct overlay_op {
	bool add; /* or take away */
	struct overlay_item item;
};

struct overlay_ops {
	struct overlay_op *v;
	size_t n;
};

/* What takes `now` to `wanted`: first what goes, then what comes; what has changed is replaced. */
void overlay_diff(const struct overlay_items *now, const struct overlay_items *wanted,
	struct arena *a, struct overlay_ops *ret);
/* "+ route 10.244.1.0/24 via 10.244.1.1 src 10.244.0.1 onlink", for golden files and the log. */
struct str overlay_op_text(const struct overlay_op *op, struct arena *a);

/* What backends with a tunnel plan for one peer: neighbours and routes by its end. */
void overlay_plan_tunnel(const struct overlay_view *v, const struct overlay_machine *peer,
	struct overlay_items *ret);

struct overlay_opts {
	const char *backend;    /* its name; NULL: OVERLAY_DEFAULT */
	const char *ovs_tunnel; /* "gre" (default), "vxlan" */
};
/* Machines that are told nothing but the server's address reach each other over any network that
 * carries UDP between them; routes (host-gw) need all on one link, and a network that lets pods'
 * addresses through. */
#define OVERLAY_DEFAULT "vxlan"

struct overlay {
	const struct overlay_backend *backend;
	const char *bridge; /* of the pods */
	bool gre;           /* ovs */
	struct mnl_socket *route;
	int link; /* the overlay's: vxlan device, or the pods' bridge; 0: none */
	/* ovs */
	bool netdev;          /* the datapath in user space: the kernel has no module */
	bool tunnels_changed; /* since it was last told where they end */
	int port;             /* obr0 as a port of the pods' bridge */
	uint8_t port_mac[MAC_LEN];
	bool cleared; /* what other backends left is gone */
};

struct overlay_backend {
	const char *name;
	const char *bridge;
	/* Bytes that a packet grows by, over an IPv4 or IPv6 underlay. */
	int (*overhead)(const struct overlay_opts *opts, int underlay_family);
	/* Whether this machine has what it takes; err says what is missing and what to do. NULL:
	 * always. */
	int (*check)(struct err *err);
	/* now: what is there, for names that shall stay. NULL: none. */
	void (*plan)(const struct overlay_view *v, const struct overlay_items *now,
		struct overlay_items *ret);
	/* Devices that are there whatever the peers; sets o->link. Only called with peers. */
	int (*prepare)(struct overlay *o, const struct overlay_view *v, int mtu, struct err *err);
	/* Items that only this backend can read and write: ports, forwarding entries. */
	int (*read)(struct overlay *o, struct overlay_items *ret, struct arena *a, struct err *err);
	int (*apply)(struct overlay *o, const struct overlay_op *op, struct err *err);
	/* After all were applied (flows). NULL: nothing. */
	int (*finish)(struct overlay *o, const struct overlay_view *v,
		const struct overlay_items *wanted, struct err *err);
	/* Takes away what prepare made; 0 also when there is nothing. */
	void (*clear)(struct overlay *o);
};

extern const struct overlay_backend overlay_bridge, overlay_host_gw, overlay_vxlan, overlay_ovs;

/* NULL when there is none of that name. */
const struct overlay_backend *overlay_backend_find(const char *name);
/* -EINVAL with err when options make no sense, or the machine lacks what they need. For `sampan
 * check`, and before a node starts. backend NULL: the default. */
int network_backend_check(const char *backend, struct err *err);
int overlay_check(const struct overlay_opts *opts, struct err *err); /* and the tunnel's type */

/* What pods' interfaces may carry on a machine with this address (empty: that of the default
 * route). */
int overlay_mtu(const struct overlay_opts *opts, struct str node_ip);

int overlay_new(const struct overlay_opts *opts, struct overlay **ret, struct err *err);
void overlay_free(struct overlay *o); /* what was made stays: pods go on */
/* Makes kernel and Open vSwitch as the view says. On failure it does what it can and says the first
 * that went wrong. */
int overlay_sync(struct overlay *o, const struct overlay_view *v, int mtu, struct err *err);

#endif
