/*
 * grpc.h: a gRPC client over HTTP/2 on a unix socket or TCP, with or without TLS: unary calls, server streams, and streams
 * both ways.
 *
 * Messages go in and out as encoded protobuf; what they mean is the caller's. One connection carries all calls; it is
 * made with the first call and again when it was lost. Loop's thread only; callbacks never come from inside grpc_call_new,
 * and may cancel calls or free the client.
 */
#ifndef SAMPAN_GRPC_H
#define SAMPAN_GRPC_H

#include "loop/loop.h"

struct grpc_client;
struct grpc_call;

/* The status codes that callers tell apart (grpc.io, status codes). */
enum {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

enum { GRPC_MESSAGE_MAX = 16 * 1024 * 1024 };

struct grpc_request {
	const char *method;  /* "/runtime.v1.RuntimeService/Version" */
	struct str message;  /* copied */
	int timeout_ms;      /* for the whole call; 0 = 120 s; < 0 = none (streams) */
	bool keep_open;      /* more messages follow by grpc_call_send; the stream ends with grpc_call_cancel */
	const char *metadata_name, *metadata_value; /* one more header, constants; or NULL */
	/* Each message of the answer; a unary call has one. Valid during the call. */
	void (*on_message)(void *user_data, struct str message);
	/* Once, last; the call is dead afterwards. status: GRPC_OK or why not, with the server's text. */
	void (*on_end)(void *user_data, int status, struct str text);
	void *user_data;
};

struct grpc_client_opts {
	struct str address; /* as below */
	void *ssl_ctx;      /* SSL_CTX * for TLS: the client takes a reference; NULL: plain */
	int keepalive_ms;   /* a connection that is silent for so long is asked for a sign of life, and given up after
			       as much again; 0: never */
};
struct grpc_client *grpc_client_open(struct loop *loop, const struct grpc_client_opts *opts);
/* address: "unix:/run/containerd/containerd.sock" or "host:port". */
struct grpc_client *grpc_client_new(struct loop *loop, struct str address);
void grpc_client_free(struct grpc_client *c); /* cancels what is under way, without callbacks */
struct grpc_call *grpc_call_new(struct grpc_client *c, const struct grpc_request *r);
/* One more message of a call that is kept open; copied. */
void grpc_call_send(struct grpc_call *call, struct str message);
void grpc_call_cancel(struct grpc_call *call); /* no callback comes after it */

#endif
