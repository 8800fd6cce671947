/* Connecting: look the name up, try its addresses in turn, shake hands; one outcome, on a later
 * turn. */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "http/conn_sock.h"

enum { CONNECT_TIMEOUT_MS = 10 * 1000, HOST_MAX = 256 };

struct connector {
	struct loop *loop;
	SSL_CTX *ssl_ctx;
	char *server_name, *alpn, *address;
	char host[HOST_MAX], port[8];
	uv_getaddrinfo_t lookup;
	struct addrinfo *found, *next;
	struct sockaddr_un un;
	struct conn *conn; /* being connected */
	bool connected;    /* TCP is there, TLS is not */
	bool looking_up, ended;
	int status; /* of the last attempt */
	char why[512];
	struct loop_timer timer;
	struct loop_task task; /* gives the outcome */
	conn_connect_fn *fn;
	void *user_data;
};

static void try_next(struct connector *k);

static void connector_free(struct connector *k)
{
	loop_timer_stop(&k->timer);
	uv_freeaddrinfo(k->found);
	SSL_CTX_free(k->ssl_ctx);
	free(k->server_name);
	free(k->alpn);
	free(k->address);
	free(k);
}

static void give_outcome(struct loop_task *t)
{
	struct connector *k = container_of(t, struct connector, task);
	struct err err CLEANUP(err_release) = {0};

	if (k->conn) {
		conn_sock_on_ready(k->conn, NULL, NULL);
		k->fn(k->user_data, k->conn, NULL);
	} else {
		err_errno(&err, -k->status, "dial %s%s%s", k->address, *k->why ? ": " : "", k->why);
		k->fn(k->user_data, NULL, &err);
	}
	if (!k->looking_up) /* else the look-up's callback frees */
		connector_free(k);
	else
		k->conn = NULL;
}

static void end(struct connector *k)
{
	if (k->ended)
		return;
	k->ended = true;
	loop_timer_stop(&k->timer);
	loop_post(k->loop, &k->task);
}

static void drop_attempt(struct connector *k)
{
	if (!k->conn)
		return;
	snprintf(k->why, sizeof(k->why), "%s", conn_sock_why(k->conn));
	conn_sock_on_ready(k->conn, NULL, NULL);
	conn_abort(k->conn);
	k->conn = NULL;
}

static void on_timeout(struct loop_timer *t)
{
	struct connector *k = container_of(t, struct connector, timer);

	drop_attempt(k);
	k->status = -ETIMEDOUT;
	end(k);
}

static void handshake(struct connector *k)
{
	int rc = conn_sock_handshake(k->conn);

	if (rc == 0)
		return;
	if (rc < 0) { /* the server is there: its other addresses would say the same */
		drop_attempt(k);
		k->status = rc;
	}
	end(k);
}

static void on_ready(struct conn *c, void *arg)
{
	struct connector *k = arg;
	socklen_t size = sizeof(int);
	int error = 0;

	if (k->ended)
		return;
	if (!k->connected) {
		getsockopt(conn_sock_fd(c), SOL_SOCKET, SO_ERROR, &error, &size);
		if (error) {
			drop_attempt(k);
			k->status = -error;
			try_next(k);
			return;
		}
		k->connected = true;
	}
	handshake(k);
}

/* One address. False: failed at once. */
static bool attempt(struct connector *k, const struct sockaddr *sa, socklen_t size)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0) {
		k->status = -errno;
		return false;
	}
	rc = connect(fd, sa, size);
	if (rc < 0 && errno != EINPROGRESS) {
		k->status = -errno;
		close(fd);
		return false;
	}
	k->connected = false;
	k->conn = k->ssl_ctx ? conn_from_fd_tls_client(
				       k->loop, fd, k->ssl_ctx, k->server_name, k->alpn)
			     : conn_from_fd(k->loop, fd);
	conn_sock_on_ready(k->conn, on_ready, k);
	conn_sock_watch_connect(k->conn);
	return true;
}

static void try_next(struct connector *k)
{
	while (k->next) {
		struct addrinfo *a = k->next;

		k->next = a->ai_next;
		if (attempt(k, a->ai_addr, a->ai_addrlen))
			return;
	}
	end(k);
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct connector *k = req->data;

	k->looking_up = false;
	k->found = k->next = found;
	if (k->ended) {
		connector_free(k);
		return;
	}
	if (status < 0) {
		k->status = -ENOENT;
		snprintf(k->why, sizeof(k->why), "lookup %s: %s", k->host, uv_strerror(status));
		end(k);
		return;
	}
	k->status = -ECONNREFUSED;
	try_next(k);
}

/* "host:port", "[v6]:port" */
static bool split(struct connector *k, struct str address)
{
	ssize_t colon = str_rchr(address, ':');
	struct str host, port;

	if (colon <= 0)
		return false;
	host = str_sub(address, 0, colon);
	port = str_sub(address, colon + 1, address.n);
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 1);
	if (!host.n || host.n >= sizeof(k->host) || !port.n || port.n > 5)
		return false;
	snprintf(k->host, sizeof(k->host), STR_FMT, STR_ARG(host));
	snprintf(k->port, sizeof(k->port), STR_FMT, STR_ARG(port));
	return true;
}

static void start_unix(struct connector *k, struct str path)
{
	k->un.sun_family = AF_UNIX;
	if (path.n >= sizeof(k->un.sun_path)) {
		k->status = -ENAMETOOLONG;
		end(k);
		return;
	}
	memcpy(k->un.sun_path, path.p, path.n);
	if (!attempt(k, (struct sockaddr *)&k->un, sizeof(k->un)))
		end(k);
}

static void start_tcp(struct connector *k, struct str address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	struct addrinfo *found = NULL;

	if (!split(k, address)) {
		k->status = -EINVAL;
		end(k);
		return;
	}
	if (!k->server_name && k->ssl_ctx)
		k->server_name = xstrdup(k->host);
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (getaddrinfo(k->host, k->port, &hints, &found) == 0) { /* no look-up: does not block */
		k->found = k->next = found;
		k->status = -ECONNREFUSED;
		try_next(k);
		return;
	}
	hints.ai_flags = AI_NUMERICSERV;
	k->lookup.data = k;
	k->looking_up = true;
	if (uv_getaddrinfo(loop_uv(k->loop), &k->lookup, on_lookup, k->host, k->port, &hints) < 0) {
		k->looking_up = false;
		k->status = -EINVAL;
		end(k);
	}
}

void conn_connect(
	struct loop *loop, const struct conn_connect_opts *o, conn_connect_fn *fn, void *user_data)
{
	struct connector *k = xcalloc(1, sizeof(*k));

	k->loop = loop;
	k->fn = fn;
	k->user_data = user_data;
	k->task.fn = give_outcome;
	k->ssl_ctx = o->ssl_ctx;
	if (k->ssl_ctx)
		SSL_CTX_up_ref(k->ssl_ctx);
	k->server_name = o->server_name ? xstrdup(o->server_name) : NULL;
	k->alpn = o->alpn ? xstrdup(o->alpn) : NULL;
	k->address = xasprintf(STR_FMT, STR_ARG(o->address));
	loop_timer_init(&k->timer, loop, on_timeout);
	loop_timer_start(&k->timer, o->timeout_ms ? o->timeout_ms : CONNECT_TIMEOUT_MS);
	if (str_starts(o->address, S("unix:")))
		start_unix(k, str_sub(o->address, 5, o->address.n));
	else
		start_tcp(k, o->address);
}
