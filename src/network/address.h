/*
 * address.h: IP addresses and ranges of both families, as values. Pure.
 */
#ifndef SAMPAN_NETWORK_ADDRESS_H
#define SAMPAN_NETWORK_ADDRESS_H

#include <netinet/in.h>

#include "base/base.h"

struct ip_addr {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t b[16];
};

struct ip_prefix {
	struct ip_addr addr; /* the bits after `bits` are zero */
	int bits;
};

enum { IP_TEXT_MAX = INET6_ADDRSTRLEN + 4, MAC_LEN = 6 };

int addr_parse(struct str text, struct ip_addr *ret); /* 0 or -EINVAL */
int ip_prefix_parse(
	struct str text, struct ip_prefix *ret); /* "10.0.0.0/8"; host bits are cut off */
const char *addr_text(const struct ip_addr *ip, char buf[IP_TEXT_MAX]);
const char *ip_prefix_text(const struct ip_prefix *p, char buf[IP_TEXT_MAX]);
struct str addr_str(const struct ip_addr *ip, struct arena *a);
bool addr_eq(const struct ip_addr *a, const struct ip_addr *b);
bool ip_prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b);
int addr_bits(const struct ip_addr *ip);    /* 32, 128 */
size_t addr_size(const struct ip_addr *ip); /* 4, 16; 0 for none */
bool ip_prefix_has(const struct ip_prefix *p, const struct ip_addr *ip);
bool ip_prefixes_overlap(const struct ip_prefix *a, const struct ip_prefix *b);
/* The address `offset` after the first of the range; offset_of is its inverse: UINT32_MAX when it
 * is not in the range or further than 32 bits. */
struct ip_addr ip_prefix_at(const struct ip_prefix *p, uint32_t offset);
uint32_t ip_prefix_offset(const struct ip_prefix *p, const struct ip_addr *ip);
/* Addresses in it, at most UINT32_MAX. */
uint32_t ip_prefix_size(const struct ip_prefix *p);
/* The way into a node's pod range: its first address after the network's own. */
struct ip_addr ip_prefix_gateway(const struct ip_prefix *p);
/* A link address that follows from an IP address (0a:58 and four bytes of it), so that every
 * machine knows those of the others without asking. */
void addr_mac(const struct ip_addr *ip, uint8_t mac[MAC_LEN]);

#endif
