/* grpc_health.c: one call over one connection. */
#include <nghttp2/nghttp2.h>

#include "http/conn.h"
#include "node/grpc_health.h"

enum { REPLY_MAX = 4096, SERVICE_MAX = 1024 };

struct check {
	struct loop *loop;
	struct arena arena;
	struct conn *conn;
	nghttp2_session *h2;
	struct loop_timer timer;
	struct str address;
	struct buf request, reply;
	size_t sent;
	int grpc_status; /* -1: not told */
	struct str grpc_message;
	int64_t timeout_ms;
	bool reported, connecting;
	void (*done)(void *user_data, bool serving, struct str message);
	void *user_data;
};

static void check_free(struct check *c)
{
	loop_timer_stop(&c->timer);
	if (c->h2)
		nghttp2_session_del(c->h2);
	buf_release(&c->request);
	buf_release(&c->reply);
	arena_release(&c->arena);
	free(c);
}

/* Says the result; what remains goes when the connection is closed. */
static void report(struct check *c, bool serving, struct str message)
{
	if (c->reported)
		return;
	c->reported = true;
	c->done(c->user_data, serving, message);
	loop_timer_stop(&c->timer);
	if (c->conn)
		conn_close(c->conn);
	else if (!c->connecting)
		check_free(c);
}

/* HealthCheckResponse: field 1, a varint: 1 = SERVING. */
static void judge(struct check *c)
{
	static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
	int status = 0;

	if (c->grpc_status > 0) {
		if (c->grpc_status == 12)
			report(c, false,
				arena_fmt(&c->arena,
					"error: this server does not implement the grpc health "
					"protocol "
					"(grpc.health.v1.Health): " STR_FMT,
					STR_ARG(c->grpc_message)));
		else
			report(c, false,
				arena_fmt(&c->arena,
					"error: health rpc probe failed: rpc error: code = %d desc "
					"= " STR_FMT,
					c->grpc_status, STR_ARG(c->grpc_message)));
		return;
	}
	if (c->reply.n >= 7 && c->reply.p[5] == 0x08)
		status = (unsigned char)c->reply.p[6];
	if (status == 1)
		report(c, true, S("service healthy"));
	else
		report(c, false,
			arena_fmt(&c->arena, "service unhealthy (responded with \"%s\")",
				names[status >= 0 && status < 4 ? status : 0]));
}

/* --- HTTP/2 --- */

static ssize_t read_request(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct check *c = user_data;
	size_t take = MIN(n, c->request.n - c->sent);

	(void)h2, (void)id, (void)source;
	memcpy(buf, c->request.p + c->sent, take);
	c->sent += take;
	if (c->sent == c->request.n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)take;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user_data)
{
	struct check *c = user_data;
	struct str n = str_n((const char *)name, name_n), v = str_n((const char *)value, value_n);
	int64_t status;

	(void)h2, (void)f, (void)flags;
	if (str_eq(n, S("grpc-status")) && str_to_i64(v, &status) == 0)
		c->grpc_status = (int)status;
	if (str_eq(n, S("grpc-message")))
		c->grpc_message = arena_str(&c->arena, v);
	return 0;
}

static int on_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
	void *user_data)
{
	struct check *c = user_data;

	(void)h2, (void)flags, (void)id;
	buf_add(&c->reply, data, n);
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user_data)
{
	struct check *c = user_data;

	(void)h2, (void)id;
	if (code && c->grpc_status < 0)
		report(c, false, S("error: health rpc probe failed: the stream was reset"));
	else
		judge(c);
	return 0;
}

static void flush(struct check *c)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0)
		conn_write(c->conn, str_n((const char *)data, (size_t)n));
}

static nghttp2_nv header(const char *name, struct str value)
{
	return (nghttp2_nv){
		(uint8_t *)name, (uint8_t *)value.p, strlen(name), value.n, NGHTTP2_NV_FLAG_NONE};
}

static int begin(struct check *c)
{
	nghttp2_session_callbacks *cb;
	nghttp2_data_provider body = {.read_callback = read_request};
	nghttp2_nv nv[] = {
		header(":method", S("POST")),
		header(":scheme", S("http")),
		header(":path", S("/grpc.health.v1.Health/Check")),
		header(":authority", c->address),
		header("content-type", S("application/grpc")),
		header("te", S("trailers")),
		header("user-agent", S("kube-probe/1.36")),
	};
	int r;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	r = nghttp2_session_client_new(&c->h2, cb, c);
	nghttp2_session_callbacks_del(cb);
	if (r != 0 || nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, NULL, 0) != 0 ||
		nghttp2_submit_request(c->h2, NULL, nv, ARRAY_SIZE(nv), &body, c) < 0)
		return -EIO;
	flush(c);
	return 0;
}

/* --- the connection --- */

static void on_data(struct conn *conn, struct str bytes)
{
	struct check *c = conn->user_data;

	if (c->reported)
		return;
	if (nghttp2_session_mem_recv(c->h2, (const uint8_t *)bytes.p, bytes.n) < 0)
		report(c, false, S("error: health rpc probe failed: not HTTP/2"));
	else if (!c->reported)
		flush(c);
}

static void on_eof(struct conn *conn)
{
	report(conn->user_data, false,
		S("error: health rpc probe failed: the connection was closed"));
}

static void on_close(struct conn *conn, int status)
{
	struct check *c = conn->user_data;

	(void)status;
	c->conn = NULL;
	if (!c->reported)
		report(c, false, S("error: health rpc probe failed: the connection was lost"));
	else
		check_free(c);
}

static const struct conn_events events = {
	.on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void connected(void *user_data, struct conn *conn, struct err *err)
{
	struct check *c = user_data;

	c->connecting = false;
	if (conn) {
		c->conn = conn;
		conn->events = &events;
		conn->user_data = c;
	}
	if (c->reported) {
		if (conn)
			conn_close(conn);
		else
			check_free(c);
		return;
	}
	if (!conn) {
		report(c, false,
			arena_fmt(&c->arena,
				"timeout: failed to connect service \"" STR_FMT
				"\" within %llds: %s",
				STR_ARG(c->address), (long long)(c->timeout_ms / 1000),
				err_text(err)));
		return;
	}
	conn_read_start(conn);
	if (begin(c) < 0)
		report(c, false, S("error: health rpc probe failed: cannot speak HTTP/2"));
}

static void timed_out(struct loop_timer *t)
{
	struct check *c = container_of(t, struct check, timer);

	report(c, false,
		arena_fmt(&c->arena, "timeout: health rpc did not complete within %llds",
			(long long)(c->timeout_ms / 1000)));
}

void grpc_health_check(struct loop *loop, struct str address, struct str service,
	int64_t timeout_ms, void (*done)(void *user_data, bool serving, struct str message),
	void *user_data)
{
	struct check *c = xcalloc(1, sizeof(*c));
	size_t n = MIN(service.n, (size_t)SERVICE_MAX), len = n ? n + (n < 128 ? 2 : 3) : 0;

	arena_init(&c->arena);
	c->loop = loop;
	c->address = arena_str(&c->arena, address);
	c->timeout_ms = timeout_ms;
	c->done = done;
	c->user_data = user_data;
	c->grpc_status = -1;
	c->connecting = true;
	buf_init(&c->request, 2 * SERVICE_MAX);
	buf_init(&c->reply, REPLY_MAX);
	buf_add(&c->request, (char[]){0, 0, 0, (char)(len >> 8), (char)len}, 5);
	if (n) {
		buf_add_char(&c->request, 0x0a);
		if (n >= 128)
			buf_add_char(&c->request, (char)(0x80 | (n & 0x7f)));
		buf_add_char(&c->request, (char)(n >= 128 ? n >> 7 : n));
		buf_add(&c->request, service.p, n);
	}
	loop_timer_init(&c->timer, loop, timed_out);
	loop_timer_start(&c->timer, timeout_ms);
	conn_connect(loop,
		&(struct conn_connect_opts){.address = c->address, .timeout_ms = (int)timeout_ms},
		connected, c);
}
