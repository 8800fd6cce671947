/*
 * sched: how many pods a second the scheduler places, API server not counted.
 *
 *     sched [NODES [PODS]]     5000 nodes and 50000 pods when not said
 *
 * The client is a stand-in on a simulated loop: it hands out nodes and pods, answers every binding
 * on the next turn and sends the pod's event. The time it takes for that itself is subtracted. All
 * pods belong to replica sets of 100.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/map.h"
#include "client/client.h"
#include "scheduler/scheduler.h"
#include "types.gen.h"

struct subscriber {
	void (*on_event)(void *user_data, const struct store_event *ev);
	void *user_data;
};

struct answer {
	struct answer *next;
	struct client_call *call;
};

struct bench {
	struct client client;
	struct loop_timer starter, answerer;
	struct subscriber nodes, pods;
	void (*on_synced)(void *user_data);
	void *user_data;
	struct answer *answers, **answers_tail;
	struct map waiting; /* uid -> object */
	size_t n_nodes, n_pods, bound;
	uint64_t revision;
	int64_t own_ns; /* spent in here */
};

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct object *parse(struct bench *b, const struct schema_resource *res, const char *json)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o;

	if (object_parse(res, str_c(json), &o, &err) < 0) {
		fprintf(stderr, "sched: %s\n", err_text(&err));
		exit(1);
	}
	return o;
}

static struct object *make_node(struct bench *b, size_t i)
{
	char json[2048];

	snprintf(json, sizeof(json),
		"{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-%zu\","
		"\"uid\":\"node-%zu\","
		"\"resourceVersion\":\"%llu\",\"labels\":{\"kubernetes.io/hostname\":\"node-%zu\","
		"\"topology.kubernetes.io/"
		"zone\":\"zone-%zu\"}},\"spec\":{},\"status\":{\"allocatable\":{\"cpu\":\"%zu\","
		"\"memory\":\"128Gi\",\"ephemeral-storage\":\"100Gi\",\"pods\":\"110\"}}}",
		i, i, (unsigned long long)++b->revision, i, i % 3, 16 + i % 3 * 8);
	return parse(b, &v1_node_resource, json);
}

static struct object *make_pod(struct bench *b, size_t i, struct str node)
{
	char json[2048], name[128];

	if (node.n)
		snprintf(name, sizeof(name), "\"nodeName\":\"%.*s\",", STR_ARG(node));
	snprintf(json, sizeof(json),
		"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web-%zu\","
		"\"namespace\":\"default\",\"uid\":"
		"\"0d6c3a1e-%zu\",\"resourceVersion\":\"%llu\",\"generation\":1,\"labels\":{"
		"\"app\":\"web\",\"set\":\"%zu\"},"
		"\"ownerReferences\":[{\"apiVersion\":\"apps/"
		"v1\",\"kind\":\"ReplicaSet\",\"name\":\"web\",\"uid\":\"rs-%zu\","
		"\"controller\":true,\"blockOwnerDeletion\":true}]},\"spec\":{\"volumes\":[{"
		"\"name\":\"t\",\"emptyDir\":{}}],"
		"\"containers\":[{\"name\":\"web\",\"image\":\"registry.example/"
		"web:1.2.3\",\"ports\":[{\"containerPort\":8080,"
		"\"protocol\":\"TCP\"}],\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\","
		"\"value\":\"2\"}],\"resources\":"
		"{\"limits\":{\"memory\":\"256Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":"
		"\"200Mi\"}},\"volumeMounts\":"
		"[{\"name\":\"t\",\"mountPath\":\"/tmp\"}],\"terminationMessagePath\":\"/dev/"
		"termination-log\","
		"\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"IfNotPresent\"}],"
		"\"restartPolicy\":\"Always\","
		"\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",%"
		"s\"securityContext\":{},"
		"\"schedulerName\":\"default-scheduler\",\"tolerations\":[{\"key\":\"node."
		"kubernetes.io/not-ready\",\"operator\":"
		"\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300},{\"key\":\"node."
		"kubernetes.io/unreachable\","
		"\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
		"\"priority\":0},"
		"\"status\":{\"phase\":\"Pending\"}}",
		i, i, (unsigned long long)++b->revision, i / 100, i / 100, node.n ? name : "");
	return parse(b, &v1_pod_resource, json);
}

static void tell(
	struct bench *b, const struct subscriber *s, struct object *o, const struct object *prev)
{
	const struct store_event ev = {.type = prev ? STORE_MODIFIED : STORE_ADDED,
		.object = o,
		.prev = prev,
		.revision = o->revision};
	int64_t start = cpu_ns();

	s->on_event(s->user_data, &ev);
	b->own_ns -= cpu_ns() - start;
}

static void subscribe(struct client *c, const struct schema_resource *res, const char *selector,
	void (*on_event)(void *user_data, const struct store_event *ev), void *user_data)
{
	struct bench *b = container_of(c, struct bench, client);

	if (res == &v1_node_resource)
		b->nodes = (struct subscriber){on_event, user_data};
	else if (res == &v1_pod_resource)
		b->pods = (struct subscriber){on_event, user_data};
}

static void start_now(struct loop_timer *t)
{
	struct bench *b = container_of(t, struct bench, starter);
	int64_t start = cpu_ns();

	for (size_t i = 0; i < b->n_nodes; i++) {
		struct object *o = make_node(b, i);

		tell(b, &b->nodes, o, NULL);
		object_unref(o);
	}
	for (size_t i = 0; i < b->n_pods; i++) {
		struct object *o = make_pod(b, i, S(""));

		map_set(&b->waiting, o->name, o);
		tell(b, &b->pods, o, NULL);
	}
	b->own_ns += cpu_ns() - start;
	b->on_synced(b->user_data);
}

static void start(struct client *c, void (*on_synced)(void *user_data), void *user_data)
{
	struct bench *b = container_of(c, struct bench, client);

	b->on_synced = on_synced;
	b->user_data = user_data;
	loop_timer_start(&b->starter, 0);
}

static bool synced(const struct client *c)
{
	return true;
}

static struct snapshot *no_snapshot(struct client *c, const struct schema_resource *res)
{
	return NULL;
}

static bool caught_up(struct client *c, const struct schema_resource *res, uint64_t revision)
{
	return true;
}

static void bind(struct bench *b, struct client_call *call)
{
	const struct v1_binding *binding = call->object;
	struct object *was = map_remove(&b->waiting, binding->metadata.name);
	int64_t number;

	if (!was) {
		fprintf(stderr, "sched: " STR_FMT " was bound twice\n",
			STR_ARG(binding->metadata.name));
		exit(1);
	}
	str_to_i64(str_sub(was->name, 4, was->name.n), &number);
	struct object *now = make_pod(b, (size_t)number, binding->target.name);
	tell(b, &b->pods, now, was);
	object_unref(now);
	object_unref(was);
	b->bound++;
}

static void finish(struct bench *b, struct client_call *call)
{
	int64_t start = cpu_ns();

	call->done(call);
	b->own_ns -= cpu_ns() - start;
	arena_release(&call->arena);
	err_release(&call->err);
	free(call);
}

static void answer_all(struct loop_timer *t)
{
	struct bench *b = container_of(t, struct bench, answerer);
	struct answer *a = b->answers;
	int64_t start = cpu_ns();

	b->answers = NULL;
	b->answers_tail = &b->answers;
	while (a) {
		struct answer *next = a->next;
		struct client_call *call = a->call;

		if (str_eq(call->subresource, S("binding")))
			bind(b, call);
		finish(b, call);
		free(a);
		a = next;
	}
	b->own_ns += cpu_ns() - start;
}

static void do_call(struct client *c, struct client_call *call)
{
	struct bench *b = container_of(c, struct bench, client);
	struct answer *a = xcalloc(1, sizeof(*a));

	a->call = call;
	*b->answers_tail = a;
	b->answers_tail = &a->next;
	if (!loop_timer_armed(&b->answerer))
		loop_timer_start(&b->answerer, 0);
}

static void no_free(struct client *c)
{
}

static const struct client_ops ops = {
	.subscribe = subscribe,
	.start = start,
	.synced = synced,
	.snapshot = no_snapshot,
	.caught_up = caught_up,
	.do_call = do_call,
	.free = no_free,
};

int main(int argc, char **argv)
{
	struct bench b = {.n_nodes = 5000, .n_pods = 50000};
	struct sim_clock *clock = sim_clock_new(1, 1767225600000000000);
	struct loop *loop = loop_new_sim(clock);
	struct scheduler *s;

	if (argc > 1)
		b.n_nodes = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		b.n_pods = strtoul(argv[2], NULL, 10);
	b.client = (struct client){.ops = &ops, .loop = loop};
	b.answers_tail = &b.answers;
	loop_timer_init(&b.starter, loop, start_now);
	loop_timer_init(&b.answerer, loop, answer_all);
	const struct scheduler_opts opts = {.loop = loop, .client = &b.client};
	int64_t begin = cpu_ns();
	if (scheduler_start(&opts, &s, NULL) < 0)
		return 1;
	while (b.bound < b.n_pods && sim_clock_step(clock, INT64_MAX))
		;
	double seconds = (double)(cpu_ns() - begin - b.own_ns) / 1e9;
	printf("%zu nodes, %zu of %zu pods placed: %.0f pods/s, %.1f us of CPU each\n", b.n_nodes,
		b.bound, b.n_pods, (double)b.bound / seconds, seconds * 1e6 / (double)b.bound);
	scheduler_stop(s);
	map_release(&b.waiting);
	loop_free(loop);
	sim_clock_free(clock);
	return b.bound == b.n_pods ? 0 : 1;
}
