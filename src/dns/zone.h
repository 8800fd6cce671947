/*
 * zone.h: the cluster's own names by the Kubernetes DNS specification 1.1
 * (github.com/kubernetes/dns, docs/specification.md): a question in, records out. One thread.
 */
#ifndef SAMPAN_DNS_ZONE_H
#define SAMPAN_DNS_ZONE_H

#include "dns/index.h"

enum { DNS_ZONE_TTL_S = 5, DNS_ZONE_SERVERS_MAX = 4 };

struct dns_zone {
	struct dns_index *index;
	struct dns_name origin;                        /* cluster.local */
	struct dns_addr servers[DNS_ZONE_SERVERS_MAX]; /* what ns.dns.cluster.local is */
	size_t n_servers;
	uint64_t random; /* state: any seed but 0; chooses the order of addresses */
};

enum dns_zone_result {
	DNS_ZONE_NOT_OURS, /* outside of the zone, nothing was written */
	DNS_ZONE_ANSWERED,
	/* an ExternalName: its CNAME was written, the addresses of `target` belong behind it, at
	 * the owner `target_at` */
	DNS_ZONE_CHASE,
};

struct dns_zone_answer {
	enum dns_zone_result result;
	enum dns_rcode rcode;
	struct dns_name target;
	size_t target_at;
};

/* Writes the records of q's answer; the caller ends it. */
void dns_zone_ask(struct dns_zone *z, const struct dns_query *q, struct dns_answer *w,
	struct dns_zone_answer *ret);

#endif
