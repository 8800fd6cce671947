/* address.h: makes this machine answer at an address without giving it to an interface. Blocks for
 * a moment; any thread. */
#ifndef SAMPAN_DNS_ADDRESS_H
#define SAMPAN_DNS_ADDRESS_H

#include "dns/message.h"

/* A route of type local over the loopback device: packets to the address, from pods and from this
 * machine, come to our sockets; it is never chosen as a source and no listing of the machine's
 * addresses shows it. 0 (also when it is there already), or negative errno. */
int dns_address_claim(const struct dns_addr *ip);
void dns_address_release(const struct dns_addr *ip);

#endif
