/* Port forwarding: pairs of SPDY streams, data and error, one pair for each connection at the
 * client. */
#include <stdio.h>

#include "http/mux.h"
#include "http/streams.h"

enum { STREAMS_MAX = 1000 };

struct forward_stream {
	struct forward_session *session;
	struct forward_stream *next;
	void *data;
	char request_id[24];
	uint16_t port;
	uint32_t data_id, error_id; /* 0: not there yet */
	bool opened, paused, eof;
};

struct forward_session {
	struct mux *mux;
	const struct forward_events *events;
	void *owner;
	struct forward_stream *streams;
	size_t n, paused;
	bool closed;
};

static struct str header_of(const struct http_header *h, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(h[i].name, str_c(name)))
			return h[i].value;
	return (struct str){0};
}

static struct forward_stream *by_request(struct forward_session *s, struct str id)
{
	for (struct forward_stream *f = s->streams; f; f = f->next)
		if (str_eqc(id, f->request_id))
			return f;
	return NULL;
}

static struct forward_stream *by_data_id(struct forward_session *s, uint32_t id)
{
	for (struct forward_stream *f = s->streams; f; f = f->next)
		if (f->data_id == id)
			return f;
	return NULL;
}

static struct forward_stream *stream_add(struct forward_session *s, struct str id, uint16_t port)
{
	struct forward_stream *f = xcalloc(1, sizeof(*f));

	f->session = s;
	f->port = port;
	memcpy(f->request_id, id.p, id.n);
	f->next = s->streams;
	s->streams = f;
	s->n++;
	return f;
}

static void stream_remove(struct forward_stream *f)
{
	struct forward_session *s = f->session;

	for (struct forward_stream **at = &s->streams; *at; at = &(*at)->next) {
		if (*at == f) {
			*at = f->next;
			break;
		}
	}
	s->n--;
	s->paused -= f->paused;
	free(f);
}

/* Clients before 1.1 gave no request id: the data stream follows its error stream. */
static struct str request_id(
	const struct http_header *h, size_t n, uint32_t id, bool is_data, char *space, size_t size)
{
	struct str given = header_of(h, n, "requestid");

	if (given.n)
		return given;
	snprintf(space, size, "%u", is_data && id >= 2 ? id - 2 : id);
	return str_c(space);
}

static void on_stream(void *owner, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct forward_session *s = owner;
	struct str type = header_of(h, n, "streamtype"), request;
	bool is_data = str_eqc(type, "data");
	struct forward_stream *f;
	char space[16];
	int64_t port;

	request = request_id(h, n, id, is_data, space, sizeof(space));
	if ((!is_data && !str_eqc(type, "error")) || request.n >= sizeof(f->request_id) ||
		str_to_i64(header_of(h, n, "port"), &port) < 0 || port < 1 || port > 65535) {
		spdy_write_reset(mux_spdy(s->mux), id, SPDY_REFUSED_STREAM);
		return;
	}
	f = by_request(s, request);
	if ((f && (is_data ? f->data_id : f->error_id)) || (!f && s->n >= STREAMS_MAX)) {
		spdy_write_reset(mux_spdy(s->mux), id, SPDY_REFUSED_STREAM);
		return;
	}
	if (!f)
		f = stream_add(s, request, (uint16_t)port);
	*(is_data ? &f->data_id : &f->error_id) = id;
	spdy_write_reply(mux_spdy(s->mux), id, NULL, 0, false);
	if (f->data_id && f->error_id) {
		f->opened = true;
		s->events->on_open(s, s->owner, f, f->port);
	}
}

static void on_data(void *owner, uint32_t id, struct str part, bool fin)
{
	struct forward_session *s = owner;
	struct forward_stream *f = by_data_id(s, id);

	if (!f || !f->opened || f->eof)
		return;
	f->eof = fin;
	if (part.n)
		s->events->on_data(f, part);
	if (fin && by_data_id(s, id) == f) /* it may have been closed just now */
		s->events->on_eof(f);
}

static void on_reset(void *owner, uint32_t id)
{
	struct forward_session *s = owner;
	struct forward_stream *f = by_data_id(s, id);

	if (f && f->opened)
		s->events->on_reset(f);
}

static void on_writable(void *owner)
{
	struct forward_session *s = owner;
	struct forward_stream *next;

	for (struct forward_stream *f = s->streams; f; f = next) {
		next = f->next;
		if (f->opened && s->events->on_writable)
			s->events->on_writable(f);
	}
}

static void on_closed(void *owner)
{
	struct forward_session *s = owner;
	struct forward_stream *next;

	s->closed = true;
	for (struct forward_stream *f = s->streams; f; f = next) {
		next = f->next;
		if (f->opened)
			s->events->on_reset(f);
	}
	s->events->on_closed(s, s->owner);
}

static const struct mux_events forward_mux_events = {
	.on_stream = on_stream,
	.on_data = on_data,
	.on_reset = on_reset,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

int forward_accept(struct http_exchange *x, const struct forward_events *events, void *owner,
	struct forward_session **ret, struct err *err)
{
	struct forward_session *s = xcalloc(1, sizeof(*s));
	int rc;

	s->events = events;
	s->owner = owner;
	if (upgrade_is_websocket(x)) {
		static const char tunnel[] = "SPDY/3.1+portforward.k8s.io";

		if (http_header_has(x->headers, x->n_headers, "Sec-WebSocket-Protocol", tunnel))
			rc = mux_accept_websocket(
				x, str_c(tunnel), &forward_mux_events, s, &s->mux, err);
		else
			rc = err_bad_request(err,
				"unable to upgrade: the only WebSocket protocol is %s", tunnel);
	} else if (!upgrade_is_spdy(x)) {
		rc = upgrade_missing(err);
	} else if (!http_header_has(x->headers, x->n_headers, "X-Stream-Protocol-Version",
			   "portforward.k8s.io") &&
		   http_get_header(x, "X-Stream-Protocol-Version").n) {
		err_fmt(err, 403, "Forbidden",
			"unable to upgrade: unable to negotiate protocol: client supports [" STR_FMT
			"], server accepts [portforward.k8s.io]",
			STR_ARG(http_get_header(x, "X-Stream-Protocol-Version")));
		rc = -EACCES;
	} else {
		rc = mux_accept_spdy(
			x, S("portforward.k8s.io"), &forward_mux_events, s, &s->mux, err);
	}
	if (rc < 0) {
		free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void forward_set_data(struct forward_stream *f, void *data)
{
	f->data = data;
}

void *forward_data(const struct forward_stream *f)
{
	return f->data;
}

void forward_write(struct forward_stream *f, struct str bytes)
{
	if (!f->session->closed)
		spdy_write_data(mux_spdy(f->session->mux), f->data_id, bytes, false);
}

size_t forward_pending(const struct forward_stream *f)
{
	return f->session->closed ? 0 : mux_pending(f->session->mux);
}

void forward_pause(struct forward_stream *f)
{
	if (f->paused)
		return;
	f->paused = true;
	if (f->session->paused++ == 0 && !f->session->closed)
		mux_pause(f->session->mux);
}

void forward_resume(struct forward_stream *f)
{
	if (!f->paused)
		return;
	f->paused = false;
	if (--f->session->paused == 0 && !f->session->closed)
		mux_resume(f->session->mux);
}

void forward_close(struct forward_stream *f, const char *message)
{
	struct forward_session *s = f->session;

	if (!s->closed) {
		struct spdy *spdy = mux_spdy(s->mux);

		spdy_write_data(spdy, f->error_id, str_c(message), true);
		spdy_write_data(spdy, f->data_id, (struct str){0}, true);
	}
	forward_resume(f);
	stream_remove(f);
}

void forward_end(struct forward_session *s)
{
	while (s->streams)
		stream_remove(s->streams);
	if (s->closed)
		mux_abort(s->mux);
	else
		mux_end(s->mux);
	free(s);
}
