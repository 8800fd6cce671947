/* dns.h: what a pod's resolv.conf holds, by its dnsPolicy and dnsConfig. */
#ifndef SAMPAN_NODE_DNS_H
#define SAMPAN_NODE_DNS_H

#include "node/pod.h"

struct dns_config {
	struct str_vec servers, searches, options;
};

void pod_dns(struct pod *p, const struct v1_pod *spec, struct arena *a, struct dns_config *ret);
/* The lines of a resolv.conf. */
void resolv_conf_parse(struct str text, struct arena *a, struct dns_config *ret);

/* What resolvers can take (upstream's limits); true when something had to go. */
bool dns_limit_servers(struct dns_config *c);
bool dns_limit_searches(struct dns_config *c);

#endif
