/* endpoints.c: endpoints-controller: one Endpoints object per service with a selector. */
#include "controllers/services.h"

#define LABEL_MANAGED_BY "endpoints.kubernetes.io/managed-by"
#define MANAGER "endpoint-controller"
#define ANN_OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"

enum { ADDRESSES_MAX = 1000 };

struct address {
	struct v1_endpoint_address a;
	bool ready;
	const struct v1_pod *pod;
};

struct addresses {
	struct address *v;
	size_t n;
};

/* A port and which addresses offer it. */
struct offer {
	struct v1_endpoint_port port;
	struct {
		size_t *v;
		size_t n;
	} at;
	bool no_port, merged;
};

struct offers {
	struct offer *v;
	size_t n;
};

static int compare_address(const void *va, const void *vb)
{
	const struct address *a = va, *b = vb;
	int c = str_cmp(a->a.ip, b->a.ip);

	return c ? c : str_cmp(a->a.target_ref->uid, b->a.target_ref->uid);
}

static bool wants_v6(const struct v1_service *svc, const struct v1_pod *pod)
{
	if (svc->spec.ip_families.n)
		return str_eq(svc->spec.ip_families.v[0], S("IPv6"));
	return ip_is_v6(service_has_ip(svc) ? svc->spec.cluster_ip : pod->status.pod_ip);
}

static struct addresses addresses_of(struct view *v, const struct v1_service *svc)
{
	struct pod_vec pods = service_pods(v, svc, svc->spec.publish_not_ready_addresses);
	struct addresses all = {0};

	for (size_t i = 0; i < pods.n; i++) {
		const struct v1_pod *pod = pods.v[i];
		struct str ip = pod_ip(pod, wants_v6(svc, pod));

		if (str_empty(ip))
			continue;
		struct address a = {
			.a = {.ip = ip,
				.node_name = pod->spec.node_name,
				.target_ref = pod_reference(pod, v->arena)},
			.ready = svc->spec.publish_not_ready_addresses || pod_ready(pod),
			.pod = pod,
		};
		if (pod_hostname_counts(pod, svc))
			a.a.hostname = pod->spec.hostname;
		ARENA_PUSH(v->arena, &all, a);
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), compare_address);
	return all;
}

static void offer(struct view *v, struct offers *offers, struct v1_endpoint_port port, bool no_port,
	size_t address)
{
	struct offer *o = NULL;

	for (size_t i = 0; i < offers->n && !o; i++) {
		const struct v1_endpoint_port *p = &offers->v[i].port;

		if (offers->v[i].no_port == no_port && p->port == port.port &&
			str_eq(p->name, port.name) && str_eq(p->protocol, port.protocol) &&
			str_eq(p->app_protocol, port.app_protocol))
			o = &offers->v[i];
	}
	if (!o) {
		struct offer fresh = {.port = port, .no_port = no_port};

		ARENA_PUSH(v->arena, offers, fresh);
		o = &offers->v[offers->n - 1];
	}
	ARENA_PUSH(v->arena, &o->at, address);
}

static struct offers offers_of(
	struct view *v, const struct v1_service *svc, const struct addresses *all)
{
	struct offers offers = {0};

	for (size_t i = 0; i < all->n; i++) {
		if (svc->spec.ports.n == 0 && !service_has_ip(svc))
			offer(v, &offers, (struct v1_endpoint_port){0}, true, i);
		for (size_t k = 0; k < svc->spec.ports.n; k++) {
			const struct v1_service_port *sp = &svc->spec.ports.v[k];
			int32_t n = service_target_port(all->v[i].pod, sp);
			const struct v1_endpoint_port port = {.name = sp->name,
				.port = n,
				.protocol = sp->protocol,
				.app_protocol = sp->app_protocol};

			if (n)
				offer(v, &offers, port, false, i);
		}
	}
	return offers;
}

/* Ports that the same addresses offer share a subset. */
static struct v1_endpoint_subset_vec subsets_of(struct view *v, const struct v1_service *svc)
{
	struct addresses all = addresses_of(v, svc);
	struct offers offers = offers_of(v, svc, &all);
	struct v1_endpoint_subset_vec subsets = {0};

	for (size_t i = 0; i < offers.n; i++) {
		struct offer *o = &offers.v[i];
		struct v1_endpoint_subset s = {0};

		if (o->merged)
			continue;
		for (size_t k = 0; k < o->at.n; k++) {
			const struct address *a = &all.v[o->at.v[k]];

			if (a->ready)
				ARENA_PUSH(v->arena, &s.addresses, a->a);
			else
				ARENA_PUSH(v->arena, &s.not_ready_addresses, a->a);
		}
		for (size_t k = i; k < offers.n; k++) {
			struct offer *other = &offers.v[k];

			if (other->no_port || other->merged || other->at.n != o->at.n ||
				memcmp(other->at.v, o->at.v, o->at.n * sizeof(*o->at.v)) != 0)
				continue;
			other->merged = true;
			ARENA_PUSH(v->arena, &s.ports, other->port);
		}
		ARENA_PUSH(v->arena, &subsets, s);
	}
	return subsets;
}

/* The ready ones first, as many as there is room for. */
static bool cut_to_capacity(struct v1_endpoint_subset_vec *subsets)
{
	size_t room = ADDRESSES_MAX;
	bool cut = false;

	for (size_t i = 0; i < subsets->n; i++) {
		size_t n = MIN(subsets->v[i].addresses.n, room);

		cut |= n < subsets->v[i].addresses.n;
		subsets->v[i].addresses.n = n;
		room -= n;
	}
	for (size_t i = 0; i < subsets->n; i++) {
		size_t n = MIN(subsets->v[i].not_ready_addresses.n, room);

		cut |= n < subsets->v[i].not_ready_addresses.n;
		subsets->v[i].not_ready_addresses.n = n;
		room -= n;
	}
	return cut;
}

static struct str_map labels_of(struct view *v, const struct v1_service *svc)
{
	struct str_map m = svc->metadata.labels;

	m = service_has_ip(svc) ? str_map_without(m, S(LABEL_HEADLESS), v->arena)
				: str_map_with(m, S(LABEL_HEADLESS), S(""), v->arena);
	return str_map_with(m, S(LABEL_MANAGED_BY), S(MANAGER), v->arena);
}

static bool same(const struct v1_endpoints *a, const struct v1_endpoints *b)
{
	if (a->metadata.labels.n != b->metadata.labels.n ||
		!str_map_subset(&a->metadata.labels, &b->metadata.labels) ||
		a->metadata.annotations.n != b->metadata.annotations.n ||
		!str_map_subset(&a->metadata.annotations, &b->metadata.annotations))
		return false;
	if (a->subsets.n != b->subsets.n)
		return false;
	for (size_t i = 0; i < a->subsets.n; i++)
		if (!schema_equal(&v1_endpoint_subset_schema, &a->subsets.v[i], &b->subsets.v[i]))
			return false;
	return true;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct v1_service *svc = view_decode(v, &v1_service_resource, key.ns, key.name);
	const struct object *o = view_get(v, &v1_endpoints_resource, key.ns, key.name);

	if (!svc) {
		if (o)
			plan_add(p, PLAN_DELETE, &v1_endpoints_resource, key.ns, key.name)
				->ignore_not_found = true;
		return 0;
	}
	if (!service_is_managed(svc))
		return 0;
	struct v1_endpoints *was = o ? object_decode(o, v->arena) : NULL;
	struct v1_endpoints *ep = ARENA_NEW(v->arena, struct v1_endpoints);
	if (was) {
		*ep = *was;
	} else {
		ep->metadata.name = key.name;
		ep->metadata.namespace = key.ns;
	}
	ep->subsets = subsets_of(v, svc);
	ep->metadata.labels = labels_of(v, svc);
	ep->metadata.annotations =
		str_map_without(ep->metadata.annotations, S(ANN_OVER_CAPACITY), v->arena);
	if (cut_to_capacity(&ep->subsets))
		ep->metadata.annotations = str_map_with(
			ep->metadata.annotations, S(ANN_OVER_CAPACITY), S("truncated"), v->arena);
	if (was && same(was, ep))
		return 0;
	struct plan_write *w = plan_add(
		p, was ? PLAN_UPDATE : PLAN_CREATE, &v1_endpoints_resource, key.ns, key.name);
	w->object = ep;
	w->event.about = o;
	w->event.fail_reason = was ? "FailedToUpdateEndpoint" : "FailedToCreateEndpoint";
	w->event.fail_text = arena_fmt(v->arena, "Failed to %s " STR_FMT "/" STR_FMT ": ",
		was ? "update endpoint" : "create endpoint for service", STR_ARG(key.ns),
		STR_ARG(key.name))
				     .p;
	return 0;
}

/* Only those that this controller made: others are their service's owner's business. */
static void endpoints_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct str *manager = str_map_get(&ev->object->labels, S(LABEL_MANAGED_BY));

	if (manager && str_eq(*manager, S(MANAGER)))
		enqueue(user_data, ev->object->ns, ev->object->name);
}

static const struct plan_watch watches[] = {
	{.resource = &v1_service_resource, .keys = service_keys},
	{.resource = &v1_pod_resource, .keys = service_pod_keys},
	{.resource = &v1_endpoints_resource, .keys = endpoints_keys},
	{0},
};

const struct planner endpoints_planner = {
	.name = "endpoints-controller",
	.source = "endpoint-controller",
	.user = "endpoint-controller",
	.watches = watches,
	.init = service_cache_new,
	.free = service_cache_free,
	.reconcile = reconcile,
};
