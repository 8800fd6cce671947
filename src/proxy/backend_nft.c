#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proxy/proxy.h"

struct nft_backend {
	struct proxy_backend base;
	struct nft_ctx *nft;
	struct mnl_socket *route;
};

static int apply(struct proxy_backend *b, struct str commands, struct err *err)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	const char *said;
	int r;

	nft_ctx_buffer_error(n->nft);
	r = nft_run_cmd_from_buffer(n->nft, commands.p);
	said = nft_ctx_get_error_buffer(n->nft);
	if (r < 0)
		r = err_fmt(err, 500, "InternalError", "nftables: %.500s", said ? said : "failed");
	nft_ctx_unbuffer_error(n->nft);
	return r;
}

/* One route request and its answer; 0 or negative errno. */
static int route_talk(struct nft_backend *n, struct nlmsghdr *h, mnl_cb_t each)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	ssize_t got;

	h->nlmsg_seq = time(NULL);
	if (mnl_socket_sendto(n->route, h, h->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(n->route, buf, sizeof(buf));
	if (got < 0)
		return -errno;
	return mnl_cb_run(buf, got, h->nlmsg_seq, mnl_socket_get_portid(n->route), each, NULL) < 0
		       ? -errno
		       : 0;
}

static struct nlmsghdr *route_message(char *buf, int type, int flags, int family, const void *ip)
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

static int any_answer(const struct nlmsghdr *h, void *data)
{
	return MNL_CB_OK;
}

/*
 * A program on this machine that connects to a service address is routed before its packet is
 * rewritten; with no route for it (no default route either) connect(2) fails at once. Then a route
 * over the loopback device lets the packet be made; rewriting sends it the right way.
 */
static void ensure_route(struct proxy_backend *b, struct str ip)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	char text[INET6_ADDRSTRLEN] = "", buf[1024];
	unsigned char addr[16];
	int family = str_chr(ip, ':') >= 0 ? AF_INET6 : AF_INET, r;
	struct nlmsghdr *h;
	struct rtmsg *rt;

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(ip));
	if (inet_pton(family, text, addr) != 1)
		return;
	r = route_talk(n, route_message(buf, RTM_GETROUTE, 0, family, addr), any_answer);
	if (r != -ENETUNREACH && r != -EHOSTUNREACH)
		return;
	h = route_message(
		buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, family, addr);
	rt = mnl_nlmsg_get_payload(h);
	rt->rtm_table = RT_TABLE_MAIN;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = RT_SCOPE_LINK;
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex("lo"));
	r = route_talk(n, h, any_answer);
	if (r < 0)
		log_warn("route for service address %s: %s", text, strerror(-r));
}

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void nft_free(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_ctx_free(n->nft);
	mnl_socket_close(n->route);
	free(n);
}

int proxy_backend_nft_new(struct proxy_backend **ret, struct err *err)
{
	struct nft_backend *n = xcalloc(1, sizeof(*n));

	n->base = (struct proxy_backend){apply, ensure_route, nft_free};
	n->route = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->route || mnl_socket_bind(n->route, 0, MNL_SOCKET_AUTOPID) < 0) {
		free(n);
		return err_errno(err, errno, "cannot open a netlink socket");
	}
	n->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!n->nft) {
		mnl_socket_close(n->route);
		free(n);
		return err_errno(err, ENOMEM, "cannot open nftables");
	}
	write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	write_sysctl("/proc/sys/net/ipv4/conf/all/route_localnet",
		"1"); /* node ports on 127.0.0.1; see guard_loopback */
	*ret = &n->base;
	return 0;
}
