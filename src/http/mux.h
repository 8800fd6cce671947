/*
 * mux.h: a SPDY session and what carries it: a connection after `Upgrade: SPDY/3.1`, or the binary messages of a
 * WebSocket (KEP-4006's tunnel). Private to the streams of streams.h.
 *
 * Lives until mux_end or mux_abort, which callbacks may call; on_closed (at most once) does not end it.
 */
#ifndef SAMPAN_MUX_H
#define SAMPAN_MUX_H

#include "http/exchange.h"
#include "http/spdy.h"

struct mux;

struct mux_events {
	void (*on_stream)(void *owner, uint32_t id, const struct http_header *h, size_t n, bool fin);
	void (*on_data)(void *owner, uint32_t id, struct str part, bool fin);
	void (*on_reset)(void *owner, uint32_t id);
	void (*on_writable)(void *owner);
	void (*on_closed)(void *owner);
};

/* protocol: for X-Stream-Protocol-Version; may be empty. */
int mux_accept_spdy(struct http_exchange *x, struct str protocol, const struct mux_events *events, void *owner,
	struct mux **ret, struct err *err);
int mux_accept_websocket(struct http_exchange *x, struct str protocol, const struct mux_events *events, void *owner,
	struct mux **ret, struct err *err);
struct spdy *mux_spdy(struct mux *m); /* to write with */
size_t mux_pending(const struct mux *m);
void mux_pause(struct mux *m);
void mux_resume(struct mux *m);
/* Sends what is queued, then ends the connection without cutting that off. m is dead for the caller. */
void mux_end(struct mux *m);
void mux_abort(struct mux *m);

/* What kind of upgrade a request asks for. */
bool upgrade_is_spdy(const struct http_exchange *x);
bool upgrade_is_websocket(const struct http_exchange *x);
int upgrade_missing(struct err *err); /* 400 in upstream's words */

#endif
