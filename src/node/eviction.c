/*
 * eviction.c: ends pods that take what is not theirs: emptyDir volumes above their size limit, and,
 * when the node runs out of memory, the pod that is furthest above its request.
 */
#include <stdio.h>

#include "node/eviction.h"
#include "node/machine.h"
#include "node/pod.h"
#include "node/resources.h"
#include "node/volumes/files.h"

enum { LOOK_MS = 10000, MEMORY_MIN = 100 << 20, EVICT_GRACE_S = 1, PRESSURE_MS = 5 * 60 * 1000 };

struct eviction {
	struct kubelet *k;
	struct loop_timer timer;
	int64_t low_ms; /* when memory was last too low; 0: never */
};

static void evict(struct pod *p, const char *signal, int64_t grace_s, struct str message)
{
	meter_eviction(&p->k->meter, signal);
	p->fail_grace_s = grace_s;
	pod_event(p, (struct str){0}, "Warning", "Evicted", STR_FMT, STR_ARG(message));
	pod_fail(p, "Evicted", message);
}

/* --- local storage --- */

static bool volume_is_over(struct pod *p, const struct v1_volume *v)
{
	int64_t limit = v->empty_dir ? quantity_value_of(v->empty_dir->size_limit) : 0;
	struct str path = volumes_path(p->volumes, v->name);

	/* A tmpfs keeps its limit by itself. */
	if (limit <= 0 || str_eq(v->empty_dir->medium, S("Memory")) || !path.p)
		return false;
	return files_used_bytes(path.p, NULL) > (uint64_t)limit;
}

static void check_volumes(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	for (size_t i = 0; i < spec->spec.volumes.n; i++) {
		const struct v1_volume *v = &spec->spec.volumes.v[i];

		if (!volume_is_over(p, v))
			continue;
		evict(p, "emptydirfs.limit", EVICT_GRACE_S,
			arena_fmt(a,
				"Usage of EmptyDir volume \"" STR_FMT
				"\" exceeds the limit \"" STR_FMT "\". ",
				STR_ARG(v->name), STR_ARG(v->empty_dir->size_limit)));
		return;
	}
}

/* --- memory --- */

static int64_t over_request(struct pod *p, const struct v1_pod *spec)
{
	struct cgroup_usage u;

	if (!p->cgroup.p || !p->cgroup_made)
		return INT64_MIN;
	cgroup_usage(&p->k->cgroups, p->cgroup.p, &u);
	return (int64_t)u.memory_working_set - pod_resource_sums(spec).memory_request;
}

static void free_memory(struct eviction *e, uint64_t available)
{
	struct pod *worst = NULL;
	int64_t most = 0;
	struct arena a;

	arena_init(&a);
	for (struct pod *p = e->k->pods; p; p = p->next) {
		struct v1_pod *spec =
			p->state == POD_SYNCING && !p->is_static ? pod_decode(p, &a) : NULL;
		int64_t over = spec ? over_request(p, spec) : 0;

		if (!spec || (worst && over <= most))
			continue;
		worst = p;
		most = over;
	}
	if (worst)
		evict(worst, "memory.available", 0,
			arena_fmt(&a,
				"The node was low on resource: memory. Threshold quantity: 100Mi, "
				"available: %lluKi. ",
				(unsigned long long)(available / 1024)));
	arena_release(&a);
}

static void check_memory(struct eviction *e)
{
	uint64_t available = machine_memory_available();
	int64_t now = loop_now_ms(e->k->loop);
	bool pressure;

	if (available && available < MEMORY_MIN) {
		e->low_ms = now;
		free_memory(e, available);
	}
	pressure = e->low_ms && now - e->low_ms < PRESSURE_MS;
	if (pressure != e->k->memory_pressure) {
		e->k->memory_pressure = pressure;
		node_agent_changed(e->k->node);
	}
}

static void look(struct loop_timer *t)
{
	struct eviction *e = container_of(t, struct eviction, timer);
	struct arena a;

	check_memory(e);
	for (struct pod *p = e->k->pods; p; p = p->next) {
		if (p->state != POD_SYNCING || !p->object || p->fail_reason ||
			!memmem(p->object->json.p, p->object->json.n, "\"sizeLimit\"", 11))
			continue;
		arena_init(&a);
		check_volumes(p, pod_decode(p, &a), &a);
		arena_release(&a);
	}
	loop_timer_start(&e->timer, LOOK_MS);
}

struct eviction *eviction_new(struct kubelet *k)
{
	struct eviction *e = xcalloc(1, sizeof(*e));

	e->k = k;
	loop_timer_init(&e->timer, k->loop, look);
	loop_timer_start(&e->timer, LOOK_MS);
	return e;
}

void eviction_free(struct eviction *e)
{
	if (!e)
		return;
	loop_timer_stop(&e->timer);
	free(e);
}
