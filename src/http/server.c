/* Listening, accepting, counting, deadlines, closing: all that does not depend on the HTTP version.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/server_int.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, RETRY_MS = 100 };

/* Sessions. */

static void on_deadline(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, timer);
	int64_t now = loop_now_ms(s->server->loop);

	if (s->deadline_ms == INT64_MAX)
		return;
	if (s->deadline_ms > now)
		loop_timer_start(t, s->deadline_ms - now);
	else
		s->ops->timeout(s);
}

void session_init(struct session *s, struct http_server *server, struct conn *c,
	const struct session_ops *ops)
{
	s->server = server;
	s->conn = c;
	s->ops = ops;
	s->deadline_ms = INT64_MAX;
	loop_timer_init(&s->timer, server->loop, on_deadline);
	s->next = server->sessions;
	if (s->next)
		s->next->prev = s;
	server->sessions = s;
	server->sessions_n++;
}

static void post_finished(struct http_server *s)
{
	if (s->finished_posted)
		return;
	s->finished_posted = true;
	loop_post(s->loop, &s->finished);
}

void session_release(struct session *s)
{
	struct http_server *server = s->server;

	loop_timer_stop(&s->timer);
	if (s->prev)
		s->prev->next = s->next;
	else
		server->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (--server->sessions_n == 0 && server->closing)
		post_finished(server);
}

/* The timer is only ever moved forward: one that fires early looks at the deadline again. So a busy
 * connection does not touch the timer heap for each request. */
void session_deadline(struct session *s, int64_t delay_ms)
{
	int64_t now;

	if (delay_ms < 0) {
		s->deadline_ms = INT64_MAX;
		return;
	}
	now = loop_now_ms(s->server->loop);
	s->deadline_ms = now + delay_ms;
	if (!loop_timer_armed(&s->timer) || s->timer.due_ms > s->deadline_ms)
		loop_timer_start(&s->timer, delay_ms);
}

const char *server_date(struct http_server *s)
{
	time_t now = loop_wall_ns(s->loop) / 1000000000;
	struct tm tm;

	if (now != s->date_s) {
		s->date_s = now;
		gmtime_r(&now, &tm);
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return s->date;
}

bool exchange_set_target(struct http_exchange *x, struct str target)
{
	ssize_t scheme = str_find(target, S("://"));

	if (target.n && target.p[0] != '/' &&
		scheme > 0) { /* absolute form: authority is the Host header's matter */
		struct str rest = str_sub(target, scheme + 3, target.n);
		ssize_t slash = str_chr(rest, '/');

		target = slash < 0 ? S("/") : str_sub(rest, slash, rest.n);
	}
	if (!target.n || (target.p[0] != '/' && !str_eq(target, S("*"))))
		return false;
	str_cut(target, '?', &x->raw_path, &x->query);
	return http_unescape(&x->arena, x->raw_path, false, &x->path);
}

/* The listener. */

static void close_listener(struct http_server *s)
{
	if (!s->listener)
		return;
	uv_poll_stop(s->listener);
	close(s->listen_fd);
	uv_close((uv_handle_t *)s->listener, (uv_close_cb)free);
	s->listener = NULL;
}

static void serve(struct http_server *s, int fd)
{
	struct conn *c;

	if (s->closing || s->sessions_n >= s->o.connections_max) {
		close(fd);
		return;
	}
	c = s->o.ssl_ctx ? conn_from_fd_tls(s->loop, fd, s->o.ssl_ctx) : conn_from_fd(s->loop, fd);
	h1_session_new(s, c);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct http_server *s = poll->data;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			serve(s, fd);
			continue;
		}
		if (errno == ECONNABORTED || errno == EINTR)
			continue;
		if (errno != EAGAIN) { /* out of descriptors or memory: let others end first */
			uv_poll_stop(poll);
			loop_timer_start(&s->retry, RETRY_MS);
		}
		return;
	}
}

static void on_retry(struct loop_timer *t)
{
	struct http_server *s = container_of(t, struct http_server, retry);

	if (s->listener)
		uv_poll_start(s->listener, UV_READABLE, on_connection);
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t parse_address(const char *text, int port, union address *ret)
{
	*ret = (union address){0};
	if (inet_pton(AF_INET, text, &ret->in.sin_addr) == 1) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(port);
		return sizeof(ret->in);
	}
	if (inet_pton(AF_INET6, text, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(port);
		return sizeof(ret->in6);
	}
	return 0;
}

static int bind_and_listen(
	int fd, const struct http_server_opts *o, const union address *a, socklen_t size)
{
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (o->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		return -errno;
	if (bind(fd, &a->sa, size) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int listen_on(struct http_server *s, struct err *err)
{
	union address a;
	socklen_t size = parse_address(s->o.bind_address, s->o.port, &a);
	int fd, rc;

	if (!size)
		return err_errno(err, EINVAL, "listen on %s", s->o.bind_address);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "listen on %s:%d", s->o.bind_address, s->o.port);
	rc = bind_and_listen(fd, &s->o, &a, size);
	if (rc < 0) {
		close(fd);
		return err_errno(err, -rc, "listen on %s:%d", s->o.bind_address, s->o.port);
	}
	getsockname(fd, &a.sa, &size);
	s->port = ntohs(a.sa.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
	s->listen_fd = fd;
	s->listener = xcalloc(1, sizeof(*s->listener));
	s->listener->data = s;
	uv_poll_init(loop_uv(s->loop), s->listener, fd);
	uv_poll_start(s->listener, UV_READABLE, on_connection);
	return 0;
}

/* The server. */

static void on_finished(struct loop_task *t)
{
	struct http_server *s = container_of(t, struct http_server, finished);
	void (*done)(void *) = s->done;
	void *arg = s->done_arg;

	s->finished_posted = false;
	if (s->sessions_n) /* one changed its protocol just then */
		return;
	loop_timer_stop(&s->retry);
	loop_timer_stop(&s->grace);
	SSL_CTX_free(s->o.ssl_ctx);
	free(s);
	if (done)
		done(arg);
}

static void on_grace_over(struct loop_timer *t)
{
	struct http_server *s = container_of(t, struct http_server, grace);

	for (struct session *i = s->sessions; i; i = i->next)
		conn_abort(i->conn);
}

int http_server_new(struct loop *loop, const struct http_server_opts *o, struct http_server **ret,
	struct err *err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int rc;

	s->loop = loop;
	s->o = *o;
	s->o.body_max = o->body_max ? o->body_max : 3 * 1024 * 1024;
	s->o.connections_max = o->connections_max ? o->connections_max : 4096;
	s->o.header_timeout_ms = o->header_timeout_ms ? o->header_timeout_ms : 10 * 1000;
	s->finished.fn = on_finished;
	loop_timer_init(&s->retry, loop, on_retry);
	loop_timer_init(&s->grace, loop, on_grace_over);
	if (s->o.ssl_ctx)
		SSL_CTX_up_ref(s->o.ssl_ctx);
	if (o->port >= 0) {
		rc = listen_on(s, err);
		if (rc < 0) {
			SSL_CTX_free(s->o.ssl_ctx);
			free(s);
			return rc;
		}
	}
	*ret = s;
	return 0;
}

int http_server_port(const struct http_server *s)
{
	return s->port;
}

void http_server_add_fd(struct http_server *s, int fd)
{
	serve(s, fd);
}

void http_server_add_conn(struct http_server *s, struct conn *c)
{
	if (s->closing || s->sessions_n >= s->o.connections_max)
		conn_abort(c);
	else
		h1_session_new(s, c);
}

void http_server_close(struct http_server *s, int grace_ms, void (*done)(void *), void *user_data)
{
	struct session *next;

	assert(!s->closing);
	s->closing = true;
	s->done = done;
	s->done_arg = user_data;
	close_listener(s);
	for (struct session *i = s->sessions; i; i = next) {
		next = i->next;
		i->ops->drain(i);
	}
	if (s->sessions_n == 0)
		post_finished(s);
	else
		loop_timer_start(&s->grace, grace_ms);
}
