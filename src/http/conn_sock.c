/*
 * Connections on a socket: plain, or TLS by OpenSSL working straight on the descriptor through a
 * BIO of our own.
 *
 * The BIO knows when a read came back short, so that the end of input is seen without one more
 * system call, and lets OpenSSL read ahead, so that a record costs one read and not two.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "http/conn_sock.h"
#include "http/tls_int.h"

enum { IOV_MAX_OURS = 64, RECORD_MAX = 16384 };

/* A peer whose machine was switched off says nothing ever again, and a watch does not either:
 * after this long without a word the kernel asks, so many seconds apart, so many times. */
enum { PROBE_AFTER_S = 15, PROBE_INTERVAL_S = 5, PROBES = 3 };

struct sock {
	struct stream s;
	uv_poll_t poll;
	int fd;
	int events;      /* what poll watches for */
	SSL *ssl;        /* NULL: plain */
	bool drained;    /* the last read took all there was; until the next event */
	bool want_write; /* the kernel's buffer is full */
	bool want_read;  /* TLS can only send (or shake hands) after more input */
	bool broken;     /* TLS failed: no close_notify */
	bool told_http;  /* plain HTTP was spoken to a TLS port and has been told so */
	char why[160];
	void (*on_ready)(struct conn *c, void *arg);
	void *on_ready_arg;
};

static struct sock *sock_of(struct stream *s)
{
	return container_of(s, struct sock, s);
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error ? -error : -ECONNRESET;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct sock *k = poll->data;

	k->drained = false;
	if (k->on_ready) {
		k->want_write = false;
		k->on_ready(&k->s.base, k->on_ready_arg);
		return;
	}
	if (status < 0) { /* libuv says EBADF for any error; the socket knows better */
		stream_fail(&k->s, socket_error(k->fd));
		return;
	}
	if (events & UV_WRITABLE) {
		k->want_write = false;
		if (!outq_empty(&k->s.out))
			stream_writable(&k->s);
	}
	if ((events & UV_READABLE) && k->want_read && !outq_empty(&k->s.out)) {
		k->want_read = false;
		stream_writable(&k->s);
	}
	if (!k->s.done)
		stream_readable(&k->s);
}

static void sock_watch(struct stream *s)
{
	struct sock *k = sock_of(s);
	int events = 0;

	if (!s->done) {
		if (s->reading || k->want_read)
			events |= UV_READABLE;
		if (k->want_write)
			events |= UV_WRITABLE;
	}
	if (events == k->events)
		return;
	k->events = events;
	if (events)
		uv_poll_start(&k->poll, events, on_poll);
	else
		uv_poll_stop(&k->poll);
}

static ssize_t fd_recv(struct sock *k, char *p, size_t n)
{
	ssize_t got;

	if (k->drained)
		return -EAGAIN;
	do
		got = recv(k->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		if (errno == EAGAIN)
			k->drained = true;
		return -errno;
	}
	if (got > 0 && (size_t)got < n)
		k->drained = true;
	return got;
}

static ssize_t fd_send(struct sock *k, const struct iovec *iov, size_t n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t sent;

	do
		sent = sendmsg(k->fd, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		k->want_write = true;
	return sent < 0 ? -errno : sent;
}

/* Plain. */

static ssize_t plain_recv(struct stream *s, char *p, size_t n)
{
	return fd_recv(sock_of(s), p, n);
}

static int plain_send(struct stream *s)
{
	struct sock *k = sock_of(s);

	while (!outq_empty(&s->out) && !k->want_write) {
		struct iovec iov[IOV_MAX_OURS];
		size_t n = outq_iov(&s->out, iov, ARRAY_SIZE(iov));
		ssize_t sent = fd_send(k, iov, n);

		if (sent == -EAGAIN)
			break;
		if (sent < 0)
			return (int)sent;
		outq_consume(&s->out, sent);
	}
	return 0;
}

static void plain_shutdown(struct stream *s)
{
	shutdown(sock_of(s)->fd, SHUT_WR);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct sock *k = h->data;

	stream_free(&k->s);
}

static void sock_destroy(struct stream *s)
{
	struct sock *k = sock_of(s);

	if (k->ssl) {
		if (k->broken) /* or OpenSSL would drop the session from the cache for it */
			SSL_set_quiet_shutdown(k->ssl, 1);
		SSL_free(k->ssl);
	}
	uv_poll_stop(&k->poll);
	close(k->fd);
	uv_close((uv_handle_t *)&k->poll, on_poll_closed);
}

/* The address as text; "" for a unix socket. */
static void plain_identify(struct stream *s)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage any;
	} a = {0};
	socklen_t size = sizeof(a);
	char text[64] = "";

	if (getpeername(sock_of(s)->fd, &a.sa, &size) < 0)
		return;
	if (a.sa.sa_family == AF_INET) {
		uv_ip4_name(&a.in, text, sizeof(text));
		s->peer.address = arena_fmt(&s->arena, "%s:%d", text, ntohs(a.in.sin_port));
	} else if (a.sa.sa_family == AF_INET6) {
		uv_ip6_name(&a.in6, text, sizeof(text));
		s->peer.address = arena_fmt(&s->arena, "[%s]:%d", text, ntohs(a.in6.sin6_port));
	}
}

static const struct conn_ops plain_ops = {
	.recv = plain_recv,
	.send = plain_send,
	.watch = sock_watch,
	.shutdown = plain_shutdown,
	.destroy = sock_destroy,
	.identify = plain_identify,
};

/* TLS. */

static int bio_read(BIO *b, char *p, size_t n, size_t *ret)
{
	ssize_t got = fd_recv(BIO_get_data(b), p, n);

	BIO_clear_retry_flags(b);
	if (got == -EAGAIN)
		BIO_set_retry_read(b);
	else if (got < 0)
		errno = (int)-got;
	if (got <= 0)
		return 0;
	*ret = got;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *ret)
{
	struct iovec iov = {(void *)p, n};
	ssize_t sent = fd_send(BIO_get_data(b), &iov, 1);

	BIO_clear_retry_flags(b);
	if (sent == -EAGAIN)
		BIO_set_retry_write(b);
	else if (sent < 0)
		errno = (int)-sent;
	if (sent <= 0)
		return 0;
	*ret = sent;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_PUSH || cmd == BIO_CTRL_POP;
}

BIO_METHOD *tls_bio_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "sampan socket");

	assert(m);
	BIO_meth_set_read_ex(m, bio_read);
	BIO_meth_set_write_ex(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	return m;
}

/* Go's answer to plain HTTP on a TLS port, word for word: people search for it. */
static void tell_http_client(struct sock *k)
{
	static const char text[] =
		"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
	struct iovec iov = {(void *)text, sizeof(text) - 1};

	if (k->told_http)
		return;
	k->told_http = true;
	fd_send(k, &iov, 1);
	shutdown(k->fd, SHUT_WR);
}

/* What an SSL_* call's failure means: -EAGAIN (flags say what to wait for), 0 for the end of input,
 * or an error. */
static int tls_outcome(struct sock *k, int rc, int saved_errno)
{
	unsigned long e;

	switch (SSL_get_error(k->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		k->want_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		k->broken = true;
		snprintf(k->why, sizeof(k->why), "%s", saved_errno ? strerror(saved_errno) : "EOF");
		return saved_errno ? -saved_errno : -ECONNRESET;
	default:
		k->broken = true;
		e = ERR_peek_error();
		if (ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST)
			tell_http_client(k);
		tls_error_text(k->ssl, k->why, sizeof(k->why));
		return -EPROTO;
	}
}

static ssize_t tls_recv(struct stream *s, char *p, size_t n)
{
	struct sock *k = sock_of(s);
	size_t got;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(k->ssl, p, n, &got);
	if (rc == 1)
		return (ssize_t)got;
	return tls_outcome(k, rc, errno);
}

static int tls_send(struct stream *s)
{
	struct sock *k = sock_of(s);
	char scratch[RECORD_MAX];

	while (!outq_empty(&s->out) && !k->want_write) {
		struct str part = outq_front(&s->out, scratch, sizeof(scratch));
		size_t sent;
		int rc;

		ERR_clear_error();
		errno = 0;
		rc = SSL_write_ex(k->ssl, part.p, part.n, &sent);
		if (rc == 1) {
			outq_consume(&s->out, sent);
			continue;
		}
		rc = tls_outcome(k, rc, errno);
		if (rc == -EAGAIN) {
			k->want_read = !k->want_write;
			return 0;
		}
		return rc == 0 ? -EPIPE : rc;
	}
	return 0;
}

static void tls_shutdown(struct stream *s)
{
	struct sock *k = sock_of(s);

	if (!k->broken && SSL_is_init_finished(k->ssl)) {
		ERR_clear_error();
		SSL_shutdown(k->ssl);
	}
	shutdown(k->fd, SHUT_WR);
}

static void tls_identify(struct stream *s)
{
	struct sock *k = sock_of(s);

	plain_identify(s);
	tls_peer_fill(k->ssl, &s->peer, &s->alpn);
}

static const struct conn_ops tls_ops = {
	.recv = tls_recv,
	.send = tls_send,
	.watch = sock_watch,
	.shutdown = tls_shutdown,
	.destroy = sock_destroy,
	.identify = tls_identify,
};

/* Fails harmlessly on unix sockets. */
static void sock_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, PROBE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, PROBES},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static struct sock *sock_new(struct loop *loop, int fd, const struct conn_ops *ops)
{
	struct sock *k = xcalloc(1, sizeof(*k));
	int rc;

	assert(loop_uv(loop)); /* sockets do not exist in the simulator */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	sock_options(fd);
	stream_init(&k->s, loop, ops);
	k->fd = fd;
	k->poll.data = k;
	rc = uv_poll_init(loop_uv(loop), &k->poll, fd);
	assert(rc == 0); /* not a descriptor that can be watched: a caller's bug */
	(void)rc;
	return k;
}

static void sock_use_tls(struct sock *k, SSL_CTX *ctx)
{
	BIO *bio;

	tls_ctx_refresh(ctx);
	k->ssl = SSL_new(ctx);
	bio = BIO_new(tls_context_bio(ctx));
	if (!k->ssl || !bio)
		abort(); /* out of memory */
	BIO_set_data(bio, k);
	BIO_set_init(bio, 1);
	SSL_set_bio(k->ssl, bio, bio);
}

struct conn *conn_from_fd(struct loop *loop, int fd)
{
	return &sock_new(loop, fd, &plain_ops)->s.base;
}

struct conn *conn_from_fd_tls(struct loop *loop, int fd, void *ssl_ctx)
{
	struct sock *k = sock_new(loop, fd, &tls_ops);

	sock_use_tls(k, ssl_ctx);
	SSL_set_accept_state(k->ssl);
	return &k->s.base;
}

struct conn *conn_from_fd_tls_client(
	struct loop *loop, int fd, SSL_CTX *ctx, const char *server_name, const char *alpn)
{
	struct sock *k = sock_new(loop, fd, &tls_ops);

	sock_use_tls(k, ctx);
	SSL_set_connect_state(k->ssl);
	tls_client_expect(k->ssl, server_name, alpn);
	return &k->s.base;
}

int conn_sock_handshake(struct conn *c)
{
	struct sock *k = sock_of(stream_of(c));
	int rc;

	if (!k->ssl)
		return 1;
	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(k->ssl);
	k->want_read = false;
	if (rc == 1)
		return 1;
	rc = tls_outcome(k, rc, errno);
	k->want_read = !k->want_write;
	sock_watch(&k->s);
	if (rc == -EAGAIN)
		return 0;
	return rc == 0 ? -ECONNRESET : rc;
}

const char *conn_sock_why(struct conn *c)
{
	return sock_of(stream_of(c))->why;
}

void conn_sock_on_ready(struct conn *c, void (*fn)(struct conn *c, void *arg), void *arg)
{
	struct sock *k = sock_of(stream_of(c));

	k->on_ready = fn;
	k->on_ready_arg = arg;
}

void conn_sock_watch_connect(struct conn *c)
{
	struct sock *k = sock_of(stream_of(c));

	k->want_write = true;
	sock_watch(&k->s);
}

int conn_sock_fd(struct conn *c)
{
	return sock_of(stream_of(c))->fd;
}
