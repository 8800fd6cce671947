#include "http/client.h"
#include "http/spdy.h"
#include "node/cri_grpc/session.h"

struct session {
	struct cri_grpc *g;
	struct session *prev, *next;
	const struct session_events *events;
	void *owner;
	const char *protocol;
	struct http_client *http;
	struct conn *conn;
	struct spdy *spdy;
	uint32_t next_stream;
	bool asking; /* the call for the URL is under way */
	bool paused, closed;
};

static void session_free(struct session *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->g->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (s->spdy)
		spdy_free(s->spdy);
	if (s->http)
		http_client_free(s->http);
	free(s);
}

/* The owner hears of it once; then the session is gone, as soon as nothing may call it any more. */
static void fail(struct session *s, struct err *err)
{
	if (!s->closed) {
		s->closed = true;
		s->events->on_failed(s->owner, err);
	}
	if (s->conn)
		conn_abort(s->conn);
	else
		session_free(s);
}

/* --- SPDY --- */

static void output(void *arg, struct str bytes)
{
	struct session *s = arg;

	if (s->conn && !s->closed)
		conn_write(s->conn, bytes);
}

static void on_stream(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct session *s = arg;

	(void)h, (void)n, (void)fin;
	spdy_write_reset(s->spdy, id, SPDY_REFUSED_STREAM); /* a server opens none */
}

static void on_data(void *arg, uint32_t id, struct str part, bool fin)
{
	struct session *s = arg;

	if (!s->closed)
		s->events->on_data(s->owner, id, part, fin);
}

static void on_reset(void *arg, uint32_t id, uint32_t status)
{
	struct session *s = arg;

	(void)status;
	if (!s->closed)
		s->events->on_reset(s->owner, id);
}

static const struct spdy_callbacks spdy_callbacks = {
	.output = output,
	.on_stream = on_stream,
	.on_data = on_data,
	.on_reset = on_reset,
};

/* --- the connection --- */

static void conn_data(struct conn *c, struct str bytes)
{
	struct session *s = c->user_data;
	struct err err CLEANUP(err_release) = {0};

	if (spdy_read(s->spdy, bytes) == 0)
		return;
	err_internal(&err, "the container runtime's streaming server does not speak SPDY/3.1");
	fail(s, &err);
}

static void conn_eof(struct conn *c)
{
	conn_close(c);
}

static void conn_writable(struct conn *c)
{
	struct session *s = c->user_data;

	if (!s->closed)
		s->events->on_writable(s->owner);
}

static void conn_gone(struct conn *c, int status)
{
	struct session *s = c->user_data;
	struct err err CLEANUP(err_release) = {0};

	s->conn = NULL;
	err_errno(
		&err, status < 0 ? -status : ECONNRESET, "the container runtime closed the stream");
	fail(s, &err);
}

static const struct conn_events conn_events = {
	.on_data = conn_data,
	.on_eof = conn_eof,
	.on_writable = conn_writable,
	.on_close = conn_gone,
};

/* What is left of a connection whose session went with the backend. */
static void orphan_gone(struct conn *c, int status)
{
	(void)c, (void)status;
}

static const struct conn_events orphan_events = {.on_close = orphan_gone};

/* --- opening --- */

static void upgraded(
	void *user_data, struct conn *conn, const struct http_response *r, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct session *s = user_data;

	if (!conn) {
		if (!err)
			err_internal(&mine, "unable to upgrade streaming request: %d: " STR_FMT,
				r->status, STR_ARG(r->body));
		fail(s, err ? err : &mine);
		return;
	}
	s->conn = conn;
	conn->events = &conn_events;
	conn->user_data = s;
	s->spdy = spdy_new(&spdy_callbacks, s);
	s->events->on_ready(s->owner);
	if (!s->closed && !s->paused)
		conn_read_start(conn);
}

/* http://127.0.0.1:4711/exec/token */
static int connect_to(struct session *s, struct str url, struct err *err)
{
	struct http_header protocol = {S("X-Stream-Protocol-Version"), str_c(s->protocol)};
	struct str rest;
	ssize_t slash;
	int r;

	if (!str_starts(url, S("http://")))
		return err_internal(err,
			"the container runtime's streaming server has an address that is not "
			"supported: \"" STR_FMT "\"",
			STR_ARG(url));
	rest = str_sub(url, 7, url.n);
	slash = str_chr(rest, '/');
	if (slash < 0)
		slash = (ssize_t)rest.n;
	r = http_client_new(s->g->cri.loop,
		&(struct http_client_opts){.url = str_sub(url, 0, 7 + (size_t)slash)}, &s->http,
		err);
	if (r < 0)
		return r;
	http_client_upgrade(s->http,
		&(struct http_request){.method = "POST",
			.path = (size_t)slash < rest.n ? str_sub(rest, (size_t)slash, rest.n)
						       : S("/"),
			.headers = &protocol,
			.n_headers = 1},
		"SPDY/3.1", upgraded, s);
	return 0;
}

static void got_url(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct session *s = c->user_data;
	struct text_message *m;

	s->asking = false;
	if (s->closed) {
		session_free(s);
		return;
	}
	m = err ? NULL : call_decode(c, &text_message, &mine);
	if (!m || connect_to(s, m->text, &mine) < 0)
		fail(s, err ? err : &mine);
}

struct session *session_open(struct cri_grpc *g, const char *method, const struct wire_type *type,
	const void *request, const char *protocol, const struct session_events *events, void *owner)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->g = g;
	s->events = events;
	s->owner = owner;
	s->protocol = protocol;
	s->next_stream = 1;
	s->asking = true;
	s->next = g->sessions;
	if (s->next)
		s->next->prev = s;
	g->sessions = s;
	call_start(g, method, type, request, CALL_TIMEOUT_MS, got_url)->user_data = s;
	return s;
}

/* --- using --- */

uint32_t session_stream(struct session *s, const struct http_header *h, size_t n, bool fin)
{
	uint32_t id = s->next_stream;

	s->next_stream += 2; /* a client's are odd */
	spdy_write_stream(s->spdy, id, h, n, fin);
	return id;
}

void session_write(struct session *s, uint32_t stream, struct str bytes, bool fin)
{
	spdy_write_data(s->spdy, stream, bytes, fin);
}

size_t session_pending(const struct session *s)
{
	return s->conn ? s->conn->pending : 0;
}

void session_pause(struct session *s)
{
	s->paused = true;
	if (s->conn)
		conn_read_stop(s->conn);
}

void session_resume(struct session *s)
{
	s->paused = false;
	if (s->conn)
		conn_read_start(s->conn);
}

void session_close(struct session *s)
{
	s->closed = true;
	if (s->conn)
		conn_close(s->conn); /* freed when it is gone: we may be inside SPDY's reading */
	else if (!s->asking)
		session_free(s);
}

void sessions_free(struct cri_grpc *g)
{
	struct err err CLEANUP(err_release) = {0};

	err_internal(&err, "the container runtime's client ends");
	for (struct session *s = g->sessions, *next; s; s = next) {
		next = s->next;
		if (!s->closed) {
			s->closed = true;
			s->events->on_failed(s->owner, &err);
		}
		if (s->conn) {
			s->conn->events = &orphan_events;
			conn_abort(s->conn);
		}
		session_free(s);
	}
}
