#include "proxy/nft_socket.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

enum { ANSWER_MAX = 65536, ECHO_BYTES_MAX = 256 << 20 };

struct nft_socket {
	struct mnl_socket *socket;
	uint32_t seq; /* of questions */
	_Alignas(8) char buf[ANSWER_MAX];
};

int nft_socket_new(struct nft_socket **ret, struct err *err)
{
	struct nft_socket *s = xcalloc(1, sizeof(*s));

	s->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!s->socket || mnl_socket_bind(s->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = err_errno(err, errno, "the kernel has no nftables");

		nft_socket_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void nft_socket_free(struct nft_socket *s)
{
	if (s && s->socket)
		mnl_socket_close(s->socket);
	free(s);
}

static void edge(struct buf *messages, int type, uint32_t seq)
{
	_Alignas(8) char buf[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(NFNL_SUBSYS_NFTABLES);
	buf_add(messages, buf, h->nlmsg_len);
}

uint32_t nft_batch_begin(struct buf *messages)
{
	edge(messages, NFNL_MSG_BATCH_BEGIN, NFT_BATCH_FIRST - 1);
	return NFT_BATCH_FIRST;
}

void nft_batch_end(struct buf *messages, uint32_t seq)
{
	edge(messages, NFNL_MSG_BATCH_END, seq);
}

static int refusal(const struct nlmsghdr *h, struct err *err)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != NLMSG_ERROR || !e->error)
		return 0;
	return err_errno(err, -e->error, "nftables refused change %u (of type %u)",
		e->msg.nlmsg_seq, e->msg.nlmsg_type & 0xff);
}

/* What the kernel says to a batch that it has carried out by the time the send returns: an error
 * for each message that it refused, or what came of those that want to know. All of it is read, so
 * that nothing is taken for an answer to the next one. */
static int answers(struct nft_socket *s, nft_message_fn *echo, void *user_data, struct err *err)
{
	int result = 0;

	for (;;) {
		ssize_t n =
			recv(mnl_socket_get_fd(s->socket), s->buf, sizeof(s->buf), MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0 && errno != EAGAIN && result == 0)
			result = err_errno(err, errno, "nftables: answers are lost");
		if (n < 0 && errno != ENOBUFS) /* after that one the others can be read */
			return result;
		for (const struct nlmsghdr *h = (void *)s->buf; n > 0 && mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left)) {
			if (result == 0)
				result = refusal(h, err);
			if (echo && h->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES)
				echo(user_data, h);
		}
	}
}

int nft_socket_send(struct nft_socket *s, struct str batch, nft_message_fn *echo, void *user_data,
	struct err *err)
{
	int fd = mnl_socket_get_fd(s->socket), echo_bytes = ECHO_BYTES_MAX;
	int size = batch.n + 4096 > INT32_MAX ? INT32_MAX : (int)batch.n + 4096;

	/* a batch must go in one piece */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (echo)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &echo_bytes, sizeof(echo_bytes));
	if (mnl_socket_sendto(s->socket, batch.p, batch.n) < 0)
		return err_errno(err, errno, "nftables: cannot send %zu bytes", batch.n);
	return answers(s, echo, user_data, err);
}

/* --- questions --- */

static struct nlmsghdr *question(struct nft_socket *s, char *buf, int type, bool ipv6)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++s->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = ipv6 ? AF_INET6 : AF_INET;
	g->version = NFNETLINK_V0;
	return h;
}

struct visit {
	nft_message_fn *fn;
	void *user_data;
};

static int visit(const struct nlmsghdr *h, void *data)
{
	struct visit *v = data;

	if (v->fn)
		v->fn(v->user_data, h);
	return MNL_CB_OK;
}

/* Sends it and hands over the answers; 0 or negative errno. */
static int ask(struct nft_socket *s, struct nlmsghdr *h, nft_message_fn *fn, void *user_data)
{
	bool dump = h->nlmsg_flags & NLM_F_DUMP;
	struct visit v = {fn, user_data};
	int more = MNL_CB_OK;

	if (mnl_socket_sendto(s->socket, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t got = mnl_socket_recvfrom(s->socket, s->buf, sizeof(s->buf));

		if (got < 0)
			return -errno;
		more = mnl_cb_run(s->buf, got, s->seq, mnl_socket_get_portid(s->socket), visit, &v);
	} while (dump && more == MNL_CB_OK);
	return more < 0 ? -errno : 0;
}

int nft_socket_dump(struct nft_socket *s, int type, bool ipv6, const char *table, const char *chain,
	nft_message_fn *fn, void *user_data)
{
	_Alignas(8) char buf[1024];
	struct nlmsghdr *h = question(s, buf, type, ipv6);

	h->nlmsg_flags |= NLM_F_DUMP;
	if (type == NFT_MSG_GETRULE) {
		mnl_attr_put_strz(h, NFTA_RULE_TABLE, table);
		mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
	}
	return ask(s, h, fn, user_data);
}

bool nft_socket_has_chain(struct nft_socket *s, bool ipv6, const char *table, const char *chain)
{
	_Alignas(8) char buf[1024];
	struct nlmsghdr *h = question(s, buf, NFT_MSG_GETCHAIN, ipv6);

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
	return ask(s, h, NULL, NULL) != -ENOENT;
}

bool nft_socket_has_match(struct nft_socket *s, const char *name, int revision)
{
	enum { A_MATCH = 0 };
	_Alignas(8) char buf[256];
	struct nlmsghdr *h = question(s, buf, NFNL_MSG_COMPAT_GET, false);

	h->nlmsg_type = NFNL_SUBSYS_NFT_COMPAT << 8 | NFNL_MSG_COMPAT_GET;
	mnl_attr_put_strz(h, NFTA_COMPAT_NAME, name);
	mnl_attr_put_u32(h, NFTA_COMPAT_REV, htonl(revision));
	mnl_attr_put_u32(h, NFTA_COMPAT_TYPE, htonl(A_MATCH));
	return ask(s, h, NULL, NULL) != -ENOENT;
}

int nft_socket_may_change(struct nft_socket *s, struct err *err)
{
	_Alignas(8) char buf[64];

	return ask(s, question(s, buf, NFT_MSG_GETGEN, false), NULL, NULL) == -EPERM
		       ? err_errno(err, EPERM,
				 "rules of the kernel may not be changed (CAP_NET_ADMIN)")
		       : 0;
}

static void read_generation(void *user_data, const struct nlmsghdr *h)
{
	uint32_t *ret = user_data;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_GEN_ID)
			*ret = ntohl(mnl_attr_get_u32(attr));
	}
}

uint32_t nft_socket_generation(struct nft_socket *s)
{
	_Alignas(8) char buf[64];
	uint32_t generation = 0;

	ask(s, question(s, buf, NFT_MSG_GETGEN, false), read_generation, &generation);
	return generation;
}
