/*
 * session.h: a connection to the runtime's streaming server, which carries exec, attach and
 * port-forward as streams of SPDY/3.1. SPDY and not WebSocket: only it can end standard input, or
 * one direction of a forwarded connection, alone.
 *
 * Lives from session_open until session_close or on_failed, whichever is first. Callbacks never
 * come from inside session_open and may call session_close.
 */
#ifndef SAMPAN_CRI_SESSION_H
#define SAMPAN_CRI_SESSION_H

#include "http/exchange.h"
#include "node/cri_grpc/client.h"

struct session_events {
	void (*on_ready)(void *owner); /* streams may be opened */
	void (*on_data)(void *owner, uint32_t stream, struct str bytes, bool fin);
	void (*on_reset)(void *owner, uint32_t stream);
	void (*on_writable)(void *owner);
	void (*on_failed)(void *owner, struct err *err); /* last call; the session is gone */
};

/* Asks the runtime by `method` for the URL, then connects. protocol: X-Stream-Protocol-Version. */
struct session *session_open(struct cri_grpc *g, const char *method, const struct wire_type *type,
	const void *request, const char *protocol, const struct session_events *events,
	void *owner);
/* Returns its id. */
uint32_t session_stream(struct session *s, const struct http_header *h, size_t n, bool fin);
void session_write(struct session *s, uint32_t stream, struct str bytes, bool fin);
size_t session_pending(const struct session *s);
void session_pause(struct session *s); /* no more on_data until resumed */
void session_resume(struct session *s);
void session_close(struct session *s); /* after what is pending */

#endif
