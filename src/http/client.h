/*
 * client.h: an HTTP client on a loop: a pool of keep-alive connections to one server, whole answers or streams.
 */
#ifndef SAMPAN_HTTP_CLIENT_H
#define SAMPAN_HTTP_CLIENT_H

#include "http/conn.h"
#include "http/exchange.h"

struct http_client;
struct http_call; /* one request under way */

struct http_client_opts {
	struct str url;          /* https://127.0.0.1:6443, http://…, unix:/path */
	void *ssl_ctx;           /* for https; the client takes a reference */
	const char *server_name; /* NULL = the url's host */
	struct str bearer_token; /* sent with each request; may be empty */
	int connections_max;     /* 0 = 8 for whole answers; streams have connections of their own */
};

struct http_response {
	int status;
	struct http_header *headers;
	size_t n_headers;
	struct str body; /* whole-answer calls only */
};

struct http_request {
	const char *method;
	struct str path;                   /* with query, percent-encoded */
	struct str body;                   /* copied */
	const struct http_header *headers; /* copied */
	size_t n_headers;
	int timeout_ms;                    /* for the whole answer, or for the head of a stream; 0 = 30 s */
	size_t body_max;                   /* of the answer; 0 = 64 MiB */

	/* Exactly one call, also on failure (then r is NULL and err says why). r is valid during the call only. For a
	 * stream: called with the head, then on_data…, then on_end once. */
	void (*on_response)(void *user_data, const struct http_response *r, struct err *err);
	void (*on_data)(void *user_data, struct str bytes); /* set: stream */
	void (*on_end)(void *user_data, struct err *err);   /* err NULL: ended properly */
	void *user_data;
};

int http_client_new(struct loop *loop, const struct http_client_opts *opts, struct http_client **ret, struct err *err);
void http_client_set_token(struct http_client *c, struct str bearer_token); /* of requests from now on */
void http_client_free(struct http_client *c); /* cancels what is under way, without callbacks */
struct http_call *http_client_do(struct http_client *c, const struct http_request *r);
void http_call_cancel(struct http_call *call); /* no callback comes after it */
/* Streams: no more on_data until resumed, so that the server has to wait. */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);
/* A call is dead after its last callback: on_response, or on_end of a stream that began. Callbacks never come from inside
 * http_client_do, and may cancel their own call or free the client. A GET, HEAD, PUT or DELETE whose kept connection turns
 * out to be closed is sent once more.
 *
 * Opens a connection of its own, sends the request as it is plus `Connection: Upgrade` and `Upgrade: protocol`, and hands
 * the raw connection over after 101 (WebSocket or SPDY to a kubelet). Otherwise conn is NULL, r the answer (whole) or
 * err why there is none. */
void http_client_upgrade(struct http_client *c, const struct http_request *r, const char *protocol,
	void (*fn)(void *user_data, struct conn *conn, const struct http_response *r, struct err *err), void *user_data);

#endif
