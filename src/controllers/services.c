#include "controllers/services.h"

struct cached {
	struct cached *next;
	struct str ns, name;
	struct str_map selector;
	struct arena arena; /* owns the above */
};

enum { SLOTS = 1024 };

struct service_cache {
	struct cached *by_ns[SLOTS]; /* all services of a namespace hang in one slot */
};

void *service_cache_new(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct service_cache));
}

static void cached_free(struct cached *c)
{
	arena_release(&c->arena);
	free(c);
}

void service_cache_free(void *state)
{
	struct service_cache *sc = state;

	for (size_t i = 0; i < SLOTS; i++) {
		while (sc->by_ns[i]) {
			struct cached *c = sc->by_ns[i];

			sc->by_ns[i] = c->next;
			cached_free(c);
		}
	}
	free(sc);
}

static struct cached **slot(struct service_cache *sc, struct str ns)
{
	return &sc->by_ns[str_hash(ns) % SLOTS];
}

static void cache_remove(struct service_cache *sc, const struct object *o)
{
	struct cached **at = slot(sc, o->ns);

	while (*at && !(str_eq((*at)->name, o->name) && str_eq((*at)->ns, o->ns)))
		at = &(*at)->next;
	if (*at) {
		struct cached *c = *at;

		*at = c->next;
		cached_free(c);
	}
}

static void cache_put(struct service_cache *sc, const struct object *o, struct arena *scratch)
{
	struct v1_service *svc = object_decode(o, scratch);
	struct cached *c, **at = slot(sc, o->ns);

	cache_remove(sc, o);
	if (!service_is_managed(svc))
		return;
	c = xcalloc(1, sizeof(*c));
	arena_init(&c->arena);
	c->ns = arena_str(&c->arena, o->ns);
	c->name = arena_str(&c->arena, o->name);
	c->selector.v = ARENA_ARRAY(&c->arena, struct str_pair, svc->spec.selector.n);
	for (size_t i = 0; i < svc->spec.selector.n; i++)
		c->selector.v[c->selector.n++] =
			(struct str_pair){arena_str(&c->arena, svc->spec.selector.v[i].key),
				arena_str(&c->arena, svc->spec.selector.v[i].value)};
	c->next = *at;
	*at = c;
}

void service_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	if (ev->type == STORE_DELETED)
		cache_remove(v->state, ev->object);
	else
		cache_put(v->state, ev->object, v->arena);
	enqueue(user_data, ev->object->ns, ev->object->name);
}

static bool has_address(const struct object *pod)
{
	return pod && !str_empty(object_field(pod, S("status.podIP")));
}

void service_pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	const struct object *o = ev->object, *prev = ev->prev;

	if (!has_address(o) && !has_address(prev))
		return;
	for (const struct cached *c = *slot(v->state, o->ns); c; c = c->next)
		if (str_eq(c->ns, o->ns) &&
			(str_map_subset(&c->selector, &o->labels) ||
				(prev && str_map_subset(&c->selector, &prev->labels))))
			enqueue(user_data, c->ns, c->name);
}

/* What endpoints need of a pod: a service may have thousands, which are not kept decoded as a
 * whole. */
static struct v1_pod *slim(
	const struct object *o, const struct v1_pod *pod, bool with_ports, struct arena *a)
{
	struct v1_pod *s = ARENA_NEW(a, struct v1_pod);

	if (with_ports)
		s->spec = *(struct v1_pod_spec *)schema_copy(&v1_pod_spec_schema, &pod->spec, a);
	s->metadata.name = o->name;
	s->metadata.namespace = o->ns;
	s->metadata.uid = o->uid;
	s->metadata.deletion_timestamp = pod->metadata.deletion_timestamp;
	s->spec.node_name = pod_node(o);
	s->spec.hostname = arena_str(a, pod->spec.hostname);
	s->spec.subdomain = arena_str(a, pod->spec.subdomain);
	s->status.pod_ip = arena_str(a, pod->status.pod_ip);
	for (size_t i = 0; i < pod->status.pod_ips.n; i++) {
		const struct v1_pod_ip ip = {arena_str(a, pod->status.pod_ips.v[i].ip)};

		ARENA_PUSH(a, &s->status.pod_ips, ip);
	}
	if (pod_ready(pod)) {
		const struct v1_pod_condition ready = {.type = S("Ready"), .status = S("True")};

		ARENA_PUSH(a, &s->status.conditions, ready);
	}
	return s;
}

static bool has_named_ports(const struct v1_service *svc)
{
	for (size_t i = 0; i < svc->spec.ports.n; i++)
		if (svc->spec.ports.v[i].target_port.is_string)
			return true;
	return false;
}

struct pod_vec service_pods(struct view *v, const struct v1_service *svc, bool with_terminating)
{
	struct snapshot_iter it;
	struct pod_vec pods = {0};
	const struct object *o;
	bool with_ports = has_named_ports(svc);
	struct arena scratch;

	arena_init(&scratch);
	snapshot_iter_init(
		&it, view_snapshot(v, &v1_pod_resource), svc->metadata.namespace, S(""), S(""));
	while ((o = snapshot_next(&it))) {
		if (pod_finished(o) || (o->deletion_ms && !with_terminating) || !has_address(o) ||
			!str_map_subset(&svc->spec.selector, &o->labels))
			continue;
		struct v1_pod *pod = slim(o, object_decode(o, &scratch), with_ports, v->arena);

		ARENA_PUSH(v->arena, &pods, pod);
		arena_release(&scratch);
	}
	return pods;
}

bool service_has_ip(const struct v1_service *svc)
{
	return !str_empty(svc->spec.cluster_ip) && !str_eq(svc->spec.cluster_ip, S("None"));
}

bool service_is_managed(const struct v1_service *svc)
{
	return svc->spec.selector.n > 0 && !str_eq(svc->spec.type, S("ExternalName"));
}

static int32_t named_port(const struct v1_container_vec *containers, bool sidecars_only,
	struct str name, struct str protocol)
{
	for (size_t i = 0; i < containers->n; i++) {
		const struct v1_container *c = &containers->v[i];

		if (sidecars_only && !str_eq(c->restart_policy, S("Always")))
			continue;
		for (size_t k = 0; k < c->ports.n; k++)
			if (str_eq(c->ports.v[k].name, name) &&
				str_eq(c->ports.v[k].protocol, protocol))
				return c->ports.v[k].container_port;
	}
	return 0;
}

int32_t service_target_port(const struct v1_pod *pod, const struct v1_service_port *port)
{
	int32_t n;

	if (!port->target_port.is_string)
		return port->target_port.i ? port->target_port.i : port->port;
	n = named_port(&pod->spec.containers, false, port->target_port.s, port->protocol);
	return n ? n
		 : named_port(
			   &pod->spec.init_containers, true, port->target_port.s, port->protocol);
}

bool pod_hostname_counts(const struct v1_pod *pod, const struct v1_service *svc)
{
	return pod->spec.hostname.n && str_eq(pod->spec.subdomain, svc->metadata.name);
}

bool ip_is_v6(struct str ip)
{
	return str_chr(ip, ':') >= 0;
}

struct str pod_ip(const struct v1_pod *pod, bool v6)
{
	for (size_t i = 0; i < pod->status.pod_ips.n; i++)
		if (ip_is_v6(pod->status.pod_ips.v[i].ip) == v6)
			return pod->status.pod_ips.v[i].ip;
	if (pod->status.pod_ips.n == 0 && pod->status.pod_ip.n &&
		ip_is_v6(pod->status.pod_ip) == v6)
		return pod->status.pod_ip;
	return (struct str){0};
}

struct v1_object_reference *pod_reference(const struct v1_pod *pod, struct arena *a)
{
	struct v1_object_reference *ref = ARENA_NEW(a, struct v1_object_reference);

	*ref = (struct v1_object_reference){
		.kind = S("Pod"),
		.namespace = pod->metadata.namespace,
		.name = pod->metadata.name,
		.uid = pod->metadata.uid,
	};
	return ref;
}
