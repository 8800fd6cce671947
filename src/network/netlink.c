#include "network/netlink.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/genetlink.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

struct request {
	char buf[1024];
	struct nlmsghdr *head;
	void *body;
};

int netns_enter(const char *path, int *ret_back)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), other, r = 0;

	if (own < 0)
		return -errno;
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (other < 0 || setns(other, CLONE_NEWNET) < 0)
		r = -errno;
	if (other >= 0)
		close(other);
	if (r < 0)
		close(own);
	else
		*ret_back = own;
	return r;
}

void netns_leave(int back)
{
	if (setns(back, CLONE_NEWNET) < 0)
		abort();
	close(back);
}

static int open_socket(int flags, unsigned groups, struct mnl_socket **ret)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	int r;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int netlink_open(const char *netns_path, struct mnl_socket **ret)
{
	int back = -1, r = netns_path ? netns_enter(netns_path, &back) : 0;

	if (r < 0)
		return r;
	r = open_socket(0, 0, ret);
	if (back >= 0)
		netns_leave(back);
	return r;
}

void netlink_close(struct mnl_socket *s)
{
	mnl_socket_close(s);
}

int netlink_open_events(struct mnl_socket **ret)
{
	return open_socket(
		SOCK_NONBLOCK, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, ret);
}

int netlink_fd(struct mnl_socket *s)
{
	return mnl_socket_get_fd(s);
}

bool netlink_drain(struct mnl_socket *s)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	bool any = false;

	/* ENOBUFS says that some were lost, which is news, too */
	while (mnl_socket_recvfrom(s, buf, sizeof(buf)) > 0 || errno == ENOBUFS) {
		any = true;
		errno = 0;
	}
	return any;
}

static void begin(struct request *q, int type, int flags, size_t body_size)
{
	memset(q, 0, sizeof(*q));
	q->head = mnl_nlmsg_put_header(q->buf);
	q->head->nlmsg_type = type;
	q->head->nlmsg_flags = NLM_F_REQUEST | flags;
	q->head->nlmsg_seq = 1;
	q->body = mnl_nlmsg_put_extra_header(q->head, body_size);
}

/* Until the acknowledgement, or the end of a dump, which stops the callbacks. */
static int talk_each(struct mnl_socket *s, struct request *q, mnl_cb_t each, void *data)
{
	char answer[MNL_SOCKET_BUFFER_SIZE];
	ssize_t n;
	int r = MNL_CB_OK;

	if ((q->head->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) /* its bits mean else elsewhere */
		q->head->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(s, q->head, q->head->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(s, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(answer, n, q->head->nlmsg_seq, mnl_socket_get_portid(s), each, data);
	}
	return r < 0 ? -errno : 0;
}

static int talk(struct mnl_socket *s, struct request *q)
{
	return talk_each(s, q, NULL, NULL);
}

static void put_ip(struct request *q, int type, const struct ip_addr *ip)
{
	if (addr_size(ip))
		mnl_attr_put(q->head, type, addr_size(ip), ip->b);
}

static bool get_ip(const struct nlattr *a, int family, struct ip_addr *ret)
{
	struct ip_addr ip = {.family = family};

	if (mnl_attr_get_payload_len(a) != addr_size(&ip))
		return false;
	memcpy(ip.b, mnl_attr_get_payload(a), addr_size(&ip));
	*ret = ip;
	return true;
}

/* --- links --- */

static void begin_link(struct request *q, int flags, const char *name, int mtu, const uint8_t *mac)
{
	begin(q, RTM_NEWLINK, flags, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q->head, IFLA_IFNAME, name);
	mnl_attr_put_u32(q->head, IFLA_MTU, mtu);
	if (mac)
		mnl_attr_put(q->head, IFLA_ADDRESS, MAC_LEN, mac);
}

int netlink_add_bridge(struct mnl_socket *s, const char *name, int mtu, const uint8_t mac[MAC_LEN])
{
	struct request q;
	struct nlattr *info;

	begin_link(&q, NLM_F_CREATE | NLM_F_EXCL, name, mtu, mac);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(q.head, info);
	return talk(s, &q);
}

int netlink_add_veth(struct mnl_socket *s, const char *name, int bridge_index, const char *peer,
	int netns_fd, int mtu)
{
	struct request q;
	struct nlattr *info, *data, *other;
	struct ifinfomsg *i;

	begin_link(&q, NLM_F_CREATE | NLM_F_EXCL, name, mtu, NULL);
	i = q.body;
	i->ifi_flags = i->ifi_change = IFF_UP;
	mnl_attr_put_u32(q.head, IFLA_MASTER, bridge_index);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(q.head, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(q.head, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(q.head, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, peer);
	mnl_attr_put_u32(q.head, IFLA_MTU, mtu);
	mnl_attr_put_u32(q.head, IFLA_NET_NS_FD, netns_fd);
	mnl_attr_nest_end(q.head, other);
	mnl_attr_nest_end(q.head, data);
	mnl_attr_nest_end(q.head, info);
	return talk(s, &q);
}

int netlink_add_vxlan(struct mnl_socket *s, const char *name, const struct netlink_vxlan *v,
	int mtu, const uint8_t mac[MAC_LEN])
{
	struct request q;
	struct nlattr *info, *data;

	begin_link(&q, NLM_F_CREATE | NLM_F_EXCL, name, mtu, mac);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "vxlan");
	data = mnl_attr_nest_start(q.head, IFLA_INFO_DATA);
	mnl_attr_put_u32(q.head, IFLA_VXLAN_ID, v->vni);
	mnl_attr_put_u16(q.head, IFLA_VXLAN_PORT, htons(v->port));
	mnl_attr_put_u8(q.head, IFLA_VXLAN_LEARNING, 0);
	put_ip(&q, v->local.family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, &v->local);
	mnl_attr_nest_end(q.head, data);
	mnl_attr_nest_end(q.head, info);
	return talk(s, &q);
}

int netlink_delete_link(struct mnl_socket *s, const char *name)
{
	struct request q;

	begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	return talk(s, &q);
}

static struct ifinfomsg *begin_change(struct request *q, int index)
{
	struct ifinfomsg *i;

	begin(q, RTM_NEWLINK, 0, sizeof(*i));
	i = q->body;
	i->ifi_index = index;
	return i;
}

int netlink_link_up(struct mnl_socket *s, int index)
{
	struct request q;
	struct ifinfomsg *i = begin_change(&q, index);

	i->ifi_flags = i->ifi_change = IFF_UP;
	return talk(s, &q);
}

int netlink_set_mtu(struct mnl_socket *s, int index, int mtu)
{
	struct request q;

	begin_change(&q, index);
	mnl_attr_put_u32(q.head, IFLA_MTU, mtu);
	return talk(s, &q);
}

int netlink_set_mac(struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN])
{
	struct request q;

	begin_change(&q, index);
	mnl_attr_put(q.head, IFLA_ADDRESS, MAC_LEN, mac);
	return talk(s, &q);
}

int netlink_set_master(struct mnl_socket *s, int index, int bridge_index)
{
	struct request q;

	begin_change(&q, index);
	mnl_attr_put_u32(q.head, IFLA_MASTER, bridge_index);
	return talk(s, &q);
}

int netlink_set_hairpin(struct mnl_socket *s, int index)
{
	struct request q;
	struct nlattr *info;

	begin(&q, RTM_SETLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)q.body)->ifi_family = AF_BRIDGE;
	((struct ifinfomsg *)q.body)->ifi_index = index;
	info = mnl_attr_nest_start(q.head, IFLA_PROTINFO);
	mnl_attr_put_u8(q.head, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(q.head, info);
	return talk(s, &q);
}

static void read_vxlan(const struct nlattr *data, struct netlink_vxlan *v)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, data)
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_VXLAN_ID:
			v->vni = mnl_attr_get_u32(a);
			break;
		case IFLA_VXLAN_PORT:
			v->port = ntohs(mnl_attr_get_u16(a));
			break;
		case IFLA_VXLAN_LOCAL:
			get_ip(a, AF_INET, &v->local);
			break;
		case IFLA_VXLAN_LOCAL6:
			get_ip(a, AF_INET6, &v->local);
			break;
		}
	}
}

static void read_info(const struct nlattr *info, struct netlink_link *l)
{
	const struct nlattr *a, *data = NULL;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (data && !strcmp(l->kind, "vxlan"))
		read_vxlan(data, &l->vxlan);
}

static int take_link(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	struct netlink_link *l = data;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	l->index = i->ifi_index;
	mnl_attr_for_each(a, h, sizeof(*i))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_MTU:
			l->mtu = (int)mnl_attr_get_u32(a);
			break;
		case IFLA_MASTER:
			l->master = (int)mnl_attr_get_u32(a);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(a) == MAC_LEN)
				memcpy(l->mac, mnl_attr_get_payload(a), MAC_LEN);
			break;
		case IFLA_LINKINFO:
			read_info(a, l);
			break;
		}
	}
	return MNL_CB_OK;
}

static int get_link(struct mnl_socket *s, const char *name, int index, struct netlink_link *ret)
{
	struct netlink_link l = {0};
	struct request q;
	int r;

	begin(&q, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)q.body)->ifi_index = index;
	if (name)
		mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	r = talk_each(s, &q, take_link, &l);
	if (r == 0)
		*ret = l;
	return r;
}

int netlink_get_link(struct mnl_socket *s, const char *name, struct netlink_link *ret)
{
	return get_link(s, name, 0, ret);
}

int netlink_link_index(struct mnl_socket *s, const char *name)
{
	struct netlink_link l;
	int r = get_link(s, name, 0, &l);

	return r < 0 ? r : l.index;
}

/* --- addresses --- */

struct address_walk {
	int index; /* 0: all */
	void (*fn)(void *user_data, const struct ip_addr *ip, int bits);
	void *user_data;
	const struct ip_addr *wanted; /* instead of fn */
	int found;
};

static int take_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct address_walk *w = data;
	struct ip_addr ip = {0}, local = {0};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWADDR || (w->index && (int)m->ifa_index != w->index))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFA_ADDRESS)
			get_ip(a, m->ifa_family, &ip);
		else if (mnl_attr_get_type(a) == IFA_LOCAL)
			get_ip(a, m->ifa_family, &local);
	}
	if (local.family)
		ip = local;
	if (w->wanted && addr_eq(&ip, w->wanted))
		w->found = (int)m->ifa_index;
	if (w->fn && ip.family)
		w->fn(w->user_data, &ip, m->ifa_prefixlen);
	return MNL_CB_OK;
}

static int walk_addresses(struct mnl_socket *s, struct address_walk *w)
{
	struct request q;

	begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return talk_each(s, &q, take_address, w);
}

int netlink_each_address(struct mnl_socket *s, int index,
	void (*fn)(void *user_data, const struct ip_addr *ip, int bits), void *user_data)
{
	return walk_addresses(
		s, &(struct address_walk){.index = index, .fn = fn, .user_data = user_data});
}

int netlink_link_of(struct mnl_socket *s, const struct ip_addr *ip, struct netlink_link *ret)
{
	struct address_walk w = {.wanted = ip};
	int r = walk_addresses(s, &w);

	if (r < 0)
		return r;
	return w.found ? get_link(s, NULL, w.found, ret) : -ENODEV;
}

static int change_address(
	struct mnl_socket *s, int type, int flags, int index, const struct ip_addr *ip, int bits)
{
	struct request q;
	struct ifaddrmsg *a;

	begin(&q, type, flags, sizeof(*a));
	a = q.body;
	a->ifa_family = ip->family;
	a->ifa_prefixlen = bits;
	a->ifa_index = index;
	put_ip(&q, IFA_LOCAL, ip);
	put_ip(&q, IFA_ADDRESS, ip);
	if (ip->family == AF_INET6)
		mnl_attr_put_u32(q.head, IFA_FLAGS, IFA_F_NODAD);
	return talk(s, &q);
}

int netlink_add_address(struct mnl_socket *s, int index, const struct ip_addr *ip, int bits)
{
	int r = change_address(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, ip, bits);

	return r == -EEXIST ? 0 : r;
}

int netlink_delete_address(struct mnl_socket *s, int index, const struct ip_addr *ip, int bits)
{
	int r = change_address(s, RTM_DELADDR, 0, index, ip, bits);

	return r == -EADDRNOTAVAIL ? 0 : r;
}

/* --- routes --- */

static int change_route(struct mnl_socket *s, int type, int flags, const struct netlink_route *r)
{
	struct request q;
	struct rtmsg *rt;

	begin(&q, type, flags, sizeof(*rt));
	rt = q.body;
	rt->rtm_family = r->to.addr.family;
	rt->rtm_dst_len = r->to.bits;
	rt->rtm_table = r->table ? r->table : RT_TABLE_MAIN;
	rt->rtm_protocol = r->protocol ? r->protocol : RTPROT_STATIC;
	rt->rtm_scope =
		r->via.family || r->to.addr.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rt->rtm_type = RTN_UNICAST;
	rt->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
	if (r->to.bits)
		put_ip(&q, RTA_DST, &r->to.addr);
	put_ip(&q, RTA_GATEWAY, &r->via);
	put_ip(&q, RTA_PREFSRC, &r->src);
	if (r->index)
		mnl_attr_put_u32(q.head, RTA_OIF, r->index);
	return talk(s, &q);
}

int netlink_add_route(struct mnl_socket *s, const struct netlink_route *r)
{
	return change_route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r);
}

int netlink_delete_route(struct mnl_socket *s, const struct netlink_route *r)
{
	int e = change_route(s, RTM_DELROUTE, 0, r);

	return e == -ESRCH ? 0 : e; /* it went with its link */
}

struct route_walk {
	int protocol;
	void (*fn)(void *user_data, const struct netlink_route *r);
	void *user_data;
};

static int take_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct route_walk *w = data;
	struct netlink_route r = {.table = rt->rtm_table,
		.protocol = rt->rtm_protocol,
		.onlink = rt->rtm_flags & RTNH_F_ONLINK};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_protocol != w->protocol)
		return MNL_CB_OK;
	r.to.addr.family = rt->rtm_family;
	r.to.bits = rt->rtm_dst_len;
	mnl_attr_for_each(a, h, sizeof(*rt))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			get_ip(a, rt->rtm_family, &r.to.addr);
			break;
		case RTA_GATEWAY:
			get_ip(a, rt->rtm_family, &r.via);
			break;
		case RTA_PREFSRC:
			get_ip(a, rt->rtm_family, &r.src);
			break;
		case RTA_OIF:
			r.index = (int)mnl_attr_get_u32(a);
			break;
		case RTA_TABLE:
			r.table = (int)mnl_attr_get_u32(a);
			break;
		}
	}
	w->fn(w->user_data, &r);
	return MNL_CB_OK;
}

int netlink_each_route(struct mnl_socket *s, int family, int protocol,
	void (*fn)(void *user_data, const struct netlink_route *r), void *user_data)
{
	struct route_walk w = {protocol, fn, user_data};
	struct request q;

	begin(&q, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	((struct rtmsg *)q.body)->rtm_family = family;
	return talk_each(s, &q, take_route, &w);
}

/* --- neighbours, forwarding --- */

static void begin_neighbour(struct request *q, int type, int flags, int family, int index)
{
	struct ndmsg *nd;

	begin(q, type, flags, sizeof(*nd));
	nd = q->body;
	nd->ndm_family = family;
	nd->ndm_ifindex = index;
	nd->ndm_state = NUD_PERMANENT;
}

int netlink_add_neighbour(
	struct mnl_socket *s, int index, const struct ip_addr *ip, const uint8_t mac[MAC_LEN])
{
	struct request q;

	begin_neighbour(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ip->family, index);
	put_ip(&q, NDA_DST, ip);
	mnl_attr_put(q.head, NDA_LLADDR, MAC_LEN, mac);
	return talk(s, &q);
}

int netlink_delete_neighbour(struct mnl_socket *s, int index, const struct ip_addr *ip)
{
	struct request q;
	int r;

	begin_neighbour(&q, RTM_DELNEIGH, 0, ip->family, index);
	put_ip(&q, NDA_DST, ip);
	r = talk(s, &q);
	return r == -ENOENT ? 0 : r;
}

static void begin_fdb(struct request *q, int type, int flags, int index, const uint8_t mac[MAC_LEN],
	const struct ip_addr *dst)
{
	begin_neighbour(q, type, flags, AF_BRIDGE, index);
	((struct ndmsg *)q->body)->ndm_flags = dst && dst->family ? NTF_SELF : NTF_MASTER;
	if (!dst || !dst->family) /* a bridge takes PERMANENT for an address of its own */
		((struct ndmsg *)q->body)->ndm_state = NUD_NOARP;
	mnl_attr_put(q->head, NDA_LLADDR, MAC_LEN, mac);
	if (dst)
		put_ip(q, NDA_DST, dst);
}

int netlink_add_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct request q;

	begin_fdb(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, mac, dst);
	return talk(s, &q);
}

int netlink_delete_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct request q;
	int r;

	begin_fdb(&q, RTM_DELNEIGH, 0, index, mac, dst);
	r = talk(s, &q);
	return r == -ENOENT ? 0 : r;
}

struct neighbour_walk {
	int index;
	bool fdb;
	void (*on_neighbour)(void *user_data, const struct ip_addr *ip, const uint8_t mac[MAC_LEN]);
	void (*on_fdb)(void *user_data, const uint8_t mac[MAC_LEN], const struct ip_addr *dst);
	void *user_data;
};

static int take_neighbour(const struct nlmsghdr *h, void *data)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct neighbour_walk *w = data;
	const uint8_t *mac = NULL;
	struct ip_addr ip = {0};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWNEIGH || nd->ndm_ifindex != w->index ||
		(nd->ndm_state != NUD_PERMANENT && !(w->fdb && nd->ndm_state == NUD_NOARP)))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*nd))
	{
		if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == MAC_LEN)
			mac = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == NDA_DST)
			get_ip(a, mnl_attr_get_payload_len(a) == 4 ? AF_INET : AF_INET6, &ip);
	}
	if (mac && w->fdb)
		w->on_fdb(w->user_data, mac, &ip);
	else if (mac && ip.family)
		w->on_neighbour(w->user_data, &ip, mac);
	return MNL_CB_OK;
}

static int walk_neighbours(struct mnl_socket *s, int family, struct neighbour_walk *w)
{
	struct request q;

	if (family == AF_BRIDGE) { /* answers to ifinfomsg with the link, which all kernels take */
		begin(&q, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ifinfomsg));
		((struct ifinfomsg *)q.body)->ifi_family = AF_BRIDGE;
		((struct ifinfomsg *)q.body)->ifi_index = w->index;
	} else {
		begin(&q, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
		((struct ndmsg *)q.body)->ndm_family = family;
	}
	return talk_each(s, &q, take_neighbour, w);
}

int netlink_each_neighbour(struct mnl_socket *s, int family, int index,
	void (*fn)(void *user_data, const struct ip_addr *ip, const uint8_t mac[MAC_LEN]),
	void *user_data)
{
	return walk_neighbours(s, family,
		&(struct neighbour_walk){
			.index = index, .on_neighbour = fn, .user_data = user_data});
}

int netlink_each_fdb(struct mnl_socket *s, int index,
	void (*fn)(void *user_data, const uint8_t mac[MAC_LEN], const struct ip_addr *dst),
	void *user_data)
{
	return walk_neighbours(s, AF_BRIDGE,
		&(struct neighbour_walk){
			.index = index, .fdb = true, .on_fdb = fn, .user_data = user_data});
}

/* --- policy routing --- */

static int change_rule(struct mnl_socket *s, int type, int flags, const struct netlink_rule *rule)
{
	struct request q;
	struct fib_rule_hdr *f;

	begin(&q, type, flags, sizeof(*f));
	f = q.body;
	f->family = rule->from.addr.family;
	f->table = rule->table;
	f->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(q.head, FRA_PRIORITY, rule->priority);
	mnl_attr_put_strz(q.head, FRA_IIFNAME, rule->in_link);
	if (rule->from.bits) {
		f->src_len = rule->from.bits;
		put_ip(&q, FRA_SRC, &rule->from.addr);
	}
	return talk(s, &q);
}

int netlink_add_rule(struct mnl_socket *s, const struct netlink_rule *rule)
{
	int r = change_rule(s, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);

	return r == -EEXIST ? 0 : r;
}

int netlink_delete_rule(struct mnl_socket *s, const struct netlink_rule *rule)
{
	int r = change_rule(s, RTM_DELRULE, 0, rule);

	return r == -ENOENT ? 0 : r;
}

bool netlink_has_family(const char *name)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	struct genlmsghdr *g;
	struct request q;
	int r = -1;

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0) {
		begin(&q, GENL_ID_CTRL, 0, sizeof(*g));
		g = q.body;
		g->cmd = CTRL_CMD_GETFAMILY;
		g->version = 1;
		mnl_attr_put_strz(q.head, CTRL_ATTR_FAMILY_NAME, name);
		r = talk(s, &q);
	}
	if (s)
		mnl_socket_close(s);
	return r == 0;
}
