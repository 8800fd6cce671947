#include "proxy/conntrack.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>

enum { RECEIVE_MAX = 65536, DELETE_MAX = 1 << 20 };

static struct str endpoint_key(struct arena *a, struct str ip, int port)
{
	return arena_fmt(a, STR_FMT " %d", STR_ARG(ip), port);
}

static void add_front(struct conntrack_stale *s, struct str ip, int port)
{
	map_set(&s->services, endpoint_key(&s->arena, ip, port), (void *)(uintptr_t)s->serving.n);
}

void conntrack_add(struct conntrack_stale *s, const struct proxy_service *svc)
{
	for (size_t i = 0; i < svc->n_ports; i++) {
		const struct proxy_port *p = &svc->ports[i];
		struct str_vec serving = {0};

		if (strcmp(p->protocol, "udp") != 0)
			continue;
		for (size_t k = 0; k < p->serving.n; k++)
			ARENA_PUSH(&s->arena, &serving,
				endpoint_key(&s->arena, p->serving.v[k].ip, p->serving.v[k].port));
		ARENA_PUSH(&s->arena, &s->serving, serving);
		add_front(s, svc->cluster_ip, p->port);
		for (size_t k = 0; k < svc->external_ips.n; k++)
			add_front(s, svc->external_ips.v[k], p->port);
		for (size_t k = 0; k < svc->balancer_ips.n; k++)
			add_front(s, svc->balancer_ips.v[k], p->port);
		if (p->node_port)
			add_front(s, S("*"), p->node_port);
	}
}

void conntrack_release(struct conntrack_stale *s)
{
	map_release(&s->services);
	arena_release(&s->arena);
	*s = (struct conntrack_stale){0};
}

/* --- the kernel's table --- */

struct tuple {
	uint8_t protocol;
	char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
	int source_port, target_port;
};

struct dump {
	struct conntrack_stale *stale;
	struct buf deletes; /* messages */
	uint32_t seq;
	int found;
};

static void read_address(const struct nlattr *attr, struct tuple *t)
{
	const void *p = mnl_attr_get_payload(attr);
	int type = mnl_attr_get_type(attr);
	bool v6 = type == CTA_IP_V6_SRC || type == CTA_IP_V6_DST;
	bool source = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC;

	if (mnl_attr_get_payload_len(attr) >= (v6 ? 16 : 4))
		inet_ntop(v6 ? AF_INET6 : AF_INET, p, source ? t->source : t->target,
			INET6_ADDRSTRLEN);
}

static void read_protocol(const struct nlattr *attr, struct tuple *t)
{
	int type = mnl_attr_get_type(attr);

	if (type == CTA_PROTO_NUM)
		t->protocol = mnl_attr_get_u8(attr);
	else if (type == CTA_PROTO_SRC_PORT)
		t->source_port = ntohs(mnl_attr_get_u16(attr));
	else if (type == CTA_PROTO_DST_PORT)
		t->target_port = ntohs(mnl_attr_get_u16(attr));
}

static void read_tuple(const struct nlattr *tuple, struct tuple *ret)
{
	const struct nlattr *part, *attr;

	mnl_attr_for_each_nested(part, tuple) mnl_attr_for_each_nested(attr, part)
	{
		if (mnl_attr_get_type(part) == CTA_TUPLE_IP)
			read_address(attr, ret);
		else if (mnl_attr_get_type(part) == CTA_TUPLE_PROTO)
			read_protocol(attr, ret);
	}
}

/* Whether the entry goes to a service of ours, but not to an endpoint that serves. */
static bool leads_nowhere(
	const struct conntrack_stale *s, const struct tuple *there, const struct tuple *back)
{
	char key[INET6_ADDRSTRLEN + 16];
	uintptr_t at;

	if (there->protocol != IPPROTO_UDP)
		return false;
	snprintf(key, sizeof(key), "%s %d", there->target, there->target_port);
	at = (uintptr_t)map_get(&s->services, str_c(key));
	if (!at) {
		snprintf(key, sizeof(key), "* %d", there->target_port);
		at = (uintptr_t)map_get(&s->services, str_c(key));
	}
	if (!at)
		return false;
	snprintf(key, sizeof(key), "%s %d", back->source, back->source_port);
	return !str_vec_has(&s->serving.v[at - 1], str_c(key));
}

static void add_delete(struct dump *d, int family, const struct nlattr *tuple)
{
	_Alignas(8) char buf[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	if (mnl_attr_get_len(tuple) > sizeof(buf) / 2)
		return;
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++d->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple),
		mnl_attr_get_payload(tuple));
	buf_add(&d->deletes, buf, h->nlmsg_len);
	d->found++;
}

static int on_entry(const struct nlmsghdr *h, void *data)
{
	struct dump *d = data;
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr, *orig = NULL;
	struct tuple there = {0}, back = {0};

	mnl_attr_for_each(attr, h, sizeof(*g))
	{
		if (mnl_attr_get_type(attr) == CTA_TUPLE_ORIG) {
			orig = attr;
			read_tuple(attr, &there);
		} else if (mnl_attr_get_type(attr) == CTA_TUPLE_REPLY) {
			read_tuple(attr, &back);
		}
	}
	if (orig && leads_nowhere(d->stale, &there, &back))
		add_delete(d, g->nfgen_family, orig);
	return MNL_CB_OK;
}

static int read_table(struct mnl_socket *s, struct dump *d)
{
	char *buf = xmalloc(RECEIVE_MAX);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;
	ssize_t got;
	int r;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	r = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -errno : MNL_CB_OK;
	while (r == MNL_CB_OK) {
		got = mnl_socket_recvfrom(s, buf, RECEIVE_MAX);
		r = got < 0 ? -errno
			    : mnl_cb_run(buf, got, 1, mnl_socket_get_portid(s), on_entry, d);
		if (r == MNL_CB_ERROR)
			r = -errno;
	}
	free(buf);
	return r < 0 ? r : 0;
}

int conntrack_clean(struct conntrack_stale *s)
{
	struct dump d = {.stale = s};
	struct mnl_socket *socket;
	int r = 0;

	if (!s->serving.n)
		return 0;
	buf_init(&d.deletes, DELETE_MAX);
	socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (r == 0)
		r = read_table(socket, &d);
	/* one that is gone by now is no error, so nobody waits for answers */
	if (r == 0 && d.deletes.n && mnl_socket_sendto(socket, d.deletes.p, d.deletes.n) < 0)
		r = -errno;
	if (socket)
		mnl_socket_close(socket);
	buf_release(&d.deletes);
	conntrack_release(s);
	return r < 0 ? r : d.found;
}
