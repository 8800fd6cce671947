#include "proxy/service.h"

enum { AFFINITY_DEFAULT_S = 10800 };

static bool is_family(struct str ip, bool ipv6)
{
	return ip.n && !str_eqc(ip, "None") && (str_chr(ip, ':') >= 0) == ipv6;
}

static void add_family(struct arena *a, struct str_vec *to, struct str ip, bool ipv6)
{
	if (is_family(ip, ipv6) && !str_vec_has(to, ip))
		ARENA_PUSH(a, to, ip);
}

static const char *protocol_of(struct str p)
{
	return str_eqc(p, "UDP") ? "udp" : str_eqc(p, "SCTP") ? "sctp" : "tcp";
}

static int compare(const void *pa, const void *pb)
{
	const struct proxy_endpoint *a = pa, *b = pb;
	int c = str_cmp(a->ip, b->ip);

	return c ? c : a->port - b->port;
}

static void sort_unique(struct proxy_endpoints *e)
{
	size_t n = 0;

	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), compare);
	for (size_t i = 0; i < e->n; i++)
		if (!n || compare(&e->v[n - 1], &e->v[i]))
			e->v[n++] = e->v[i];
	e->n = n;
}

enum pick { PICK_READY, PICK_TERMINATING };

static bool fits(const struct discovery_v1_endpoint_conditions *c, enum pick pick)
{
	bool terminating = c->terminating && *c->terminating;

	if (pick == PICK_READY)
		return !c->ready || *c->ready;
	return terminating && (!c->serving || *c->serving);
}

struct picker {
	const struct discovery_v1_endpoint_slice *const *slices;
	size_t n_slices;
	struct str node_name;
	bool ipv6;
	struct arena *arena;
};

static void pick_from(const struct picker *p, const struct discovery_v1_endpoint_slice *slice,
	int port, enum pick pick, bool local_only, struct proxy_endpoints *ret)
{
	for (size_t i = 0; i < slice->endpoints.n; i++) {
		const struct discovery_v1_endpoint *e = &slice->endpoints.v[i];
		bool local = e->node_name.n && str_eq(e->node_name, p->node_name);

		if (!fits(&e->conditions, pick) || (local_only && !local) || !e->addresses.n)
			continue;
		ARENA_PUSH(
			p->arena, ret, ((struct proxy_endpoint){e->addresses.v[0], port, local}));
	}
}

static struct proxy_endpoints pick_endpoints(
	const struct picker *p, const struct v1_service_port *port, enum pick pick, bool local_only)
{
	struct proxy_endpoints out = {0};
	const char *family = p->ipv6 ? "IPv6" : "IPv4";

	for (size_t s = 0; s < p->n_slices; s++) {
		const struct discovery_v1_endpoint_slice *slice = p->slices[s];

		if (!str_eqc(slice->address_type, family))
			continue;
		for (size_t i = 0; i < slice->ports.n; i++) {
			const struct discovery_v1_endpoint_port *ep = &slice->ports.v[i];

			if (ep->port && str_eq(ep->name, port->name) &&
				!strcmp(protocol_of(ep->protocol), protocol_of(port->protocol)))
				pick_from(p, slice, *ep->port, pick, local_only, &out);
		}
	}
	sort_unique(&out);
	return out;
}

static struct proxy_endpoints choose(
	const struct picker *p, const struct v1_service_port *port, bool local_only)
{
	struct proxy_endpoints e = pick_endpoints(p, port, PICK_READY, local_only);

	return e.n ? e : pick_endpoints(p, port, PICK_TERMINATING, local_only);
}

static struct proxy_port make_port(
	const struct picker *p, const struct v1_service *svc, const struct v1_service_port *port)
{
	bool internal_local = str_eqc(svc->spec.internal_traffic_policy, "Local");
	struct proxy_port out = {
		.name = port->name,
		.protocol = protocol_of(port->protocol),
		.port = port->port,
		.node_port = port->node_port,
		.external_local_only = str_eqc(svc->spec.external_traffic_policy, "Local"),
	};

	out.internal = choose(p, port, internal_local);
	out.external = out.external_local_only == internal_local
			       ? out.internal
			       : choose(p, port, out.external_local_only);
	if (!out.internal.n || !out.external.n)
		out.has_endpoints_elsewhere = choose(p, port, false).n > 0;
	return out;
}

void proxy_service_from(const struct v1_service *svc,
	const struct discovery_v1_endpoint_slice *const *slices, size_t n_slices,
	struct str node_name, bool ipv6, struct arena *a, struct proxy_service *ret)
{
	const struct v1_service_spec *spec = &svc->spec;
	const struct picker picker = {slices, n_slices, node_name, ipv6, a};
	struct proxy_service out = {
		.ns = svc->metadata.namespace, .name = svc->metadata.name, .ipv6 = ipv6};

	for (size_t i = 0; i < spec->cluster_ips.n; i++)
		add_family(a, &out.cluster_ips, spec->cluster_ips.v[i], ipv6);
	add_family(a, &out.cluster_ips, spec->cluster_ip, ipv6);
	for (size_t i = 0; i < spec->external_ips.n; i++)
		add_family(a, &out.external_ips, spec->external_ips.v[i], ipv6);
	for (size_t i = 0; i < svc->status.load_balancer.ingress.n; i++) {
		const struct v1_load_balancer_ingress *in = &svc->status.load_balancer.ingress.v[i];

		if (!str_eqc(in->ip_mode, "Proxy"))
			add_family(a, &out.external_ips, in->ip, ipv6);
	}
	for (size_t i = 0; i < spec->load_balancer_source_ranges.n; i++)
		add_family(a, &out.source_ranges, spec->load_balancer_source_ranges.v[i], ipv6);
	if (str_eqc(spec->session_affinity, "ClientIP")) {
		const struct v1_session_affinity_config *c = spec->session_affinity_config;

		out.affinity_s = c && c->client_ip && c->client_ip->timeout_seconds
					 ? *c->client_ip->timeout_seconds
					 : AFFINITY_DEFAULT_S;
	}
	if (out.cluster_ips.n && !str_eqc(spec->type, "ExternalName")) {
		out.ports = ARENA_ARRAY(a, struct proxy_port, spec->ports.n);
		out.n_ports = spec->ports.n;
		for (size_t i = 0; i < spec->ports.n; i++)
			out.ports[i] = make_port(&picker, svc, &spec->ports.v[i]);
	}
	*ret = out;
}
