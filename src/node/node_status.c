/* node_status.c: capacity, conditions, identity of the node. */
#include <stdio.h>

#include "node/machine.h"
#include "node/node_status.h"
#include "node/pod_status.h"

enum { RESERVED_MEMORY = 100 << 20, NODE_IMAGES_MAX = 50 };

int64_t node_memory_capacity(void)
{
	static int64_t bytes; /* a constant of the machine */

	if (!bytes)
		bytes = (int64_t)machine_memory();
	return bytes;
}

static void put(struct arena *a, struct str_map *m, struct str key, struct str value)
{
	struct str_pair p = {key, value};
	size_t i = m->n;

	ARENA_PUSH(a, m, p);
	for (; i > 0 && str_cmp(m->v[i - 1].key, key) > 0; i--) { /* the map stays sorted */
		struct str_pair t = m->v[i - 1];

		m->v[i - 1] = m->v[i];
		m->v[i] = t;
	}
}

struct str_map node_capacity(struct kubelet *k, struct arena *a)
{
	struct str_map m = {0}, huge = machine_hugepages(a);
	uint64_t disk = machine_disk(k->opts.root_dir, NULL, NULL, NULL);

	put(a, &m, S("cpu"), arena_fmt(a, "%d", machine_cpus()));
	put(a, &m, S("memory"), arena_fmt(a, "%lldKi", (long long)(node_memory_capacity() / 1024)));
	put(a, &m, S("ephemeral-storage"),
		arena_fmt(a, "%lluKi", (unsigned long long)(disk / 1024)));
	put(a, &m, S("pods"), arena_fmt(a, "%d", k->opts.max_pods));
	for (size_t i = 0; i < huge.n; i++)
		put(a, &m, huge.v[i].key, huge.v[i].value);
	return m;
}

struct str_map node_allocatable_of(
	struct kubelet *k, const struct str_map *capacity, struct arena *a)
{
	struct str_map m = {0};
	uint64_t disk = machine_disk(k->opts.root_dir, NULL, NULL, NULL);

	for (size_t i = 0; i < capacity->n; i++) {
		struct str value = capacity->v[i].value;

		if (str_eq(capacity->v[i].key, S("memory")))
			value = arena_fmt(a, "%lldKi",
				(long long)((node_memory_capacity() - RESERVED_MEMORY) / 1024));
		else if (str_eq(capacity->v[i].key, S("ephemeral-storage")))
			value = arena_fmt(a, "%llu", (unsigned long long)(disk / 10 * 9));
		put(a, &m, capacity->v[i].key, value);
	}
	return m;
}

/* --- conditions --- */

static void condition(struct arena *a, struct v1_node_status *s, const struct v1_node *old,
	int64_t now_ns, const char *type, bool status, struct str reason, struct str message)
{
	struct v1_node_condition c = {
		.type = str_c(type),
		.status = status ? S("True") : S("False"),
		.reason = reason,
		.message = message,
		.last_heartbeat_time = k8s_time_of_ns(now_ns),
		.last_transition_time = k8s_time_of_ns(now_ns),
	};

	for (size_t i = 0; old && i < old->status.conditions.n; i++) {
		const struct v1_node_condition *o = &old->status.conditions.v[i];

		if (str_eq(o->type, c.type) && str_eq(o->status, c.status))
			c.last_transition_time = o->last_transition_time;
	}
	ARENA_PUSH(a, &s->conditions, c);
}

static void set_conditions(
	struct kubelet *k, const struct v1_node *old, struct arena *a, struct v1_node_status *s)
{
	int64_t now = loop_wall_ns(k->loop);
	bool ready = k->runtime_ready && k->network_ready;
	const char *why = k->runtime_message ? k->runtime_message : "";

	condition(a, s, old, now, "MemoryPressure", k->memory_pressure,
		k->memory_pressure ? S("KubeletHasInsufficientMemory")
				   : S("KubeletHasSufficientMemory"),
		k->memory_pressure ? S("kubelet has insufficient memory available")
				   : S("kubelet has sufficient memory available"));
	condition(a, s, old, now, "DiskPressure", k->disk_pressure,
		k->disk_pressure ? S("KubeletHasDiskPressure") : S("KubeletHasNoDiskPressure"),
		k->disk_pressure ? S("kubelet has disk pressure")
				 : S("kubelet has no disk pressure"));
	condition(a, s, old, now, "PIDPressure", false, S("KubeletHasSufficientPID"),
		S("kubelet has sufficient PID available"));
	if (ready)
		condition(a, s, old, now, "Ready", true, S("KubeletReady"),
			S("kubelet is posting ready status"));
	else if (!k->runtime_ready)
		condition(a, s, old, now, "Ready", false, S("KubeletNotReady"),
			arena_fmt(a,
				"container runtime not ready: RuntimeReady=false "
				"reason:RuntimeNotReady message:%s",
				why));
	else
		condition(a, s, old, now, "Ready", false, S("KubeletNotReady"),
			arena_fmt(a,
				"container runtime network not ready: NetworkReady=false "
				"reason:NetworkPluginNotReady "
				"message:%s",
				why));
}

/* --- the whole --- */

static void set_info(struct kubelet *k, struct arena *a, struct v1_node_system_info *i)
{
	struct machine_info m;

	machine_info(a, &m);
	*i = (struct v1_node_system_info){
		.machine_id = m.machine_id,
		.system_uuid = m.system_uuid,
		.boot_id = m.boot_id,
		.kernel_version = m.kernel_version,
		.os_image = m.os_image,
		.container_runtime_version = k->runtime_version,
		.kubelet_version = S(KUBELET_VERSION),
		.operating_system = S("linux"),
		.architecture = str_c(m.architecture),
	};
}

void node_status_make(
	struct kubelet *k, const struct v1_node *old, struct arena *a, struct v1_node_status *ret)
{
	struct v1_node_status s = {0};

	s.capacity = node_capacity(k, a);
	s.allocatable = node_allocatable_of(k, &s.capacity, a);
	for (size_t i = 0; i < k->node_ips.n; i++) {
		struct v1_node_address ip = {.type = S("InternalIP"), .address = k->node_ips.v[i]};

		ARENA_PUSH(a, &s.addresses, ip);
	}
	struct v1_node_address host = {.type = S("Hostname"), .address = k->node_name};

	ARENA_PUSH(a, &s.addresses, host);
	set_info(k, a, &s.node_info);
	if (k->opts.port > 0)
		s.daemon_endpoints.kubelet_endpoint.port = k->opts.port;
	set_conditions(k, old, a, &s);
	for (size_t i = 0; i < k->n_node_images && i < NODE_IMAGES_MAX; i++)
		ARENA_PUSH(a, &s.images, k->node_images[i]);
	*ret = s;
}

bool node_status_same(
	const struct v1_node_status *x, const struct v1_node_status *y, struct arena *scratch)
{
	struct v1_node_status *a = schema_copy(&v1_node_status_schema, x, scratch);
	struct v1_node_status *b = schema_copy(&v1_node_status_schema, y, scratch);

	for (size_t i = 0; i < a->conditions.n; i++)
		a->conditions.v[i].last_heartbeat_time = (struct k8s_time){0};
	for (size_t i = 0; i < b->conditions.n; i++)
		b->conditions.v[i].last_heartbeat_time = (struct k8s_time){0};
	return schema_equal(&v1_node_status_schema, a, b);
}

struct str_map node_labels(struct kubelet *k, struct arena *a)
{
	struct str rest = str_c(k->opts.node_labels), one, key, value;
	struct machine_info m;
	struct str_map labels = {0};
	bool more = rest.n > 0;

	machine_info(a, &m);
	put(a, &labels, S("beta.kubernetes.io/arch"), str_c(m.architecture));
	put(a, &labels, S("beta.kubernetes.io/os"), S("linux"));
	put(a, &labels, S("kubernetes.io/arch"), str_c(m.architecture));
	put(a, &labels, S("kubernetes.io/hostname"), k->node_name);
	put(a, &labels, S("kubernetes.io/os"), S("linux"));
	while (more) {
		more = str_cut(rest, ',', &one, &rest);
		str_cut(one, '=', &key, &value);
		if (!str_empty(key) && !str_map_get(&labels, key))
			put(a, &labels, key, str_empty(value) ? S("") : value);
	}
	return labels;
}

/* key[=value]:Effect,… */
static void add_taints(struct kubelet *k, struct arena *a, struct v1_node *n)
{
	struct str rest = str_c(k->opts.taints), one, head;
	bool more = rest.n > 0;

	while (more) {
		struct v1_taint t = {0};

		more = str_cut(rest, ',', &one, &rest);
		str_cut(one, ':', &head, &t.effect);
		str_cut(head, '=', &t.key, &t.value);
		if (!str_empty(t.key) && !str_empty(t.effect))
			ARENA_PUSH(a, &n->spec.taints, t);
	}
}

struct v1_node *node_new(struct kubelet *k, struct arena *a)
{
	struct v1_node *n = ARENA_NEW(a, struct v1_node);

	n->metadata.name = k->node_name;
	n->metadata.labels = node_labels(k, a);
	put(a, &n->metadata.annotations,
		S("volumes.kubernetes.io/controller-managed-attach-detach"), S("true"));
	n->spec.provider_id = str_c(k->opts.provider_id);
	add_taints(k, a, n);
	node_status_make(k, NULL, a, &n->status);
	return n;
}
