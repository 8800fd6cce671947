/* netip.h: IP addresses and prefixes as Go's net/netip reads and writes them. */
#ifndef SAMPAN_CEL_NETIP_H
#define SAMPAN_CEL_NETIP_H

#include "cel/opaque.h"

/* False: *ret_error is Go's 'ParseAddr("x"): unable to parse IP'. *ret_zone: the part behind %. */
bool cel_netip_parse(struct str s, struct arena *a, struct cel_net *ret, struct str *ret_zone,
	struct str *ret_error);
bool cel_netip_parse_prefix(
	struct str s, struct arena *a, struct cel_net *ret, struct str *ret_error);
struct str cel_netip_text(const struct cel_net *net, struct arena *a);
bool cel_netip_is_4in6(const struct cel_net *net);

#endif
