#include "proxy/route.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

/* Whose routes these are: so that they can be told from others'. */
enum { ROUTE_PROTOCOL = 75, REMOVAL_BYTES_MAX = 64 << 20 };

static int any_answer(const struct nlmsghdr *h, void *data)
{
	return MNL_CB_OK;
}

/* One request and its answer; 0 or negative errno. */
static int talk(struct mnl_socket *s, struct nlmsghdr *h)
{
	_Alignas(8) char buf[8192];
	ssize_t got;

	h->nlmsg_seq = 1;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(s, buf, sizeof(buf));
	if (got < 0 || mnl_cb_run(buf, got, 1, mnl_socket_get_portid(s), any_answer, NULL) < 0)
		return -errno;
	return 0;
}

static struct nlmsghdr *message(char *buf, int type, int flags, int family, const void *ip)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	rt->rtm_family = family;
	rt->rtm_dst_len = family == AF_INET ? 32 : 128;
	mnl_attr_put(h, RTA_DST, family == AF_INET ? 4 : 16, ip);
	return h;
}

/* An address of this machine that others can answer: the kernel would take 127.0.0.1. */
static bool own_address(unsigned char *ret)
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (i = all; i && !found; i = i->ifa_next) {
		const struct sockaddr_in *in = (const void *)i->ifa_addr;

		if (!in || in->sin_family != AF_INET || i->ifa_flags & IFF_LOOPBACK ||
			!(i->ifa_flags & IFF_UP) || ntohl(in->sin_addr.s_addr) >> 16 == 0xa9fe)
			continue;
		memcpy(ret, &in->sin_addr, 4);
		found = true;
	}
	freeifaddrs(all);
	return found;
}

static int ensure(const struct proxy_routes *routes, int family, const void *addr)
{
	_Alignas(8) char buf[1024];
	struct nlmsghdr *h;
	struct rtmsg *rt;
	int r = talk(routes->socket, message(buf, RTM_GETROUTE, 0, family, addr));

	if (r != -ENETUNREACH && r != -EHOSTUNREACH)
		return 0;
	h = message(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, family, addr);
	rt = mnl_nlmsg_get_payload(h);
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = ROUTE_PROTOCOL;
	rt->rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	if (family == AF_INET && routes->has_source)
		mnl_attr_put(h, RTA_PREFSRC, sizeof(routes->source), routes->source);
	return talk(routes->socket, h);
}

static int open_routes(struct proxy_routes *r)
{
	if (r->socket)
		return 0;
	r->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	r->has_source = own_address(r->source);
	return 0;
}

void proxy_ensure_route(struct proxy_routes *routes, struct str ip)
{
	char text[INET6_ADDRSTRLEN] = "";
	unsigned char addr[16];
	int family = str_chr(ip, ':') >= 0 ? AF_INET6 : AF_INET, r;

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(ip));
	if (inet_pton(family, text, addr) != 1)
		return;
	r = open_routes(routes);
	if (r == 0)
		r = ensure(routes, family, addr);
	if (r < 0)
		log_warn("route for service address %s: %s", text, strerror(-r));
}

void proxy_routes_release(struct proxy_routes *r)
{
	if (r->socket)
		mnl_socket_close(r->socket);
	*r = (struct proxy_routes){0};
}

struct removal {
	struct buf messages; /* netlink's lengths keep them aligned */
};

static int doom_ours(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct removal *r = data;
	struct nlmsghdr *mine;

	if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_protocol != ROUTE_PROTOCOL ||
		rt->rtm_table != RT_TABLE_MAIN || !buf_reserve(&r->messages, h->nlmsg_len))
		return MNL_CB_OK;
	mine = (void *)(r->messages.p + r->messages.n);
	buf_add(&r->messages, h, h->nlmsg_len);
	mine->nlmsg_type = RTM_DELROUTE;
	mine->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	return MNL_CB_OK;
}

static void find_ours(struct mnl_socket *s, int family, struct removal *ret)
{
	_Alignas(8) char buf[65536];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;
	ssize_t got;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	rt->rtm_family = family;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return;
	do {
		got = mnl_socket_recvfrom(s, buf, sizeof(buf));
	} while (got > 0 &&
		 mnl_cb_run(buf, got, 1, mnl_socket_get_portid(s), doom_ours, ret) == MNL_CB_OK);
}

void proxy_routes_cleanup(void)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct proxy_routes routes = {0};
	int r = open_routes(&routes);

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		struct removal doomed = {0};

		buf_init(&doomed.messages, REMOVAL_BYTES_MAX);
		find_ours(routes.socket, families[i], &doomed);
		for (size_t at = 0; at < doomed.messages.n && r == 0;) {
			struct nlmsghdr *h = (void *)(doomed.messages.p + at);

			at += h->nlmsg_len;
			r = talk(routes.socket, h);
		}
		buf_release(&doomed.messages);
	}
	if (r < 0)
		log_warn("removing the routes to services: %s", strerror(-r));
	proxy_routes_release(&routes);
}

void proxy_write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}
