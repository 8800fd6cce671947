/*
 * server_int.h: what the server shares with the protocols it speaks: one session per connection.
 * Private.
 */
#ifndef SAMPAN_SERVER_INT_H
#define SAMPAN_SERVER_INT_H

#include <uv.h>

#include "http/conn_int.h"
#include "http/server.h"

struct session;

struct session_ops {
	/* Nothing under way: may be closed now. Else it closes by itself after what is under way.
	 */
	void (*drain)(struct session *s);
	/* The deadline passed. */
	void (*timeout)(struct session *s);
};

struct session {
	struct http_server *server;
	struct conn *conn;
	const struct session_ops *ops;
	struct session *prev, *next;
	struct loop_timer timer;
	int64_t deadline_ms; /* INT64_MAX: none */
};

enum {
	HEAD_MAX = 1024 * 1024,
	HEADERS_MAX = 1000,
	IDLE_TIMEOUT_MS = 180 * 1000,
	WRITE_TIMEOUT_MS = 60 * 1000,
	LINGER_MS = 2000,
};

struct http_server {
	struct loop *loop;
	struct http_server_opts o;
	int port;
	struct uv_poll_s *listener; /* NULL: none, or closed */
	int listen_fd;
	struct loop_timer retry; /* accepts again after running out of descriptors */
	struct loop_timer grace;
	struct loop_task finished;
	struct session *sessions;
	size_t sessions_n;
	bool closing, finished_posted;
	void (*done)(void *);
	void *done_arg;
	int64_t date_s; /* second that `date` is for */
	char date[32];  /* "Mon, 02 Jan 2006 15:04:05 GMT" */
};

void session_init(struct session *s, struct http_server *server, struct conn *c,
	const struct session_ops *ops);
void session_release(struct session *s); /* when its connection is gone, or somebody else's */
void session_deadline(struct session *s, int64_t delay_ms); /* < 0: none */
const char *server_date(struct http_server *s);

void h1_session_new(struct http_server *s, struct conn *c);
/* Takes over a connection whose ALPN says h2, with the first input. */
void h2_session_new(struct http_server *s, struct conn *c, struct str input);

/* Fills path, raw_path and query from a request target ("/a%20b?c", "http://host/a"); false:
 * malformed. */
bool exchange_set_target(struct http_exchange *x, struct str target);

#endif
