/*
 * streams.h: the multiplexed streams of `kubectl exec`, `attach`, `cp` and `port-forward`, server
 * side.
 *
 * One interface over the protocols that clients speak: WebSocket (v5.channel.k8s.io,
 * v4.channel.k8s.io, the base64 forms and the older ones; SPDY/3.1+portforward.k8s.io) and SPDY/3.1
 * (v5 to v1 of channel.k8s.io, portforward.k8s.io). What kubectl may ask for in the query (stdin,
 * stdout, stderr, tty, command, ports) is for the caller to read.
 *
 *     static const struct remote_events events = {.on_ready = start_process, .on_stdin = feed, …};
 *     if (remote_accept(x, &(struct remote_options){.stdout = true, .stderr = true}, &events, e,
 * &session, &err) < 0) reply_with(x, &err);        // the exchange is still the caller's
 *
 * Everything is for the loop's own thread. A session lives until remote_finish or remote_abort;
 * callbacks may call either. on_closed does not end it: the owner still calls remote_abort (or
 * remote_finish, which then sends nothing).
 */
#ifndef SAMPAN_STREAMS_H
#define SAMPAN_STREAMS_H

#include "http/exchange.h"

struct remote_session;

struct remote_options {
	bool stdin, stdout, stderr, tty; /* tty: a resize channel, and no stderr */
	int64_t create_timeout_ms;       /* for the client to open its streams [30 s] */
};

struct remote_events {
	/* All streams are there: start. Never from inside remote_accept. */
	void (*on_ready)(struct remote_session *s, void *owner);
	void (*on_stdin)(struct remote_session *s, void *owner, struct str bytes);
	void (*on_stdin_close)(
		struct remote_session *s, void *owner); /* may be NULL; at most once */
	void (*on_resize)(struct remote_session *s, void *owner, uint16_t width,
		uint16_t height); /* may be NULL */
	/* remote_pending() fell to a low mark again. May be NULL. */
	void (*on_writable)(struct remote_session *s, void *owner);
	/* The client left, or broke the protocol. At most once; no other callback follows. */
	void (*on_closed)(struct remote_session *s, void *owner);
};

/* Answers the upgrade of `x` and takes the exchange. On failure the exchange is untouched and `err`
 * has code and text as upstream (400 when it is no upgrade, 403 for no common protocol). */
int remote_accept(struct http_exchange *x, const struct remote_options *o,
	const struct remote_events *events, void *owner, struct remote_session **ret,
	struct err *err);

void remote_write_stdout(struct remote_session *s, struct str bytes);
void remote_write_stderr(struct remote_session *s, struct str bytes);
size_t remote_pending(const struct remote_session
		*s); /* bytes written that have not left: stop reading the process */
void remote_stdin_pause(struct remote_session *s); /* what is on its way may still come */
void remote_stdin_resume(struct remote_session *s);

/* How the command ended. exit_code 0 and no message: Success. A non-zero exit code:
 * Failure/NonZeroExitCode with the ExitCode cause ("command terminated with non-zero exit code:
 * …"). A message: Failure/InternalError with it. Written as Status JSON (v4 and later) or as text.
 * Then everything is flushed, the streams are closed and the session is gone. */
void remote_finish(struct remote_session *s, int exit_code, const char *message);
void remote_abort(struct remote_session *s);

/* Port forwarding: each connection that the client accepted is one forward_stream (a data and an
 * error stream). */
struct forward_session;
struct forward_stream;

struct forward_events {
	/* A new connection for `port`: connect to it in the pod. */
	void (*on_open)(
		struct forward_session *s, void *owner, struct forward_stream *f, uint16_t port);
	void (*on_data)(struct forward_stream *f, struct str bytes);
	/* The client will send no more on this one. */
	void (*on_eof)(struct forward_stream *f);
	void (*on_writable)(struct forward_stream *f); /* may be NULL */
	/* The client reset this stream; forward_close is still owed. */
	void (*on_reset)(struct forward_stream *f);
	/* The session is over: every stream got on_reset before. forward_end is still owed. */
	void (*on_closed)(struct forward_session *s, void *owner);
};

/* As remote_accept: SPDY/3.1, or SPDY inside a WebSocket (SPDY/3.1+portforward.k8s.io). */
int forward_accept(struct http_exchange *x, const struct forward_events *events, void *owner,
	struct forward_session **ret, struct err *err);
void forward_set_data(struct forward_stream *f, void *data);
void *forward_data(const struct forward_stream *f);
void forward_write(struct forward_stream *f, struct str bytes);
size_t forward_pending(const struct forward_stream *f);
void forward_pause(struct forward_stream *f); /* no more on_data until resumed */
void forward_resume(struct forward_stream *f);
/* Ends the stream: a message (may be NULL) goes to the client on the error stream first. f is dead
 * afterwards. */
void forward_close(struct forward_stream *f, const char *message);
void forward_end(
	struct forward_session *s); /* closes everything; s and its streams are dead afterwards */

#endif
