/*
 * spdy.h: SPDY/3.1 frames as `kubectl` up to 1.30 speaks them, with no I/O inside; both sides.
 *
 * What a session reads it gives to its callbacks; what it writes it gives to `output`. Header blocks are compressed with
 * SPDY's dictionary over the whole session, so frames must be fed and written in order. There is no flow control:
 * neither kubectl nor upstream's library does any, WINDOW_UPDATE is read and ignored; the connection's own backpressure
 * has to do. Which streams exist is for the user to know.
 */
#ifndef SAMPAN_SPDY_H
#define SAMPAN_SPDY_H

#include "http/exchange.h"

struct spdy;

enum { SPDY_PROTOCOL_ERROR = 1, SPDY_REFUSED_STREAM = 3, SPDY_CANCEL = 5 };

struct spdy_callbacks {
	void (*output)(void *arg, struct str bytes);
	/* A SYN_STREAM (or SYN_REPLY). Names are in lower case; views valid during the call. */
	void (*on_stream)(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin);
	void (*on_reply)(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin); /* may be NULL */
	void (*on_data)(void *arg, uint32_t id, struct str part, bool fin); /* frames may come in parts */
	void (*on_reset)(void *arg, uint32_t id, uint32_t status);
	void (*on_goaway)(void *arg); /* may be NULL */
};

struct spdy *spdy_new(const struct spdy_callbacks *cb, void *arg);
void spdy_free(struct spdy *s); /* not from inside a callback */
/* Takes all of the input. 0 or -EPROTO: the session is broken then. A callback may call spdy_stop. */
int spdy_read(struct spdy *s, struct str input);
void spdy_stop(struct spdy *s); /* spdy_read returns after the running callback and ignores the rest */

void spdy_write_stream(struct spdy *s, uint32_t id, const struct http_header *h, size_t n, bool fin);
void spdy_write_reply(struct spdy *s, uint32_t id, const struct http_header *h, size_t n, bool fin);
void spdy_write_data(struct spdy *s, uint32_t id, struct str bytes, bool fin);
void spdy_write_reset(struct spdy *s, uint32_t id, uint32_t status);
void spdy_write_goaway(struct spdy *s, uint32_t last_id);

#endif
