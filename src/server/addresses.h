/* addresses.h: the machine's own addresses, and arithmetic on ranges. Blocking, for start-up. */
#ifndef SAMPAN_ADDRESSES_H
#define SAMPAN_ADDRESSES_H

#include "base/base.h"

/* The IPv4 address that others reach this machine at: that of the default route's interface, else
 * the first that is not loopback, else 127.0.0.1. Works without a default route. */
struct str address_of_machine(struct arena *a);
/* Every address of every interface that is up, as text. */
void addresses_all(struct arena *a, struct str_vec *ret);
/* The n-th address of the first range in "10.254.0.0/16[,…]"; 0 or -EINVAL, -ERANGE. */
int address_in_range(struct arena *a, struct str cidr, uint32_t n, struct str *ret);
bool address_is_ip(struct str s);

#endif
