/*
 * A whole control plane on a simulated loop: store in memory, API server, controllers, scheduler,
 * and nodes that run pods at once. Nothing here waits for real time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/object.h"
#include "apiserver/apiserver.h"
#include "client/client.h"
#include "controllers/controllers.h"
#include "scheduler/scheduler.h"
#include "store/backend.h"
#include "types.gen.h"
#include "../apiserver/signing_key.h"

enum { NOW_S = 1767225600 };

struct cluster {
	struct sim_clock *clock;
	struct loop *loop;
	struct store *store;
	struct apiserver *api;
	struct client *admin, *node;
	struct controllers *controllers;
	struct scheduler *scheduler;
	struct arena arena;
	int next_ip;
	/* the answer of the last call */
	bool done;
	int result;
	struct str message;
	const char *silent_node; /* does not run its pods any more */
	unsigned fail_percent;   /* of the commits */
	uint64_t seed;
};

static struct client *client_as(void *user_data, const char *user)
{
	struct cluster *c = user_data;
	struct str groups[] = {S("system:masters")};
	const struct user_info info = {.name = str_c(user), .groups = {groups, 1}};

	return client_local_new(c->loop, c->store, apiserver_handler(c->api), &info);
}

static void run(struct cluster *c, int64_t ms)
{
	int64_t until = sim_clock_now_ms(c->clock) + ms;

	while (sim_clock_step(c->clock, until))
		;
}

static void on_answer(struct client_call *call)
{
	struct cluster *c = call->user_data;

	c->done = true;
	c->result = call->result;
	c->message = arena_strc(&c->arena, err_text(&call->err));
}

static void ask(struct cluster *c, const char *verb, const struct schema_resource *res,
	const char *ns, const char *name, const char *subresource, const char *body,
	const char *type)
{
	struct client_call *call = client_call_new(c->admin);

	call->verb = verb;
	call->resource = res;
	call->ns = str_c(ns);
	call->name = str_c(name);
	call->subresource = str_c(subresource);
	call->body = str_c(body);
	call->content_type = type;
	call->done = on_answer;
	call->user_data = c;
	c->done = false;
	client_do(c->admin, call);
	while (!c->done && sim_clock_step(c->clock, INT64_MAX))
		;
	if (!c->done || c->result < 0)
		fail_msg("%s %s %s: %s", verb, res->plural, name, c->message.p);
}

static void create(
	struct cluster *c, const struct schema_resource *res, const char *ns, const char *yaml)
{
	struct err err CLEANUP(err_release) = {0};
	struct str json;

	if (yaml_to_json(str_c(yaml), &c->arena, &json, NULL, &err) < 0)
		fail_msg("%s", err_text(&err));
	ask(c, "create", res, ns, "", "", json.p, NULL);
}

static void merge(struct cluster *c, const struct schema_resource *res, const char *ns,
	const char *name, const char *subresource, const char *patch)
{
	ask(c, "patch", res, ns, name, subresource, patch, "application/merge-patch+json");
}

/* --- a kubelet for all nodes --- */

static void ignore(struct client_call *call)
{
}

static void node_write(
	struct cluster *c, const struct object *pod, const char *verb, const char *body)
{
	struct client_call *call = client_call_new(c->node);

	call->verb = verb;
	call->resource = &v1_pod_resource;
	call->ns = pod->ns;
	call->name = pod->name;
	call->body = str_c(body);
	if (!strcmp(verb, "patch")) {
		call->subresource = S("status");
		call->content_type = "application/merge-patch+json";
	}
	call->done = ignore;
	client_do(c->node, call);
}

static void on_pod(void *user_data, const struct store_event *ev)
{
	struct cluster *c = user_data;
	const struct object *pod = ev->object;
	struct str node = object_field(pod, S("spec.nodeName"));
	char body[512];

	if (ev->type == STORE_DELETED || str_empty(node) ||
		(c->silent_node && str_eqc(node, c->silent_node)))
		return;
	if (pod->deletion_ms) {
		node_write(c, pod, "delete",
			"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":"
			"0}");
	} else if (!str_eq(object_field(pod, S("status.phase")), S("Running"))) {
		int n = ++c->next_ip;

		snprintf(body, sizeof(body),
			"{\"status\":{\"phase\":\"Running\",\"podIP\":\"10.244.0.%d\",\"podIPs\":"
			"[{\"ip\":\"10.244.0.%d\"}],\"conditions\":[{\"type\":\"PodScheduled\","
			"\"status\":\"True\"},{\"type\":\"Ready\",\"status\":\"True\","
			"\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]}}",
			n, n);
		node_write(c, pod, "patch", body);
	}
}

/* What the nodes could not write while writes failed. */
static void resync_nodes(struct cluster *c)
{
	struct snapshot *s = store_snapshot(c->store, &v1_pod_resource);
	struct snapshot_iter it;
	struct store_event ev = {.type = STORE_MODIFIED};

	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((ev.object = snapshot_next(&it)))
		on_pod(c, &ev);
	snapshot_unref(s);
}

static void add_node(struct cluster *c, const char *name, const char *cpu)
{
	char *yaml = xasprintf("{kind: Node, apiVersion: v1, metadata: {name: %s}}", name);
	char *status = xasprintf(
		"{\"status\":{\"allocatable\":{\"cpu\":\"%s\",\"memory\":\"4Gi\",\"pods\":\"110\"},"
		"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastHeartbeatTime\":"
		"\"2026-01-01T00:00:00Z\"}]}}",
		cpu);

	create(c, &v1_node_resource, "", yaml);
	merge(c, &v1_node_resource, "", name, "status", status);
	free(yaml);
	free(status);
}

static int maybe_fail(void *user_data)
{
	struct cluster *c = user_data;

	return sim_clock_random(c->clock) % 100 < c->fail_percent ? -EIO : 0;
}

static struct cluster *cluster_new(uint64_t seed)
{
	struct err err CLEANUP(err_release) = {0};
	struct cluster *c = xcalloc(1, sizeof(*c));

	arena_init(&c->arena);
	c->seed = seed;
	c->clock = sim_clock_new(seed, (int64_t)NOW_S * 1000000000);
	c->loop = loop_new_sim(c->clock);
	const struct store_opts store = {
		.backend = backend_faulty_new(backend_memory_new(), maybe_fail, c),
		.sim_loop = c->loop};
	if (store_open(&store, &c->store, &err) < 0)
		fail_msg("%s", err_text(&err));
	const struct apiserver_opts api = {
		.service_account_key_pem = TEST_SIGNING_KEY,
		.store = c->store,
		.clock = c->loop,
		.service_cluster_ip_range = "10.254.0.0/16",
		.allow_privileged = true,
	};
	if (apiserver_new(&api, &c->api, &err) < 0)
		fail_msg("%s", err_text(&err));
	apiserver_bootstrap(c->api, c->loop, NULL, NULL);
	c->admin = client_as(c, "admin");
	c->node = client_as(c, "node");
	client_subscribe(c->node, &v1_pod_resource, NULL, on_pod, c);
	client_start(c->node, NULL, NULL);
	const struct controllers_opts controllers = {.loop = c->loop,
		.client_for = client_as,
		.user_data = c,
		.root_ca_pem = S("-----BEGIN CERTIFICATE-----\n")};
	if (controllers_start(&controllers, &c->controllers, &err) < 0)
		fail_msg("%s", err_text(&err));
	const struct scheduler_opts scheduler = {
		.loop = c->loop, .client = client_as(c, "system:kube-scheduler")};
	if (scheduler_start(&scheduler, &c->scheduler, &err) < 0)
		fail_msg("%s", err_text(&err));
	run(c, 2000);
	assert_true(controllers_synced(c->controllers));
	assert_true(scheduler_synced(c->scheduler));
	return c;
}

static int setup(void **state)
{
	*state = cluster_new(1);
	return 0;
}

static void cluster_free(struct cluster *c)
{
	scheduler_stop(c->scheduler);
	controllers_stop(c->controllers);
	client_free(c->node);
	client_free(c->admin);
	run(c, 1000);
	apiserver_free(c->api);
	store_close(c->store);
	loop_free(c->loop);
	sim_clock_free(c->clock);
	arena_release(&c->arena);
	free(c);
}

static int teardown(void **state)
{
	cluster_free(*state);
	return 0;
}

static size_t count(struct cluster *c, const struct schema_resource *res, const char *ns)
{
	struct snapshot *s = store_snapshot(c->store, res);
	struct snapshot_iter it;
	size_t n = 0;

	snapshot_iter_init(&it, s, str_c(ns), S(""), S(""));
	while (snapshot_next(&it))
		n++;
	snapshot_unref(s);
	return n;
}

static void *get(
	struct cluster *c, const struct schema_resource *res, const char *ns, const char *name)
{
	const struct object *o = store_get(c->store, res, str_c(ns), str_c(name));

	if (!o)
		return NULL;
	void *typed = object_decode(o, &c->arena);
	arena_ref(&c->arena, (void (*)(void *))(uintptr_t)object_unref, (void *)o);
	return typed;
}

static const char deployment[] =
	"{kind: Deployment, apiVersion: apps/v1, metadata: {name: web, namespace: default},"
	" spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: "
	"25%}}, replicas: 3, selector: {matchLabels: {app: web}}, template: {metadata:"
	" {labels: {app: web}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, "
	"image: nginx, resources:"
	" {requests: {cpu: 100m}}}]}}}}";
static const char service[] =
	"{kind: Service, apiVersion: v1, metadata: {name: web, namespace: default}, spec:"
	" {selector: {app: web}, ports: [{port: 80}]}}";

static void assert_text(struct str s, const char *expected)
{
	char *text = xasprintf(STR_FMT, STR_ARG(s));

	assert_string_equal(text, expected);
	free(text);
}

static size_t endpoints(struct cluster *c)
{
	const struct v1_endpoints *e = get(c, &v1_endpoints_resource, "default", "web");

	return e && e->subsets.n ? e->subsets.v[0].addresses.n : 0;
}

static void test_rollout(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "4");
	add_node(c, "n2", "4");
	create(c, &apps_v1_deployment_resource, "default", deployment);
	create(c, &v1_service_resource, "default", service);
	run(c, 1000);
	const struct apps_v1_deployment *d = get(c, &apps_v1_deployment_resource, "default", "web");
	assert_int_equal(d->status.available_replicas, 3);
	assert_int_equal(d->status.observed_generation, d->metadata.generation);
	assert_int_equal(endpoints(c), 3);
	assert_int_equal(count(c, &discovery_v1_endpoint_slice_resource, "default"), 1);
	const struct v1_node *n = get(c, &v1_node_resource, "", "n1");
	assert_true(str_starts(n->spec.pod_cidr, S("10.244.")));

	/* another image: a second set takes over */
	merge(c, &apps_v1_deployment_resource, "default", "web", "",
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":"
		"\"nginx:2\"}]}}}}");
	run(c, 5000);
	d = get(c, &apps_v1_deployment_resource, "default", "web");
	assert_int_equal(d->status.updated_replicas, 3);
	assert_int_equal(d->status.replicas, 3);
	assert_int_equal(count(c, &apps_v1_replica_set_resource, "default"), 2);
	assert_int_equal(count(c, &v1_pod_resource, "default"), 3);
	assert_text(*str_map_get(&d->metadata.annotations, S("deployment.kubernetes.io/revision")),
		"2");

	merge(c, &apps_v1_deployment_resource, "default", "web", "", "{\"spec\":{\"replicas\":5}}");
	run(c, 1000);
	assert_int_equal(endpoints(c), 5);

	/* deleted in the background: its sets and pods follow */
	ask(c, "delete", &apps_v1_deployment_resource, "default", "web", "", "", NULL);
	run(c, 3000);
	assert_int_equal(count(c, &apps_v1_replica_set_resource, "default"), 0);
	assert_int_equal(count(c, &v1_pod_resource, "default"), 0);
	assert_int_equal(endpoints(c), 0);
}

static void test_replication_controller(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "4");
	create(c, &v1_replication_controller_resource, "default",
		"{kind: ReplicationController, apiVersion: v1, metadata: {name: rc, namespace: "
		"default}, spec:"
		" {replicas: 3, selector: {app: rc}, template: {metadata: {labels: {app: rc}}, "
		"spec:"
		" {containers: [{name: c, image: nginx}]}}}}");
	run(c, 1000);
	const struct v1_replication_controller *rc =
		get(c, &v1_replication_controller_resource, "default", "rc");
	assert_int_equal(rc->status.ready_replicas, 3);
	ask(c, "delete", &v1_replication_controller_resource, "default", "rc", "",
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":"
		"\"Orphan\"}",
		NULL);
	run(c, 1000);
	assert_null(get(c, &v1_replication_controller_resource, "default", "rc"));
	assert_int_equal(count(c, &v1_pod_resource, "default"), 3);
}

static void test_foreground(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "4");
	create(c, &apps_v1_deployment_resource, "default", deployment);
	run(c, 1000);
	ask(c, "delete", &apps_v1_deployment_resource, "default", "web", "",
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":"
		"\"Foreground\"}",
		NULL);
	run(c, 3000);
	assert_null(get(c, &apps_v1_deployment_resource, "default", "web"));
	assert_int_equal(count(c, &apps_v1_replica_set_resource, "default"), 0);
	assert_int_equal(count(c, &v1_pod_resource, "default"), 0);
}

static void test_namespace(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "4");
	create(c, &v1_namespace_resource, "",
		"{kind: Namespace, apiVersion: v1, metadata: {name: x}}");
	run(c, 500);
	assert_non_null(get(c, &v1_service_account_resource, "x", "default"));
	assert_non_null(get(c, &v1_config_map_resource, "x", "kube-root-ca.crt"));
	create(c, &v1_config_map_resource, "x",
		"{kind: ConfigMap, apiVersion: v1, metadata: {name: c, namespace: x}}");
	create(c, &v1_pod_resource, "x",
		"{kind: Pod, apiVersion: v1, metadata: {name: p, namespace: x}, spec: {containers: "
		"[{name: c,"
		" image: i}]}}");
	run(c, 500);
	ask(c, "delete", &v1_namespace_resource, "", "x", "", "", NULL);
	run(c, 5000);
	assert_null(get(c, &v1_namespace_resource, "", "x"));
	assert_int_equal(count(c, &v1_config_map_resource, "x"), 0);
	assert_int_equal(count(c, &v1_pod_resource, "x"), 0);
}

static void test_daemon_set(void **state)
{
	struct cluster *c = *state;
	const struct apps_v1_daemon_set *ds;

	add_node(c, "n1", "4");
	add_node(c, "n2", "4");
	create(c, &apps_v1_daemon_set_resource, "default",
		"{kind: DaemonSet, apiVersion: apps/v1, metadata: {name: agent, namespace: "
		"default}, spec:"
		" {updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}, "
		"selector:"
		" {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec:"
		" {terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'a:1'}]}}}}");
	run(c, 1000);
	ds = get(c, &apps_v1_daemon_set_resource, "default", "agent");
	assert_int_equal(ds->status.number_available, 2);
	add_node(c, "n3", "4");
	run(c, 1000);
	ds = get(c, &apps_v1_daemon_set_resource, "default", "agent");
	assert_int_equal(ds->status.number_available, 3);
	merge(c, &apps_v1_daemon_set_resource, "default", "agent", "",
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"a:"
		"2\"}]}}}}");
	run(c, 5000);
	ds = get(c, &apps_v1_daemon_set_resource, "default", "agent");
	assert_int_equal(ds->status.updated_number_scheduled, 3);
	assert_int_equal(ds->status.number_available, 3);
	assert_int_equal(count(c, &apps_v1_controller_revision_resource, "default"), 2);
	assert_int_equal(count(c, &v1_pod_resource, "default"), 3);
}

static void test_stateful_set(void **state)
{
	struct cluster *c = *state;
	const struct apps_v1_stateful_set *set;

	add_node(c, "n1", "4");
	create(c, &apps_v1_stateful_set_resource, "default",
		"{kind: StatefulSet, apiVersion: apps/v1, metadata: {name: db, namespace: "
		"default}, spec:"
		" {replicas: 3, serviceName: db, podManagementPolicy: OrderedReady, "
		"updateStrategy: {type:"
		" RollingUpdate, rollingUpdate: {partition: 1}}, selector: {matchLabels: {app: "
		"db}},"
		" template: {metadata: {labels: {app: db}}, spec: {terminationGracePeriodSeconds: "
		"1,"
		" containers: [{name: c, image: 'a:1'}]}}, volumeClaimTemplates: [{metadata: "
		"{name: data},"
		" spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}");
	run(c, 2000);
	set = get(c, &apps_v1_stateful_set_resource, "default", "db");
	assert_int_equal(set->status.available_replicas, 3);
	assert_non_null(get(c, &v1_pod_resource, "default", "db-2"));
	assert_int_equal(count(c, &v1_persistent_volume_claim_resource, "default"), 3);
	assert_int_equal(count(c, &apps_v1_controller_revision_resource, "default"), 1);
	/* all but the first are updated */
	merge(c, &apps_v1_stateful_set_resource, "default", "db", "",
		"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"a:"
		"2\"}]}}}}");
	run(c, 5000);
	set = get(c, &apps_v1_stateful_set_resource, "default", "db");
	assert_int_equal(set->status.updated_replicas, 2);
	assert_int_equal(set->status.current_replicas, 1);
	const struct v1_pod *pod = get(c, &v1_pod_resource, "default", "db-0");
	assert_text(pod->spec.containers.v[0].image, "a:1");
	/* one that is lost comes back as it was */
	ask(c, "delete", &v1_pod_resource, "default", "db-0", "", "", NULL);
	run(c, 3000);
	pod = get(c, &v1_pod_resource, "default", "db-0");
	assert_text(pod->spec.containers.v[0].image, "a:1");
	merge(c, &apps_v1_stateful_set_resource, "default", "db", "",
		"{\"spec\":{\"replicas\":1}}");
	run(c, 3000);
	assert_int_equal(count(c, &v1_pod_resource, "default"), 1);
	assert_int_equal(count(c, &v1_persistent_volume_claim_resource, "default"), 3);
}

static const struct v1_pod_condition *scheduled(const struct v1_pod *pod)
{
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eq(pod->status.conditions.v[i].type, S("PodScheduled")))
			return &pod->status.conditions.v[i];
	return NULL;
}

static void test_unschedulable(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "1");
	create(c, &v1_pod_resource, "default",
		"{kind: Pod, apiVersion: v1, metadata: {name: big, namespace: default}, spec: "
		"{containers:"
		" [{name: c, image: i, resources: {requests: {cpu: '2'}}}]}}");
	run(c, 500);
	const struct v1_pod *pod = get(c, &v1_pod_resource, "default", "big");
	assert_true(str_empty(pod->spec.node_name));
	assert_non_null(scheduled(pod));
	assert_text(scheduled(pod)->message,
		"0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
		"1 "
		"Preemption is not helpful for scheduling.");
	assert_text(scheduled(pod)->reason, "Unschedulable");
	add_node(c, "n2", "4");
	run(c, 15000);
	pod = get(c, &v1_pod_resource, "default", "big");
	assert_text(pod->spec.node_name, "n2");
}

static void test_preemption(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "1");
	create(c, &scheduling_v1_priority_class_resource, "",
		"{kind: PriorityClass, apiVersion: scheduling.k8s.io/v1, metadata: {name: high}, "
		"value: 1000}");
	create(c, &v1_pod_resource, "default",
		"{kind: Pod, apiVersion: v1, metadata: {name: low, namespace: default}, spec:"
		" {terminationGracePeriodSeconds: 1, containers: [{name: c, image: i, resources: "
		"{requests:"
		" {cpu: 800m}}}]}}");
	run(c, 500);
	create(c, &v1_pod_resource, "default",
		"{kind: Pod, apiVersion: v1, metadata: {name: high, namespace: default}, spec:"
		" {priorityClassName: high, containers: [{name: c, image: i, resources: {requests:"
		" {cpu: 800m}}}]}}");
	run(c, 15000);
	assert_null(get(c, &v1_pod_resource, "default", "low"));
	const struct v1_pod *pod = get(c, &v1_pod_resource, "default", "high");
	assert_text(pod->spec.node_name, "n1");
}

/* A node falls silent: Unknown, tainted, its pods are evicted and come back elsewhere. */
static void test_dead_node(void **state)
{
	struct cluster *c = *state;

	add_node(c, "n1", "4");
	add_node(c, "n2", "4");
	create(c, &apps_v1_deployment_resource, "default", deployment);
	run(c, 1000);
	c->silent_node = "n1";
	for (int i = 0; i < 45; i++) {
		char *beat = xasprintf(
			"{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
			"\"lastHeartbeatTime\":\"2026-01-01T00:%02d:00Z\"}]}}",
			i + 1);

		merge(c, &v1_node_resource, "", "n2", "status", beat);
		free(beat);
		run(c, 10000);
	}
	const struct v1_node *n = get(c, &v1_node_resource, "", "n1");
	assert_text(n->status.conditions.v[0].status, "Unknown");
	size_t execute = 0;
	for (size_t i = 0; i < n->spec.taints.n; i++)
		execute += str_eq(n->spec.taints.v[i].effect, S("NoExecute"));
	assert_int_equal(execute, 1);
	const struct apps_v1_deployment *d = get(c, &apps_v1_deployment_resource, "default", "web");
	assert_int_equal(d->status.available_replicas, 3);
}

static void test_idle(void **state)
{
	struct cluster *c = *state;
	size_t steps = 0;

	add_node(c, "n1", "4");
	create(c, &apps_v1_deployment_resource, "default", deployment);
	run(c, 30000);
	int64_t until = sim_clock_now_ms(c->clock) + 8000;
	while (sim_clock_step(c->clock, until))
		steps++;
	assert_true(steps < 10);
}

static void check_pods(struct cluster *c)
{
	struct snapshot *s = store_snapshot(c->store, &v1_pod_resource);
	struct snapshot_iter it;
	const struct object *o;
	size_t n = 0;

	snapshot_iter_init(&it, s, S("default"), S(""), S(""));
	for (; (o = snapshot_next(&it)); n++)
		if (o->deletion_ms || str_empty(object_field(o, S("spec.nodeName"))))
			fail_msg("seed %d: " STR_FMT " is left over or has no node", (int)c->seed,
				STR_ARG(o->name));
	snapshot_unref(s);
	if (n != 4)
		fail_msg("seed %d: %zu pods", (int)c->seed, n);
}

/* One commit in five fails while a deployment is rolled out, scaled and rolled out again; then all
 * is well again: exactly what was asked for is there. */
static void test_faults(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct cluster *c = cluster_new(seed);

		add_node(c, "n1", "4");
		add_node(c, "n2", "4");
		create(c, &apps_v1_deployment_resource, "default", deployment);
		create(c, &v1_service_resource, "default", service);
		c->fail_percent = 20;
		run(c, 2000);
		c->fail_percent = 0;
		resync_nodes(c);
		merge(c, &apps_v1_deployment_resource, "default", "web", "",
			"{\"spec\":{\"replicas\":4,\"template\":{\"spec\":{\"containers\":[{"
			"\"name\":"
			"\"c\",\"image\":\"nginx:2\"}]}}}}");
		c->fail_percent = 20;
		run(c, 3000);
		c->fail_percent = 0;
		for (int i = 0; i < 3; i++) { /* less than the nodes' grace period */
			resync_nodes(c);
			run(c, 8000);
		}
		check_pods(c);
		const struct apps_v1_deployment *d =
			get(c, &apps_v1_deployment_resource, "default", "web");
		if (d->status.updated_replicas != 4 || d->status.available_replicas != 4)
			fail_msg("seed %d: not rolled out", (int)seed);
		assert_int_equal(endpoints(c), 4);
		cluster_free(c);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_rollout),
		CASE(test_replication_controller),
		CASE(test_foreground),
		CASE(test_namespace),
		CASE(test_daemon_set),
		CASE(test_stateful_set),
		CASE(test_idle),
		cmocka_unit_test(test_faults),
		CASE(test_unschedulable),
		CASE(test_preemption),
		CASE(test_dead_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
