/* server_int.h: between server.c, server_udp.c and server_tcp.c. */
#ifndef SAMPAN_DNS_SERVER_INT_H
#define SAMPAN_DNS_SERVER_INT_H

#include <uv.h>

#include "dns/forward.h"
#include "dns/server.h"

enum { BATCH = 32, QUERY_BYTES_MAX = 1024 };

struct listener {
	struct dns_server *server;
	struct dns_addr ip;
	int fd;
	uv_poll_t udp;
	uv_tcp_t tcp;
	int open_handles;
	struct listener *next;
};

struct connection;

struct dns_server {
	struct loop *loop;
	struct dns_engine engine;
	struct dns_forward *forward;
	struct dns_upstreams upstreams;
	char *resolv_conf;
	bool given_upstreams;
	int64_t checked_ms;
	struct timespec resolv_mtime;
	struct listener *listeners;
	struct connection *connections;
	size_t n_connections;
	struct udp_batch *batch;
	uint8_t out[DNS_MESSAGE_MAX]; /* TCP's, and answers that were waited for */
};

/* Who asked, until the answer is there. */
struct waiting {
	struct dns_waiter base;
	struct dns_server *server;
	struct dns_engine_ask ask;
	/* UDP */
	struct listener *listener;
	struct sockaddr_in6 from;
	socklen_t from_n;
	/* TCP */
	struct connection *connection;
};

/* Brings time and name servers up to date; before each turn's queries. */
void server_refresh(struct dns_server *s);
/* Asks another server for what `ask` says; who: copied. False: the client is to be told at once, as
 * by an answer that never came. */
bool server_forward(
	struct dns_server *s, const struct dns_engine_ask *ask, const struct waiting *who);

int udp_open(struct listener *l, const struct sockaddr_in6 *at, socklen_t n);
void udp_reply(struct listener *l, const struct sockaddr_in6 *to, socklen_t n, const uint8_t *p,
	size_t size);
int tcp_open(struct listener *l, const struct sockaddr_in6 *at);
void tcp_reply(struct connection *c, const uint8_t *p, size_t size);
void tcp_reference(struct connection *c);
void tcp_unreference(struct connection *c);
void tcp_close_all(struct dns_server *s);

#endif
