#include "network/agent.h"

#include <stdlib.h>
#include <uv.h>

#include "network/netlink.h"
#include "types.gen.h"

enum {
	COALESCE_MS = 10,
	RETRY_MS = 5000,
	LOOK_AGAIN_MS = 300000, /* whether Open vSwitch still has what it was given */
	MTU_MIN = 576,
	MTU_MIN_IPV6 = 1280,
};

struct network_agent {
	struct loop *loop;
	struct client *client;
	struct arena arena;
	struct str node_name;
	struct overlay_opts overlay_opts;
	struct overlay *overlay;
	struct pod_network *network;
	struct mnl_socket *events;
	uv_poll_t events_poll;
	uv_fs_event_t ovs_events;
	struct loop_timer timer;
	struct arena said_arena; /* of problems */
	struct str_vec problems; /* that were logged */
	uint64_t cluster_hash;
	bool synced, cni_said;
};

static void soon(struct network_agent *n)
{
	if (n->synced)
		loop_timer_start(&n->timer, COALESCE_MS);
}

/* --- what is wrong, once --- */

static void say_problems(struct network_agent *n, const struct str_vec *now)
{
	struct arena a = {0};
	struct str_vec kept = {0};

	for (size_t i = 0; i < now->n; i++) {
		if (!str_vec_has(&n->problems, now->v[i]))
			log_warn("pod network: " STR_FMT, STR_ARG(now->v[i]));
		ARENA_PUSH(&a, &kept, arena_str(&a, now->v[i]));
	}
	arena_release(&n->said_arena);
	n->said_arena = a;
	n->problems = kept;
}

/* --- nodes --- */

static void unref_snapshot(void *s)
{
	snapshot_unref(s);
}

static const struct v1_node **all_nodes(struct network_agent *n, struct arena *a, size_t *ret_n)
{
	struct snapshot *s = client_snapshot(n->client, &v1_node_resource);
	const struct v1_node **nodes =
		ARENA_ARRAY(a, const struct v1_node *, snapshot_count(s) + 1);
	const struct object *o;
	struct snapshot_iter it;
	size_t count = 0;

	arena_ref(a, unref_snapshot, s);
	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		nodes[count++] = object_decode(o, a);
	*ret_n = count;
	return nodes;
}

static int tell_cluster(
	struct network_agent *n, const struct overlay_view *v, struct arena *a, struct err *err)
{
	struct {
		struct ip_prefix *v;
		size_t n;
	} pods = {0};
	struct {
		struct ip_addr *v;
		size_t n;
	} ips = {0};
	struct network_cluster c;
	uint64_t hash;
	int r;

	for (size_t i = 0; i <= v->peers.n; i++) {
		const struct overlay_machine *m = i ? &v->peers.v[i - 1] : &v->self;

		for (size_t k = 0; k < m->n_cidrs; k++)
			ARENA_PUSH(a, &pods, m->cidrs[k]);
		for (size_t k = 0; k < m->n_ips; k++)
			ARENA_PUSH(a, &ips, m->ips[k]);
	}
	hash = str_hash(str_n((char *)pods.v, pods.n * sizeof(*pods.v))) * 31 +
	       str_hash(str_n((char *)ips.v, ips.n * sizeof(*ips.v)));
	if (hash == n->cluster_hash)
		return 0;
	c = (struct network_cluster){pods.v, pods.n, ips.v, ips.n};
	r = pod_network_set_cluster(n->network, &c, err);
	if (r == 0)
		n->cluster_hash = hash;
	return r;
}

/* What this machine's own link carries now. */
static int current_mtu(struct network_agent *n, const struct overlay_view *v, struct arena *a)
{
	int mtu = overlay_mtu(&n->overlay_opts, addr_str(&v->self.ips[0], a));

	return MAX(mtu, overlay_cidr(&v->self, AF_INET6) ? MTU_MIN_IPV6 : MTU_MIN);
}

static void sync_overlay(struct network_agent *n)
{
	struct err err CLEANUP(err_release) = {0};
	struct arena a CLEANUP(arena_release) = {0};
	struct overlay_view v;
	size_t n_nodes;
	const struct v1_node **nodes = all_nodes(n, &a, &n_nodes);
	const char *why;
	int r = 0, mtu;

	overlay_view_fill(&v, n->node_name, nodes, n_nodes, &a);
	if (v.self.n_cidrs && v.self.n_ips) {
		mtu = current_mtu(n, &v, &a);
		pod_network_set_mtu(n->network, mtu);
		r = tell_cluster(n, &v, &a, &err);
		if (r == 0 && pod_network_ready(n->network, &why)) /* else its address comes soon */
			r = overlay_sync(n->overlay, &v, mtu, &err);
	}
	if (r < 0) {
		ARENA_PUSH(&a, &v.problems, arena_strc(&a, err_text(&err)));
		loop_timer_start(&n->timer, RETRY_MS);
	} else if (n->overlay->backend == &overlay_ovs && v.peers.n) {
		loop_timer_start(&n->timer, LOOK_AGAIN_MS);
	}
	say_problems(n, &v.problems);
}

static void on_timer(struct loop_timer *t)
{
	struct network_agent *n = container_of(t, struct network_agent, timer);

	if (!pod_network_is_cni(n->network)) {
		sync_overlay(n);
		return;
	}
	if (!n->cni_said)
		log_info("pod network: CNI is configured on this machine; --network-backend is not "
			 "used");
	n->cni_said = true;
}

static bool same_node(const struct store_event *ev)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct v1_node *nodes[] = {
		object_decode(ev->prev, &a), object_decode(ev->object, &a)};
	struct overlay_view was, is;
	bool same;

	overlay_view_fill(&was, ev->object->name, &nodes[0], 1, &a);
	overlay_view_fill(&is, ev->object->name, &nodes[1], 1, &a);
	same = !memcmp(was.self.ips, is.self.ips, sizeof(is.self.ips)) &&
	       !memcmp(was.self.cidrs, is.self.cidrs, sizeof(is.self.cidrs));
	return same;
}

static void on_node(void *user_data, const struct store_event *ev)
{
	struct network_agent *n = user_data;

	if (ev->type != STORE_MODIFIED || !ev->prev || !same_node(ev)) /* else a heartbeat */
		soon(n);
}

static void on_link_event(uv_poll_t *p, int status, int events)
{
	struct network_agent *n = p->data;

	if (netlink_drain(n->events))
		soon(n);
}

/* Sockets come and go in its directory when Open vSwitch is started anew; it has forgotten its
 * flows then. */
static void on_ovs_event(uv_fs_event_t *e, const char *name, int events, int status)
{
	if (events & UV_RENAME) /* not what is written to files there, such as logs */
		soon(e->data);
}

static void watch_ovs(struct network_agent *n)
{
	const char *dir = getenv("OVS_RUNDIR");

	uv_fs_event_init(loop_uv(n->loop), &n->ovs_events);
	n->ovs_events.data = n;
	if (n->overlay->backend == &overlay_ovs)
		uv_fs_event_start(
			&n->ovs_events, on_ovs_event, dir ? dir : "/var/run/openvswitch", 0);
}

static void on_synced(void *user_data)
{
	struct network_agent *n = user_data;

	n->synced = true;
	soon(n);
}

int network_agent_start(const struct network_agent_opts *opts, struct err *err)
{
	struct network_agent *n = xcalloc(1, sizeof(*n));
	int r = overlay_new(&opts->overlay, &n->overlay, err);

	if (r == 0) {
		r = netlink_open_events(&n->events);
		if (r < 0)
			err_errno(err, -r, "cannot open a netlink socket");
	}
	if (r < 0) {
		client_free(opts->client);
		overlay_free(n->overlay);
		free(n);
		return r;
	}
	n->client = opts->client;
	n->loop = opts->loop;
	n->node_name = arena_str(&n->arena, opts->node_name);
	n->overlay_opts = opts->overlay;
	n->network = opts->network;
	watch_ovs(n);
	loop_timer_init(&n->timer, n->loop, on_timer);
	uv_poll_init(loop_uv(n->loop), &n->events_poll, netlink_fd(n->events));
	n->events_poll.data = n;
	uv_poll_start(&n->events_poll, UV_READABLE, on_link_event);
	client_subscribe(n->client, &v1_node_resource, NULL, on_node, n);
	client_start(n->client, on_synced, n);
	return 0;
}
