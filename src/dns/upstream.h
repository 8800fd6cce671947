/*
 * upstream.h: which other name servers are asked for what: those of a resolv.conf or a list, and
 * those of stub domains. One thread.
 */
#ifndef SAMPAN_DNS_UPSTREAM_H
#define SAMPAN_DNS_UPSTREAM_H

#include <netinet/in.h>

#include "dns/message.h"

enum { DNS_SERVERS_MAX = 8, DNS_STUBS_MAX = 64, DNS_PORT = 53 };

struct dns_servers {
	struct sockaddr_in6 v[DNS_SERVERS_MAX]; /* or sockaddr_in, by sin6_family */
	size_t n;
	size_t first; /* the one that answered last is asked first */
};

struct dns_stub {
	struct dns_name domain;
	struct dns_servers servers;
};

struct dns_upstreams {
	struct dns_servers servers;
	struct dns_stub *stubs;
	size_t n_stubs;
};

/* "IP", "IP:PORT", "[IP]:PORT". -EINVAL with err. */
int dns_server_parse(struct str text, struct sockaddr_in6 *ret, struct err *err);
/* Commas between them. */
int dns_servers_parse(struct str list, struct dns_servers *ret, struct err *err);
/* "corp.example=10.0.0.1,corp.example=10.0.0.2": appends; the same domain again: one server more.
 */
int dns_stubs_parse(struct dns_upstreams *u, struct str list, struct err *err);
/* The name servers of a resolv.conf, without those at our own addresses (port 53): asking those
 * would be asking ourselves. Returns how many such there were. */
size_t dns_servers_from_resolv_conf(
	struct str text, const struct dns_addr *own, size_t n_own, struct dns_servers *ret);
/* Those for a name: the longest stub domain that holds it, else the general ones; n may be 0. */
struct dns_servers *dns_upstreams_for(struct dns_upstreams *u, const struct dns_name *name);
void dns_upstreams_release(struct dns_upstreams *u);

#endif
