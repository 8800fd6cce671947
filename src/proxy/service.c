#include "proxy/service.h"

#define LABEL_OTHER_PROXY "service.kubernetes.io/service-proxy-name"

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

/* --- endpoints --- */

/* One address that a slice offers for a port. */
struct offer {
	struct proxy_endpoint to;
	bool ready, serving, terminating;
	const struct discovery_v1_endpoint_hints *hints;
};

struct offers {
	struct offer *v;
	size_t n;
};

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

struct picker {
	const struct discovery_v1_endpoint_slice *const *slices;
	size_t n_slices;
	const struct proxy_place *place;
	bool ipv6;
	struct arena *arena;
};

static void offers_from(const struct picker *p, const struct discovery_v1_endpoint_slice *slice,
	int port, struct offers *ret)
{
	for (size_t i = 0; i < slice->endpoints.n; i++) {
		const struct discovery_v1_endpoint *e = &slice->endpoints.v[i];
		const struct discovery_v1_endpoint_conditions *c = &e->conditions;
		struct offer o = {
			.ready = !c->ready || *c->ready,
			.serving = c->serving ? *c->serving : !c->ready || *c->ready,
			.terminating = c->terminating && *c->terminating,
			.hints = e->hints,
		};

		if (!e->addresses.n)
			continue;
		o.to.ip = e->addresses.v[0];
		o.to.port = port;
		o.to.local = e->node_name.n && str_eq(e->node_name, p->place->node_name);
		ARENA_PUSH(p->arena, ret, o);
	}
}

static struct offers offers_of(const struct picker *p, const struct v1_service_port *port)
{
	const char *family = p->ipv6 ? "IPv6" : "IPv4";
	struct offers out = {0};

	for (size_t s = 0; s < p->n_slices; s++) {
		const struct discovery_v1_endpoint_slice *slice = p->slices[s];

		if (!str_eqc(slice->address_type, family))
			continue;
		for (size_t i = 0; i < slice->ports.n; i++) {
			const struct discovery_v1_endpoint_port *ep = &slice->ports.v[i];

			if (ep->port && str_eq(ep->name, port->name) &&
				!strcmp(protocol_of(ep->protocol), protocol_of(port->protocol)))
				offers_from(p, slice, *ep->port, &out);
		}
	}
	return out;
}

/* --- topology hints --- */

enum near { NEAR_ANY, NEAR_ZONE, NEAR_NODE };

static bool hinted(const struct offer *o, enum near near, const struct proxy_place *place)
{
	if (near == NEAR_ANY)
		return true;
	if (!o->hints)
		return false;
	if (near == NEAR_ZONE)
		for (size_t i = 0; i < o->hints->for_zones.n; i++)
			if (str_eq(o->hints->for_zones.v[i].name, place->zone))
				return true;
	if (near == NEAR_NODE)
		for (size_t i = 0; i < o->hints->for_nodes.n; i++)
			if (str_eq(o->hints->for_nodes.v[i].name, place->node_name))
				return true;
	return false;
}

/* Whether every ready endpoint has a hint of this sort, and one of them means this place: only then
 * do hints count. */
static bool hints_apply(const struct offers *o, enum near near, const struct proxy_place *place)
{
	bool here = false;

	for (size_t i = 0; i < o->n; i++) {
		const struct discovery_v1_endpoint_hints *h = o->v[i].hints;

		if (!o->v[i].ready)
			continue;
		if (!h || (near == NEAR_ZONE ? h->for_zones.n : h->for_nodes.n) == 0)
			return false;
		here |= hinted(&o->v[i], near, place);
	}
	return here;
}

/* --- which of them count --- */

enum pick { PICK_READY, PICK_ENDING, PICK_SERVING };

static bool fits(const struct offer *o, enum pick pick)
{
	return pick == PICK_READY    ? o->ready
	       : pick == PICK_ENDING ? o->serving && o->terminating
				     : o->serving;
}

static struct proxy_endpoints choose(const struct picker *p, const struct offers *o, enum pick pick,
	enum near near, bool local_only)
{
	struct proxy_endpoints out = {0};

	for (size_t i = 0; i < o->n; i++)
		if (fits(&o->v[i], pick) && (!local_only || o->v[i].to.local) &&
			hinted(&o->v[i], near, p->place))
			ARENA_PUSH(p->arena, &out, o->v[i].to);
	sort_unique(&out);
	return out;
}

static struct proxy_endpoints usable(
	const struct picker *p, const struct offers *o, enum near near, bool local_only)
{
	struct proxy_endpoints e = choose(p, o, PICK_READY, near, local_only);

	return e.n ? e : choose(p, o, PICK_ENDING, NEAR_ANY, local_only);
}

static enum near nearness(const struct picker *p, const struct offers *o)
{
	return hints_apply(o, NEAR_NODE, p->place)   ? NEAR_NODE
	       : hints_apply(o, NEAR_ZONE, p->place) ? NEAR_ZONE
						     : NEAR_ANY;
}

bool proxy_port_external(const struct proxy_service *svc, const struct proxy_port *p)
{
	return p->node_port || svc->external_ips.n || svc->balancer_ips.n;
}

static struct proxy_port make_port(
	const struct picker *p, const struct proxy_service *svc, const struct v1_service_port *port)
{
	struct offers o = offers_of(p, port);
	bool outside;
	struct proxy_port out = {
		.name = port->name,
		.protocol = protocol_of(port->protocol),
		.port = port->port,
		.node_port = port->node_port,
	};

	out.full_name = arena_fmt(p->arena, STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(svc->ns),
		STR_ARG(svc->name), port->name.n ? ":" : "", STR_ARG(port->name));
	outside = proxy_port_external(svc, &out);
	/* also with policy Local: what comes from this cluster to an external address goes to any
	 * of them */
	if (!svc->internal_local || outside)
		out.cluster = usable(p, &o, nearness(p, &o), false);
	if (svc->internal_local || (svc->external_local && outside))
		out.local = usable(p, &o, NEAR_ANY, true);
	out.any = out.cluster.n || usable(p, &o, NEAR_ANY, false).n;
	out.serving = choose(p, &o, PICK_SERVING, NEAR_ANY, false);
	return out;
}

/* --- addresses --- */

static bool is_everything(struct str cidr)
{
	return str_ends(cidr, S("/0"));
}

static void add_addresses(
	const struct v1_service *svc, bool ipv6, struct arena *a, struct proxy_service *out)
{
	const struct v1_service_spec *spec = &svc->spec;
	struct str_vec ips = {0};

	for (size_t i = 0; i < spec->cluster_ips.n; i++)
		add_family(a, &ips, spec->cluster_ips.v[i], ipv6);
	add_family(a, &ips, spec->cluster_ip, ipv6);
	if (ips.n)
		out->cluster_ip = ips.v[0];
	for (size_t i = 0; i < spec->external_ips.n; i++)
		add_family(a, &out->external_ips, spec->external_ips.v[i], ipv6);
	for (size_t i = 0; i < svc->status.load_balancer.ingress.n; i++) {
		const struct v1_load_balancer_ingress *in = &svc->status.load_balancer.ingress.v[i];

		if (!in->ip_mode.n || str_eqc(in->ip_mode, "VIP"))
			add_family(a, &out->balancer_ips, in->ip, ipv6);
	}
	for (size_t i = 0; i < spec->load_balancer_source_ranges.n; i++)
		add_family(a, &out->source_ranges, str_trim(spec->load_balancer_source_ranges.v[i]),
			ipv6);
	for (size_t i = 0; i < out->source_ranges.n; i++)
		if (is_everything(out->source_ranges.v[i])) {
			out->source_ranges.n = 0;
			break;
		}
}

static int affinity_of(const struct v1_service_spec *spec)
{
	const struct v1_session_affinity_config *c = spec->session_affinity_config;

	if (!str_eqc(spec->session_affinity, "ClientIP"))
		return 0;
	return c && c->client_ip && c->client_ip->timeout_seconds ? *c->client_ip->timeout_seconds
								  : AFFINITY_DEFAULT_S;
}

/* Addresses of this node that are ready, each once, whatever the port. */
static size_t count_local_ready(const struct picker *p)
{
	struct str_vec ips = {0};

	for (size_t s = 0; s < p->n_slices; s++) {
		const struct discovery_v1_endpoint_slice *slice = p->slices[s];
		struct offers o = {0};

		if (!str_eqc(slice->address_type, p->ipv6 ? "IPv6" : "IPv4") || !slice->ports.n)
			continue;
		offers_from(p, slice, 0, &o);
		for (size_t i = 0; i < o.n; i++)
			if (o.v[i].ready && o.v[i].to.local && !str_vec_has(&ips, o.v[i].to.ip))
				ARENA_PUSH(p->arena, &ips, o.v[i].to.ip);
	}
	return ips.n;
}

void proxy_service_from(const struct v1_service *svc,
	const struct discovery_v1_endpoint_slice *const *slices, size_t n_slices,
	const struct proxy_place *place, bool ipv6, struct arena *a, struct proxy_service *ret)
{
	const struct v1_service_spec *spec = &svc->spec;
	const struct picker picker = {slices, n_slices, place, ipv6, a};
	bool outside_type = str_eqc(spec->type, "NodePort") || str_eqc(spec->type, "LoadBalancer");
	struct proxy_service out = {
		.ns = svc->metadata.namespace,
		.name = svc->metadata.name,
		.ipv6 = ipv6,
		.affinity_s = affinity_of(spec),
		.internal_local = str_eqc(spec->internal_traffic_policy, "Local"),
		.external_local = (outside_type || spec->external_ips.n) &&
				  str_eqc(spec->external_traffic_policy, "Local"),
	};

	if (!str_eqc(spec->type, "ExternalName") &&
		!str_map_get(&svc->metadata.labels, S(LABEL_OTHER_PROXY)))
		add_addresses(svc, ipv6, a, &out);
	if (out.cluster_ip.n) {
		out.ports = ARENA_ARRAY(a, struct proxy_port, spec->ports.n);
		out.n_ports = spec->ports.n;
		for (size_t i = 0; i < spec->ports.n; i++)
			out.ports[i] = make_port(&picker, &out, &spec->ports.v[i]);
	}
	if (out.n_ports && str_eqc(spec->type, "LoadBalancer") && out.external_local) {
		out.health_check_port = spec->health_check_node_port;
		out.n_local_ready = count_local_ready(&picker);
	}
	*ret = out;
}
