/* address.c: see address.h. */
#include "dns/address.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

static int talk(struct nlmsghdr *h)
{
	char buf[4096];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	ssize_t n;
	int r = 0;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ||
		(n = mnl_socket_recvfrom(s, buf, sizeof(buf))) < 0 ||
		mnl_cb_run(buf, n, h->nlmsg_seq, mnl_socket_get_portid(s), NULL, NULL) < 0)
		r = -errno;
	mnl_socket_close(s);
	return r;
}

static struct nlmsghdr *route(char *buf, int type, int flags, const struct dns_addr *ip)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = 1;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	rt->rtm_family = ip->n == 4 ? AF_INET : AF_INET6;
	rt->rtm_dst_len = ip->n * 8;
	rt->rtm_table = RT_TABLE_LOCAL;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = RT_SCOPE_HOST;
	rt->rtm_type = RTN_LOCAL;
	mnl_attr_put(h, RTA_DST, ip->n, ip->b);
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	return h;
}

int dns_address_claim(const struct dns_addr *ip)
{
	char buf[256];

	return talk(route(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, ip));
}

void dns_address_release(const struct dns_addr *ip)
{
	char buf[256];

	talk(route(buf, RTM_DELROUTE, 0, ip));
}
