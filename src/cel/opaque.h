/* opaque.h: the opaque values of the Kubernetes libraries: addresses, equality, sizes for costs. */
#ifndef SAMPAN_CEL_OPAQUE_H
#define SAMPAN_CEL_OPAQUE_H

#include "cel/eval.h"

struct cel_net { /* of an opaque value of type net.IP or net.CIDR */
	unsigned char bytes[16];
	uint8_t bits;   /* 32 or 128 */
	uint8_t prefix; /* of a network */
};

struct str cel_net_text(struct cel_value v, struct arena *a);
bool cel_net_equal(struct cel_value x, struct cel_value y);
uint64_t cel_net_size(struct cel_value v); /* 1 of other opaque values */
uint64_t cel_format_regex_size(struct cel_value format);
/* == of the other libraries' values */
bool cel_quantity_equal(struct cel_value x, struct cel_value y);
bool cel_url_equal(struct cel_value x, struct cel_value y);
bool cel_semver_equal(struct cel_value x, struct cel_value y);
struct cel_value cel_semver_is_greater(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_semver_is_less(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_semver_compare(struct cel_call *c, const struct cel_value *v);

#endif
