#include "scheduler/cache.h"

#include "scheduler/resources.h"
#include "scheduler/siblings.h"

enum { SLOTS_MIN = 1024 };

struct slot {
	uint64_t hash;
	void *p; /* NULL: free */
};

/* Open addressing, linear probing, deletion by shifting back. */
struct table {
	struct slot *v;
	size_t n, cap;
};

struct cache {
	struct resource_names names;
	struct nodes nodes;
	struct table by_name; /* struct node_info, also of nodes that are gone and have pods */
	struct table by_uid;  /* struct pod_info with a node */
	size_t n_affinity;
	struct siblings *siblings;
};

/* --- tables --- */

static void table_put(struct table *t, uint64_t hash, void *p);

static void table_grow(struct table *t)
{
	struct table bigger = {.cap = t->cap ? t->cap * 2 : SLOTS_MIN};

	bigger.v = xcalloc(bigger.cap, sizeof(*bigger.v));
	for (size_t i = 0; i < t->cap; i++)
		if (t->v[i].p)
			table_put(&bigger, t->v[i].hash, t->v[i].p);
	free(t->v);
	*t = bigger;
}

static void table_put(struct table *t, uint64_t hash, void *p)
{
	if (t->n * 4 >= t->cap * 3)
		table_grow(t);
	size_t i = hash & (t->cap - 1);

	while (t->v[i].p)
		i = (i + 1) & (t->cap - 1);
	t->v[i] = (struct slot){hash, p};
	t->n++;
}

static void table_drop(struct table *t, uint64_t hash, const void *p)
{
	size_t mask = t->cap - 1, i = hash & mask;

	while (t->v[i].p != p)
		i = (i + 1) & mask;
	for (size_t k = (i + 1) & mask; t->v[k].p; k = (k + 1) & mask) {
		size_t home = t->v[k].hash & mask;

		if (((k - home) & mask) < ((k - i) & mask))
			continue;
		t->v[i] = t->v[k];
		i = k;
	}
	t->v[i].p = NULL;
	t->n--;
}

static struct pod_info *find_pod(const struct cache *c, struct str uid)
{
	uint64_t hash = str_hash(uid);
	size_t mask = c->by_uid.cap - 1;

	for (size_t i = hash & mask; c->by_uid.cap && c->by_uid.v[i].p; i = (i + 1) & mask) {
		struct pod_info *p = c->by_uid.v[i].p;

		if (c->by_uid.v[i].hash == hash && str_eq(p->object->uid, uid))
			return p;
	}
	return NULL;
}

static struct node_info *find_node(const struct cache *c, struct str name)
{
	uint64_t hash = str_hash(name);
	size_t mask = c->by_name.cap - 1;

	for (size_t i = hash & mask; c->by_name.cap && c->by_name.v[i].p; i = (i + 1) & mask) {
		struct node_info *n = c->by_name.v[i].p;

		if (c->by_name.v[i].hash == hash && str_eq(n->name, name))
			return n;
	}
	return NULL;
}

/* --- a node and its pods --- */

static void ports_add(struct host_ports *to, const struct host_ports *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		if (to->n == to->cap) {
			to->cap = to->cap ? to->cap * 2 : 4;
			to->v = xrealloc(to->v, to->cap * sizeof(*to->v));
		}
		to->v[to->n++] = ports->v[i];
	}
}

static void ports_remove(struct host_ports *from, const struct host_ports *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		for (size_t k = 0; k < from->n; k++) {
			/* By identity: the strings are the pod's own. */
			if (from->v[k].ip.p != ports->v[i].ip.p ||
				from->v[k].port != ports->v[i].port ||
				from->v[k].protocol.p != ports->v[i].protocol.p)
				continue;
			from->v[k] = from->v[--from->n];
			break;
		}
	}
}

static void node_count(struct node_info *n, const struct pod_info *p, int by)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		n->used.v[i] += by * p->request.v[i];
	n->nonzero_cpu += by * p->nonzero_cpu;
	n->nonzero_memory += by * p->nonzero_memory;
	n->n_affinity += by * p->has_affinity;
	n->n_anti_affinity += by * p->has_required_anti_affinity;
}

static void node_list_pod(struct node_info *n, struct pod_info *p)
{
	if (n->pods.n == n->pods.cap) {
		n->pods.cap = n->pods.cap ? n->pods.cap * 2 : 8;
		n->pods.v = xrealloc(n->pods.v, n->pods.cap * sizeof(*n->pods.v));
	}
	n->pods.v[n->pods.n++] = p;
}

void node_add_pod(struct node_info *n, struct pod_info *p)
{
	node_count(n, p, 1);
	ports_add(&n->ports, &p->ports);
	node_list_pod(n, p);
}

void node_remove_pod(struct node_info *n, struct pod_info *p)
{
	size_t i = p->node_at < n->pods.n && n->pods.v[p->node_at] == p ? p->node_at : 0;

	while (n->pods.v[i] != p)
		i++;
	node_count(n, p, -1);
	ports_remove(&n->ports, &p->ports);
	n->pods.v[i] = n->pods.v[--n->pods.n];
	if (n->pods.v[i]->node == n)
		n->pods.v[i]->node_at = i;
}

struct node_info *node_copy(const struct node_info *n)
{
	struct node_info *copy = xmalloc(sizeof(*copy));

	*copy = *n;
	copy->pods.cap = copy->pods.n;
	copy->pods.v = xmalloc(MAX(n->pods.n, 1) * sizeof(*copy->pods.v));
	if (n->pods.n)
		memcpy(copy->pods.v, n->pods.v, n->pods.n * sizeof(*copy->pods.v));
	copy->ports = (struct host_ports){0};
	ports_add(&copy->ports, &n->ports);
	return copy;
}

void node_copy_free(struct node_info *n)
{
	free(n->pods.v);
	free(n->ports.v);
	free(n);
}

/* --- pods --- */

static void take_ports(
	struct pod_info *p, const struct v1_container_vec *containers, bool sidecars_only)
{
	struct arena *a = &p->arena;

	for (size_t i = 0; i < containers->n; i++) {
		const struct v1_container *c = &containers->v[i];

		if (sidecars_only && !str_eq(c->restart_policy, S("Always")))
			continue;
		for (size_t k = 0; k < c->ports.n; k++) {
			const struct v1_container_port *cp = &c->ports.v[k];
			const struct host_port hp = {
				.ip = arena_str(a, cp->host_ip.n ? cp->host_ip : S("0.0.0.0")),
				.protocol = arena_str(a, cp->protocol.n ? cp->protocol : S("TCP")),
				.port = cp->host_port};

			if (cp->host_port > 0)
				ARENA_PUSH(a, &p->ports, hp);
		}
	}
}

struct pod_info *pod_info_new(struct cache *c, const struct object *o)
{
	struct pod_info *p = xcalloc(1, sizeof(*p));
	const struct v1_pod_spec *spec;

	arena_init(&p->arena);
	p->object = object_ref(o);
	p->pod = object_decode(o, &p->arena);
	spec = &p->pod->spec;
	p->priority = spec->priority ? *spec->priority : 0;
	p->owner = str_empty(o->controller_uid) ? 0 : str_hash(o->controller_uid);
	pod_requests(&c->names, spec, p);
	take_ports(p, &spec->containers, false);
	take_ports(p, &spec->init_containers, true);
	if (spec->affinity) {
		const struct v1_pod_anti_affinity *anti = spec->affinity->pod_anti_affinity;

		p->has_affinity = spec->affinity->pod_affinity || anti;
		p->has_required_anti_affinity =
			anti && anti->required_during_scheduling_ignored_during_execution.n;
	}
	return p;
}

void pod_info_free(struct pod_info *p)
{
	if (!p)
		return;
	arena_release(&p->arena);
	object_unref((struct object *)p->object);
	free(p);
}

/* On a node the decoded pod is needed only for its affinity terms: most memory goes back. */
static void pod_info_shrink(struct pod_info *p)
{
	struct arena old = p->arena;

	if (p->has_affinity || p->ports.n)
		return;
	p->pod = NULL;
	arena_init(&p->arena);
	arena_release(&old);
}

static void count_siblings(
	struct cache *c, const struct pod_info *p, const struct node_info *n, int by)
{
	if (!p->owner)
		return;
	siblings_count(c->siblings, p->owner, n->place, by);
	if (n->zone_place)
		siblings_count(c->siblings, p->owner, n->zone_place, by);
}

static void place(struct cache *c, struct pod_info *p, struct node_info *n)
{
	p->node = n;
	p->node_at = n->pods.n;
	node_add_pod(n, p);
	c->n_affinity += p->has_affinity;
	count_siblings(c, p, n, 1);
	table_put(&c->by_uid, str_hash(p->object->uid), p);
}

static void node_drop_if_unused(struct cache *c, struct node_info *n);

static void displace(struct cache *c, struct pod_info *p)
{
	struct node_info *n = p->node;

	table_drop(&c->by_uid, str_hash(p->object->uid), p);
	c->n_affinity -= p->has_affinity;
	count_siblings(c, p, n, -1);
	node_remove_pod(n, p);
	p->node = NULL;
	node_drop_if_unused(c, n);
}

/* --- nodes --- */

static struct node_info *node_new(struct cache *c, struct str name)
{
	struct node_info *n = xcalloc(1, sizeof(*n) + name.n + 1);
	char *copy = (char *)(n + 1);

	memcpy(copy, name.p, name.n);
	n->name = str_n(copy, name.n);
	arena_init(&n->arena);
	n->place = siblings_node(n->name);
	table_put(&c->by_name, str_hash(name), n);
	return n;
}

static void node_free(struct node_info *n)
{
	arena_release(&n->arena);
	object_unref((struct object *)n->object);
	free(n->pods.v);
	free(n->ports.v);
	free(n);
}

static void node_drop_if_unused(struct cache *c, struct node_info *n)
{
	if (n->object || n->pods.n)
		return;
	table_drop(&c->by_name, str_hash(n->name), n);
	node_free(n);
}

/* When a node changes zones, so do its pods. */
static void node_set_labels(struct cache *c, struct node_info *n, struct str_map labels)
{
	const struct str *zone = str_map_get(&labels, S("topology.kubernetes.io/zone"));
	uint64_t place = zone ? siblings_zone(*zone) : 0;

	n->labels = labels;
	if (place == n->zone_place)
		return;
	for (size_t i = 0; i < n->pods.n; i++)
		count_siblings(c, n->pods.v[i], n, -1);
	n->zone_place = place;
	for (size_t i = 0; i < n->pods.n; i++)
		count_siblings(c, n->pods.v[i], n, 1);
}

static void node_read(struct cache *c, struct node_info *n, const struct object *o)
{
	struct arena old = n->arena;
	const struct object *old_object = n->object;

	arena_init(&n->arena);
	n->object = object_ref(o);
	const struct v1_node *node = object_decode(o, &n->arena);
	node_set_labels(c, n, node->metadata.labels);
	n->taints = node->spec.taints;
	n->unschedulable = node->spec.unschedulable;
	n->allocatable = (struct resources){0};
	resources_from_map(&c->names, &node->status.allocatable, &n->allocatable);
	n->has_soft_taints = false;
	for (size_t i = 0; i < n->taints.n; i++)
		n->has_soft_taints |= str_eq(n->taints.v[i].effect, S("PreferNoSchedule"));
	n->images.v = NULL;
	n->images.n = 0;
	for (size_t i = 0; i < node->status.images.n; i++) {
		const struct v1_container_image *image = &node->status.images.v[i];

		for (size_t k = 0; k < image->names.n; k++) {
			const struct image_state s = {image->names.v[k], image->size_bytes};

			ARENA_PUSH(&n->arena, &n->images, s);
		}
	}
	arena_release(&old);
	object_unref((struct object *)old_object);
}

static void nodes_add(struct cache *c, struct node_info *n)
{
	if (c->nodes.n == c->nodes.cap) {
		c->nodes.cap = c->nodes.cap ? c->nodes.cap * 2 : 64;
		c->nodes.v = xrealloc(c->nodes.v, c->nodes.cap * sizeof(*c->nodes.v));
	}
	n->index = c->nodes.n;
	c->nodes.v[c->nodes.n++] = n;
}

static void nodes_remove(struct cache *c, struct node_info *n)
{
	struct node_info *last = c->nodes.v[--c->nodes.n];

	c->nodes.v[n->index] = last;
	last->index = n->index;
}

static bool same_labels(const struct str_map *a, const struct str_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static uint64_t taints_hash(const struct node_info *n)
{
	uint64_t h = n->unschedulable;

	for (size_t i = 0; i < n->taints.n; i++) {
		h = h * 31 + str_hash(n->taints.v[i].key);
		h = h * 31 + str_hash(n->taints.v[i].value);
		h = h * 31 + str_hash(n->taints.v[i].effect);
	}
	return h;
}

uint32_t cache_node_event(struct cache *c, const struct store_event *ev)
{
	struct node_info *n = find_node(c, ev->object->name);
	uint32_t changes = 0;

	if (ev->type == STORE_DELETED) {
		if (!n || !n->object)
			return 0;
		object_unref((struct object *)n->object);
		n->object = NULL;
		nodes_remove(c, n);
		node_drop_if_unused(c, n);
		return 0;
	}
	if (!n)
		n = node_new(c, ev->object->name);
	if (!n->object) {
		node_read(c, n, ev->object);
		nodes_add(c, n);
		return EVENT_NODE_ADD;
	}
	struct resources before = n->allocatable;
	uint64_t taints = taints_hash(n);
	if (!same_labels(&n->object->labels, &ev->object->labels))
		changes |= EVENT_NODE_LABEL;
	node_read(c, n, ev->object);
	if (memcmp(&before, &n->allocatable, sizeof(before)) != 0)
		changes |= EVENT_NODE_ALLOCATABLE;
	if (taints != taints_hash(n))
		changes |= EVENT_NODE_TAINT;
	return changes;
}

/* --- pods' events --- */

static bool is_finished(const struct object *o)
{
	struct str phase = object_field(o, S("status.phase"));

	return str_eq(phase, S("Succeeded")) || str_eq(phase, S("Failed"));
}

uint32_t cache_pod_event(struct cache *c, const struct store_event *ev)
{
	struct str node = object_field(ev->object, S("spec.nodeName"));
	struct pod_info *p = find_pod(c, ev->object->uid);
	uint32_t change = EVENT_POD_ADD;

	if (str_empty(node))
		return 0;
	if (ev->type == STORE_DELETED || is_finished(ev->object)) {
		if (!p)
			return 0;
		displace(c, p);
		pod_info_free(p);
		return EVENT_POD_DELETE;
	}
	if (p && str_eq(p->node->name, node) && p->object->generation == ev->object->generation &&
		same_labels(&p->object->labels, &ev->object->labels)) {
		/* Its status: nothing that counts. What was decoded may hold views into the old
		 * object. */
		p->assumed = false;
		pod_info_shrink(p);
		if (!p->pod) {
			object_ref(ev->object);
			object_unref((struct object *)p->object);
			p->object = ev->object;
		}
		return 0;
	}
	if (p) {
		change = EVENT_POD_UPDATE;
		displace(c, p);
		pod_info_free(p);
	}
	p = pod_info_new(c, ev->object);
	struct node_info *n = find_node(c, node);
	place(c, p, n ? n : node_new(c, node));
	pod_info_shrink(p);
	return change;
}

void cache_assume(struct cache *c, struct pod_info *p, struct node_info *n)
{
	p->assumed = true;
	place(c, p, n);
}

struct pod_info *cache_forget(struct cache *c, struct str uid)
{
	struct pod_info *p = find_pod(c, uid);

	if (!p || !p->assumed)
		return NULL;
	displace(c, p);
	p->assumed = false;
	return p;
}

/* --- the whole --- */

struct cache *cache_new(void)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	resource_names_init(&c->names);
	c->siblings = siblings_new();
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->by_uid.cap; i++)
		pod_info_free(c->by_uid.v[i].p);
	for (size_t i = 0; i < c->by_name.cap; i++)
		if (c->by_name.v[i].p)
			node_free(c->by_name.v[i].p);
	free(c->by_uid.v);
	free(c->by_name.v);
	free(c->nodes.v);
	siblings_free(c->siblings);
	arena_release(&c->names.arena);
	free(c);
}

const struct nodes *cache_nodes(const struct cache *c)
{
	return &c->nodes;
}

void cache_count_pods(const struct cache *c, size_t *ret_all, size_t *ret_assumed)
{
	size_t all = 0, assumed = 0;

	for (size_t i = 0; i < c->by_uid.cap; i++) {
		const struct pod_info *p = c->by_uid.v[i].p;

		all += p != NULL;
		assumed += p && p->assumed;
	}
	*ret_all = all;
	*ret_assumed = assumed;
}

struct resource_names *cache_names(struct cache *c)
{
	return &c->names;
}

struct node_info *cache_node(const struct cache *c, struct str name)
{
	return find_node(c, name);
}

bool cache_has_affinity(const struct cache *c)
{
	return c->n_affinity > 0;
}

int64_t cache_siblings_on_node(
	const struct cache *c, const struct pod_info *pod, const struct node_info *n)
{
	return siblings_at(c->siblings, pod->owner, n->place);
}

int64_t cache_siblings_in_zone(
	const struct cache *c, const struct pod_info *pod, const struct node_info *n)
{
	return n->zone_place ? siblings_at(c->siblings, pod->owner, n->zone_place) : 0;
}
