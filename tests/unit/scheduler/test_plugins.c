/*
 * Scheduling as one pure step: nodes and pods in, verdict out; and the queue. A node or pod is YAML
 * in short form; pods with a nodeName are on their node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "scheduler/cycle.h"
#include "types.gen.h"

struct world {
	struct cache *cache;
	struct queue *queue;
	struct arena arena;
	size_t start;
	uint64_t revision;
};

static struct object *parse(struct world *w, const struct schema_resource *res, const char *yaml)
{
	struct err err CLEANUP(err_release) = {0};
	struct str json;
	void *typed;
	struct object *draft, *o;

	if (yaml_to_json(str_c(yaml), &w->arena, &json, NULL, &err) < 0 ||
		schema_decode_json(res->type, json, &w->arena, NULL, &typed, &err) < 0)
		fail_msg("%s in %s", err_text(&err), yaml);
	struct meta_v1_object_meta *meta =
		&((struct v1_pod *)typed)->metadata; /* the same in all kinds */
	meta->uid = meta->name;
	if (object_draft(res, typed, &draft, &err) < 0)
		fail_msg("%s in %s", err_text(&err), yaml);
	o = object_commit(draft, ++w->revision);
	object_unref(draft);
	return o;
}

static uint32_t tell(struct world *w, enum store_event_type type, struct object *o)
{
	const struct store_event ev = {.type = type, .object = o, .revision = o->revision};
	uint32_t changes = o->resource == &v1_node_resource ? cache_node_event(w->cache, &ev)
							    : cache_pod_event(w->cache, &ev);

	object_unref(o);
	return changes;
}

static void node(struct world *w, const char *name, const char *labels, const char *spec,
	const char *allocatable)
{
	char *yaml = xasprintf(
		"metadata: {name: %s, labels: {kubernetes.io/hostname: %s, %s}}\nspec: {%s}\n"
		"status: {allocatable: {pods: 10, %s}}\n",
		name, name, labels, spec, allocatable);

	tell(w, STORE_ADDED, parse(w, &v1_node_resource, yaml));
	free(yaml);
}

static struct object *pod(
	struct world *w, const char *name, const char *labels, const char *spec, const char *cpu)
{
	char *yaml = xasprintf(
		"metadata: {name: %s, namespace: default, labels: {%s}}\n"
		"spec: {containers: [{name: c, image: i, resources: {requests: {cpu: %s}}}], %s}\n"
		"status: {phase: Pending}\n",
		name, labels, cpu, spec);
	struct object *o = parse(w, &v1_pod_resource, yaml);

	free(yaml);
	return o;
}

static void running(
	struct world *w, const char *name, const char *labels, const char *spec, const char *cpu)
{
	tell(w, STORE_ADDED, pod(w, name, labels, spec, cpu));
}

static struct verdict place_spec(
	struct world *w, const char *labels, const char *spec, const char *cpu)
{
	struct object *o = pod(w, "new", labels, spec, cpu);
	struct pod_info *info = pod_info_new(w->cache, o);
	const struct cycle_opts opts = {
		.cache = w->cache, .queue = w->queue, .start = &w->start, .random = 7};
	struct verdict v = cycle_run(&opts, info, NULL, &w->arena);

	pod_info_free(info);
	object_unref(o);
	return v;
}

static void on(struct world *w, const char *labels, const char *spec, const char *expected)
{
	struct verdict v = place_spec(w, labels, spec, "100m");

	if (!v.node)
		fail_msg("%s: nowhere: %s", spec, v.message.p);
	if (!str_eqc(v.node->name, expected))
		fail_msg("%s: on %s, not %s", spec, v.node->name.p, expected);
}

static void nowhere(struct world *w, const char *labels, const char *spec, const char *why)
{
	struct verdict v = place_spec(w, labels, spec, "100m");

	if (v.node)
		fail_msg("%s: on %s", spec, v.node->name.p);
	assert_string_equal(v.message.p, why);
	assert_true(v.events);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	arena_init(&w->arena);
	w->cache = cache_new();
	w->queue = queue_new();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	queue_free(w->queue);
	cache_free(w->cache);
	arena_release(&w->arena);
	free(w);
	return 0;
}

#define BIG "cpu: 4, memory: 8Gi"
#define NO_HELP " preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
#define NO_VICTIM                                                                                  \
	" preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."

static void test_nothing(void **state)
{
	nowhere(*state, "", "", "no nodes available to schedule pods");
}

static void test_resources(void **state)
{
	struct world *w = *state;
	struct verdict v;

	node(w, "a", "", "", "cpu: 1, memory: 1Gi");
	running(w, "x", "", "nodeName: a", "950m");
	nowhere(w, "", "", "0/1 nodes are available: 1 Insufficient cpu." NO_VICTIM);
	v = place_spec(w, "", "", "2");
	assert_string_equal(v.message.p, "0/1 nodes are available: 1 Insufficient cpu." NO_HELP);
	node(w, "b", "", "", "cpu: 2, memory: 1Gi");
	on(w, "", "", "b");
	/* init containers run one after the other, sidecars beside them */
	nowhere(w, "", "initContainers: [{name: i, image: i, resources: {requests: {cpu: 2500m}}}]",
		"0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: "
		"2 "
		"Preemption is not helpful for scheduling.");
	on(w, "",
		"initContainers: [{name: i, image: i, resources: {requests: {cpu: 1900m}}}, {name: "
		"k, image: i, "
		"resources: {requests: {cpu: 1900m}}}]",
		"b");
	v = place_spec(w, "",
		"initContainers: [{name: i, image: i, restartPolicy: Always, resources: {requests: "
		"{cpu: 1950m}}}]",
		"100m");
	assert_null(v.node);
}

static void test_too_many_pods(void **state)
{
	struct world *w = *state;

	node(w, "a", "", "", BIG);
	for (int i = 0; i < 10; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%d", i);
		running(w, name, "", "nodeName: a", "0");
	}
	nowhere(w, "", "", "0/1 nodes are available: 1 Too many pods." NO_VICTIM);
}

static void test_emptiest(void **state)
{
	struct world *w = *state;

	node(w, "a", "", "", BIG);
	node(w, "b", "", "", BIG);
	running(w, "x", "", "nodeName: a", "2");
	on(w, "", "", "b");
	running(w, "z", "", "nodeName: b", "3");
	on(w, "", "", "a");
	tell(w, STORE_DELETED, pod(w, "z", "", "nodeName: b", "3"));
	on(w, "", "", "b");
}

static void test_selector_and_affinity(void **state)
{
	struct world *w = *state;

	node(w, "a", "disk: ssd, size: '3'", "", BIG);
	on(w, "", "nodeSelector: {disk: ssd}", "a");
	nowhere(w, "", "nodeSelector: {disk: hdd}",
		"0/1 nodes are available: 1 node(s) didn't match Pod's node "
		"affinity/selector." NO_HELP);
#define REQUIRED(term)                                                                             \
	"affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "               \
	"{nodeSelectorTerms: [" term "]}}}"
	on(w, "", REQUIRED("{matchExpressions: [{key: size, operator: Gt, values: ['2']}]}"), "a");
	nowhere(w, "", REQUIRED("{matchExpressions: [{key: size, operator: Lt, values: ['3']}]}"),
		"0/1 nodes are available: 1 node(s) didn't match Pod's node "
		"affinity/selector." NO_HELP);
	on(w, "", REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [a]}]}"),
		"a");
	node(w, "b", "disk: hdd", "", BIG);
	on(w, "",
		"affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
		"[{weight: 1, preference:"
		" {matchExpressions: [{key: disk, operator: In, values: [hdd]}]}}]}}",
		"b");
}

static void test_taints(void **state)
{
	struct world *w = *state;

	node(w, "a", "", "taints: [{key: k, value: v, effect: NoSchedule}]", BIG);
	nowhere(w, "", "", "0/1 nodes are available: 1 node(s) had untolerated taint(s)." NO_HELP);
	on(w, "", "tolerations: [{key: k, operator: Exists}]", "a");
	on(w, "", "tolerations: [{key: k, value: v, effect: NoSchedule}]", "a");
	nowhere(w, "", "tolerations: [{key: k, value: other}]",
		"0/1 nodes are available: 1 node(s) had untolerated taint(s)." NO_HELP);
	node(w, "b", "", "taints: [{key: soft, effect: PreferNoSchedule}]", BIG);
	node(w, "c", "", "", "cpu: 4, memory: 8Gi");
	on(w, "", "", "c");
}

static void test_unschedulable(void **state)
{
	struct world *w = *state;

	node(w, "a", "", "unschedulable: true", BIG);
	nowhere(w, "", "", "0/1 nodes are available: 1 node(s) were unschedulable." NO_HELP);
	on(w, "", "tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]", "a");
}

static void test_ports(void **state)
{
	struct world *w = *state;
	const char *want = "initContainers: [{name: i, image: i, restartPolicy: Always, ports: "
			   "[{containerPort: 80, hostPort:"
			   " 8080, protocol: TCP}]}]";

	node(w, "a", "", "", BIG);
	on(w, "", want, "a");
	running(w, "x", "",
		"nodeName: a, initContainers: [{name: i, image: i, restartPolicy: Always, ports: "
		"[{containerPort:"
		" 80, hostPort: 8080, hostIP: 10.0.0.1, protocol: TCP}]}]",
		"0");
	nowhere(w, "", want,
		"0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod "
		"ports." NO_VICTIM);
	tell(w, STORE_DELETED, pod(w, "x", "", "nodeName: a", "0"));
	on(w, "", want, "a");
}

static void test_spread(void **state)
{
	struct world *w = *state;
	const char *hard = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, "
			   "whenUnsatisfiable: DoNotSchedule,"
			   " labelSelector: {matchLabels: {app: web}}}]";

	node(w, "a", "zone: z1", "", BIG);
	node(w, "b", "zone: z2", "", "cpu: 1, memory: 1Gi");
	running(w, "p", "app: web", "nodeName: a", "0");
	on(w, "app: web", hard, "b");
	running(w, "fill", "", "nodeName: b", "1");
	nowhere(w, "app: web", hard,
		"0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology "
		"spread constraints."
		" preemption: 0/2 nodes are available: 2 No preemption victims found for incoming "
		"pod.");
}

static void test_pod_affinity(void **state)
{
	struct world *w = *state;
	const char *near = "affinity: {podAffinity: "
			   "{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone,"
			   " labelSelector: {matchLabels: {app: db}}}]}}";
	const char *away = "affinity: {podAntiAffinity: "
			   "{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey:"
			   " kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}]}}";
	char *alone = xasprintf("nodeName: a, %s", away);

	node(w, "a", "zone: z1", "", BIG);
	node(w, "b", "zone: z2", "", BIG);
	nowhere(w, "app: web", near,
		"0/2 nodes are available: 2 node(s) didn't match pod affinity rules. preemption: "
		"0/2 nodes are "
		"available: 2 Preemption is not helpful for scheduling.");
	assert_non_null(place_spec(w, "app: db", near, "0").node); /* the first of its group */
	running(w, "db", "app: db", "nodeName: b", "0");
	on(w, "app: web", near, "b");
	on(w, "app: db", away, "a");
	running(w, "other", "app: x", alone, "0"); /* existing pods' terms hold, too */
	on(w, "app: db", "", "b");
	free(alone);
}

static void test_default_spreading(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2; i++)
		node(w, i ? "b" : "a", "", "", "cpu: 100, memory: 100Gi");
	struct object *o = parse(w, &v1_pod_resource,
		"metadata: {name: s, namespace: default, ownerReferences: [{apiVersion: apps/v1, "
		"kind: ReplicaSet, name: r, uid:"
		" r, controller: true}]}\nspec: {nodeName: a, containers: [{name: c, image: "
		"i}]}\n");
	tell(w, STORE_ADDED, o);
	o = parse(w, &v1_pod_resource,
		"metadata: {name: t, namespace: default, ownerReferences: [{apiVersion: apps/v1, "
		"kind: ReplicaSet, name: r, uid:"
		" r, controller: true}]}\nspec: {containers: [{name: c, image: i}]}\n");
	struct pod_info *info = pod_info_new(w->cache, o);
	const struct cycle_opts opts = {.cache = w->cache, .queue = w->queue, .start = &w->start};
	struct verdict v = cycle_run(&opts, info, NULL, &w->arena);
	assert_string_equal(v.node->name.p, "b");
	pod_info_free(info);
	object_unref(o);
}

static void test_preemption(void **state)
{
	struct world *w = *state;
	struct verdict v;

	node(w, "a", "", "", "cpu: 1, memory: 1Gi");
	node(w, "b", "", "", "cpu: 1, memory: 1Gi");
	running(w, "a1", "", "nodeName: a, priority: 5", "600m");
	running(w, "a2", "", "nodeName: a, priority: 1", "400m");
	running(w, "b1", "", "nodeName: b, priority: 6", "1");
	v = place_spec(w, "", "priority: 10", "300m");
	assert_null(v.node);
	assert_string_equal(v.nominated->name.p, "a"); /* the victim that matters least */
	assert_int_equal(v.victims.n, 1);
	assert_true(str_eqc(v.victims.v[0]->object->name, "a2"));
	v = place_spec(w, "", "priority: 10", "600m");
	assert_int_equal(v.victims.n, 1);
	assert_true(str_eqc(v.victims.v[0]->object->name, "a1"));
	v = place_spec(w, "", "priority: 10, preemptionPolicy: Never", "300m");
	assert_null(v.nominated);
	assert_string_equal(v.message.p,
		"0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to "
		"preemptionPolicy=Never.");
	v = place_spec(w, "", "priority: 1", "300m");
	assert_null(v.nominated);
}

static void test_assume(void **state)
{
	struct world *w = *state;
	struct object *o = pod(w, "p", "", "priority: 0", "3");

	node(w, "a", "", "", BIG);
	struct pod_info *info = pod_info_new(w->cache, o);
	cache_assume(w->cache, info, cache_node(w->cache, S("a")));
	assert_null(place_spec(w, "", "", "2").node);
	info = cache_forget(w->cache, S("p"));
	assert_non_null(info);
	on(w, "", "", "a");
	cache_assume(w->cache, info, cache_node(w->cache, S("a")));
	running(w, "p", "", "nodeName: a", "3"); /* confirmed: cannot be forgotten any more */
	assert_null(cache_forget(w->cache, S("p")));
	object_unref(o);
}

static struct queued *put(struct world *w, const char *name, const char *spec)
{
	struct object *o = pod(w, name, "", spec, "0");
	struct queued *q = queue_put(w->queue, pod_info_new(w->cache, o), false);

	object_unref(o);
	return q;
}

static void test_queue(void **state)
{
	struct world *w = *state;
	struct queued *low = put(w, "low", "priority: 1"),
		      *second = put(w, "second", "priority: 1");
	struct queued *high = put(w, "high", "priority: 9");

	assert_ptr_equal(queue_pop(w->queue), high);
	assert_ptr_equal(queue_pop(w->queue), low);
	assert_ptr_equal(queue_pop(w->queue), second);
	assert_null(queue_pop(w->queue));
	queue_failed(w->queue, high, EVENT_POD_DELETE, 0);
	queue_failed(w->queue, low, EVENT_NODE_ADD, 0);
	queue_failed(w->queue, second, 0, 0); /* an error: only time helps */
	assert_int_equal(queue_tick(w->queue, 0), 1000);
	queue_event(w->queue, EVENT_NODE_ADD, 10);
	assert_null(queue_pop(w->queue)); /* still backing off */
	assert_int_equal(queue_tick(w->queue, 1000), 5 * 60 * 1000 - 1000);
	assert_ptr_equal(queue_pop(w->queue), low);
	assert_ptr_equal(queue_pop(w->queue), second);
	queue_failed(w->queue, low, 0, 1000);
	assert_int_equal(queue_tick(w->queue, 1000), 2000); /* the second time */
	queue_event(w->queue, EVENT_POD_DELETE, 2000);
	assert_ptr_equal(queue_pop(w->queue), high);
	queue_failed(w->queue, high, EVENT_NODE_ADD, 2000);
	queue_tick(w->queue, 2000 + 5 * 60 * 1000);
	assert_int_equal(queue_active(w->queue), 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_nothing),
		CASE(test_resources),
		CASE(test_too_many_pods),
		CASE(test_emptiest),
		CASE(test_selector_and_affinity),
		CASE(test_taints),
		CASE(test_unschedulable),
		CASE(test_ports),
		CASE(test_spread),
		CASE(test_pod_affinity),
		CASE(test_default_spreading),
		CASE(test_preemption),
		CASE(test_assume),
		CASE(test_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
