/*
 * websocket_exchange.h: answers that stream, over WebSocket: browsers cannot read a watch or a log
 * otherwise (apiserver endpoints/handlers/watch.go HandleWS, streaming
 * httpstream/wsstream/stream.go).
 *
 * It stands between a transport's exchange, which asks for an upgrade, and the handler, which knows
 * nothing of it: a stream with status 200 becomes a WebSocket connection and each piece of it a
 * message; any other answer is a plain one.
 */
#ifndef SAMPAN_WEBSOCKET_EXCHANGE_H
#define SAMPAN_WEBSOCKET_EXCHANGE_H

#include "http/exchange.h"

enum websocket_pieces {
	WEBSOCKET_EVENTS, /* a message for each line of JSON, or for each length-prefixed frame of
			     protobuf, without the prefix. Any one subprotocol is agreed to. */
	WEBSOCKET_BYTES,  /* binary messages of any length, the first one empty; with subprotocol
			     base64.binary.k8s.io  texts in base64 */
};

/* Whether the client wants to talk WebSocket. */
bool websocket_wanted(const struct http_exchange *x);
/* Takes the exchange over; what it returns is for the handler, and lives as an exchange does. */
struct http_exchange *websocket_exchange_new(
	struct http_exchange *real, enum websocket_pieces pieces);

#endif
