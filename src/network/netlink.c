#include "network/netlink.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
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

int netlink_open(const char *netns_path, struct mnl_socket **ret)
{
	int back = -1, r = netns_path ? netns_enter(netns_path, &back) : 0;
	struct mnl_socket *s;

	if (r < 0)
		return r;
	s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	else
		*ret = s;
	if (back >= 0)
		netns_leave(back);
	return r;
}

void netlink_close(struct mnl_socket *s)
{
	mnl_socket_close(s);
}

static void begin(struct request *q, int type, int flags, size_t body_size)
{
	memset(q, 0, sizeof(*q));
	q->head = mnl_nlmsg_put_header(q->buf);
	q->head->nlmsg_type = type;
	q->head->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	q->head->nlmsg_seq = 1;
	q->body = mnl_nlmsg_put_extra_header(q->head, body_size);
}

static int take_index(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);

	if (data && h->nlmsg_type == RTM_NEWLINK)
		*(int *)data = i->ifi_index;
	return MNL_CB_OK;
}

static int talk(struct mnl_socket *s, struct request *q, void *data)
{
	char answer[MNL_SOCKET_BUFFER_SIZE];
	ssize_t n;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(s, q->head, q->head->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) { /* until the acknowledgement, which stops the callbacks */
		n = mnl_socket_recvfrom(s, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(
			answer, n, q->head->nlmsg_seq, mnl_socket_get_portid(s), take_index, data);
	}
	return r < 0 ? -errno : 0;
}

int netlink_add_bridge(struct mnl_socket *s, const char *name, int mtu)
{
	struct request q;
	struct nlattr *info;

	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	mnl_attr_put_u32(q.head, IFLA_MTU, mtu);
	info = mnl_attr_nest_start(q.head, IFLA_LINKINFO);
	mnl_attr_put_strz(q.head, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(q.head, info);
	return talk(s, &q, NULL);
}

int netlink_add_veth(struct mnl_socket *s, const char *name, int bridge_index, const char *peer,
	int netns_fd, int mtu)
{
	struct request q;
	struct nlattr *info, *data, *other;
	struct ifinfomsg *i;

	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	i = q.body;
	i->ifi_flags = i->ifi_change = IFF_UP;
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	mnl_attr_put_u32(q.head, IFLA_MTU, mtu);
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
	return talk(s, &q, NULL);
}

int netlink_delete_link(struct mnl_socket *s, const char *name)
{
	struct request q;

	begin(&q, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	return talk(s, &q, NULL);
}

int netlink_link_up(struct mnl_socket *s, int index)
{
	struct request q;
	struct ifinfomsg *i;

	begin(&q, RTM_NEWLINK, 0, sizeof(*i));
	i = q.body;
	i->ifi_index = index;
	i->ifi_flags = i->ifi_change = IFF_UP;
	return talk(s, &q, NULL);
}

int netlink_link_index(struct mnl_socket *s, const char *name)
{
	struct request q;
	int index = 0, r;

	begin(&q, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(q.head, IFLA_IFNAME, name);
	r = talk(s, &q, &index);
	return r < 0 ? r : index;
}

int netlink_add_address(struct mnl_socket *s, int index, struct in_addr ip, int prefix)
{
	struct request q;
	struct ifaddrmsg *a;
	int r;

	begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*a));
	a = q.body;
	a->ifa_family = AF_INET;
	a->ifa_prefixlen = prefix;
	a->ifa_index = index;
	mnl_attr_put_u32(q.head, IFA_LOCAL, ip.s_addr);
	mnl_attr_put_u32(q.head, IFA_ADDRESS, ip.s_addr);
	r = talk(s, &q, NULL);
	return r == -EEXIST ? 0 : r;
}

int netlink_add_route(
	struct mnl_socket *s, int index, struct in_addr to, int prefix, struct in_addr gateway)
{
	struct request q;
	struct rtmsg *rt;

	begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*rt));
	rt = q.body;
	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = prefix;
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = gateway.s_addr ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rt->rtm_type = RTN_UNICAST;
	if (prefix)
		mnl_attr_put_u32(q.head, RTA_DST, to.s_addr);
	if (gateway.s_addr)
		mnl_attr_put_u32(q.head, RTA_GATEWAY, gateway.s_addr);
	mnl_attr_put_u32(q.head, RTA_OIF, index);
	return talk(s, &q, NULL);
}
