/*
 * leases.h: which pod has which address: one file per pod in a folder, named by the sandbox's id,
 * its content the address and the host ports. Written before an address is used, removed after it
 * no longer is. Not thread-safe.
 */
#ifndef SAMPAN_LEASES_H
#define SAMPAN_LEASES_H

#include <netinet/in.h>

#include "base/map.h"

enum { LEASE_PORTS_MAX = 256 };

struct lease_port {
	char protocol[5];
	int host_port, container_port;
	struct in_addr host_ip; /* 0.0.0.0: every address */
};

struct lease {
	struct in_addr ip;
	size_t n_ports;
	struct lease_port ports[]; /* n_ports of them */
};

struct leases {
	char *dir;
	struct map by_id;     /* -> struct lease * */
	struct in_addr first; /* of the range: network address */
	int prefix;           /* 0: no range yet */
	uint32_t next;        /* offset where the search for a free address begins */
	uint8_t *used;        /* a bit per address of the range */
};

/* Reads what is there; a file that does not parse is left out with a warning. */
int leases_open(struct leases *l, const char *dir, struct err *err);
void leases_release(struct leases *l);
int leases_set_range(struct leases *l, struct in_addr first, int prefix, struct err *err);
/* The pod's lease: a new one with a free address when it has none. Kept on disk. */
int leases_take(struct leases *l, struct str id, const struct lease_port *ports, size_t n_ports,
	const struct lease **ret, struct err *err);
const struct lease *leases_get(struct leases *l, struct str id);
void leases_drop(struct leases *l, struct str id);

#endif
