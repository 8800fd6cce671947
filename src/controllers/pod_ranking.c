/* pod_ranking.c: which pods go first when there are too many (upstream's ActivePodsWithRanks). */
#include "controllers/replicas.h"

struct ranked {
	const struct v1_pod *pod;
	int64_t cost;
	size_t neighbours; /* active related pods on the same node */
	int phase;
	bool ready;
	struct k8s_time ready_since;
	int restarts, sidecar_restarts;
	int64_t now_ns;
};

static int phase_order(struct str phase)
{
	if (str_eq(phase, S("Running")))
		return 2;
	return str_eq(phase, S("Unknown")) ? 1 : 0;
}

static void count_restarts(struct ranked *r)
{
	const struct v1_pod *pod = r->pod;
	const struct v1_container_status_vec *init = &pod->status.init_container_statuses;

	for (size_t i = 0; i < pod->status.container_statuses.n; i++)
		r->restarts = MAX(r->restarts, pod->status.container_statuses.v[i].restart_count);
	for (size_t i = 0; i < pod->spec.init_containers.n; i++) {
		if (!str_eq(pod->spec.init_containers.v[i].restart_policy, S("Always")))
			continue;
		for (size_t k = 0; k < init->n; k++)
			if (str_eq(init->v[k].name, pod->spec.init_containers.v[i].name))
				r->sidecar_restarts =
					MAX(r->sidecar_restarts, init->v[k].restart_count);
	}
}

static struct ranked rank(
	const struct v1_pod *pod, const struct object_vec *related, int64_t now_ns)
{
	struct ranked r = {.pod = pod, .now_ns = now_ns, .ready = pod_ready(pod)};
	struct str cost = str_map_value(
		&pod->metadata.annotations, S("controller.kubernetes.io/pod-deletion-cost"));

	r.phase = phase_order(pod->status.phase);
	if (r.ready)
		r.ready_since = pod_condition_get(pod, "Ready")->last_transition_time;
	str_to_i64(cost, &r.cost);
	for (size_t i = 0; i < related->n; i++)
		r.neighbours += pod_active(related->v[i]) &&
				str_eq(pod_node(related->v[i]), pod->spec.node_name);
	count_restarts(&r);
	return r;
}

/* The power of two of an age: pods of about the same age are not told apart by it. */
static int log_rank(struct k8s_time t, int64_t now_ns)
{
	int64_t age = now_ns - t.sec * 1000000000 - t.nsec;

	return age > 0 ? 63 - __builtin_clzll((uint64_t)age) : -1;
}

static int compare_age(
	const struct ranked *x, const struct ranked *y, struct k8s_time a, struct k8s_time b)
{
	if (!a.set || !b.set)
		return !a.set ? -1 : 1;
	int ra = log_rank(a, x->now_ns), rb = log_rank(b, x->now_ns);

	if (ra != rb)
		return ra < rb ? -1 : 1;
	return str_cmp(x->pod->metadata.uid, y->pod->metadata.uid);
}

/* Negative: a goes before b. */
static int compare(const void *va, const void *vb)
{
	const struct ranked *a = va, *b = vb;
	bool a_free = str_empty(a->pod->spec.node_name), b_free = str_empty(b->pod->spec.node_name);

	if (a_free != b_free)
		return a_free ? -1 : 1;
	if (a->phase != b->phase)
		return a->phase - b->phase;
	if (a->ready != b->ready)
		return a->ready ? 1 : -1;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	if (a->neighbours != b->neighbours)
		return a->neighbours > b->neighbours ? -1 : 1;
	if (a->ready && !time_equal(a->ready_since, b->ready_since))
		return compare_age(a, b, a->ready_since, b->ready_since);
	if (a->restarts != b->restarts)
		return a->restarts > b->restarts ? -1 : 1;
	if (a->sidecar_restarts != b->sidecar_restarts)
		return a->sidecar_restarts > b->sidecar_restarts ? -1 : 1;
	if (!time_equal(a->pod->metadata.creation_timestamp, b->pod->metadata.creation_timestamp))
		return compare_age(a, b, a->pod->metadata.creation_timestamp,
			b->pod->metadata.creation_timestamp);
	return str_cmp(a->pod->metadata.name, b->pod->metadata.name);
}

void pods_rank_for_deletion(const struct v1_pod **pods, size_t n, const struct object_vec *related,
	int64_t now_ns, struct arena *a)
{
	struct ranked *all = ARENA_ARRAY(a, struct ranked, n);

	for (size_t i = 0; i < n; i++)
		all[i] = rank(pods[i], related, now_ns);
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++)
		pods[i] = all[i].pod;
}
