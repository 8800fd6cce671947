/*
 * http1.h: HTTP/1.1 messages, strictly, with no I/O inside (RFC 9112).
 *
 * A reader is fed bytes and says what they are. What two servers could read differently is an error
 * here (request smuggling): bare LF, spaces before colons, folded lines, Transfer-Encoding together
 * with Content-Length or anything but "chunked", repeated Content-Length, control characters,
 * HTTP/1.0 with chunks.
 *
 *     http1_reader_init(&r, HTTP1_REQUEST, &limits);
 *     e = http1_read(&r, &arena, input, &used, &part);    then drop `used` bytes of the input, and:
 *
 *     HTTP1_NEED_MORE   come back with more input, after what was not used
 *     HTTP1_HEAD        r.head is filled, its strings are in the arena
 *     HTTP1_BODY        `part` of the body, inside the input
 *     HTTP1_END         the message is complete; http1_reader_next()
 *     HTTP1_ERROR       r.error_status and r.error say why
 */
#ifndef SAMPAN_HTTP1_H
#define SAMPAN_HTTP1_H

#include "http/exchange.h"

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };
enum http1_event { HTTP1_NEED_MORE, HTTP1_HEAD, HTTP1_BODY, HTTP1_END, HTTP1_ERROR };

struct http1_limits {
	size_t head_max;    /* bytes of start line and headers; above: error_status 431 */
	size_t headers_max; /* lines; above: 431 */
};

struct http1_head {
	struct str method, target; /* requests */
	int status;                /* responses */
	int version;               /* 10 or 11 */
	struct http_header *headers;
	size_t n_headers;
	int64_t content_length; /* -1: chunked, or until the connection ends (responses) */
	bool chunked;
	bool keep_alive; /* what version and Connection say */
	bool upgrade;    /* Connection has "upgrade" and there is an Upgrade header */
	bool expect_continue;
};

struct http1_reader {
	struct http1_head head;
	int error_status;  /* 400, 431, 501, 505: what a server answers */
	const char *error; /* in words */
	/* private */
	enum http1_kind kind;
	struct http1_limits limits;
	int state;
	size_t scanned; /* bytes of the input in which no end of head was found */
	size_t trailer; /* bytes of trailers so far */
	uint64_t left;  /* of the body or chunk */
	bool no_body;   /* a response to HEAD, or 204, 304, 1xx */
	bool until_eof;
};

void http1_reader_init(
	struct http1_reader *r, enum http1_kind kind, const struct http1_limits *limits);
void http1_reader_next(struct http1_reader *r); /* the next message on the same connection */
/* Responses: the request was HEAD, so no body follows. Before the head is read. */
void http1_reader_no_body(struct http1_reader *r);
enum http1_event http1_read(struct http1_reader *r, struct arena *a, struct str input,
	size_t *ret_used, struct str *ret_part);
/* The connection ended: HTTP1_END when that ends the message, HTTP1_NEED_MORE between messages,
 * else HTTP1_ERROR. */
enum http1_event http1_read_eof(struct http1_reader *r);
/* Whether any byte of the current message was read. */
bool http1_reader_started(const struct http1_reader *r);

/* Whether the current message is complete. */
bool http1_reader_ended(const struct http1_reader *r);

bool http1_is_token(struct str s);       /* RFC 9110 5.6.2 */
bool http1_is_field_value(struct str s); /* no control characters but tab */

#endif
