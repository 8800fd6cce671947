/*
 * endpointslice.c: endpointslice-controller. Endpoints that stay are left in the slice where they
 * are; new ones fill slices that change anyway, then one that has room for all of them, then new
 * slices of SLICE_MAX.
 */
#include "controllers/services.h"

#define LABEL_SERVICE "kubernetes.io/service-name"
#define LABEL_MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define MANAGER "endpointslice-controller.k8s.io"
#define LABEL_ZONE "topology.kubernetes.io/zone"

enum { SLICE_MAX = 100, NODE_RETRY_MS = 5000 };

struct slice {
	struct discovery_v1_endpoint_slice *s;
	const struct object *object; /* NULL: to be created */
	bool changed, gone, taken;
};

struct slices {
	struct slice *v;
	size_t n;
};

struct desired { /* endpoints of one address type that have the same ports */
	struct discovery_v1_endpoint_port_vec ports;
	struct discovery_v1_endpoint_vec endpoints;
	bool *placed;
	size_t left;
};

struct desireds {
	struct desired *v;
	size_t n;
};

struct job {
	struct view *v;
	struct plan *p;
	const struct v1_service *svc;
	struct str_map labels;
	struct str address_type;
	struct slices slices; /* of this address type */
};

static struct str_map labels_of(struct view *v, const struct v1_service *svc)
{
	struct str_map m = str_map_without(svc->metadata.labels, S(LABEL_HEADLESS), v->arena);

	if (!service_has_ip(svc))
		m = str_map_with(m, S(LABEL_HEADLESS), S(""), v->arena);
	m = str_map_with(m, S(LABEL_SERVICE), svc->metadata.name, v->arena);
	return str_map_with(m, S(LABEL_MANAGED_BY), S(MANAGER), v->arena);
}

static bool *new_bool(struct arena *a, bool value)
{
	bool *b = ARENA_NEW(a, bool);

	*b = value;
	return b;
}

static void add_hints(struct job *j, struct discovery_v1_endpoint *e)
{
	struct str policy = j->svc->spec.traffic_distribution;
	bool same_node = str_eq(policy, S("PreferSameNode"));
	bool same_zone = str_eq(policy, S("PreferClose")) || str_eq(policy, S("PreferSameZone"));

	if ((!same_node && !same_zone) || str_empty(e->zone) || !*e->conditions.ready)
		return;
	e->hints = ARENA_NEW(j->v->arena, struct discovery_v1_endpoint_hints);
	const struct discovery_v1_for_zone zone = {e->zone};
	const struct discovery_v1_for_node node = {e->node_name};
	ARENA_PUSH(j->v->arena, &e->hints->for_zones, zone);
	if (same_node)
		ARENA_PUSH(j->v->arena, &e->hints->for_nodes, node);
}

/* False: not to be published now. */
static bool endpoint_of(struct job *j, const struct v1_pod *pod, struct discovery_v1_endpoint *ret)
{
	struct arena *a = j->v->arena;
	const struct v1_service *svc = j->svc;
	struct str ip = pod_ip(pod, str_eq(j->address_type, S("IPv6")));
	const struct object *node = view_get(j->v, &v1_node_resource, S(""), pod->spec.node_name);
	bool serving = pod_ready(pod), terminating = pod->metadata.deletion_timestamp.set;
	struct discovery_v1_endpoint e = {.node_name = pod->spec.node_name};

	if (str_empty(ip))
		return false;
	if (!node && !svc->spec.publish_not_ready_addresses) {
		plan_requeue(j->p, NODE_RETRY_MS);
		return false;
	}
	ARENA_PUSH(a, &e.addresses, ip);
	e.conditions.ready =
		new_bool(a, svc->spec.publish_not_ready_addresses || (serving && !terminating));
	e.conditions.serving = new_bool(a, serving);
	e.conditions.terminating = new_bool(a, terminating);
	e.target_ref = pod_reference(pod, a);
	if (node)
		e.zone = str_map_value(&node->labels, S(LABEL_ZONE));
	if (pod_hostname_counts(pod, svc))
		e.hostname = pod->spec.hostname;
	add_hints(j, &e);
	*ret = e;
	return true;
}

static struct discovery_v1_endpoint_port_vec ports_of(struct job *j, const struct v1_pod *pod)
{
	struct discovery_v1_endpoint_port_vec ports = {0};

	for (size_t i = 0; i < j->svc->spec.ports.n; i++) {
		const struct v1_service_port *sp = &j->svc->spec.ports.v[i];
		struct discovery_v1_endpoint_port port = {.name = sp->name,
			.protocol = sp->protocol,
			.app_protocol = sp->app_protocol};
		int32_t n = service_target_port(pod, sp);

		if (!n)
			continue;
		port.port = ARENA_NEW(j->v->arena, int32_t);
		*port.port = n;
		ARENA_PUSH(j->v->arena, &ports, port);
	}
	return ports;
}

static bool same_ports(const struct discovery_v1_endpoint_port_vec *a,
	const struct discovery_v1_endpoint_port_vec *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!schema_equal(&discovery_v1_endpoint_port_schema, &a->v[i], &b->v[i]))
			return false;
	return true;
}

static struct desireds desired_of(struct job *j, const struct pod_vec *pods)
{
	struct arena *a = j->v->arena;
	struct desireds all = {0};

	for (size_t i = 0; i < pods->n; i++) {
		struct discovery_v1_endpoint_port_vec ports = ports_of(j, pods->v[i]);
		struct discovery_v1_endpoint e;
		size_t k = 0;

		if (!endpoint_of(j, pods->v[i], &e))
			continue;
		while (k < all.n && !same_ports(&all.v[k].ports, &ports))
			k++;
		if (k == all.n) {
			struct desired d = {.ports = ports};

			ARENA_PUSH(a, &all, d);
		}
		ARENA_PUSH(a, &all.v[k].endpoints, e);
	}
	for (size_t i = 0; i < all.n; i++) {
		all.v[i].left = all.v[i].endpoints.n;
		all.v[i].placed = ARENA_ARRAY(a, bool, all.v[i].left);
	}
	return all;
}

static bool same_endpoint(
	const struct discovery_v1_endpoint *a, const struct discovery_v1_endpoint *b)
{
	return a->addresses.n && b->addresses.n && str_eq(a->addresses.v[0], b->addresses.v[0]) &&
	       a->target_ref && b->target_ref && str_eq(a->target_ref->uid, b->target_ref->uid);
}

static ssize_t find_desired(
	const struct desired *d, const struct discovery_v1_endpoint *e, size_t hint)
{
	/* Both are in the same order most of the time. */
	for (size_t n = 0; n < d->endpoints.n; n++) {
		size_t i = (hint + n) % d->endpoints.n;

		if (!d->placed[i] && same_endpoint(&d->endpoints.v[i], e))
			return (ssize_t)i;
	}
	return -1;
}

/* What stays in the slice, with its present conditions. */
static void keep(struct job *j, struct slice *s, struct desired *d)
{
	struct discovery_v1_endpoint_vec kept = {0};
	ssize_t last = -1;

	s->taken = true;
	for (size_t i = 0; i < s->s->endpoints.n; i++) {
		const struct discovery_v1_endpoint *e = &s->s->endpoints.v[i];
		ssize_t at = find_desired(d, e, (size_t)(last + 1));

		if (at < 0)
			continue;
		last = at;
		d->placed[at] = true;
		d->left--;
		s->changed |= !schema_equal(&discovery_v1_endpoint_schema, e, &d->endpoints.v[at]);
		ARENA_PUSH(j->v->arena, &kept, d->endpoints.v[at]);
	}
	s->changed |= kept.n != s->s->endpoints.n;
	s->gone = kept.n == 0;
	s->s->endpoints = kept;
}

static void fill(struct job *j, struct slice *s, struct desired *d)
{
	for (size_t i = 0; i < d->endpoints.n && s->s->endpoints.n < SLICE_MAX; i++) {
		if (d->placed[i])
			continue;
		d->placed[i] = true;
		d->left--;
		ARENA_PUSH(j->v->arena, &s->s->endpoints, d->endpoints.v[i]);
		s->changed = true;
		s->gone = false;
	}
}

static struct slice *new_slice(struct job *j, const struct discovery_v1_endpoint_port_vec *ports)
{
	struct arena *a = j->v->arena;
	struct discovery_v1_endpoint_slice *s = ARENA_NEW(a, struct discovery_v1_endpoint_slice);
	struct slice slice = {.s = s, .changed = true, .taken = true};

	s->metadata.generate_name = arena_fmt(a, STR_FMT "-", STR_ARG(j->svc->metadata.name));
	s->metadata.name = generate_name(j->v, s->metadata.generate_name);
	s->metadata.namespace = j->svc->metadata.namespace;
	s->metadata.labels = j->labels;
	ARENA_PUSH(a, &s->metadata.owner_references,
		owner_ref(&v1_service_resource, &j->svc->metadata, a));
	s->address_type = j->address_type;
	s->ports = *ports;
	/* Empty lists, not null ones. */
	s->endpoints.v = ARENA_ARRAY(a, struct discovery_v1_endpoint, 1);
	if (!s->ports.v)
		s->ports.v = ARENA_ARRAY(a, struct discovery_v1_endpoint_port, 1);
	ARENA_PUSH(a, &j->slices, slice);
	return &j->slices.v[j->slices.n - 1];
}

/* The unchanged slice that is fullest with all that is left. */
static struct slice *roomy(struct job *j, const struct desired *d)
{
	struct slice *best = NULL;

	for (size_t i = 0; i < j->slices.n; i++) {
		struct slice *s = &j->slices.v[i];

		if (!s->object || s->changed || s->gone || !same_ports(&s->s->ports, &d->ports) ||
			s->s->endpoints.n + d->left > SLICE_MAX)
			continue;
		if (!best || s->s->endpoints.n > best->s->endpoints.n)
			best = s;
	}
	return best;
}

static void place(struct job *j, struct desired *d)
{
	size_t existing = j->slices.n;

	for (size_t i = 0; i < existing; i++)
		if (!j->slices.v[i].taken && same_ports(&j->slices.v[i].s->ports, &d->ports))
			keep(j, &j->slices.v[i], d);
	for (size_t i = 0; i < existing && d->left; i++)
		if (j->slices.v[i].changed && !j->slices.v[i].gone &&
			same_ports(&j->slices.v[i].s->ports, &d->ports))
			fill(j, &j->slices.v[i], d);
	while (d->left) {
		struct slice *s = roomy(j, d);

		if (!s)
			s = new_slice(j, &d->ports);
		fill(j, s, d);
	}
}

/* One that goes makes way for one that comes: an update instead of two writes. */
static void reuse(struct job *j)
{
	for (size_t i = 0; i < j->slices.n; i++) {
		struct slice *s = &j->slices.v[i];

		for (size_t k = 0; !s->object && !s->gone && k < j->slices.n; k++) {
			struct slice *old = &j->slices.v[k];

			if (!old->object || !old->gone)
				continue;
			s->object = old->object;
			s->s->metadata = old->s->metadata;
			old->object = NULL;
		}
	}
}

static void write_slices(struct job *j)
{
	bool going = j->svc->metadata.deletion_timestamp.set;

	for (size_t i = 0; i < j->slices.n; i++) {
		struct slice *s = &j->slices.v[i];
		struct meta_v1_object_meta *m = &s->s->metadata;
		bool relabel =
			m->labels.n != j->labels.n || !str_map_subset(&m->labels, &j->labels);
		struct plan_write *w;

		if (s->gone && !s->object)
			continue; /* became another */
		if (s->gone) {
			w = plan_add(j->p, PLAN_DELETE, &discovery_v1_endpoint_slice_resource,
				m->namespace, m->name);
			w->ignore_not_found = true;
			continue;
		}
		if ((!s->changed && !relabel) || (going && !s->object))
			continue;
		m->labels = j->labels;
		w = plan_add(j->p, s->object ? PLAN_UPDATE : PLAN_CREATE,
			&discovery_v1_endpoint_slice_resource, m->namespace, m->name);
		w->object = s->s;
	}
}

static void plan_address_type(struct job *j, const struct pod_vec *pods)
{
	struct desireds all = desired_of(j, pods);
	const struct discovery_v1_endpoint_port_vec no_ports = {0};
	size_t existing = j->slices.n, gone = 0;

	for (size_t i = 0; i < all.n; i++)
		place(j, &all.v[i]);
	for (size_t i = 0; i < existing; i++) {
		j->slices.v[i].gone |= !j->slices.v[i].taken;
		gone += j->slices.v[i].gone;
	}
	/* A service that has nothing keeps one empty slice, so that one can see that it is looked
	 * after. */
	if (gone == j->slices.n) {
		struct slice *s = existing == 1 ? &j->slices.v[0] : NULL;

		if (s && s->s->ports.n == 0 && s->s->endpoints.n == 0 && !s->changed)
			s->gone = false;
		else
			new_slice(j, &no_ports);
	}
	reuse(j);
	write_slices(j);
}

/* Slices of this service that are of the address type.. */
static struct slices load(struct view *v, const struct v1_service *svc, struct str address_type)
{
	struct object_vec mine =
		view_controlled(v, &discovery_v1_endpoint_slice_resource, svc->metadata.uid);
	struct slices slices = {0};

	for (size_t i = 0; i < mine.n; i++) {
		const struct str *manager = str_map_get(&mine.v[i]->labels, S(LABEL_MANAGED_BY));
		struct slice s = {.object = mine.v[i]};

		if (!manager || !str_eq(*manager, S(MANAGER)))
			continue;
		s.s = object_decode(mine.v[i], v->arena);
		if (str_eq(s.s->address_type, address_type))
			ARENA_PUSH(v->arena, &slices, s);
	}
	return slices;
}

static bool has_family(const struct v1_service *svc, struct str family)
{
	if (svc->spec.ip_families.n)
		return str_vec_has(&svc->spec.ip_families, family);
	if (service_has_ip(svc))
		return str_eq(family, S("IPv6")) == ip_is_v6(svc->spec.cluster_ip);
	return true;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct v1_service *svc = view_decode(v, &v1_service_resource, key.ns, key.name);
	const struct str families[] = {S("IPv4"), S("IPv6")};

	if (!svc || !service_is_managed(svc))
		return 0;
	struct pod_vec pods = service_pods(v, svc, true);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct job j = {.v = v, .p = p, .svc = svc, .address_type = families[i]};

		j.labels = labels_of(v, svc);
		j.slices = load(v, svc, families[i]);
		if (has_family(svc, families[i])) {
			plan_address_type(&j, &pods);
			continue;
		}
		for (size_t k = 0; k < j.slices.n; k++)
			j.slices.v[k].gone = true;
		write_slices(&j);
	}
	return 0;
}

static void slice_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct str *manager = str_map_get(&ev->object->labels, S(LABEL_MANAGED_BY));
	const struct str *svc = str_map_get(&ev->object->labels, S(LABEL_SERVICE));

	if (manager && svc && str_eq(*manager, S(MANAGER)))
		enqueue(user_data, ev->object->ns, *svc);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_service_resource, .keys = service_keys},
	{.resource = &v1_pod_resource, .keys = service_pod_keys},
	{.resource = &discovery_v1_endpoint_slice_resource, .keys = slice_keys, .indexed = true},
	{.resource = &v1_node_resource, .silent = true},
	{0},
};

const struct planner endpointslice_planner = {
	.name = "endpointslice-controller",
	.source = "endpoint-slice-controller",
	.user = "endpointslice-controller",
	.watches = watches,
	.init = service_cache_new,
	.free = service_cache_free,
	.reconcile = reconcile,
};
