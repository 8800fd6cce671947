/*
 * endpointslicemirroring.c: endpointslicemirroring-controller: what somebody wrote into the
 * Endpoints of a service without a selector, as endpoint slices, which is what proxies read. One
 * slice for each set of ports and each family.
 */
#include "controllers/services.h"

#define LABEL_SERVICE "kubernetes.io/service-name"
#define LABEL_MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define LABEL_SKIP "endpointslice.kubernetes.io/skip-mirror"
#define MANAGER "endpointslicemirroring-controller.k8s.io"
#define ANN_LEADER "control-plane.alpha.kubernetes.io/leader"
#define ANN_TRIGGER_TIME "endpoints.kubernetes.io/last-change-trigger-time"
#define ANN_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

enum { ENDPOINTS_MAX = 1000 }; /* in one subset */

struct mirrored {
	struct str address_type;
	struct discovery_v1_endpoint_port_vec ports;
	struct discovery_v1_endpoint_vec endpoints;
	bool written;
};

struct job {
	struct view *v;
	struct plan *p;
	const struct v1_endpoints *endpoints;
	struct str_map labels, annotations;
	struct {
		struct mirrored *v;
		size_t n;
	} wanted;
	size_t skipped;
};

static struct discovery_v1_endpoint_port_vec ports_of(
	struct job *j, const struct v1_endpoint_subset *s)
{
	struct discovery_v1_endpoint_port_vec ports = {
		.v = ARENA_ARRAY(j->v->arena, struct discovery_v1_endpoint_port, 1)};

	for (size_t i = 0; i < s->ports.n; i++) {
		const struct v1_endpoint_port *from = &s->ports.v[i];
		struct discovery_v1_endpoint_port port = {.name = from->name,
			.protocol = from->protocol,
			.app_protocol = from->app_protocol};

		port.port = ARENA_NEW(j->v->arena, int32_t);
		*port.port = from->port;
		ARENA_PUSH(j->v->arena, &ports, port);
	}
	return ports;
}

static bool same_ports(const struct discovery_v1_endpoint_port_vec *a,
	const struct discovery_v1_endpoint_port_vec *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = schema_equal(&discovery_v1_endpoint_port_schema, &a->v[i], &b->v[i]);
	return same;
}

static struct mirrored *group_of(
	struct job *j, struct str address_type, const struct discovery_v1_endpoint_port_vec *ports)
{
	for (size_t i = 0; i < j->wanted.n; i++)
		if (str_eq(j->wanted.v[i].address_type, address_type) &&
			same_ports(&j->wanted.v[i].ports, ports))
			return &j->wanted.v[i];
	ARENA_PUSH(j->v->arena, &j->wanted,
		((struct mirrored){.address_type = address_type, .ports = *ports}));
	return &j->wanted.v[j->wanted.n - 1];
}

static void add_addresses(struct job *j, const struct v1_endpoint_address_vec *addresses,
	bool ready, const struct discovery_v1_endpoint_port_vec *ports, size_t *count)
{
	for (size_t i = 0; i < addresses->n; i++) {
		const struct v1_endpoint_address *from = &addresses->v[i];
		struct mirrored *m = group_of(j, ip_is_v6(from->ip) ? S("IPv6") : S("IPv4"), ports);
		struct discovery_v1_endpoint e = {.hostname = from->hostname,
			.node_name = from->node_name,
			.target_ref = from->target_ref};

		if (++*count > ENDPOINTS_MAX) {
			j->skipped++;
			continue;
		}
		e.conditions.ready = ARENA_NEW(j->v->arena, bool);
		*e.conditions.ready = ready;
		ARENA_PUSH(j->v->arena, &e.addresses, from->ip);
		ARENA_PUSH(j->v->arena, &m->endpoints, e);
	}
}

static void collect(struct job *j)
{
	for (size_t i = 0; i < j->endpoints->subsets.n; i++) {
		const struct v1_endpoint_subset *s = &j->endpoints->subsets.v[i];
		struct discovery_v1_endpoint_port_vec ports = ports_of(j, s);
		size_t count = 0;

		add_addresses(j, &s->addresses, true, &ports, &count);
		add_addresses(j, &s->not_ready_addresses, false, &ports, &count);
	}
}

static bool same_map(const struct str_map *a, const struct str_map *b)
{
	return a->n == b->n && str_map_subset(a, b);
}

static bool is_current(
	const struct job *j, const struct discovery_v1_endpoint_slice *s, const struct mirrored *m)
{
	bool same = s->endpoints.n == m->endpoints.n && same_map(&s->metadata.labels, &j->labels) &&
		    same_map(&s->metadata.annotations, &j->annotations);

	for (size_t i = 0; same && i < m->endpoints.n; i++)
		same = schema_equal(
			&discovery_v1_endpoint_schema, &s->endpoints.v[i], &m->endpoints.v[i]);
	return same;
}

/* The slice there is, changed, or a new one. */
static void write_slice(struct job *j, struct discovery_v1_endpoint_slice *s, struct mirrored *m)
{
	const struct meta_v1_object_meta *of = &j->endpoints->metadata;
	struct arena *a = j->v->arena;
	struct plan_write *w;
	bool fresh = !s;

	m->written = true;
	if ((s && is_current(j, s, m)) || (fresh && of->deletion_timestamp.set))
		return;
	if (fresh) {
		s = ARENA_NEW(a, struct discovery_v1_endpoint_slice);
		s->metadata.generate_name = arena_fmt(a, STR_FMT "-", STR_ARG(of->name));
		s->metadata.name = generate_name(j->v, s->metadata.generate_name);
		s->metadata.namespace = of->namespace;
		ARENA_PUSH(
			a, &s->metadata.owner_references, owner_ref(&v1_endpoints_resource, of, a));
		s->address_type = m->address_type;
	}
	s->metadata.labels = j->labels;
	s->metadata.annotations = j->annotations;
	s->ports = m->ports;
	s->endpoints = m->endpoints;
	w = plan_add(j->p, fresh ? PLAN_CREATE : PLAN_UPDATE, &discovery_v1_endpoint_slice_resource,
		of->namespace, s->metadata.name);
	w->object = s;
}

static void delete_slice(struct plan *p, const struct object *slice)
{
	struct plan_write *w = plan_add(
		p, PLAN_DELETE, &discovery_v1_endpoint_slice_resource, slice->ns, slice->name);

	w->ignore_not_found = true;
}

static bool is_ours(const struct object *slice)
{
	const struct str *manager = str_map_get(&slice->labels, S(LABEL_MANAGED_BY));

	return manager && str_eq(*manager, S(MANAGER));
}

/* Slices that there are take what fits them; one too many goes. */
static void settle(struct job *j, const struct object_vec *slices)
{
	for (size_t i = 0; i < slices->n; i++) {
		struct discovery_v1_endpoint_slice *s;
		struct mirrored *m = NULL;

		if (!is_ours(slices->v[i]))
			continue;
		s = object_decode(slices->v[i], j->v->arena);
		for (size_t k = 0; k < j->wanted.n && !m; k++)
			if (!j->wanted.v[k].written && j->wanted.v[k].endpoints.n &&
				str_eq(j->wanted.v[k].address_type, s->address_type) &&
				same_ports(&j->wanted.v[k].ports, &s->ports))
				m = &j->wanted.v[k];
		if (m)
			write_slice(j, s, m);
		else
			delete_slice(j->p, slices->v[i]);
	}
	for (size_t k = 0; k < j->wanted.n; k++)
		if (!j->wanted.v[k].written && j->wanted.v[k].endpoints.n)
			write_slice(j, NULL, &j->wanted.v[k]);
}

static bool should_mirror(struct view *v, const struct v1_endpoints *e)
{
	const struct v1_service *svc =
		view_decode(v, &v1_service_resource, e->metadata.namespace, e->metadata.name);

	return svc && !svc->spec.selector.n &&
	       !str_eq(str_map_value(&e->metadata.labels, S(LABEL_SKIP)), S("true")) &&
	       !str_map_get(&e->metadata.annotations, S(ANN_LEADER));
}

/* When the Endpoints object is gone its slices go with their owner. */
static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct object *object = view_get(v, &v1_endpoints_resource, key.ns, key.name);
	struct job j = {.v = v, .p = p};
	struct object_vec slices;

	if (!object)
		return 0;
	j.endpoints = object_decode(object, v->arena);
	slices = view_controlled(
		v, &discovery_v1_endpoint_slice_resource, j.endpoints->metadata.uid);
	if (should_mirror(v, j.endpoints)) {
		j.labels = str_map_with(
			j.endpoints->metadata.labels, S(LABEL_SERVICE), key.name, v->arena);
		j.labels = str_map_with(j.labels, S(LABEL_MANAGED_BY), S(MANAGER), v->arena);
		j.annotations = str_map_without(
			j.endpoints->metadata.annotations, S(ANN_TRIGGER_TIME), v->arena);
		j.annotations = str_map_without(j.annotations, S(ANN_APPLIED), v->arena);
		collect(&j);
	}
	if (j.skipped)
		plan_event(p, object, "Warning", "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints "
			"subset. %zu addresses were skipped",
			ENDPOINTS_MAX, j.skipped);
	settle(&j, &slices);
	return 0;
}

static void slice_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct str *svc = str_map_get(&ev->object->labels, S(LABEL_SERVICE));

	if (svc && is_ours(ev->object))
		enqueue(user_data, ev->object->ns, *svc);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_endpoints_resource},
	{.resource = &v1_service_resource},
	{.resource = &discovery_v1_endpoint_slice_resource, .keys = slice_keys, .indexed = true},
	{0},
};

const struct planner endpointslicemirroring_planner = {
	.name = "endpointslice-mirroring-controller",
	.source = "endpoint-slice-mirroring-controller",
	.user = "endpointslicemirroring-controller",
	.watches = watches,
	.reconcile = reconcile,
};
