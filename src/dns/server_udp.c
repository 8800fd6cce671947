/* server_udp.c: datagrams, as many as there are with one system call each way. */
#include <sys/socket.h>
#include <unistd.h>

#include "dns/server_int.h"

enum { ROUNDS_MAX = 16, SOCKET_BUFFER = 1 << 20 };

struct udp_batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_vec[BATCH], out_vec[BATCH];
	struct sockaddr_in6 from[BATCH];
	uint8_t query[BATCH][QUERY_BYTES_MAX], answer[BATCH][DNS_UDP_MAX];
};

static struct udp_batch *batch_of(struct dns_server *s)
{
	struct udp_batch *b = s->batch;

	if (b)
		return b;
	b = s->batch = xcalloc(1, sizeof(*b));
	for (size_t i = 0; i < BATCH; i++) {
		b->in_vec[i] = (struct iovec){b->query[i], QUERY_BYTES_MAX};
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->from[i], .msg_iov = &b->in_vec[i], .msg_iovlen = 1};
		b->out[i].msg_hdr = (struct msghdr){.msg_iov = &b->out_vec[i], .msg_iovlen = 1};
	}
	return b;
}

/* The answer's size; 0: none (yet). */
static size_t answer(struct listener *l, struct udp_batch *b, size_t i)
{
	struct str query = str_n((char *)b->query[i], b->in[i].msg_len);
	struct dns_server *s = l->server;
	struct dns_engine_ask ask;
	struct waiting who = {0};
	size_t n = 0;

	switch (dns_engine_query(&s->engine, query, true, b->answer[i], &n, &ask)) {
	case DNS_ENGINE_DROP:
		return 0;
	case DNS_ENGINE_REPLY:
		return n;
	case DNS_ENGINE_ASK:
		break;
	}
	who.listener = l;
	who.from = b->from[i];
	who.from_n = b->in[i].msg_hdr.msg_namelen;
	return server_forward(s, &ask, &who)
		       ? 0
		       : dns_engine_reply(&s->engine, &ask, (struct str){0}, true, b->answer[i]);
}

/* What does not fit into the socket's buffer is lost, as datagrams are. */
static void send_all(int fd, struct mmsghdr *v, size_t n)
{
	while (n) {
		int sent = sendmmsg(fd, v, n, MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			sent = 1; /* that client cannot be reached; the others may be */
		v += sent;
		n -= sent;
	}
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct listener *l = container_of(h, struct listener, udp);
	struct udp_batch *b = batch_of(l->server);
	int n = BATCH;

	server_refresh(l->server);
	for (int round = 0; round < ROUNDS_MAX && n == BATCH; round++) {
		size_t out = 0;

		for (size_t i = 0; i < BATCH; i++)
			b->in[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
		n = recvmmsg(l->fd, b->in, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			size_t size = answer(l, b, i);

			if (!size)
				continue;
			b->out_vec[out] = (struct iovec){b->answer[i], size};
			b->out[out].msg_hdr.msg_name = &b->from[i];
			b->out[out++].msg_hdr.msg_namelen = b->in[i].msg_hdr.msg_namelen;
		}
		send_all(l->fd, b->out, out);
	}
}

int udp_open(struct listener *l, const struct sockaddr_in6 *at, socklen_t n)
{
	int on = 1, size = SOCKET_BUFFER, r;

	l->fd = socket(at->sin6_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	/* a burst waits in the kernel; more than net.core.rmem_max allows is cut, which is fine */
	setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (at->sin6_family == AF_INET6) {
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		/* a local route is not enough there: IPv6 wants an interface to have the address */
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	}
	if (bind(l->fd, (const struct sockaddr *)at, n) < 0) {
		r = -errno;
		close(l->fd);
		return r;
	}
	uv_poll_init(loop_uv(l->server->loop), &l->udp, l->fd);
	l->udp.data = l;
	l->open_handles++;
	uv_poll_start(&l->udp, UV_READABLE, on_readable);
	return 0;
}

void udp_reply(struct listener *l, const struct sockaddr_in6 *to, socklen_t n, const uint8_t *p,
	size_t size)
{
	/* lost when it does not fit: the client asks again */
	if (sendto(l->fd, p, size, MSG_DONTWAIT, (const struct sockaddr *)to, n) < 0)
		log_debug("dns: an answer could not be sent: %s", strerror(errno));
}
