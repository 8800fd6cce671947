/* Exec and attach: stdin, stdout, stderr, error and resize over SPDY streams or WebSocket channels.
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/base64.h"
#include "http/mux.h"
#include "http/streams.h"
#include "http/websocket.h"
#include "json/write.h"

/* The numbers are those of the WebSocket channels. */
enum channel { C_STDIN, C_STDOUT, C_STDERR, C_ERROR, C_RESIZE, CHANNELS, C_CLOSE = 255 };

enum { CREATE_TIMEOUT_MS = 30 * 1000, RESIZE_MAX = 1024, MESSAGE_PART = 32 * 1024 };

static const char *const channel_names[CHANNELS] = {"stdin", "stdout", "stderr", "error", "resize"};

struct remote_session {
	struct loop *loop;
	struct remote_options o;
	const struct remote_events *events;
	void *owner;
	struct mux *mux; /* one of these two */
	struct websocket *ws;
	bool base64;
	int version;            /* of the protocol, 1 to 5 */
	uint32_t ids[CHANNELS]; /* SPDY streams; 0 = not there */
	bool wanted[CHANNELS];
	struct buf resize; /* an unfinished message */
	struct loop_timer timer;
	struct loop_task task; /* on_ready, or freeing */
	bool posted, ready, closed, stdin_closed, dead;
};

/* Input. */

static bool find_number(struct str text, struct str name, uint16_t *ret)
{
	ssize_t at = str_find(text, name);
	int64_t v = 0;
	size_t i;

	if (at < 0)
		return false;
	for (i = at + name.n;
		i < text.n && (text.p[i] == ' ' || text.p[i] == ':' || text.p[i] == '"');)
		i++;
	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && v <= UINT16_MAX; i++)
		v = v * 10 + text.p[i] - '0';
	*ret = (uint16_t)MIN(v, (int64_t)UINT16_MAX);
	return true;
}

/* {"Width":80,"Height":24}, one after the other. */
static void take_resize(struct remote_session *s, struct str bytes)
{
	ssize_t end;

	buf_add_str(&s->resize, bytes);
	if (buf_failed(&s->resize))
		buf_reset(&s->resize);
	while (!s->dead && (end = str_chr(buf_str(&s->resize), '}')) >= 0) {
		struct str one = str_n(s->resize.p, end);
		uint16_t width = 0, height = 0;

		if (find_number(one, S("Width"), &width) &&
			find_number(one, S("Height"), &height) && s->events->on_resize)
			s->events->on_resize(s, s->owner, width, height);
		buf_consume(&s->resize, end + 1);
	}
}

static void close_stdin(struct remote_session *s)
{
	if (s->stdin_closed || s->dead)
		return;
	s->stdin_closed = true;
	if (s->events->on_stdin_close)
		s->events->on_stdin_close(s, s->owner);
}

static void take_input(struct remote_session *s, enum channel c, struct str bytes)
{
	if (s->dead || !bytes.n || !s->wanted[c])
		return;
	if (c == C_STDIN && !s->stdin_closed)
		s->events->on_stdin(s, s->owner, bytes);
	else if (c == C_RESIZE)
		take_resize(s, bytes);
}

static void post(struct remote_session *s)
{
	if (s->posted)
		return;
	s->posted = true;
	loop_post(s->loop, &s->task);
}

static void closed(struct remote_session *s)
{
	if (s->closed || s->dead)
		return;
	s->closed = true;
	loop_timer_stop(&s->timer);
	s->events->on_closed(s, s->owner);
}

static void on_task(struct loop_task *t)
{
	struct remote_session *s = container_of(t, struct remote_session, task);

	s->posted = false;
	if (s->dead) {
		buf_release(&s->resize);
		free(s);
	} else if (!s->closed) {
		s->events->on_ready(s, s->owner);
	}
}

static void become_ready(struct remote_session *s)
{
	s->ready = true;
	loop_timer_stop(&s->timer);
	post(s);
}

/* The client did not open its streams. */
static void on_create_timeout(struct loop_timer *t)
{
	closed(container_of(t, struct remote_session, timer));
}

/* SPDY. */

static void spdy_stream(void *owner, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct remote_session *s = owner;
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		if (!str_ieq(h[i].name, S("streamtype")))
			continue;
		for (int c = 0; c < CHANNELS; c++) {
			if (!str_eqc(h[i].value, channel_names[c]) || !s->wanted[c] || s->ids[c])
				continue;
			s->ids[c] = id;
			spdy_write_reply(mux_spdy(s->mux), id, NULL, 0, false);
			if (c == C_STDIN)
				s->stdin_closed |= fin;
			for (int k = 0; k < CHANNELS; k++)
				all &= !s->wanted[k] || s->ids[k];
			if (all && !s->ready)
				become_ready(s);
			return;
		}
	}
	spdy_write_reset(mux_spdy(s->mux), id, SPDY_REFUSED_STREAM);
}

static void spdy_data(void *owner, uint32_t id, struct str part, bool fin)
{
	struct remote_session *s = owner;

	for (int c = 0; c < CHANNELS; c++) {
		if (s->ids[c] != id)
			continue;
		take_input(s, c, part);
		if (fin && c == C_STDIN)
			close_stdin(s);
		return;
	}
}

static void spdy_reset(void *owner, uint32_t id)
{
	struct remote_session *s = owner;

	if (id == s->ids[C_STDIN])
		close_stdin(s);
}

static void mux_writable(void *owner)
{
	struct remote_session *s = owner;

	if (!s->dead && s->events->on_writable)
		s->events->on_writable(s, s->owner);
}

static void mux_closed(void *owner)
{
	closed(owner);
}

static const struct mux_events remote_mux_events = {
	.on_stream = spdy_stream,
	.on_data = spdy_data,
	.on_reset = spdy_reset,
	.on_writable = mux_writable,
	.on_closed = mux_closed,
};

/* WebSocket. */

static void ws_message(struct websocket *w, void *owner, struct str m, bool text)
{
	struct remote_session *s = owner;
	unsigned channel;

	if (s->dead || !m.n)
		return;
	channel = (unsigned char)m.p[0];
	m = str_sub(m, 1, m.n);
	if (s->base64) {
		struct arena a = {0};
		struct str bytes;

		if (channel >= '0' && channel < '0' + CHANNELS &&
			base64_decode(m, &a, &bytes) == 0 && bytes.n)
			take_input(s, channel - '0', bytes);
		arena_release(&a);
	} else if (channel < CHANNELS) {
		take_input(s, channel, m);
	} else if (channel == C_CLOSE && s->version >= 5 && m.n == 1 && m.p[0] == C_STDIN) {
		close_stdin(s);
	}
}

static void ws_writable(struct websocket *w, void *owner)
{
	mux_writable(owner);
}

static void ws_closed(struct websocket *w, void *owner, int code)
{
	closed(owner);
}

static const struct websocket_events remote_ws_events = {
	.on_message = ws_message,
	.on_writable = ws_writable,
	.on_close = ws_closed,
};

static void ws_write(struct remote_session *s, enum channel c, struct str bytes)
{
	do {
		struct str part = str_sub(bytes, 0, MIN(bytes.n, (size_t)MESSAGE_PART));
		char m[1 + MESSAGE_PART * 4 / 3 + 8];
		size_t n = 1;

		m[0] = s->base64 ? (char)('0' + c) : (char)c;
		if (s->base64) {
			n += EVP_EncodeBlock(
				(unsigned char *)m + 1, (const unsigned char *)part.p, (int)part.n);
		} else if (part.n) {
			memcpy(m + 1, part.p, part.n);
			n += part.n;
		}
		websocket_send(s->ws, str_n(m, n), s->base64);
		bytes = str_sub(bytes, part.n, bytes.n);
	} while (bytes.n);
}

/* Accepting. */

struct protocol {
	const char *name;
	int version;
	bool base64;
};

static const struct protocol ws_protocols[] = {
	{"v5.channel.k8s.io", 5, false},
	{"v4.channel.k8s.io", 4, false},
	{"v4.base64.channel.k8s.io", 4, true},
	{"channel.k8s.io", 1, false},
	{"base64.channel.k8s.io", 1, true},
};

static const struct protocol spdy_protocols[] = {
	{"v4.channel.k8s.io", 4, false},
	{"v3.channel.k8s.io", 3, false},
	{"v2.channel.k8s.io", 2, false},
	{"channel.k8s.io", 1, false},
};

/* The first of ours that the client offers: newest first, as the client lists them. *offered: all
 * that it said. */
static const struct protocol *choose(const struct http_exchange *x, const char *header,
	const struct protocol *ours, size_t n, struct buf *offered)
{
	for (size_t i = 0; i < x->n_headers; i++) {
		if (!str_ieq(x->headers[i].name, str_c(header)))
			continue;
		if (offered->n)
			buf_add_char(offered, ' ');
		buf_add_str(offered, x->headers[i].value);
	}
	for (size_t i = 0; i < n; i++)
		if (http_header_has(x->headers, x->n_headers, header, ours[i].name))
			return &ours[i];
	return NULL;
}

static int no_protocol(struct buf *offered, struct err *err)
{
	err_fmt(err, 403, "Forbidden",
		"unable to upgrade: unable to negotiate protocol: client supports [" STR_FMT
		"], server accepts [v5.channel.k8s.io v4.channel.k8s.io v3.channel.k8s.io "
		"v2.channel.k8s.io channel.k8s.io]",
		STR_ARG(buf_str(offered)));
	return -EACCES;
}

static int accept_websocket(
	struct remote_session *s, struct http_exchange *x, struct buf *offered, struct err *err)
{
	const struct protocol *p = choose(
		x, "Sec-WebSocket-Protocol", ws_protocols, ARRAY_SIZE(ws_protocols), offered);
	int rc;

	if (!p && offered->n)
		return no_protocol(offered, err);
	s->version = p ? p->version : 1;
	s->base64 = p && p->base64;
	rc = websocket_accept(x, p ? str_c(p->name) : S(""), &remote_ws_events, s, &s->ws, err);
	if (rc < 0)
		return rc;
	/* An empty message tells the client that the streams are there. */
	ws_write(s,
		s->wanted[C_STDOUT]   ? C_STDOUT
		: s->wanted[C_STDERR] ? C_STDERR
				      : C_ERROR,
		(struct str){0});
	become_ready(s);
	return 0;
}

static int accept_spdy(
	struct remote_session *s, struct http_exchange *x, struct buf *offered, struct err *err)
{
	const struct protocol *p = choose(x, "X-Stream-Protocol-Version", spdy_protocols,
		ARRAY_SIZE(spdy_protocols), offered);

	if (!p && offered->n)
		return no_protocol(offered, err);
	s->version = p ? p->version : 1;
	s->wanted[C_RESIZE] &= s->version >= 3;
	return mux_accept_spdy(x, p ? str_c(p->name) : S(""), &remote_mux_events, s, &s->mux, err);
}

int remote_accept(struct http_exchange *x, const struct remote_options *o,
	const struct remote_events *events, void *owner, struct remote_session **ret,
	struct err *err)
{
	struct remote_session *s;
	struct buf offered;
	int rc;

	if (!upgrade_is_websocket(x) && !upgrade_is_spdy(x))
		return upgrade_missing(err);
	s = xcalloc(1, sizeof(*s));
	s->loop = x->loop;
	s->o = *o;
	s->events = events;
	s->owner = owner;
	s->task.fn = on_task;
	s->wanted[C_STDIN] = o->stdin;
	s->wanted[C_STDOUT] = o->stdout;
	s->wanted[C_STDERR] = o->stderr && !o->tty;
	s->wanted[C_ERROR] = true;
	s->wanted[C_RESIZE] = o->tty;
	buf_init(&s->resize, RESIZE_MAX);
	buf_init(&offered, 64 * 1024);
	loop_timer_init(&s->timer, s->loop, on_create_timeout);
	rc = upgrade_is_websocket(x) ? accept_websocket(s, x, &offered, err)
				     : accept_spdy(s, x, &offered, err);
	buf_release(&offered);
	if (rc < 0) {
		free(s);
		return rc;
	}
	if (!s->ready)
		loop_timer_start(
			&s->timer, o->create_timeout_ms ? o->create_timeout_ms : CREATE_TIMEOUT_MS);
	*ret = s;
	return 0;
}

/* Output. */

static void write_channel(struct remote_session *s, enum channel c, struct str bytes)
{
	if (s->closed || s->dead || !s->wanted[c] || !bytes.n)
		return;
	if (s->ws)
		ws_write(s, c, bytes);
	else if (s->ids[c])
		spdy_write_data(mux_spdy(s->mux), s->ids[c], bytes, false);
}

void remote_write_stdout(struct remote_session *s, struct str bytes)
{
	write_channel(s, C_STDOUT, bytes);
}

void remote_write_stderr(struct remote_session *s, struct str bytes)
{
	write_channel(s, C_STDERR, bytes);
}

size_t remote_pending(const struct remote_session *s)
{
	if (s->closed || s->dead)
		return 0;
	return s->ws ? websocket_pending(s->ws) : mux_pending(s->mux);
}

void remote_stdin_pause(struct remote_session *s)
{
	if (s->closed || s->dead)
		return;
	if (s->ws)
		websocket_pause(s->ws);
	else
		mux_pause(s->mux);
}

void remote_stdin_resume(struct remote_session *s)
{
	if (s->closed || s->dead)
		return;
	if (s->ws)
		websocket_resume(s->ws);
	else
		mux_resume(s->mux);
}

static void write_status(
	struct remote_session *s, struct buf *b, int exit_code, const char *message)
{
	char code[16], text[96];

	if (s->version < 4) {
		if (message)
			buf_add_c(b, message);
		else if (exit_code)
			buf_fmt(b, "command terminated with non-zero exit code: exit status %d",
				exit_code);
		return;
	}
	if (!message && exit_code == 0) {
		buf_add_c(b, "{\"metadata\":{},\"status\":\"Success\"}");
		return;
	}
	buf_add_c(b, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
	if (message) {
		char *full = xasprintf("Internal error occurred: %s", message);

		json_write_string(b, str_c(full));
		free(full);
		buf_add_c(
			b, ",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":");
		json_write_string(b, str_c(message));
		buf_add_c(b, "}]},\"code\":500}");
		return;
	}
	snprintf(text, sizeof(text), "command terminated with non-zero exit code: exit status %d",
		exit_code);
	snprintf(code, sizeof(code), "%d", exit_code);
	json_write_string(b, str_c(text));
	buf_add_c(b, ",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":"
		     "\"ExitCode\",\"message\":");
	json_write_string(b, str_c(code));
	buf_add_c(b, "}]}}");
}

/* The memory goes on a later turn: a callback of ours may be running. */
static void release(struct remote_session *s)
{
	s->dead = true;
	loop_timer_stop(&s->timer);
	post(s);
}

void remote_finish(struct remote_session *s, int exit_code, const char *message)
{
	struct buf b;

	if (s->closed) {
		remote_abort(s);
		return;
	}
	buf_init(&b, 64 * 1024);
	write_status(s, &b, exit_code, message);
	write_channel(s, C_ERROR, buf_str(&b));
	buf_release(&b);
	if (s->ws) {
		websocket_close(s->ws, 1000);
	} else {
		for (int c = 0; c < CHANNELS; c++)
			if (s->ids[c])
				spdy_write_data(mux_spdy(s->mux), s->ids[c], (struct str){0}, true);
		mux_end(s->mux);
	}
	release(s);
}

void remote_abort(struct remote_session *s)
{
	if (s->ws)
		websocket_abort(s->ws);
	else
		mux_abort(s->mux);
	release(s);
}
