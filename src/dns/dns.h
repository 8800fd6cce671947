/*
 * dns.h: the cluster's DNS on this node: answers at the addresses of the Service
 * kube-system/kube-dns (or at given ones), from Services and EndpointSlices, and asks other name
 * servers for the rest. A Service of that name with endpoints of its own wins: the service proxy
 * sends its packets there before they come to this machine's sockets.
 *
 * On a loop and thread of its own, fed by a client that lives on another loop (the service proxy's,
 * which watches the same objects).
 */
#ifndef SAMPAN_DNS_H
#define SAMPAN_DNS_H

#include "client/client.h"

#define DNS_SERVICE_NAMESPACE "kube-system"
#define DNS_SERVICE_NAME "kube-dns"

struct dns_opts {                   /* strings are borrowed during dns_start */
	struct client *client;      /* not started yet; gets two subscriptions */
	const char *cluster_domain; /* [cluster.local] */
	const char *addresses;   /* commas; NULL or "": those of the Service kube-system/kube-dns */
	const char *resolv_conf; /* the servers asked for other names; NULL or "": none */
	const char *upstreams;   /* instead of those: "IP[:PORT],…" */
	const char *stub_domains; /* "DOMAIN=IP[:PORT],…" */
	int port;                 /* [53] */
};

struct dns;

/* Lives as long as the program: what it watches has no end. */
int dns_start(const struct dns_opts *opts, struct dns **ret, struct err *err);
/* From the client's thread, once all has been read for the first time. */
void dns_set_synced(struct dns *d);

#endif
