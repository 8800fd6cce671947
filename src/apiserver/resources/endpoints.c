/* endpoints.c: the addresses behind a service, as they were before EndpointSlice
 * (validateEndpointSubsets). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"

static void validate_address(
	const struct v1_endpoint_address *a, const struct field_path *p, struct field_errors *e)
{
	validate_ip_legacy(a->ip, NULL, AT(p, "ip"), e);
	if (a->hostname.n)
		validate_dns1123_label(a->hostname, AT(p, "hostname"), e);
	if (a->node_name.p)
		validate_dns1123_subdomain(a->node_name, AT(p, "nodeName"), e);
	validate_endpoint_ip(a->ip, AT(p, "ip"), e);
}

static void validate_port(const struct v1_endpoint_port *port, bool need_name,
	const struct field_path *p, struct field_errors *e)
{
	if (need_name && port->name.n == 0)
		field_required(e, AT(p, "name"), "");
	else if (port->name.n)
		validate_dns1123_label(port->name, AT(p, "name"), e);
	field_invalid_int_each(e, AT(p, "port"), port->port, is_port_number(e->arena, port->port));
	if (port->protocol.n == 0)
		field_required(e, AT(p, "protocol"), "");
	else
		field_one_of(e, AT(p, "protocol"), port->protocol, port_protocols);
	if (port->app_protocol.p)
		validate_qualified_name(port->app_protocol, AT(p, "appProtocol"), e);
}

static void endpoints_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_endpoints *ep = obj;
	struct field_path list = FIELD(NULL, "subsets");

	for (size_t i = 0; i < ep->subsets.n; i++) {
		const struct v1_endpoint_subset *ss = &ep->subsets.v[i];
		struct field_path item = FIELD_INDEX(&list, i), ready = FIELD(&item, "addresses");
		struct field_path not_ready = FIELD(&item, "notReadyAddresses"),
				  ports = FIELD(&item, "ports");

		if (ss->addresses.n == 0 && ss->not_ready_addresses.n == 0)
			field_required(e, &item, "must specify `addresses` or `notReadyAddresses`");
		for (size_t k = 0; k < ss->addresses.n; k++)
			validate_address(&ss->addresses.v[k], AT_INDEX(&ready, k), e);
		for (size_t k = 0; k < ss->not_ready_addresses.n; k++)
			validate_address(&ss->not_ready_addresses.v[k], AT_INDEX(&not_ready, k), e);
		for (size_t k = 0; k < ss->ports.n; k++)
			validate_port(&ss->ports.v[k], ss->ports.n > 1, AT_INDEX(&ports, k), e);
	}
}

static bool subsets_equal(const struct v1_endpoints *a, const struct v1_endpoints *b)
{
	if (a->subsets.n != b->subsets.n)
		return false;
	for (size_t i = 0; i < a->subsets.n; i++)
		if (!schema_equal(&v1_endpoint_subset_schema, &a->subsets.v[i], &b->subsets.v[i]))
			return false;
	return true;
}

static void endpoints_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct v1_endpoints *ep = obj;

	revalidate_meta(ctx, &ep->metadata, e);
	if (!subsets_equal(ep, old))
		endpoints_validate(ctx, obj, e);
}

static void warn_addresses(struct strategy_ctx *ctx, const struct v1_endpoint_address_vec *list,
	const struct field_path *p)
{
	for (size_t i = 0; i < list->n; i++) {
		struct field_path item = FIELD_INDEX(p, i);
		struct str line = ip_warning(ctx->arena, AT(&item, "ip"), list->v[i].ip);
		if (line.n)
			ctx_warn(ctx, STR_FMT, STR_ARG(line));
	}
}

static void endpoints_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_endpoints *ep = obj;
	const struct str *by =
		str_map_get(&ep->metadata.labels, S("endpoints.kubernetes.io/managed-by"));
	struct field_path list = FIELD(NULL, "subsets");

	if (by && str_eqc(*by, "endpoint-controller"))
		return;
	for (size_t i = 0; i < ep->subsets.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i);
		warn_addresses(ctx, &ep->subsets.v[i].addresses, AT(&item, "addresses"));
		warn_addresses(
			ctx, &ep->subsets.v[i].not_ready_addresses, AT(&item, "notReadyAddresses"));
	}
}

const struct strategy endpoints_strategy = {
	.resource = &v1_endpoints_resource,
	.create_on_update = true,
	.name_errors = name_is_dns_subdomain,
	.validate = endpoints_validate,
	.validate_update = endpoints_validate_update,
	.warn = endpoints_warn,
	.table_row = print_endpoints,
};
