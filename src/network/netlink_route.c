/* netlink_route.c: addresses, routes, neighbours and policy routing of netlink.h. */
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "network/netlink_int.h"

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
			netlink_take_ip(a, m->ifa_family, &ip);
		else if (mnl_attr_get_type(a) == IFA_LOCAL)
			netlink_take_ip(a, m->ifa_family, &local);
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
	struct netlink_request q;

	netlink_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return netlink_talk_each(s, &q, take_address, w);
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
	return w.found ? netlink_find_link(s, NULL, w.found, ret) : -ENODEV;
}

static int change_address(
	struct mnl_socket *s, int type, int flags, int index, const struct ip_addr *ip, int bits)
{
	struct netlink_request q;
	struct ifaddrmsg *a;

	netlink_begin(&q, type, flags, sizeof(*a));
	a = q.body;
	a->ifa_family = ip->family;
	a->ifa_prefixlen = bits;
	a->ifa_index = index;
	netlink_put_ip(&q, IFA_LOCAL, ip);
	netlink_put_ip(&q, IFA_ADDRESS, ip);
	if (ip->family == AF_INET6)
		mnl_attr_put_u32(q.head, IFA_FLAGS, IFA_F_NODAD);
	return netlink_talk(s, &q);
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
	struct netlink_request q;
	struct rtmsg *rt;

	netlink_begin(&q, type, flags, sizeof(*rt));
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
		netlink_put_ip(&q, RTA_DST, &r->to.addr);
	netlink_put_ip(&q, RTA_GATEWAY, &r->via);
	netlink_put_ip(&q, RTA_PREFSRC, &r->src);
	if (r->index)
		mnl_attr_put_u32(q.head, RTA_OIF, r->index);
	return netlink_talk(s, &q);
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
			netlink_take_ip(a, rt->rtm_family, &r.to.addr);
			break;
		case RTA_GATEWAY:
			netlink_take_ip(a, rt->rtm_family, &r.via);
			break;
		case RTA_PREFSRC:
			netlink_take_ip(a, rt->rtm_family, &r.src);
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
	struct netlink_request q;

	netlink_begin(&q, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	((struct rtmsg *)q.body)->rtm_family = family;
	return netlink_talk_each(s, &q, take_route, &w);
}

/* --- neighbours, forwarding --- */

static void begin_neighbour(struct netlink_request *q, int type, int flags, int family, int index)
{
	struct ndmsg *nd;

	netlink_begin(q, type, flags, sizeof(*nd));
	nd = q->body;
	nd->ndm_family = family;
	nd->ndm_ifindex = index;
	nd->ndm_state = NUD_PERMANENT;
}

int netlink_add_neighbour(
	struct mnl_socket *s, int index, const struct ip_addr *ip, const uint8_t mac[MAC_LEN])
{
	struct netlink_request q;

	begin_neighbour(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ip->family, index);
	netlink_put_ip(&q, NDA_DST, ip);
	mnl_attr_put(q.head, NDA_LLADDR, MAC_LEN, mac);
	return netlink_talk(s, &q);
}

int netlink_delete_neighbour(struct mnl_socket *s, int index, const struct ip_addr *ip)
{
	struct netlink_request q;
	int r;

	begin_neighbour(&q, RTM_DELNEIGH, 0, ip->family, index);
	netlink_put_ip(&q, NDA_DST, ip);
	r = netlink_talk(s, &q);
	return r == -ENOENT ? 0 : r;
}

static void begin_fdb(struct netlink_request *q, int type, int flags, int index,
	const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	begin_neighbour(q, type, flags, AF_BRIDGE, index);
	((struct ndmsg *)q->body)->ndm_flags = dst && dst->family ? NTF_SELF : NTF_MASTER;
	if (!dst || !dst->family) /* a bridge takes PERMANENT for an address of its own */
		((struct ndmsg *)q->body)->ndm_state = NUD_NOARP;
	mnl_attr_put(q->head, NDA_LLADDR, MAC_LEN, mac);
	if (dst)
		netlink_put_ip(q, NDA_DST, dst);
}

int netlink_add_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct netlink_request q;

	begin_fdb(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, mac, dst);
	return netlink_talk(s, &q);
}

int netlink_delete_fdb(
	struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN], const struct ip_addr *dst)
{
	struct netlink_request q;
	int r;

	begin_fdb(&q, RTM_DELNEIGH, 0, index, mac, dst);
	r = netlink_talk(s, &q);
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
			netlink_take_ip(
				a, mnl_attr_get_payload_len(a) == 4 ? AF_INET : AF_INET6, &ip);
	}
	if (mac && w->fdb)
		w->on_fdb(w->user_data, mac, &ip);
	else if (mac && ip.family)
		w->on_neighbour(w->user_data, &ip, mac);
	return MNL_CB_OK;
}

static int walk_neighbours(struct mnl_socket *s, int family, struct neighbour_walk *w)
{
	struct netlink_request q;

	if (family == AF_BRIDGE) { /* answers to ifinfomsg with the link, which all kernels take */
		netlink_begin(&q, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ifinfomsg));
		((struct ifinfomsg *)q.body)->ifi_family = AF_BRIDGE;
		((struct ifinfomsg *)q.body)->ifi_index = w->index;
	} else {
		netlink_begin(&q, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
		((struct ndmsg *)q.body)->ndm_family = family;
	}
	return netlink_talk_each(s, &q, take_neighbour, w);
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
	struct netlink_request q;
	struct fib_rule_hdr *f;

	netlink_begin(&q, type, flags, sizeof(*f));
	f = q.body;
	f->family = rule->from.addr.family;
	f->table = rule->table;
	f->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(q.head, FRA_PRIORITY, rule->priority);
	mnl_attr_put_strz(q.head, FRA_IIFNAME, rule->in_link);
	if (rule->from.bits) {
		f->src_len = rule->from.bits;
		netlink_put_ip(&q, FRA_SRC, &rule->from.addr);
	}
	return netlink_talk(s, &q);
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
