/* opaque.c: equality of the Kubernetes libraries' values. */
#include "cel/opaque.h"

static const struct {
	const struct cel_type *type;
	bool (*equal)(struct cel_value x, struct cel_value y);
} types[] = {
	{&cel_type_quantity, cel_quantity_equal},
	{&cel_type_url, cel_url_equal},
	{&cel_type_ip, cel_net_equal},
	{&cel_type_cidr, cel_net_equal},
	{&cel_type_semver, cel_semver_equal},
};

bool cel_opaque_equal(struct cel_value x, struct cel_value y)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == x.ref.of)
			return types[i].equal(x, y);
	return x.ref.p == y.ref.p;
}
