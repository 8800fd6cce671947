/* The client: calls, the pool of connections, and one HTTP/1.1 exchange after another on each. */
#include <openssl/ssl.h>
#include <stdio.h>

#include "http/client.h"
#include "http/conn_int.h"
#include "http/http1.h"
#include "http/tls_int.h"

enum {
	IDLE_TIMEOUT_MS = 90 * 1000,
	TIMEOUT_MS = 30 * 1000,
	CONNECTIONS_MAX = 8,
	HEAD_MAX = 1024 * 1024,
	BODY_MAX = 64 * 1024 * 1024,
	UPGRADE_BODY_MAX = 1024 * 1024,
};

struct link {
	struct link *prev, *next;
};

/* A connection, connecting or connected. */
struct line {
	struct link all; /* in client->lines */
	struct http_client *client;
	struct conn *conn;      /* NULL while connecting */
	struct http_call *call; /* NULL: idle, or closing */
	struct http1_reader reader;
	struct buf in;
	struct loop_timer idle_timer;
	struct loop_task resume;
	unsigned renewed; /* how often the certificate had been renewed when it was opened */
	bool idle, used_before, answered, closing, pooled, resume_posted, orphan;
};

struct http_call {
	struct link all; /* in client->calls */
	struct http_client *client;
	struct line *line;  /* NULL: waiting for a connection */
	struct arena arena; /* the request's and the response head's strings */
	struct buf request;
	struct buf body;
	struct http_request r;
	struct http_response response;
	void (*on_upgrade)(void *, struct conn *, const struct http_response *, struct err *);
	struct loop_timer timer;
	bool stream, head_only, replayable, retried, begun, paused;
	bool in_callback, cancelled;
};

struct http_client {
	struct loop *loop;
	SSL_CTX *ssl_ctx;
	char *server_name, *token, *address, *host, *base;
	size_t connections_max, pooled;
	struct link lines, calls;
	bool freed;
};

static void list_init(struct link *l)
{
	l->prev = l->next = l;
}

static void list_add(struct link *l, struct link *i)
{
	i->prev = l->prev;
	i->next = l;
	l->prev->next = i;
	l->prev = i;
}

static void list_del(struct link *i)
{
	i->prev->next = i->next;
	i->next->prev = i->prev;
}

static void line_start(struct http_client *c, struct http_call *call);
static void next_waiting(struct http_client *c);

static void client_release(struct http_client *c)
{
	if (!c->freed || c->lines.next != &c->lines || c->calls.next != &c->calls)
		return;
	SSL_CTX_free(c->ssl_ctx);
	free(c->server_name);
	free(c->token);
	free(c->address);
	free(c->host);
	free(c->base);
	free(c);
}

/* Calls. */

static void call_free(struct http_call *call)
{
	struct http_client *c = call->client;

	loop_timer_stop(&call->timer);
	list_del(&call->all);
	buf_release(&call->request);
	buf_release(&call->body);
	arena_release(&call->arena);
	free(call);
	client_release(c);
}

/* Takes the call off its connection. The connection goes back to the pool or is closed, by the
 * caller. */
static struct line *detach(struct http_call *call)
{
	struct line *l = call->line;

	call->line = NULL;
	if (l)
		l->call = NULL;
	return l;
}

static void line_close(struct line *l)
{
	if (l->closing)
		return;
	l->closing = true;
	l->idle = false;
	loop_timer_stop(&l->idle_timer);
	if (l->pooled)
		l->client->pooled--;
	l->pooled = false;
	if (l->conn)
		conn_abort(l->conn);
}

/* The last callback of a call. */
static void call_end(struct http_call *call, struct err *err)
{
	struct http_client *c = call->client;

	loop_timer_stop(&call->timer);
	call->in_callback = true; /* a cancel from inside has nothing left to do */
	call->cancelled = true;
	if (call->on_upgrade)
		call->on_upgrade(call->r.user_data, NULL, err ? NULL : &call->response, err);
	else if (call->begun && call->r.on_end)
		call->r.on_end(call->r.user_data, err);
	else if (!call->begun)
		call->r.on_response(call->r.user_data, err ? NULL : &call->response, err);
	call->in_callback = false;
	if (!c->freed)
		next_waiting(c);
	call_free(call);
}

static void call_fail(struct http_call *call, int errnum, const char *why)
{
	struct err err CLEANUP(err_release) = {0};

	err_errno(
		&err, errnum, "%s \"" STR_FMT "\": %s", call->r.method, STR_ARG(call->r.path), why);
	call_end(call, &err);
}

static void on_call_timeout(struct loop_timer *t)
{
	struct http_call *call = container_of(t, struct http_call, timer);
	struct line *l = detach(call);

	if (l)
		line_close(l);
	call_fail(call, ETIMEDOUT, "timeout awaiting response");
}

/* Lines. */

static void line_free(struct line *l)
{
	struct http_client *c = l->client;

	loop_timer_stop(&l->idle_timer);
	list_del(&l->all);
	buf_release(&l->in);
	free(l);
	client_release(c);
}

static void on_idle_timeout(struct loop_timer *t)
{
	line_close(container_of(t, struct line, idle_timer));
}

static void send_call(struct line *l, struct http_call *call)
{
	l->call = call;
	l->idle = l->answered = false;
	call->line = l;
	loop_timer_stop(&l->idle_timer);
	http1_reader_init(&l->reader, HTTP1_RESPONSE, &(struct http1_limits){HEAD_MAX, 1000});
	if (call->head_only)
		http1_reader_no_body(&l->reader);
	conn_write(l->conn, buf_str(&call->request));
	if (!call->paused)
		conn_read_start(l->conn);
}

/* A connection made with a certificate that has been renewed since is not used again. */
static unsigned renewals(const struct http_client *c)
{
	return c->ssl_ctx ? tls_ctx_refresh(c->ssl_ctx) : 0;
}

/* The answer has been read to its end. */
static void answer_complete(struct line *l)
{
	struct http_call *call = l->call;
	bool reuse = l->reader.head.keep_alive && l->in.n == 0 && l->pooled &&
		     l->renewed == renewals(l->client);

	detach(call);
	if (reuse) {
		l->idle = l->used_before = true;
		loop_timer_start(&l->idle_timer, IDLE_TIMEOUT_MS);
		conn_read_start(l->conn);
	} else {
		line_close(l);
	}
	call->response.body = buf_str(&call->body);
	call_end(call, NULL);
}

/* The connection broke under the call. */
static void line_broke(struct line *l, int errnum, const char *why)
{
	struct http_call *call = l->call;
	bool stale = l->used_before && !l->answered;

	line_close(l);
	if (!call)
		return;
	detach(call);
	if (stale && call->replayable && !call->retried) {
		call->retried = true;
		line_start(call->client, call);
		return;
	}
	call_fail(call, errnum, why);
}

static void hand_over(struct line *l, struct str rest)
{
	struct http_call *call = l->call;
	struct conn *c = l->conn;
	struct http1_head *h = &l->reader.head;

	call->response = (struct http_response){h->status, h->headers, h->n_headers, {0}};
	detach(call);
	conn_read_stop(c);
	conn_unread(c, rest);
	c->events = NULL;
	c->user_data = NULL;
	l->conn = NULL;
	l->closing = true;
	l->orphan = true; /* freed by whoever runs read_input */
	loop_timer_stop(&call->timer);
	call->in_callback = call->cancelled = true;
	call->on_upgrade(call->r.user_data, c, &call->response, NULL);
	call_free(call);
}

static void on_head(struct line *l)
{
	struct http_call *call = l->call;
	struct http1_head *h = &l->reader.head;

	call->response = (struct http_response){h->status, h->headers, h->n_headers, {0}};
	if (!call->stream || call->on_upgrade)
		return;
	loop_timer_stop(&call->timer);
	call->begun = true;
	call->in_callback = true;
	call->r.on_response(call->r.user_data, &call->response, NULL);
	call->in_callback = false;
	if (call->cancelled) {
		line_close(l);
		detach(call);
		call_free(call);
	}
}

static bool on_body(struct line *l, struct str part)
{
	struct http_call *call = l->call;

	if (!call->stream) {
		buf_add_str(&call->body, part);
		if (!buf_failed(&call->body))
			return true;
		line_close(l);
		detach(call);
		call_fail(call, EMSGSIZE, "response body too large");
		return false;
	}
	call->in_callback = true;
	call->r.on_data(call->r.user_data, part);
	call->in_callback = false;
	if (!call->cancelled)
		return true;
	line_close(l);
	detach(call);
	call_free(call);
	return false;
}

/* One step. False: stop reading. */
static bool read_step(struct line *l, struct str *in)
{
	struct str part;
	size_t used = 0;
	enum http1_event e = http1_read(&l->reader, &l->call->arena, *in, &used, &part);

	*in = str_sub(*in, used, in->n);
	switch (e) {
	case HTTP1_NEED_MORE:
		return false;
	case HTTP1_HEAD:
		if (l->reader.head.status == 101 && l->call->on_upgrade) {
			hand_over(l, *in);
			return false;
		}
		if (l->reader.head.status >= 200)
			on_head(l);
		return !l->closing;
	case HTTP1_BODY:
		return on_body(l, part) && !l->call->paused;
	case HTTP1_END:
		if (l->reader.head.status <
			200) { /* 100 Continue and its like: the answer is yet to come */
			http1_reader_next(&l->reader);
			return true;
		}
		return false;
	case HTTP1_ERROR:
		line_broke(l, EPROTO, l->reader.error);
		return false;
	}
	return false;
}

static bool at_end(const struct line *l)
{
	return http1_reader_ended(&l->reader) && l->reader.head.status >= 200;
}

static void read_input(struct line *l, struct str bytes)
{
	bool buffered = l->in.n > 0;
	struct str in = bytes;

	if (buffered) {
		buf_add_str(&l->in, bytes);
		in = buf_str(&l->in);
	}
	l->answered |= in.n > 0;
	while (l->call && !l->closing && !l->call->paused && read_step(l, &in))
		;
	if (l->orphan) {
		line_free(l);
		return;
	}
	if (l->closing)
		return;
	if (buffered)
		buf_consume(&l->in, l->in.n - in.n);
	else if (in.n)
		buf_add_str(&l->in, in);
	if (!l->in.n)
		buf_release(&l->in);
	if (l->call && at_end(l))
		answer_complete(l);
}

static void line_data(struct conn *c, struct str bytes)
{
	struct line *l = c->user_data;

	if (l->closing)
		return;
	if (!l->call) { /* nobody asked */
		line_close(l);
		return;
	}
	read_input(l, bytes);
}

static void line_eof(struct conn *c)
{
	struct line *l = c->user_data;

	if (l->closing)
		return;
	if (!l->call) {
		line_close(l);
	} else if (http1_read_eof(&l->reader) == HTTP1_END) {
		answer_complete(l);
	} else {
		line_broke(l, ECONNRESET, "EOF");
	}
}

static void line_gone(struct conn *c, int status)
{
	struct line *l = c->user_data;

	if (!l->closing)
		line_broke(l, status ? -status : ECONNRESET, status ? strerror(-status) : "EOF");
	l->conn = NULL;
	if (l->resume_posted)
		l->orphan = true;
	else
		line_free(l);
}

static const struct conn_events line_events = {
	.on_data = line_data,
	.on_eof = line_eof,
	.on_close = line_gone,
};

/* What a paused call left in the buffer. */
static void on_resume(struct loop_task *t)
{
	struct line *l = container_of(t, struct line, resume);

	l->resume_posted = false;
	if (l->orphan) {
		line_free(l);
		return;
	}
	if (!l->call || l->call->paused || l->closing)
		return;
	conn_read_start(l->conn);
	read_input(l, (struct str){0});
}

static void on_connected(void *user_data, struct conn *conn, struct err *err)
{
	struct line *l = user_data;

	if (!conn) {
		struct http_call *call = l->call;

		line_close(l);
		if (call) {
			detach(call);
			call_end(call, err);
		}
		line_free(l);
		return;
	}
	l->conn = conn;
	conn->events = &line_events;
	conn->user_data = l;
	if (l->closing)
		conn_abort(conn);
	else
		send_call(l, l->call);
}

static void line_start(struct http_client *c, struct http_call *call)
{
	struct line *l = xcalloc(1, sizeof(*l));

	l->client = c;
	l->call = call;
	call->line = l;
	l->pooled = !call->stream;
	c->pooled += l->pooled;
	l->resume.fn = on_resume;
	l->renewed = renewals(c);
	buf_init(&l->in, HEAD_MAX + 512 * 1024);
	loop_timer_init(&l->idle_timer, c->loop, on_idle_timeout);
	list_add(&c->lines, &l->all);
	conn_connect(c->loop,
		&(struct conn_connect_opts){
			.address = str_c(c->address),
			.ssl_ctx = c->ssl_ctx,
			.server_name = c->server_name,
			.alpn = "http/1.1",
		},
		on_connected, l);
}

/* The pool. */

static struct line *idle_line(struct http_client *c)
{
	unsigned renewed = renewals(c);

	/* The last used first, so that the others get old and go. */
	for (struct link *i = c->lines.prev; i != &c->lines; i = i->prev) {
		struct line *l = container_of(i, struct line, all);

		if (l->idle && l->renewed == renewed)
			return l;
		if (l->idle)
			line_close(l);
	}
	return NULL;
}

static bool give_line(struct http_client *c, struct http_call *call)
{
	struct line *l = call->stream ? NULL : idle_line(c);

	if (l) {
		list_del(&l->all);
		list_add(&c->lines, &l->all);
		send_call(l, call);
		return true;
	}
	if (!call->stream && c->pooled >= c->connections_max)
		return false;
	line_start(c, call);
	return true;
}

static void next_waiting(struct http_client *c)
{
	for (struct link *i = c->calls.next; i != &c->calls; i = i->next) {
		struct http_call *call = container_of(i, struct http_call, all);

		if (!call->line && !call->in_callback && !call->cancelled) {
			give_line(c, call);
			return;
		}
	}
}

/* Requests. */

static bool has_header(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_ieq(r->headers[i].name, str_c(name)))
			return true;
	return false;
}

static void encode(struct http_client *c, struct http_call *call, const struct http_request *r,
	const char *protocol)
{
	struct buf *b = &call->request;

	buf_fmt(b, "%s %s" STR_FMT " HTTP/1.1\r\n", call->r.method, c->base, STR_ARG(r->path));
	if (!has_header(r, "host"))
		buf_fmt(b, "Host: %s\r\n", c->host);
	if (!has_header(r, "user-agent"))
		buf_add_c(b, "User-Agent: sampan/" SAMPAN_VERSION "\r\n");
	if (c->token && !has_header(r, "authorization"))
		buf_fmt(b, "Authorization: Bearer %s\r\n", c->token);
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];

		assert(http1_is_token(h->name) && http1_is_field_value(h->value));
		buf_fmt(b, STR_FMT ": " STR_FMT "\r\n", STR_ARG(h->name), STR_ARG(h->value));
	}
	if (protocol)
		buf_fmt(b, "Connection: Upgrade\r\nUpgrade: %s\r\n", protocol);
	if (r->body.n ||
		(strcmp(call->r.method, "GET") != 0 && strcmp(call->r.method, "HEAD") != 0))
		buf_fmt(b, "Content-Length: %zu\r\n", r->body.n);
	buf_add_c(b, "\r\n");
	buf_add_str(b, r->body);
}

static struct http_call *call_new(
	struct http_client *c, const struct http_request *r, const char *protocol)
{
	struct http_call *call = xcalloc(1, sizeof(*call));
	int64_t timeout = r->timeout_ms ? r->timeout_ms : TIMEOUT_MS;

	call->client = c;
	call->r = *r;
	call->r.headers = NULL;
	arena_init(&call->arena);
	call->r.method = arena_cstr(&call->arena, str_c(r->method ? r->method : "GET"));
	call->r.path = arena_str(&call->arena, r->path);
	call->stream = r->on_data || protocol;
	call->head_only = strcmp(call->r.method, "HEAD") == 0;
	call->replayable =
		strcmp(call->r.method, "POST") != 0 && strcmp(call->r.method, "PATCH") != 0;
	buf_init(&call->request, r->body.n + 1024 * 1024);
	buf_init(&call->body, protocol      ? (size_t)UPGRADE_BODY_MAX
			      : r->body_max ? r->body_max
					    : (size_t)BODY_MAX);
	encode(c, call, r, protocol);
	loop_timer_init(&call->timer, c->loop, on_call_timeout);
	loop_timer_start(&call->timer, timeout);
	list_add(&c->calls, &call->all);
	return call;
}

struct http_call *http_client_do(struct http_client *c, const struct http_request *r)
{
	struct http_call *call = call_new(c, r, NULL);

	give_line(c, call);
	return call;
}

void http_client_upgrade(struct http_client *c, const struct http_request *r, const char *protocol,
	void (*fn)(
		void *user_data, struct conn *conn, const struct http_response *r, struct err *err),
	void *user_data)
{
	struct http_call *call = call_new(c, r, protocol);

	call->on_upgrade = fn;
	call->r.user_data = user_data;
	call->r.on_data = NULL;
	line_start(c, call);
	call->stream = false; /* another answer than 101 is collected */
}

void http_call_cancel(struct http_call *call)
{
	struct line *l;

	if (call->cancelled)
		return;
	call->cancelled = true;
	if (call->in_callback)
		return;
	l = detach(call);
	if (l)
		line_close(l);
	call_free(call);
}

void http_call_pause(struct http_call *call)
{
	call->paused = true;
	if (call->line && call->line->conn)
		conn_read_stop(call->line->conn);
}

void http_call_resume(struct http_call *call)
{
	struct line *l = call->line;

	call->paused = false;
	if (!l || !l->conn || l->resume_posted)
		return;
	l->resume_posted = true;
	loop_post(call->client->loop, &l->resume);
}

/* The client. */

static bool set_url(struct http_client *c, struct str url, bool tls, struct err *err)
{
	struct str rest = url, authority, path;
	const char *default_port = tls ? "443" : "80";

	if (str_starts(url, S("unix:"))) {
		c->address = xasprintf(STR_FMT, STR_ARG(url));
		c->host = xstrdup("localhost");
		c->base = xstrdup("");
		return true;
	}
	if (str_starts(url, S("https://")) && tls)
		rest = str_sub(url, 8, url.n);
	else if (str_starts(url, S("http://")) && !tls)
		rest = str_sub(url, 7, url.n);
	else
		return false;
	if (!str_cut(rest, '/', &authority, &path))
		path = (struct str){0};
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	if (!authority.n || !http1_is_field_value(rest) || str_chr(rest, ' ') >= 0)
		return false;
	c->host = xasprintf(STR_FMT, STR_ARG(authority));
	c->base = xasprintf("%s" STR_FMT, path.n ? "/" : "", STR_ARG(path));
	if (str_rchr(authority, ':') > str_rchr(authority, ']'))
		c->address = xstrdup(c->host);
	else
		c->address = xasprintf("%s:%s", c->host, default_port);
	return true;
}

int http_client_new(struct loop *loop, const struct http_client_opts *o, struct http_client **ret,
	struct err *err)
{
	struct http_client *c = xcalloc(1, sizeof(*c));

	if (!set_url(c, o->url, o->ssl_ctx != NULL, err)) {
		free(c);
		err_internal(err, "server URL \"" STR_FMT "\" is not valid", STR_ARG(o->url));
		return -EINVAL;
	}
	c->loop = loop;
	c->ssl_ctx = o->ssl_ctx;
	if (c->ssl_ctx)
		SSL_CTX_up_ref(c->ssl_ctx);
	c->server_name = o->server_name ? xstrdup(o->server_name) : NULL;
	c->token = o->bearer_token.n ? xasprintf(STR_FMT, STR_ARG(o->bearer_token)) : NULL;
	c->connections_max = o->connections_max > 0 ? (size_t)o->connections_max : CONNECTIONS_MAX;
	list_init(&c->lines);
	list_init(&c->calls);
	*ret = c;
	return 0;
}

void http_client_set_token(struct http_client *c, struct str bearer_token)
{
	free(c->token);
	c->token = bearer_token.n ? xasprintf(STR_FMT, STR_ARG(bearer_token)) : NULL;
}

void http_client_free(struct http_client *c)
{
	struct link *next;

	if (!c)
		return;
	for (struct link *i = c->lines.next; i != &c->lines; i = i->next)
		line_close(container_of(i, struct line, all));
	for (struct link *i = c->calls.next; i != &c->calls; i = next) {
		next = i->next;
		http_call_cancel(container_of(i, struct http_call, all));
	}
	c->freed = true; /* goes with the last connection */
	client_release(c);
}
