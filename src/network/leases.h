/*
 * leases.h: which pod has which address: one file per pod in a folder, named by the sandbox's id,
 * its content the addresses and the host ports. Written before an address is used, removed after it
 * no longer is. Not thread-safe.
 */
#ifndef SAMPAN_LEASES_H
#define SAMPAN_LEASES_H

#include "base/map.h"
#include "network/address.h"

enum { LEASE_PORTS_MAX = 256, LEASE_IPS_MAX = 2, LEASE_NETNS_MAX = 256 };

struct lease_port {
	char protocol[5];
	int host_port, container_port;
	struct ip_addr host_ip; /* family 0: every address */
};

struct lease {
	struct ip_addr ips[LEASE_IPS_MAX]; /* one of each family that the node has */
	char netns[LEASE_NETNS_MAX];       /* the pod's network namespace; empty: not known */
	size_t n_ips, n_ports;
	struct lease_port ports[]; /* n_ports of them */
};

struct leases {
	char *dir;
	struct map by_id; /* -> struct lease * */
	struct ip_prefix ranges[LEASE_IPS_MAX];
	size_t n_ranges; /* 0: none yet */
	uint32_t size;   /* addresses in the smallest range, at most 65536 */
	uint32_t next;   /* offset where the search for a free one begins */
	uint8_t *used;   /* a bit per offset: a pod's addresses have the same in all ranges */
};

/* Reads what is there; a file that does not parse is left out with a warning. */
int leases_open(struct leases *l, const char *dir, struct err *err);
void leases_release(struct leases *l);
/* One range, or two of different families. */
int leases_set_ranges(
	struct leases *l, const struct ip_prefix *ranges, size_t n_ranges, struct err *err);
/* The pod's lease: a new one with a free address when it has none. Kept on disk. */
int leases_take(struct leases *l, struct str id, const char *netns, const struct lease_port *ports,
	size_t n_ports, const struct lease **ret, struct err *err);
const struct lease *leases_get(struct leases *l, struct str id);
void leases_drop(struct leases *l, struct str id);

#endif
