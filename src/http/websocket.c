/* Frames by wslay; the connection, the handshake and an orderly end by us. */
#include <openssl/evp.h>
#include <wslay/wslay.h>

#include "http/conn_int.h"
#include "http/websocket.h"

enum { CLOSE_WAIT_MS = 5000 };

struct websocket {
	struct conn *conn;
	wslay_event_context_ptr ctx;
	const struct websocket_events *events;
	void *owner;
	struct str input; /* what wslay may read now */
	struct buf held;  /* input that came while paused */
	struct loop_timer timer;
	struct loop_task task; /* goes on with held input */
	bool posted, paused, reading, told, dead, gone;
};

static ssize_t give_input(
	wslay_event_context_ptr ctx, uint8_t *p, size_t size, int flags, void *arg)
{
	struct websocket *w = arg;
	size_t n = MIN(size, w->input.n);

	if (!n || w->paused || w->dead) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(p, w->input.p, n);
	w->input = str_sub(w->input, n, w->input.n);
	return (ssize_t)n;
}

static ssize_t take_output(
	wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct websocket *w = arg;

	conn_queue(w->conn, str_n((const char *)p, n));
	return (ssize_t)n;
}

static int make_mask(wslay_event_context_ptr ctx, uint8_t *p, size_t n, void *arg)
{
	struct websocket *w = arg;
	uint64_t r = loop_random(w->conn->loop);

	memcpy(p, &r, MIN(n, sizeof(r)));
	return 0;
}

static void tell_close(struct websocket *w, int code)
{
	if (w->told || w->dead)
		return;
	w->told = true;
	w->events->on_close(w, w->owner, code);
}

static void got_message(
	wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	struct websocket *w = arg;

	if (w->dead)
		return;
	if (m->opcode == WSLAY_CONNECTION_CLOSE)
		tell_close(w, m->status_code ? m->status_code : 1005);
	else if (!wslay_is_ctrl_frame(m->opcode))
		w->events->on_message(w, w->owner, str_n((const char *)m->msg, m->msg_length),
			m->opcode == WSLAY_TEXT_FRAME);
}

static const struct wslay_event_callbacks callbacks = {
	.recv_callback = give_input,
	.send_callback = take_output,
	.genmask_callback = make_mask,
	.on_msg_recv_callback = got_message,
};

/* Moves wslay's output to the connection; it leaves at the end of the turn. */
static void push(struct websocket *w)
{
	if (wslay_event_want_write(w->ctx))
		wslay_event_send(w->ctx);
	conn_flush_later(w->conn);
}

static void free_websocket(struct websocket *w)
{
	loop_timer_stop(&w->timer);
	wslay_event_context_free(w->ctx);
	buf_release(&w->held);
	free(w);
}

static void read_more(struct websocket *w, struct str bytes)
{
	int rc;

	if (w->held.n) {
		buf_add_str(&w->held, bytes);
		bytes = buf_str(&w->held);
	}
	w->input = bytes;
	w->reading = true;
	rc = wslay_event_recv(w->ctx);
	w->reading = false;
	push(w);
	if (w->held.n)
		buf_consume(&w->held, w->held.n - w->input.n);
	else if (w->input.n)
		buf_add_str(&w->held, w->input);
	w->input = (struct str){0};
	if (rc < 0 || buf_failed(&w->held) || wslay_event_get_close_received(w->ctx)) {
		if (rc < 0 || buf_failed(&w->held))
			tell_close(w, 1002);
		if (!w->gone)
			conn_close(w->conn);
	}
}

static void on_data(struct conn *c, struct str bytes)
{
	read_more(c->user_data, bytes);
}

static void on_eof(struct conn *c)
{
	struct websocket *w = c->user_data;

	tell_close(w, 1006);
	conn_close(c);
}

static void on_writable(struct conn *c)
{
	struct websocket *w = c->user_data;

	if (!w->dead && !w->told && w->events->on_writable)
		w->events->on_writable(w, w->owner);
}

static void on_conn_close(struct conn *c, int status)
{
	struct websocket *w = c->user_data;

	w->gone = true;
	w->conn = NULL;
	loop_timer_stop(&w->timer);
	w->reading = true; /* an abort from inside is finished here */
	tell_close(w, 1006);
	w->reading = false;
	if (w->dead && !w->posted)
		free_websocket(w);
}

static void drop_data(struct conn *c, struct str bytes)
{
}

static void drop_eof(struct conn *c)
{
	conn_close(c);
}

/* After our close frame: whatever comes is dropped until the peer ends the connection too. */
static const struct conn_events drain_events = {
	.on_data = drop_data,
	.on_eof = drop_eof,
	.on_close = on_conn_close,
};

static const struct conn_events conn_events = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_writable = on_writable,
	.on_close = on_conn_close,
};

static void on_task(struct loop_task *t)
{
	struct websocket *w = container_of(t, struct websocket, task);

	w->posted = false;
	if (w->gone && w->dead) {
		free_websocket(w);
		return;
	}
	if (w->gone || w->paused)
		return;
	read_more(w, (struct str){0});
	if (!w->gone && !w->paused)
		conn_read_start(w->conn);
}

static void on_wait_over(struct loop_timer *t)
{
	conn_abort(container_of(t, struct websocket, timer)->conn);
}

static struct websocket *websocket_new(
	struct conn *c, bool server, const struct websocket_events *events, void *owner)
{
	struct websocket *w = xcalloc(1, sizeof(*w));
	int rc;

	w->conn = c;
	w->events = events;
	w->owner = owner;
	w->task.fn = on_task;
	buf_init(&w->held, 1024 * 1024);
	loop_timer_init(&w->timer, c->loop, on_wait_over);
	rc = server ? wslay_event_context_server_init(&w->ctx, &callbacks, w)
		    : wslay_event_context_client_init(&w->ctx, &callbacks, w);
	if (rc != 0)
		abort(); /* out of memory */
	wslay_event_config_set_max_recv_msg_length(w->ctx, WEBSOCKET_MESSAGE_MAX);
	c->events = &conn_events;
	c->user_data = w;
	conn_read_start(c);
	return w;
}

struct str websocket_accept_value(struct arena *a, struct str key)
{
	/* RFC 6455 1.3 */
	struct str text =
		arena_fmt(a, STR_FMT "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", STR_ARG(key));
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char *out = arena_alloc(a, 64);

	EVP_Digest(text.p, text.n, digest, &n, EVP_sha1(), NULL);
	return str_n(out, EVP_EncodeBlock((unsigned char *)out, digest, (int)n));
}

struct str websocket_key(struct arena *a, struct loop *loop)
{
	uint64_t r[2] = {loop_random(loop), loop_random(loop)};
	char *out = arena_alloc(a, 64);

	return str_n(out, EVP_EncodeBlock((unsigned char *)out, (unsigned char *)r, sizeof(r)));
}

int websocket_accept(struct http_exchange *x, struct str protocol,
	const struct websocket_events *events, void *owner, struct websocket **ret, struct err *err)
{
	struct str key = http_get_header(x, "Sec-WebSocket-Key");
	struct conn *c;

	if (!str_eqc(http_get_header(x, "Sec-WebSocket-Version"), "13"))
		return err_bad_request(err, "websocket: unsupported version");
	if (key.n != 24)
		return err_bad_request(err, "websocket: missing or bad Sec-WebSocket-Key");
	x->n_out_headers = 0;
	http_header(x, "Upgrade", S("websocket"));
	http_header(x, "Connection", S("Upgrade"));
	http_header(x, "Sec-WebSocket-Accept", websocket_accept_value(&x->arena, key));
	if (protocol.n)
		http_header(x, "Sec-WebSocket-Protocol", protocol);
	c = x->ops->upgrade(x, err);
	if (!c)
		return -EINVAL;
	*ret = websocket_new(c, true, events, owner);
	return 0;
}

struct websocket *websocket_client(
	struct conn *c, const struct websocket_events *events, void *owner)
{
	return websocket_new(c, false, events, owner);
}

void websocket_send(struct websocket *w, struct str message, bool text)
{
	struct wslay_event_msg m = {text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME,
		(const uint8_t *)message.p, message.n};

	if (w->gone || w->dead || w->told)
		return;
	wslay_event_queue_msg(w->ctx, &m);
	if (!w->reading) /* else read_more pushes */
		push(w);
}

size_t websocket_pending(const struct websocket *w)
{
	return w->gone ? 0 : w->conn->pending + wslay_event_get_queued_msg_length(w->ctx);
}

void websocket_pause(struct websocket *w)
{
	w->paused = true;
	if (!w->gone)
		conn_read_stop(w->conn);
}

void websocket_resume(struct websocket *w)
{
	if (!w->paused)
		return;
	w->paused = false;
	if (w->gone || w->posted)
		return;
	w->posted = true;
	loop_post(w->conn->loop, &w->task);
}

void websocket_close(struct websocket *w, int code)
{
	w->paused = false;
	if (w->gone || w->told) {
		websocket_abort(w);
		return;
	}
	wslay_event_queue_close(w->ctx, (uint16_t)code, NULL, 0);
	push(w);
	w->dead = true;
	buf_reset(&w->held);
	loop_timer_start(&w->timer, CLOSE_WAIT_MS);
	w->conn->events = &drain_events;
	conn_shutdown(w->conn);
	conn_read_start(w->conn);
}

void websocket_abort(struct websocket *w)
{
	w->dead = true;
	if (!w->gone)
		conn_close(w->conn);
	else if (!w->posted && !w->reading)
		free_websocket(w);
}
