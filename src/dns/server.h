/*
 * server.h: the sockets of the DNS server: UDP in batches, TCP with many queries on a connection,
 * both at every address given. One thread: the loop's.
 */
#ifndef SAMPAN_DNS_SERVER_H
#define SAMPAN_DNS_SERVER_H

#include "dns/engine.h"
#include "dns/upstream.h"
#include "loop/loop.h"

enum {
	DNS_TCP_CONNECTIONS_MAX = 256,
	DNS_TCP_IDLE_MS = 10000,
	DNS_TCP_PENDING_MAX = 64, /* queries of one connection that wait for another server */
	DNS_RESOLV_CONF_CHECK_MS = 5000,
};

struct dns_server_opts {
	struct loop *loop;
	struct dns_index *index;        /* borrowed; changed on the loop's thread only */
	struct dns_name origin;         /* cluster.local */
	struct dns_upstreams upstreams; /* taken over; without servers those of resolv_conf: */
	const char *resolv_conf;        /* read again when it changes; NULL or "": none */
};

struct dns_server;

struct dns_server *dns_server_new(const struct dns_server_opts *opts);
/* Listens at that address; an address it listens at already is fine. -errno with err. */
int dns_server_listen(
	struct dns_server *s, const struct dns_addr *ip, uint16_t port, struct err *err);
/* Until then the cluster's names are SERVFAIL: "there is no such name" would be a lie. */
void dns_server_set_synced(struct dns_server *s);
/* The loop must run once more for the sockets to close, and must not bring anything else after. */
void dns_server_free(struct dns_server *s);

#endif
