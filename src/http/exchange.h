/*
 * exchange.h: one request and its answer, whatever carries it (HTTP/1.1, HTTP/2, or a call inside the process).
 *
 * A transport fills the request part and calls the server's handler on the connection's loop, once head and body are
 * complete (the body is bounded; a larger one was answered 413 by the transport before the handler is called). The
 * handler answers now or later, on the same loop:
 *
 *     http_respond(x, 200, "application/json", body);                         // a whole answer
 *
 *     http_header(x, "Content-Type", …); http_start(x, 200);                  // a stream (watch, logs)
 *     http_write(x, bytes); …; http_end(x);
 *
 *     conn = x->ops->upgrade(x, &err)                                         // take the connection over (exec, attach)
 *
 * An exchange lives until it was ended or the peer went away. After `on_close` was called the handler must not touch it
 * again; http_end() may call on_close before it returns. One thread: the connection's loop.
 */
#ifndef SAMPAN_HTTP_EXCHANGE_H
#define SAMPAN_HTTP_EXCHANGE_H

#include "base/base.h"
#include "loop/loop.h"

struct http_header {
	struct str name; /* as received; compare with str_ieq */
	struct str value;
};

/* Who is at the other end, as far as the transport can prove it. */
struct http_peer {
	bool tls;
	void *x509;         /* X509 * of a client certificate that the TLS layer verified against client-ca, or NULL */
	const char *x509_error; /* a certificate came and did not verify: why. Else NULL */
	const struct user_info *user; /* in-process calls: stands in for authentication */
	struct str address; /* "10.0.0.1:4711" */
};

struct http_exchange;
struct object;
struct conn;

struct http_exchange_ops {
	/* All are called on the exchange's loop. */
	void (*start)(struct http_exchange *x);                   /* sends status and headers */
	void (*write)(struct http_exchange *x, struct str bytes); /* copies or encrypts before it returns */
	void (*write_object)(struct http_exchange *x, struct str bytes, const struct object *o); /* bytes inside o's
	                                                             block: may keep a reference instead of copying */
	void (*flush)(struct http_exchange *x);                   /* what was written goes out now */
	void (*end)(struct http_exchange *x);
	/* start, write and end in one, which saves a transport the copy of a large body. May be NULL. */
	void (*respond)(struct http_exchange *x, struct str body);
	void (*abort)(struct http_exchange *x);                   /* breaks the connection or resets the stream */
	/* Hands the raw connection over after a 101 whose headers are x's out headers (HTTP/1.1 only), or NULL with err.
	 * See conn.h. The exchange ends with it. */
	struct conn *(*upgrade)(struct http_exchange *x, struct err *err);
};

struct http_exchange {
	/* request, filled by the transport; views stay valid until on_close */
	struct str method;   /* "GET" */
	struct str path;     /* percent-decoded, without query: "/api/v1/pods" */
	struct str raw_path; /* as sent, without query */
	struct str query;    /* raw, without '?' */
	struct http_header *headers;
	size_t n_headers;
	struct str body;
	struct http_peer peer;
	int version;         /* 11 or 20; 0 in process */

	struct loop *loop;
	struct arena arena;  /* dropped with the exchange */
	const struct http_exchange_ops *ops;

	/* answer */
	int status;
	struct http_header *out_headers;
	size_t n_out_headers;
	bool started, ended;
	uint64_t sent; /* bytes of the body so far */

	/* handler's */
	void *user_data;
	void (*on_close)(struct http_exchange *x);    /* ended, or the peer went away; may be NULL */
	void (*on_writable)(struct http_exchange *x); /* pending fell below the low mark after it had passed the high one */
	size_t pending;                               /* bytes written that the peer has not taken: the handler watches
	                                                 this and stops, or cuts a slow watcher off */
};

struct str http_get_header(const struct http_exchange *x, const char *name); /* first one; {NULL,0} when absent */
/* A query parameter, percent-decoded into the exchange's arena: the first of that name; {NULL,0} when absent. */
struct str http_query(struct http_exchange *x, const char *name);
struct str_vec http_query_all(struct http_exchange *x, const char *name);

void http_header(struct http_exchange *x, const char *name, struct str value); /* copied into the arena */
void http_respond(struct http_exchange *x, int status, const char *content_type, struct str body); /* copied */
void http_start(struct http_exchange *x, int status);
/* A transport calls this when the body is above its limit: 413 as upstream's Status. */
void http_respond_too_large(struct http_exchange *x, size_t limit);
static inline void http_write(struct http_exchange *x, struct str bytes)
{
	x->sent += bytes.n;
	x->ops->write(x, bytes);
}
/* Bytes inside o's block, kept referenced instead of copied. */
static inline void http_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	x->sent += bytes.n;
	x->ops->write_object(x, bytes, o);
}
/* What was written leaves now instead of at the end of the loop's turn. */
static inline void http_flush(struct http_exchange *x)
{
	x->ops->flush(x);
}
void http_end(struct http_exchange *x);
void http_abort(struct http_exchange *x);

/* Whether a comma-separated list header (all its lines) has this token, without case: Connection, Accept-Encoding … */
bool http_header_has(const struct http_header *h, size_t n, const char *name, const char *token);
const char *http_status_text(int status); /* "Not Found"; "" when unknown */
/* Decodes %XX (and '+' as a space when `plus`) into the arena, or returns s itself when there is nothing to decode; false
 * on a broken escape. */
bool http_unescape(struct arena *a, struct str s, bool plus, struct str *ret);
/* Appends s with everything escaped but letters, digits and -._~ (and '/' when `slash`). */
void http_escape(struct buf *b, struct str s, bool slash);
/* gzip at level 1, as the API server does with large bodies; the result lives in the arena. */
struct str http_gzip(struct arena *a, struct str bytes);

/* What a server hands each request to. */
struct http_handler {
	void (*handle)(struct http_handler *h, struct http_exchange *x);
};

#endif
