/*
 * conn.h: a byte stream with filters: TCP or unix socket, with or without TLS on top; and what HTTP is spoken over.
 *
 * Used by the server, the client, and by whoever took a connection over after an upgrade (WebSocket, SPDY, the tunnels of
 * port-forward). One thread: its loop. Reading starts when conn_read_start was called.
 */
#ifndef SAMPAN_CONN_H
#define SAMPAN_CONN_H

#include "base/base.h"
#include "loop/loop.h"

struct conn;

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
void conn_shutdown(struct conn *c);                /* half-close after what is pending */
void conn_close(struct conn *c);                   /* on_close comes on a later turn; idempotent */

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
/* Copies bytes both ways with backpressure until either side closes, then closes both and calls done. */
void conn_tunnel(struct conn *a, struct conn *b, void (*done)(void *), void *user_data);

#endif
