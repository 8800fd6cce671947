#include "apiserver/relay.h"

#include <openssl/ssl.h>
#include <zlib.h>

#include "apiserver/html_links.h"
#include "http/client.h"
#include "http/conn.h"
#include "http/server.h"

enum {
	PENDING_MAX = 1024 * 1024, /* bytes the client has not taken: the other server waits */
	ERROR_MAX = 50 * 1024,     /* of an error's text */
	HEAD_TIMEOUT_MS = 30 * 1000,
	INFLATE_CHUNK = 64 * 1024,
	PAGE_MAX = 1 << 30, /* of the page's bytes that one piece of the answer becomes */
	ZLIB_OR_GZIP = 15 + 32,
};

/* A page whose links are rewritten as it passes. */
struct page {
	struct html_links links;
	struct buf out;
	bool compressed;
	z_stream z;
};

struct relay {
	struct request *r;
	struct http_client *client;
	struct http_call *call;
	bool logs, paused;
	int status; /* of an answer that is collected as an error's text */
	struct buf text;
	struct link_base base; /* no prefix: links stay */
	struct page *page;     /* NULL: the answer is none */
};

/* --- headers --- */

/* RFC 9110 7.6.1: of one connection alone; and what we say ourselves. */
static bool is_own(struct str name)
{
	static const char *const names[] = {"Connection", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Host",
		"Content-Length", "Authorization", NULL};

	for (size_t i = 0; names[i]; i++)
		if (str_ieq(name, str_c(names[i])))
			return true;
	return false;
}

struct header_list {
	struct http_header *v;
	size_t n;
};

/* The server behind a proxy sees which host the client asked, as upstream's shows it. */
static struct header_list request_headers(struct request *r, const struct relay_target *t)
{
	struct header_list h = {0};
	struct http_header uri = {S("X-Forwarded-Uri"), S("")}, host = {S("Host"), S("")};
	struct http_header via = {S("X-Forwarded-For"), r->x->peer.address};
	ssize_t colon = str_rchr(via.value, ':');

	for (size_t i = 0; i < r->x->n_headers; i++)
		if (!is_own(r->x->headers[i].name))
			ARENA_PUSH(r->arena, &h, r->x->headers[i]);
	if (colon > 0)
		via.value.n = (size_t)colon;
	if (via.value.n)
		ARENA_PUSH(r->arena, &h, via);
	if (!t->prefix.n)
		return h;
	uri.value = arena_fmt(r->arena, STR_FMT STR_FMT, STR_ARG(t->prefix),
		STR_ARG(str_sub(t->path, 0,
			str_chr(t->path, '?') < 0 ? t->path.n : (size_t)str_chr(t->path, '?'))));
	ARENA_PUSH(r->arena, &h, uri);
	host.value = http_get_header(r->x, "Host");
	if (host.value.n)
		ARENA_PUSH(r->arena, &h, host);
	return h;
}

static void answer_headers(struct http_exchange *x, const struct http_response *a, bool upgrade)
{
	for (size_t i = 0; i < a->n_headers; i++) {
		const struct http_header *h = &a->headers[i];
		bool keep = upgrade ? !str_ieq(h->name, S("Content-Length"))
				    : !is_own(h->name) || str_ieq(h->name, S("Content-Length"));

		if (keep)
			http_header(x, arena_cstr(&x->arena, h->name), h->value);
	}
}

static struct str answer_header(const struct http_response *a, const char *name)
{
	for (size_t i = 0; i < a->n_headers; i++)
		if (str_ieq(a->headers[i].name, str_c(name)))
			return a->headers[i].value;
	return S("");
}

/* What other origins may do is for the API server to say, not for who is behind its proxy. */
static bool is_cors(struct str name)
{
	static const char *const names[] = {"Access-Control-Allow-Credentials",
		"Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_ieq(name, str_c(names[i])))
			return true;
	return false;
}

static void proxied_headers(struct relay *l, const struct http_response *a)
{
	struct http_exchange *x = l->r->x;

	for (size_t i = 0; i < a->n_headers; i++) {
		struct http_header h = a->headers[i];
		bool length = str_ieq(h.name, S("Content-Length"));

		if (is_cors(h.name) || (is_own(h.name) && !length) ||
			(l->page && (length || str_ieq(h.name, S("Content-Encoding")))))
			continue;
		if (str_ieq(h.name, S("Location")))
			h.value = link_rewrite(l->r->arena, &l->base, h.value);
		http_header(x, arena_cstr(&x->arena, h.name), h.value);
	}
}

/* --- pages --- */

static void free_page(struct relay *l)
{
	if (!l->page)
		return;
	html_links_release(&l->page->links);
	buf_release(&l->page->out);
	if (l->page->compressed)
		inflateEnd(&l->page->z);
	l->page = NULL;
}

/* A compressed page goes on as plain text: what is sent anew need not be small. */
static void begin_page(struct relay *l, const struct http_response *a)
{
	struct str type = answer_header(a, "Content-Type"), rest;
	struct str encoding = answer_header(a, "Content-Encoding");
	bool compressed = str_eqc(encoding, "gzip") || str_eqc(encoding, "deflate");
	struct page *p;

	str_cut(type, ';', &type, &rest);
	if (!l->base.prefix.n || !str_eqc(str_trim(type), "text/html") ||
		answer_header(a, "Location").n || (encoding.n && !compressed))
		return;
	p = ARENA_NEW(l->r->arena, struct page);
	if (compressed && inflateInit2(&p->z, ZLIB_OR_GZIP) != Z_OK)
		return;
	p->compressed = compressed;
	html_links_init(&p->links, &l->base);
	buf_init(&p->out, PAGE_MAX);
	l->page = p;
}

static bool inflate_page(struct page *p, struct str bytes)
{
	char out[INFLATE_CHUNK];
	int r = Z_OK;

	p->z.next_in = (unsigned char *)bytes.p;
	p->z.avail_in = (uInt)bytes.n;
	do {
		p->z.next_out = (unsigned char *)out;
		p->z.avail_out = sizeof(out);
		r = inflate(&p->z, Z_NO_FLUSH);
		html_links_feed(
			&p->links, str_n(out, sizeof(out) - p->z.avail_out), false, &p->out);
	} while (r == Z_OK && (p->z.avail_in || !p->z.avail_out));
	return (r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR) && !buf_failed(&p->out);
}

/* False: the page is broken, and the answer was cut off. */
static bool write_page(struct relay *l, struct str bytes, bool last)
{
	struct page *p = l->page;
	bool good = true;

	if (p->compressed && bytes.n)
		good = inflate_page(p, bytes);
	else
		html_links_feed(&p->links, bytes, last, &p->out);
	if (p->compressed && last)
		html_links_feed(&p->links, S(""), true, &p->out);
	if (!good || buf_failed(&p->out)) {
		http_abort(l->r->x);
		return false;
	}
	if (p->out.n)
		http_write(l->r->x, buf_str(&p->out));
	buf_reset(&p->out);
	return l->r->x;
}

/* --- life --- */

static void close_client(struct relay *l)
{
	if (l->client)
		http_client_free(l->client);
	l->client = NULL;
	l->call = NULL;
}

static void gone(struct request *r)
{
	struct relay *l = r->state;

	close_client(l);
	buf_release(&l->text);
	free_page(l);
}

static void free_ssl_ctx(void *p)
{
	SSL_CTX_free(p);
}

static int open_client(struct relay *l, const struct relay_target *t, struct err *err)
{
	struct http_client_opts opts = {.url = t->url, .connections_max = 1};
	void *plain = NULL;
	int e;

	if (str_starts(t->url, S("https://"))) {
		if (t->kubelet && l->r->s->kubelet_ssl_ctx) {
			opts.ssl_ctx = l->r->s->kubelet_ssl_ctx;
		} else {
			e = tls_client_ctx(
				&(struct tls_client_opts){.insecure = true}, &plain, err);
			if (e < 0)
				return e;
			arena_ref(l->r->arena, free_ssl_ctx, plain);
			opts.ssl_ctx = plain;
		}
	}
	return http_client_new(l->r->loop, &opts, &l->client, err);
}

static struct relay *relay_new(struct request *r, const struct relay_target *t, struct err *err)
{
	struct relay *l = ARENA_NEW(r->arena, struct relay);

	l->r = r;
	l->logs = t->logs;
	l->base = (struct link_base){.prefix = t->prefix,
		.host = str_sub(t->url, (size_t)str_find(t->url, S("//")) + 2, t->url.n),
		.request_host = http_get_header(r->x, "Host")};
	buf_init(&l->text, ERROR_MAX);
	if (open_client(l, t, err) < 0)
		return NULL;
	r->state = l;
	r->on_gone = gone;
	return l;
}

static void unreachable(struct relay *l, struct err *why)
{
	struct err err CLEANUP(err_release) = {0};

	err_fmt(&err, l->logs ? 500 : 503, l->logs ? "InternalError" : "ServiceUnavailable",
		"error trying to reach service: %s", err_text(why));
	respond_error(l->r, &err);
}

/* --- an answer that streams --- */

static void start_answer(struct relay *l, const struct http_response *a)
{
	struct http_exchange *x = l->r->x;

	http_header(x, "Audit-Id", uuid_new(l->r->arena, l->r->loop));
	if (l->logs) {
		http_header(x, "Cache-Control", S("no-cache, private"));
		http_header(x, "Content-Type", S("text/plain"));
	} else if (l->base.prefix.n) {
		begin_page(l, a);
		proxied_headers(l, a);
	} else {
		answer_headers(x, a, false);
	}
	http_start(x, a->status);
	x->ops->flush(x);
}

static void on_response(void *user_data, const struct http_response *a, struct err *err)
{
	struct relay *l = user_data;

	if (!l->r->x)
		return;
	if (!a) {
		l->call = NULL;
		unreachable(l, err);
	} else if (l->logs && (a->status < 200 || a->status > 206)) {
		l->status = a->status;
	} else {
		start_answer(l, a);
	}
}

static void on_data(void *user_data, struct str bytes)
{
	struct relay *l = user_data;
	struct http_exchange *x = l->r->x;

	if (!x)
		return;
	if (l->status) {
		buf_add(&l->text, bytes.p, MIN(bytes.n, ERROR_MAX - l->text.n));
		return;
	}
	if (l->page) {
		if (!write_page(l, bytes, false))
			return;
	} else {
		http_write(x, bytes);
		if (!l->r->x)
			return;
	}
	x->ops->flush(x);
	if (l->r->x && x->pending > PENDING_MAX && !l->paused) {
		l->paused = true;
		http_call_pause(l->call);
	}
}

static void on_writable(struct http_exchange *x)
{
	struct request *r = x->user_data;
	struct relay *l = r->state;

	if (l->paused && l->call) {
		l->paused = false;
		http_call_resume(l->call);
	}
}

/* What a kubelet says instead of logs (rest.GenericHttpResponseChecker). */
static void answer_error(struct relay *l)
{
	struct err err CLEANUP(err_release) = {0};
	struct str text = arena_str(l->r->arena, buf_str(&l->text));

	if (l->status == 400)
		err_bad_request(&err, STR_FMT, STR_ARG(text));
	else if (l->status == 500)
		err_internal(&err, STR_FMT, STR_ARG(text));
	else if (l->status == 404)
		err_fmt(&err, 404, "NotFound",
			"the server could not find the requested resource ( pods/log " STR_FMT ")",
			STR_ARG(l->r->ctx.name));
	else
		err_fmt(&err, l->status, "", STR_FMT, STR_ARG(text));
	respond_error(l->r, &err);
}

static void on_end(void *user_data, struct err *err)
{
	struct relay *l = user_data;

	l->call = NULL;
	if (!l->r->x)
		return;
	if (l->status)
		answer_error(l);
	else if (err)
		http_abort(l->r->x);
	else if (!l->page || write_page(l, S(""), true))
		http_end(l->r->x);
}

void relay_request(struct request *r, const struct relay_target *t)
{
	struct err err CLEANUP(err_release) = {0};
	struct relay *l = relay_new(r, t, &err);
	struct header_list headers = request_headers(r, t);
	struct http_request q = {.method = arena_cstr(r->arena, r->method),
		.path = t->path,
		.body = r->body,
		.headers = headers.v,
		.n_headers = headers.n,
		.timeout_ms = HEAD_TIMEOUT_MS,
		.on_response = on_response,
		.on_data = on_data,
		.on_end = on_end};

	if (!l) {
		respond_error(r, &err);
		return;
	}
	q.user_data = l;
	r->x->on_writable = on_writable;
	l->call = http_client_do(l->client, &q);
}

/* --- upgrades --- */

bool relay_is_upgrade(const struct request *r)
{
	struct str list = http_get_header(r->x, "Connection"), token;

	while (list.n) {
		str_cut(list, ',', &token, &list);
		if (str_ieq(str_trim(token), S("upgrade")))
			return true;
	}
	return false;
}

static void on_upgrade(
	void *user_data, struct conn *conn, const struct http_response *a, struct err *why)
{
	struct relay *l = user_data;
	struct request *r = l->r;
	struct err err CLEANUP(err_release) = {0};
	struct conn *ours;

	l->call = NULL;
	if (!r->x) {
		if (conn)
			conn_abort(conn);
	} else if (!conn && a) {
		answer_headers(r->x, a, false);
		http_respond(r->x, a->status, NULL, a->body);
	} else if (!conn) {
		unreachable(l, why);
	} else {
		answer_headers(r->x, a, true);
		ours = r->x->ops->upgrade(r->x, &err);
		if (ours) {
			conn_tunnel(ours, conn, NULL, NULL);
		} else {
			conn_abort(conn);
			if (r->x)
				respond_error(r, &err);
		}
	}
}

void relay_upgrade(struct request *r, const struct relay_target *t)
{
	struct err err CLEANUP(err_release) = {0};
	struct header_list headers = request_headers(r, t);
	struct http_request q = {.method = arena_cstr(r->arena, r->method),
		.path = t->path,
		.headers = headers.v,
		.n_headers = headers.n,
		.timeout_ms = HEAD_TIMEOUT_MS};
	struct relay *l;

	if (!relay_is_upgrade(r)) {
		err_bad_request(&err, "Upgrade request required");
		respond_error(r, &err);
		return;
	}
	l = relay_new(r, t, &err);
	if (!l) {
		respond_error(r, &err);
		return;
	}
	q.user_data = l;
	http_client_upgrade(l->client, &q, arena_cstr(r->arena, http_get_header(r->x, "Upgrade")),
		on_upgrade, l);
}
