/* endpoint_slice.c: endpoint slices (pkg/apis/discovery/validation). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/validation/ip.h"

enum {
	ENDPOINTS_MAX = 1000,
	ADDRESSES_MAX = 100,
	PORTS_MAX = 20000,
	TOPOLOGY_MAX = 16,
	HINTS_MAX = 8,
};

static void slice_default(struct strategy_ctx *ctx, void *obj)
{
	struct discovery_v1_endpoint_slice *es = obj;

	/* The zone was once a label of the topology; v1 has a field for it. */
	for (size_t i = 0; i < es->endpoints.n; i++)
		str_map_remove(
			&es->endpoints.v[i].deprecated_topology, S("topology.kubernetes.io/zone"));
}

/* deprecatedTopology belongs to v1beta1: v1 can keep it, but not write it. */
static void drop_topology(struct discovery_v1_endpoint_slice *es)
{
	for (size_t i = 0; i < es->endpoints.n; i++)
		es->endpoints.v[i].deprecated_topology = (struct str_map){0};
}

static bool endpoints_equal(
	const struct discovery_v1_endpoint_slice *a, const struct discovery_v1_endpoint_slice *b)
{
	if (a->endpoints.n != b->endpoints.n)
		return false;
	for (size_t i = 0; i < a->endpoints.n; i++)
		if (!schema_equal(
			    &discovery_v1_endpoint_schema, &a->endpoints.v[i], &b->endpoints.v[i]))
			return false;
	return true;
}

static bool ports_equal(
	const struct discovery_v1_endpoint_slice *a, const struct discovery_v1_endpoint_slice *b)
{
	if (a->ports.n != b->ports.n)
		return false;
	for (size_t i = 0; i < a->ports.n; i++)
		if (!schema_equal(
			    &discovery_v1_endpoint_port_schema, &a->ports.v[i], &b->ports.v[i]))
			return false;
	return true;
}

static bool labels_equal(const struct str_map *a, const struct str_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static void slice_prepare_create(struct strategy_ctx *ctx, void *obj)
{
	drop_topology(obj);
}

static void slice_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct discovery_v1_endpoint_slice *was = old;
	struct discovery_v1_endpoint_slice *es = obj;
	bool same = endpoints_equal(es, was);

	if (!same || !ports_equal(es, was) || !str_eq(es->address_type, was->address_type) ||
		!labels_equal(&es->metadata.labels, &was->metadata.labels))
		es->metadata.generation = was->metadata.generation + 1;
	if (!same)
		drop_topology(es);
}

static void validate_ports(
	const struct discovery_v1_endpoint_port_vec *ports, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "ports");
	struct str_vec names = {0};

	if (ports->n > PORTS_MAX) {
		field_too_many(e, &p, ports->n, PORTS_MAX);
		return;
	}
	for (size_t i = 0; i < ports->n; i++) {
		const struct discovery_v1_endpoint_port *port = &ports->v[i];
		struct field_path item = FIELD_INDEX(&p, i), name = FIELD(&item, "name");

		if (port->name.n)
			validate_dns1123_label(port->name, &name, e);
		if (str_vec_has(&names, port->name))
			field_duplicate(e, &name, port->name);
		else
			ARENA_PUSH(e->arena, &names, port->name);
		if (!port->protocol.p)
			field_required(e, AT(&item, "protocol"), "");
		else
			field_one_of(e, AT(&item, "protocol"), port->protocol, port_protocols);
		if (port->app_protocol.p)
			validate_qualified_name(port->app_protocol, AT(&item, "appProtocol"), e);
	}
}

static void validate_address(struct str address, struct str type, const struct field_path *list,
	size_t i, struct field_errors *e)
{
	struct field_path item = FIELD_INDEX(list, i);
	bool v4 = str_eqc(type, "IPv4"), v6 = str_eqc(type, "IPv6");
	size_t before = e->n;

	if (str_eqc(type, "FQDN"))
		validate_fully_qualified_domain_name(address, &item, e);
	if (v4)
		validate_ip_legacy(address, NULL, &item, e);
	else if (v6)
		validate_ip(address, &item, e);
	if ((!v4 && !v6) || e->n != before)
		return;
	if (v4 == ip_is_v6_text(address))
		field_invalid(e, list, address, "must be an %s address", v4 ? "IPv4" : "IPv6");
	validate_endpoint_ip(address, &item, e);
}

static void validate_hints(const struct discovery_v1_endpoint_hints *h, const struct field_path *p,
	struct field_errors *e)
{
	struct field_path zones = FIELD(p, "forZones"), nodes = FIELD(p, "forNodes");
	struct str_vec seen_zones = {0}, seen_nodes = {0};

	if (h->for_zones.n > HINTS_MAX) {
		field_too_many(e, &zones, h->for_zones.n, HINTS_MAX);
		return;
	}
	for (size_t i = 0; i < h->for_zones.n; i++) {
		struct field_path item = FIELD_INDEX(&zones, i), name = FIELD(&item, "name");
		struct str zone = h->for_zones.v[i].name;

		if (str_vec_has(&seen_zones, zone))
			field_duplicate(e, &name, zone);
		else
			ARENA_PUSH(e->arena, &seen_zones, zone);
		field_invalid_each(e, &name, zone, is_label_value(e->arena, zone));
	}
	if (h->for_nodes.n > HINTS_MAX) {
		field_too_many(e, &nodes, h->for_nodes.n, HINTS_MAX);
		return;
	}
	for (size_t i = 0; i < h->for_nodes.n; i++) {
		struct field_path item = FIELD_INDEX(&nodes, i), name = FIELD(&item, "name");
		struct str node = h->for_nodes.v[i].name;

		if (str_vec_has(&seen_nodes, node))
			field_duplicate(e, &name, node);
		else
			ARENA_PUSH(e->arena, &seen_nodes, node);
		validate_dns1123_subdomain(node, &name, e);
	}
}

static void validate_endpoint(const struct discovery_v1_endpoint *ep, struct str type,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path addresses = FIELD(p, "addresses"),
			  topology = FIELD(p, "deprecatedTopology");

	if (ep->addresses.n == 0)
		field_required(e, &addresses, "must contain at least 1 address");
	else if (ep->addresses.n > ADDRESSES_MAX)
		field_too_many(e, &addresses, ep->addresses.n, ADDRESSES_MAX);
	for (size_t i = 0; i < ep->addresses.n; i++)
		validate_address(ep->addresses.v[i], type, &addresses, i, e);
	if (ep->node_name.p)
		validate_dns1123_subdomain(ep->node_name, AT(p, "nodeName"), e);
	if (ep->deprecated_topology.n > TOPOLOGY_MAX)
		field_too_many(e, &topology, ep->deprecated_topology.n, TOPOLOGY_MAX);
	validate_labels(&ep->deprecated_topology, &topology, e);
	if (ep->hostname.p)
		validate_dns1123_label(ep->hostname, AT(p, "hostname"), e);
	if (ep->hints)
		validate_hints(ep->hints, AT(p, "hints"), e);
}

static void validate_endpoints(const struct discovery_v1_endpoint_slice *es, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "endpoints");

	if (es->endpoints.n > ENDPOINTS_MAX) {
		field_too_many(e, &p, es->endpoints.n, ENDPOINTS_MAX);
		return;
	}
	for (size_t i = 0; i < es->endpoints.n; i++)
		validate_endpoint(&es->endpoints.v[i], es->address_type, AT_INDEX(&p, i), e);
}

static void validate_slice(
	const struct discovery_v1_endpoint_slice *es, bool endpoints, struct field_errors *e)
{
	static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
	struct field_path type = FIELD(NULL, "addressType");

	if (es->address_type.n == 0)
		field_required(e, &type, "");
	else
		field_one_of(e, &type, es->address_type, types);
	validate_ports(&es->ports, e);
	if (endpoints)
		validate_endpoints(es, e);
}

static void slice_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_slice(obj, true, e);
}

static void slice_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	const struct discovery_v1_endpoint_slice *es = obj, *was = old;

	revalidate_meta(ctx, &es->metadata, e);
	validate_slice(es, !endpoints_equal(es, was), e);
	validate_immutable_str(es->address_type, was->address_type, AT(NULL, "addressType"), e);
}

static void warn_addresses(struct strategy_ctx *ctx, const struct discovery_v1_endpoint_slice *es)
{
	const struct str *by =
		str_map_get(&es->metadata.labels, S("endpointslice.kubernetes.io/managed-by"));
	struct field_path list = FIELD(NULL, "endpoints");

	if (by && (str_eqc(*by, "endpointslice-controller.k8s.io") ||
			  str_eqc(*by, "endpointslicemirroring-controller.k8s.io")))
		return;
	for (size_t i = 0; i < es->endpoints.n; i++) {
		struct field_path item = FIELD_INDEX(&list, i), p = FIELD(&item, "addresses");
		for (size_t k = 0; k < es->endpoints.v[i].addresses.n; k++) {
			struct str line = ip_warning(
				ctx->arena, AT_INDEX(&p, k), es->endpoints.v[i].addresses.v[k]);
			if (line.n)
				ctx_warn(ctx, STR_FMT, STR_ARG(line));
		}
	}
}

static void slice_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct discovery_v1_endpoint_slice *es = obj;

	if (!old && str_eqc(es->address_type, "FQDN"))
		ctx_warn(ctx, "spec.addressType: FQDN endpoints are deprecated");
	warn_addresses(ctx, es);
}

const struct strategy endpoint_slice_strategy = {
	.resource = &discovery_v1_endpoint_slice_resource,
	.generate_generation = true,
	.name_errors = name_is_dns_subdomain,
	.default_ = slice_default,
	.prepare_create = slice_prepare_create,
	.prepare_update = slice_prepare_update,
	.validate = slice_validate,
	.validate_update = slice_validate_update,
	.warn = slice_warn,
	.table_row = print_endpoint_slice,
};
