/* backend_nft.c: nftables mode: libnftables for what stands around the services, netlink for them.
 */
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>

#include "proxy/nft_rules.h"
#include "proxy/nft_socket.h"
#include "network/nft_run.h"
#include "proxy/nft_wire.h"
#include "proxy/route.h"

enum { TEXT_MAX = 256 << 20 };

struct nft_backend {
	struct proxy_backend base;
	const struct proxy_config *config;
	struct nft_socket *socket;
	struct nft_shared shared;
	struct buf commands;
	bool full, from_scratch; /* delete the tables first: what is there does not fit */
};

static int run(struct nft_backend *n, struct str commands, struct err *err)
{
	struct buf messages;
	uint32_t seq;
	int r;

	if (!commands.n)
		return 0;
	buf_init(&messages, TEXT_MAX);
	seq = nft_batch_begin(&messages);
	r = nft_wire_append(commands, &seq, &messages);
	nft_batch_end(&messages, seq);
	if (buf_failed(&messages))
		r = err_fmt(err, 500, "InternalError", "nftables: too many rules");
	else if (r == 0)
		r = nft_socket_send(n->socket, buf_str(&messages), NULL, NULL, err);
	else
		r = nft_run(commands, err);
	buf_release(&messages);
	return r;
}

/* --- what an earlier run left --- */

struct leftovers {
	struct nft_backend *n;
	bool sets, ipv6;
};

/* Names of services' own things have a slash; the rest is the base's. Chains are emptied now; sets
 * keep the clients that they remember if they are wanted again. */
static void leftover(void *user_data, const struct nlmsghdr *h)
{
	struct leftovers *l = user_data;
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
		return;
	/* services of an earlier release are in the main table; iptables mode has other priorities
	 */
	l->n->from_scratch |=
		strcmp(table, NFT_TABLE) == 0 &&
		(strcmp(name, "dispatch") == 0 || strcmp(name, NFT_BESIDE_IPTABLES_MARK) == 0);
	if (!strchr(name, '/'))
		return;
	if (!l->sets)
		buf_fmt(&l->n->commands, "flush chain %s %s %s\n", family, table, name);
	snprintf(key, sizeof(key), "%s %s %s %s", l->sets ? "set" : "chain", family, table, name);
	map_set(&l->n->shared.stale, str_c(key), l->n);
}

static void find_leftovers(struct nft_backend *n, bool sets, bool ipv6)
{
	struct leftovers l = {n, sets, ipv6};

	nft_socket_dump(n->socket, sets ? NFT_MSG_GETSET : NFT_MSG_GETCHAIN, ipv6, NULL, NULL,
		leftover, &l);
}

/* --- the mode --- */

static void render(struct proxy_backend *b, const struct proxy_service *svc, struct ruleset *ret,
	struct arena *a)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_render(n->config, svc, ret, a);
}

static void begin(struct proxy_backend *b, bool full, size_t n_services)
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

static void change(struct proxy_backend *b, struct str service, const struct ruleset *before,
	const struct ruleset *after)
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
		nft_base(n->config, v6, NFT_ALONE, &text);
	}
	r = nft_run(buf_str(&text), err);
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

static void take_over(struct proxy_backend *b)
{
	proxy_iptables_cleanup();
}

static int tidy(struct proxy_backend *b, struct err *err)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);
	struct buf text;
	int r;

	buf_init(&text, TEXT_MAX);
	nft_tidy(&n->shared, &text);
	r = run(n, buf_str(&text), err);
	buf_release(&text);
	return r;
}

/* Whether the table that holds everything is there. */
static bool intact(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	return nft_socket_has_chain(n->socket, false, NFT_TABLE, "nat_post");
}

static void nft_free(struct proxy_backend *b)
{
	struct nft_backend *n = container_of(b, struct nft_backend, base);

	nft_shared_release(&n->shared);
	buf_release(&n->commands);
	nft_socket_free(n->socket);
	free(n);
}

static const struct proxy_backend_ops ops = {
	.name = "nftables",
	.render = render,
	.begin = begin,
	.change = change,
	.commit = commit,
	.take_over = take_over,
	.tidy = tidy,
	.intact = intact,
	.free = nft_free,
};

int proxy_backend_nft_new(const struct proxy_config *c, struct proxy_backend **ret, struct err *err)
{
	struct nft_socket *socket;
	struct nft_backend *n;
	int r = nft_socket_new(&socket, err);

	if (r < 0)
		return r;
	r = nft_socket_may_change(socket, err);
	if (r < 0) {
		nft_socket_free(socket);
		return r;
	}
	n = xcalloc(1, sizeof(*n));
	n->base.ops = &ops;
	n->config = c;
	n->socket = socket;
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
	nft_run(buf_str(&text), NULL);
	buf_release(&text);
}
