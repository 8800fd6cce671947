/* backend_nft.c: nftables mode: libnftables for what stands around the services, netlink for them.
 */
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>

#include "proxy/nft_rules.h"
#include "proxy/nft_wire.h"
#include "proxy/route.h"

enum { TEXT_MAX = 256 << 20 };

struct nft_backend {
	struct proxy_backend base;
	const struct proxy_config *config;
	struct mnl_socket *socket;
	struct nft_shared shared;
	struct buf commands;
	bool full, from_scratch; /* delete the tables first: what is there does not fit */
};

static int run_text(struct str commands, struct err *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;
	int r;

	if (!nft)
		return err_errno(err, ENOMEM, "cannot open nftables");
	nft_ctx_buffer_error(nft);
	r = nft_run_cmd_from_buffer(nft, commands.p);
	said = nft_ctx_get_error_buffer(nft);
	if (r < 0)
		r = err_fmt(err, 500, "InternalError", "nftables: %.500s", said ? said : "failed");
	nft_ctx_free(nft);
	return r;
}

/* What the kernel says to a batch that it has carried out by the time the send returns: nothing, or
 * an error for each message that it refused. */
static int answers(struct mnl_socket *s, struct err *err)
{
	_Alignas(8) char buf[16384];

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(s), buf, sizeof(buf), MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0)
			return errno == EAGAIN ? 0 : err_errno(err, errno, "nftables");
		for (const struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type == NLMSG_ERROR && e->error)
				return err_errno(err, -e->error,
					"nftables refused change %u (of type %u)", e->msg.nlmsg_seq,
					e->msg.nlmsg_type & 0xff);
		}
	}
}

static int send_batch(struct nft_backend *n, struct str messages, struct err *err)
{
	int size = messages.n + 4096 > INT32_MAX ? INT32_MAX : (int)messages.n + 4096;

	/* a batch must go in one piece */
	setsockopt(mnl_socket_get_fd(n->socket), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (mnl_socket_sendto(n->socket, messages.p, messages.n) < 0)
		return err_errno(err, errno, "nftables: cannot send %zu bytes", messages.n);
	return answers(n->socket, err);
}

static int run(struct nft_backend *n, struct str commands, struct err *err)
{
	struct buf messages;
	int r;

	if (!commands.n)
		return 0;
	buf_init(&messages, TEXT_MAX);
	r = nft_wire_assemble(commands, &messages);
	if (buf_failed(&messages))
		r = err_fmt(err, 500, "InternalError", "nftables: too many rules");
	else if (r == 0)
		r = send_batch(n, buf_str(&messages), err);
	else
		r = run_text(commands, err);
	buf_release(&messages);
	return r;
}

/* --- what an earlier run left --- */

static struct nlmsghdr *get_message(char *buf, int type, bool ipv6)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = ipv6 ? AF_INET6 : AF_INET;
	return h;
}

struct leftovers {
	struct nft_backend *n;
	bool sets, ipv6;
};

/* Names of services' own things have a slash; the rest is the base's. Chains are emptied now; sets
 * keep the clients that they remember if they are wanted again. */
static int leftover(const struct nlmsghdr *h, void *data)
{
	struct leftovers *l = data;
	const char *name = "", *table = "", *family = l->ipv6 ? "ip6" : "ip";
	const struct nlattr *attr;
	char key[512];

	_Static_assert((int)NFTA_CHAIN_TABLE == (int)NFTA_SET_TABLE, "the same attribute");
	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		int type = mnl_attr_get_type(attr);

		if (type == (l->sets ? (int)NFTA_SET_NAME : (int)NFTA_CHAIN_NAME))
			name = mnl_attr_get_str(attr);
		else if (type == NFTA_CHAIN_TABLE)
			table = mnl_attr_get_str(attr);
	}
	if (!str_starts(str_c(table), S(NFT_TABLE)))
		return MNL_CB_OK;
	/* services of an earlier release are in the main table */
	l->n->from_scratch |= strcmp(table, NFT_TABLE) == 0 && strcmp(name, "dispatch") == 0;
	if (!strchr(name, '/'))
		return MNL_CB_OK;
	if (!l->sets)
		buf_fmt(&l->n->commands, "flush chain %s %s %s\n", family, table, name);
	snprintf(key, sizeof(key), "%s %s %s %s", l->sets ? "set" : "chain", family, table, name);
	map_set(&l->n->shared.stale, str_c(key), l->n);
	return MNL_CB_OK;
}

static void find_leftovers(struct nft_backend *n, bool sets, bool ipv6)
{
	struct leftovers l = {n, sets, ipv6};
	_Alignas(8) char buf[65536];
	struct nlmsghdr *h = get_message(buf, sets ? NFT_MSG_GETSET : NFT_MSG_GETCHAIN, ipv6);
	ssize_t got;

	h->nlmsg_flags |= NLM_F_DUMP;
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return;
	do {
		got = mnl_socket_recvfrom(n->socket, buf, sizeof(buf));
	} while (got > 0 && mnl_cb_run(buf, got, 1, mnl_socket_get_portid(n->socket), leftover,
				    &l) == MNL_CB_OK);
}

/* --- the mode --- */

static void render(struct proxy_backend *b, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_render(n->config, svc, ret, a);
}

static void begin(struct proxy_backend *b, bool full)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	buf_reset(&n->commands);
	n->full = full;
	if (!full)
		return;
	nft_shared_release(&n->shared);
	for (int v6 = 0; v6 <= n->config->ipv6 && !n->from_scratch; v6++) {
		find_leftovers(n, false, v6);
		find_leftovers(n, true, v6);
	}
	if (n->from_scratch) { /* nothing of what is there will be left */
		nft_shared_release(&n->shared);
		buf_reset(&n->commands);
	}
	for (int v6 = 0; v6 <= n->config->ipv6; v6++)
		nft_flush_maps(v6, &n->commands);
}

static void change(
	struct proxy_backend *b, const struct ruleset *before, const struct ruleset *after)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_diff(&n->shared, before, after, &n->commands);
}

/* What the services' rules hang on. Adding what is there changes nothing, so traffic goes on. */
static int lay_base(struct nft_backend *n, struct err *err)
{
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	for (int v6 = 0; v6 <= n->config->ipv6; v6++) {
		if (n->from_scratch)
			nft_delete_tables(v6, &text);
		nft_base(n->config, v6, &text);
	}
	r = run_text(buf_str(&text), err);
	buf_release(&text);
	return r;
}

static int commit(struct proxy_backend *b, struct err *err)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	int r = n->full ? lay_base(n, err) : 0;

	if (r == 0 && buf_failed(&n->commands))
		r = err_fmt(err, 500, "InternalError", "nftables: too many rules");
	if (r == 0)
		r = run(n, buf_str(&n->commands), err);
	if (n->full)
		n->from_scratch = r < 0;
	if (n->commands.cap > 1 << 20) {
		buf_release(&n->commands);
		buf_init(&n->commands, TEXT_MAX);
	}
	return r;
}

static void tidy(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	struct err err CLEANUP(err_release) = {0};
	struct buf text;

	buf_init(&text, TEXT_MAX);
	nft_tidy(&n->shared, &text);
	if (run(n, buf_str(&text), &err) < 0)
		log_warn("service rules: %s", err_text(&err));
	buf_release(&text);
}

/* Whether the table that holds everything is there. */
static bool intact(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	_Alignas(8) char buf[4096];
	struct nlmsghdr *h = get_message(buf, NFT_MSG_GETCHAIN, false);
	ssize_t got;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, NFT_TABLE);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, "nat_post");
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return true;
	got = mnl_socket_recvfrom(n->socket, buf, sizeof(buf));
	return got < 0 ||
	       mnl_cb_run(buf, got, 1, mnl_socket_get_portid(n->socket), NULL, NULL) >= 0 ||
	       errno != ENOENT;
}

static void nft_free(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_shared_release(&n->shared);
	buf_release(&n->commands);
	mnl_socket_close(n->socket);
	free(n);
}

static const struct proxy_backend_ops ops = {
	.name = "nftables",
	.render = render,
	.begin = begin,
	.change = change,
	.commit = commit,
	.tidy = tidy,
	.intact = intact,
	.free = nft_free,
};

int proxy_backend_nft_new(const struct proxy_config *c, struct proxy_backend **ret, struct err *err)
{
	struct nft_backend *n = xcalloc(1, sizeof(*n));

	n->base.ops = &ops;
	n->config = c;
	n->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = err_errno(err, errno, "the kernel has no nftables");

		if (n->socket)
			mnl_socket_close(n->socket);
		free(n);
		return r;
	}
	buf_init(&n->commands, TEXT_MAX);
	*ret = &n->base;
	return 0;
}

int proxy_backend_new(const struct proxy_config *c, struct proxy_backend **ret, struct err *err)
{
	proxy_write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	/* node ports on 127.0.0.1; see guard_loopback and KUBE-FIREWALL */
	if (c->localhost_node_ports)
		proxy_write_sysctl("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
	return c->mode == PROXY_IPTABLES ? proxy_backend_iptables_new(c, ret, err)
					 : proxy_backend_nft_new(c, ret, err);
}

void proxy_nft_cleanup(void)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	nft_delete_tables(false, &text);
	nft_delete_tables(true, &text);
	run_text(buf_str(&text), NULL);
	buf_release(&text);
}
