/* cidr.h: address ranges of nodes. Pure. */
#ifndef SAMPAN_CONTROLLERS_CIDR_H
#define SAMPAN_CONTROLLERS_CIDR_H

#include "base/base.h"

enum { CIDRS_MAX = 2 };

struct cidr {
	int family; /* AF_INET, AF_INET6 */
	uint8_t addr[16];
	int bits;
};

int cidr_parse(struct str s, struct cidr *ret); /* 0 or -EINVAL */
/* "10.244.0.0/16" or two of different families with a comma; the number, or -EINVAL. */
int cidrs_parse(struct str s, struct cidr ret[CIDRS_MAX], struct err *err);
/* The index-th range of `bits` in c; index < cidr_count(). */
struct cidr cidr_sub(const struct cidr *c, int bits, uint32_t index);
uint32_t cidr_count(const struct cidr *c, int bits); /* at most 65536, as upstream */
/* Which sub-range of c the range s is; -1 when s is not one. */
int64_t cidr_index(const struct cidr *c, const struct cidr *s, int bits);
/* Which sub-ranges of c have addresses in common with s: *ret_first to *ret_last; false: none. */
bool cidr_span(const struct cidr *c, const struct cidr *s, int bits, uint32_t *ret_first,
	uint32_t *ret_last);
/* Whether nodes can get ranges of `bits` from c; an error in upstream's words when not. */
int cidr_check_mask(const struct cidr *c, int bits, struct err *err);
bool cidr_overlap(const struct cidr *a, const struct cidr *b);
/* Pods and services ("10.244.0.0/16", or two with a comma) must have addresses of their own; an error names both flags. */
int cidrs_check_apart(struct str pods, struct str services, struct err *err);
struct str cidr_format(const struct cidr *c, struct arena *a);

#endif
