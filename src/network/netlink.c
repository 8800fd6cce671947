#include "network/netlink.h"

#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "network/netlink_int.h"

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

void netlink_begin(struct netlink_request *q, int type, int flags, size_t body_size)
{
	memset(q, 0, sizeof(*q));
	q->head = mnl_nlmsg_put_header(q->buf);
	q->head->nlmsg_type = type;
	q->head->nlmsg_flags = NLM_F_REQUEST | flags;
	q->head->nlmsg_seq = 1;
	q->body = mnl_nlmsg_put_extra_header(q->head, body_size);
}

/* Until the acknowledgement, or the end of a dump, which stops the callbacks. */
int netlink_talk_each(struct mnl_socket *s, struct netlink_request *q, mnl_cb_t each, void *data)
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

int netlink_talk(struct mnl_socket *s, struct netlink_request *q)
{
	return netlink_talk_each(s, q, NULL, NULL);
}

void netlink_put_ip(struct netlink_request *q, int type, const struct ip_addr *ip)
{
	if (addr_size(ip))
		mnl_attr_put(q->head, type, addr_size(ip), ip->b);
}

bool netlink_take_ip(const struct nlattr *a, int family, struct ip_addr *ret)
{
	struct ip_addr ip = {.family = family};

	if (mnl_attr_get_payload_len(a) != addr_size(&ip))
		return false;
	memcpy(ip.b, mnl_attr_get_payload(a), addr_size(&ip));
	*ret = ip;
	return true;
}

/* --- links --- */

static void begin_link(
	struct netlink_request *q, int flags, const char *name, int mtu, const uint8_t *mac)
{
	netlink_begin(q, RTM_NEWLINK, flags, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q->head, IFLA_IFNAME, name);
	mnl_attr_put_u32(q->head, IFLA_MTU, mtu);
	if (mac)
		mnl_attr_put(q->head, IFLA_ADDRESS, MAC_LEN, mac);
}

int netlink_add_bridge(struct mnl_socket *s, const char *name, int mtu, const uint8_t mac[MAC_LEN])
{
	struct netlink_request q;
	struct nlattr *info;

	begin_link(&q, NLM_F_CREATE | NLM_F_EXCL, name, mtu, mac);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(q.head, info);
	return netlink_talk(s, &q);
}

int netlink_add_veth(struct mnl_socket *s, const char *name, int bridge_index, const char *peer,
	int netns_fd, int mtu)
{
	struct netlink_request q;
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
	return netlink_talk(s, &q);
}

int netlink_add_vxlan(struct mnl_socket *s, const char *name, const struct netlink_vxlan *v,
	int mtu, const uint8_t mac[MAC_LEN])
{
	struct netlink_request q;
	struct nlattr *info, *data;

	begin_link(&q, NLM_F_CREATE | NLM_F_EXCL, name, mtu, mac);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "vxlan");
	data = mnl_attr_nest_start(q.head, IFLA_INFO_DATA);
	mnl_attr_put_u32(q.head, IFLA_VXLAN_ID, v->vni);
	mnl_attr_put_u16(q.head, IFLA_VXLAN_PORT, htons(v->port));
	mnl_attr_put_u8(q.head, IFLA_VXLAN_LEARNING, 0);
	netlink_put_ip(
		&q, v->local.family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, &v->local);
	mnl_attr_nest_end(q.head, data);
	mnl_attr_nest_end(q.head, info);
	return netlink_talk(s, &q);
}

int netlink_delete_link(struct mnl_socket *s, const char *name)
{
	struct netlink_request q;

	netlink_begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	return netlink_talk(s, &q);
}

static struct ifinfomsg *begin_change(struct netlink_request *q, int index)
{
	struct ifinfomsg *i;

	netlink_begin(q, RTM_NEWLINK, 0, sizeof(*i));
	i = q->body;
	i->ifi_index = index;
	return i;
}

int netlink_link_up(struct mnl_socket *s, int index)
{
	struct netlink_request q;
	struct ifinfomsg *i = begin_change(&q, index);

	i->ifi_flags = i->ifi_change = IFF_UP;
	return netlink_talk(s, &q);
}

int netlink_set_mtu(struct mnl_socket *s, int index, int mtu)
{
	struct netlink_request q;

	begin_change(&q, index);
	mnl_attr_put_u32(q.head, IFLA_MTU, mtu);
	return netlink_talk(s, &q);
}

int netlink_set_mac(struct mnl_socket *s, int index, const uint8_t mac[MAC_LEN])
{
	struct netlink_request q;

	begin_change(&q, index);
	mnl_attr_put(q.head, IFLA_ADDRESS, MAC_LEN, mac);
	return netlink_talk(s, &q);
}

int netlink_set_master(struct mnl_socket *s, int index, int bridge_index)
{
	struct netlink_request q;

	begin_change(&q, index);
	mnl_attr_put_u32(q.head, IFLA_MASTER, bridge_index);
	return netlink_talk(s, &q);
}

int netlink_set_hairpin(struct mnl_socket *s, int index)
{
	struct netlink_request q;
	struct nlattr *info;

	netlink_begin(&q, RTM_SETLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)q.body)->ifi_family = AF_BRIDGE;
	((struct ifinfomsg *)q.body)->ifi_index = index;
	info = mnl_attr_nest_start(q.head, IFLA_PROTINFO);
	mnl_attr_put_u8(q.head, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(q.head, info);
	return netlink_talk(s, &q);
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
			netlink_take_ip(a, AF_INET, &v->local);
			break;
		case IFLA_VXLAN_LOCAL6:
			netlink_take_ip(a, AF_INET6, &v->local);
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

int netlink_find_link(struct mnl_socket *s, const char *name, int index, struct netlink_link *ret)
{
	struct netlink_link l = {0};
	struct netlink_request q;
	int r;

	netlink_begin(&q, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)q.body)->ifi_index = index;
	if (name)
		mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	r = netlink_talk_each(s, &q, take_link, &l);
	if (r == 0)
		*ret = l;
	return r;
}

int netlink_get_link(struct mnl_socket *s, const char *name, struct netlink_link *ret)
{
	return netlink_find_link(s, name, 0, ret);
}

int netlink_link_index(struct mnl_socket *s, const char *name)
{
	struct netlink_link l;
	int r = netlink_find_link(s, name, 0, &l);

	return r < 0 ? r : l.index;
}

bool netlink_has_family(const char *name)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	struct genlmsghdr *g;
	struct netlink_request q;
	int r = -1;

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0) {
		netlink_begin(&q, GENL_ID_CTRL, 0, sizeof(*g));
		g = q.body;
		g->cmd = CTRL_CMD_GETFAMILY;
		g->version = 1;
		mnl_attr_put_strz(q.head, CTRL_ATTR_FAMILY_NAME, name);
		r = netlink_talk(s, &q);
	}
	if (s)
		mnl_socket_close(s);
	return r == 0;
}
