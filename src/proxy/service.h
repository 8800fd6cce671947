/*
 * service.h: what the service proxy needs to know of one Service: its ports, the addresses they
 * answer on, and the endpoints behind each. Made from the Service and its EndpointSlices;
 * immutable, in an arena.
 */
#ifndef SAMPAN_PROXY_SERVICE_H
#define SAMPAN_PROXY_SERVICE_H

#include "types.gen.h"

struct proxy_endpoint {
	struct str ip;
	int port;
	bool local; /* on this node */
};

struct proxy_endpoints {
	struct proxy_endpoint *v; /* sorted by (ip, port), none twice */
	size_t n;
};

struct proxy_port {
	struct str name;
	const char *protocol; /* tcp udp sctp */
	int port, node_port;
	/* For traffic from inside the cluster and from outside: all, or only this node's, as the
	 * traffic policies say; ready ones, or while there are none, those that still serve as they
	 * end. */
	struct proxy_endpoints internal, external;
	bool external_local_only; /* externalTrafficPolicy Local: no masquerade, and nothing local
				     means drop */
	bool has_endpoints_elsewhere; /* internal or external is empty, but other nodes have some */
};

struct proxy_service {
	struct str ns, name;
	bool ipv6;                    /* of which family everything here is */
	struct str_vec cluster_ips;   /* that family's */
	struct str_vec external_ips;  /* externalIPs and load balancer addresses */
	struct str_vec source_ranges; /* loadBalancerSourceRanges; empty: any */
	int affinity_s;               /* sessionAffinity ClientIP: how long; 0 = none */
	struct proxy_port *ports;
	size_t n_ports;
};

/* The service as seen by one family on one node; ports is empty for a headless or ExternalName
 * service. */
void proxy_service_from(const struct v1_service *svc,
	const struct discovery_v1_endpoint_slice *const *slices, size_t n_slices,
	struct str node_name, bool ipv6, struct arena *a, struct proxy_service *ret);

#endif
