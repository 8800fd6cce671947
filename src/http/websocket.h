/*
 * websocket.h: WebSocket (RFC 6455) over a connection; messages in and out, pings answered. Loop's thread only.
 *
 * A websocket owns its connection. It lives until websocket_close or websocket_abort; on_close (at most once, none after
 * either) does not end it. Both may be called from callbacks.
 */
#ifndef SAMPAN_WEBSOCKET_H
#define SAMPAN_WEBSOCKET_H

#include "http/conn.h"
#include "http/exchange.h"

struct websocket;

enum { WEBSOCKET_MESSAGE_MAX = 4 * 1024 * 1024 };

struct websocket_events {
	void (*on_message)(struct websocket *w, void *owner, struct str message, bool text);
	void (*on_writable)(struct websocket *w, void *owner);        /* may be NULL */
	void (*on_close)(struct websocket *w, void *owner, int code); /* 1000 …, 1006 when the connection just ended */
};

/* Checks the handshake of an upgrade request and answers 101, with `protocol` (may be empty) as the one chosen.
 * Errors: 400 as upstream words it; the exchange is untouched then. */
int websocket_accept(struct http_exchange *x, struct str protocol, const struct websocket_events *events, void *owner,
	struct websocket **ret, struct err *err);
/* The client's side of a connection that http_client_upgrade gave (key: websocket_key). */
struct websocket *websocket_client(struct conn *c, const struct websocket_events *events, void *owner);
struct str websocket_key(struct arena *a, struct loop *loop);           /* for Sec-WebSocket-Key */
struct str websocket_accept_value(struct arena *a, struct str key);     /* what Sec-WebSocket-Accept must be */

void websocket_send(struct websocket *w, struct str message, bool text);
size_t websocket_pending(const struct websocket *w);
void websocket_pause(struct websocket *w); /* no more on_message until resumed */
void websocket_resume(struct websocket *w);
/* Sends what is queued and a close frame, waits a moment for the peer's, then closes. w is dead for the caller. */
void websocket_close(struct websocket *w, int code);
void websocket_abort(struct websocket *w);

#endif
