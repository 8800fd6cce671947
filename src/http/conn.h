/*
 * conn.h: a byte stream with filters: TCP or unix socket, with or without TLS on top; and what HTTP is spoken over.
 *
 * Used by the server, the client, and by whoever took a connection over after an upgrade (WebSocket, SPDY, the tunnels of
 * port-forward). One thread: its loop. Reading starts when conn_read_start was called.
 *
 * Life: a connection is freed after on_close, which comes on a later turn after conn_close, conn_abort or a failure and
 * exactly once; between these and on_close there is no other callback. Callbacks may close the connection they are
 * called for. Output has no limit of its own: whoever produces without end watches `pending` and goes on from
 * on_writable, which comes when pending falls to CONN_LOW_WATER after having been above it.
 */
#ifndef SAMPAN_CONN_H
#define SAMPAN_CONN_H

#include "base/base.h"
#include "loop/loop.h"

struct conn;
struct http_peer;

enum { CONN_LOW_WATER = 64 * 1024 };

struct conn_events {
	void (*on_data)(struct conn *c, struct str bytes);
	void (*on_eof)(struct conn *c);               /* the peer will send no more */
	void (*on_writable)(struct conn *c);          /* pending fell below the low mark */
	void (*on_close)(struct conn *c, int status); /* last call; 0 or negative errno; c is freed after it */
};

struct conn {
	struct loop *loop;
	const struct conn_events *events;
	void *user_data;
	size_t pending; /* bytes not yet taken by the kernel */
	const struct conn_ops *ops;
};

void conn_read_start(struct conn *c);
void conn_read_stop(struct conn *c);               /* backpressure */
void conn_write(struct conn *c, struct str bytes); /* copies what the kernel does not take at once */
/* Keeps `bytes` until they are sent or dropped, then calls release(arg). Leaves with the next conn_write or conn_flush. */
void conn_write_ref(struct conn *c, struct str bytes, void (*release)(void *), void *arg);
void conn_flush(struct conn *c);
void conn_shutdown(struct conn *c);                /* half-close after what is pending */
void conn_close(struct conn *c);                   /* after what is pending, or 10 s; idempotent */
void conn_abort(struct conn *c);                   /* at once, pending output is dropped; idempotent */
const struct http_peer *conn_peer(struct conn *c); /* who is there (exchange.h); as long as the connection lives */
struct str conn_alpn(struct conn *c);              /* what TLS agreed on: "h2", "http/1.1", or empty */

struct conn_connect_opts {
	struct str address;      /* "host:port" with a numeric host or localhost, "unix:/path" */
	void *ssl_ctx;           /* SSL_CTX * for TLS, NULL for plain */
	const char *server_name; /* SNI and verification; NULL = the host of the address */
	const char *alpn;        /* "h2,http/1.1"; NULL none */
	int timeout_ms;
};
typedef void conn_connect_fn(void *user_data, struct conn *c, struct err *err);
/* fn is called once, on a later turn, with the connection or with err. */
void conn_connect(struct loop *loop, const struct conn_connect_opts *opts, conn_connect_fn *fn, void *user_data);
/* Takes a connected socket over (a port-forward that entered another network namespace, a socketpair). */
struct conn *conn_from_fd(struct loop *loop, int fd);
/* The same, as the server's side of TLS. ssl_ctx: SSL_CTX *, the connection takes a reference. */
struct conn *conn_from_fd_tls(struct loop *loop, int fd, void *ssl_ctx);
/* Two ends inside the process; what is written to one arrives at the other on a later turn. Loops may be simulated; both
 * belong to the calling thread. */
void conn_pair(struct loop *a_loop, struct loop *b_loop, struct conn **a, struct conn **b);
/* Copies bytes both ways with backpressure, half-closes included, until both sides have ended or one fails; then closes
 * both and calls done (may be NULL). */
void conn_tunnel(struct conn *a, struct conn *b, void (*done)(void *), void *user_data);

#endif
