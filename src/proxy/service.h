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
	struct str name;      /* of the port; may be empty */
	struct str full_name; /* "namespace/name:port" as upstream's comments write it */
	const char *protocol; /* tcp udp sctp */
	int port, node_port;
	/* Usable endpoints: the ready ones, or while there are none, those that still serve as they
	 * end. `cluster`: for traffic policy Cluster, near ones alone when hints say so; `local`:
	 * this node's, for policy Local. Empty when no policy asks for them. */
	struct proxy_endpoints cluster, local;
	struct proxy_endpoints serving; /* all that serve, wherever they are */
	bool any;                       /* the service has usable endpoints somewhere */
};

struct proxy_service {
	struct str ns, name;
	bool ipv6;                    /* of which family everything here is */
	struct str cluster_ip;        /* empty: none of this family, then there are no ports */
	struct str_vec external_ips;  /* spec.externalIPs */
	struct str_vec balancer_ips;  /* of load balancers that deliver to their own address */
	struct str_vec source_ranges; /* who may use balancer_ips; empty: anybody */
	int affinity_s;               /* sessionAffinity ClientIP: how long; 0 = none */
	bool internal_local, external_local; /* traffic policies */
	int health_check_port;               /* 0 = none */
	size_t n_local_ready; /* addresses on this node that are ready, for the health check */
	struct proxy_port *ports;
	size_t n_ports;
};

/* Where the proxy runs. */
struct proxy_place {
	struct str node_name, zone;
};

/* The service as seen by one family on one node; without ports when it is headless, of type
 * ExternalName or somebody else's (label service.kubernetes.io/service-proxy-name). */
void proxy_service_from(const struct v1_service *svc,
	const struct discovery_v1_endpoint_slice *const *slices, size_t n_slices,
	const struct proxy_place *place, bool ipv6, struct arena *a, struct proxy_service *ret);

/* Whether a port can be reached by more than the cluster address. */
bool proxy_port_external(const struct proxy_service *svc, const struct proxy_port *p);

#endif
