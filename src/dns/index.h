/*
 * index.h: what the cluster's names mean, by Services and EndpointSlices: fed one change at a time,
 * each of which touches one service only. One thread at a time.
 */
#ifndef SAMPAN_DNS_INDEX_H
#define SAMPAN_DNS_INDEX_H

#include "api/object.h"
#include "dns/message.h"

enum dns_service_kind { DNS_SERVICE_CLUSTER, DNS_SERVICE_HEADLESS, DNS_SERVICE_EXTERNAL };

struct dns_port {
	struct str name;      /* may be empty */
	const char *protocol; /* "_tcp" "_udp" "_sctp" */
	uint16_t port;
	uint16_t group; /* HEADLESS: of the endpoints in the same slice */
};

struct dns_endpoint {
	struct str host; /* its hostname, else its address with dashes */
	struct dns_addr ip;
	uint16_t group;
	bool named; /* has a hostname: answers to reverse queries */
	bool again; /* the same host is there in the other family: told once in SRV answers */
};

/* One block. */
struct dns_service {
	enum dns_service_kind kind;
	struct dns_addr ips[2]; /* CLUSTER; n is 0 when absent */
	struct str external;    /* EXTERNAL */
	struct dns_port *ports;
	size_t n_ports;
	struct dns_endpoint
		*endpoints; /* HEADLESS: the ready ones, or all if the service says so */
	size_t n_endpoints;
};

struct dns_index;

struct dns_index *dns_index_new(void);
void dns_index_free(struct dns_index *x);
/* References the object; there: false = it was deleted. */
void dns_index_put_service(struct dns_index *x, const struct object *o, bool there);
void dns_index_put_slice(struct dns_index *x, const struct object *o, bool there);

/* NULL when there is none. Valid until the next change. */
const struct dns_service *dns_index_find(const struct dns_index *x, struct str ns, struct str name);
bool dns_index_has_namespace(const struct dns_index *x, struct str ns);
/* The service, and in a headless one the endpoint, with that address; at: 0, 1, … for the next one.
 * False: no more. Valid until the next change. */
struct dns_reverse {
	struct str ns, name, host; /* host is empty for a service's own address */
};
bool dns_index_reverse(
	const struct dns_index *x, const struct dns_addr *ip, size_t at, struct dns_reverse *ret);

/* How an endpoint without a hostname is called: 10-1-2-3, 2001-db8--1. buf: 48 bytes. */
struct str dns_dashed(const struct dns_addr *ip, char *buf);

#endif
