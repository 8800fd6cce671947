#include "network/policy_agent.h"

#include <pthread.h>
#include <stdlib.h>

#include "network/nft_run.h"
#include "network/policy.h"
#include "types.gen.h"

enum {
	COALESCE_MS = 10,
	RETRY_MS = 5000,
	NFT_MAX = 256 << 20,
	SYNC_WAIT_MS =
		2000,       /* a pod waits for the first list of policies so long after our start */
	POD_WAIT_MS = 5000, /* and for itself to be told of */
};

/* A pod that wants to start; on the stack of the thread that asks, which waits. */
struct question {
	struct question *next;
	const struct pod_network_request *rq;
	const struct str_vec *ips;
	int64_t until_ms; /* 0: not looked at yet */
	bool answered;
	int r;
};

struct policy_agent {
	struct loop *loop;
	struct client *policy_client, *pod_client;
	struct pod_network *network;
	bool policies_synced, pods_wanted, pods_synced;
	struct policies *policies;
	struct loop_timer timer, question_timer;
	int64_t started_ms;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t answered;
	struct question *questions;
	struct loop_task wake;
	bool woken;
};

/* --- rules --- */

static int write_rules(struct policy_agent *n)
{
	struct buf nft CLEANUP(buf_release) = {0};
	struct err err CLEANUP(err_release) = {0};
	int r;

	if (pod_network_is_cni(n->network)) /* it enforces them, or leaves it */
		return 0;
	buf_init(&nft, NFT_MAX);
	policies_changes(n->policies, &nft);
	if (!nft.n)
		return 0;
	if (buf_failed(&nft))
		r = err_fmt(&err, 500, "InternalError", "too many");
	else
		r = nft_run(buf_str(&nft), &err);
	if (r < 0) {
		log_error("network policies: %s", err_text(&err));
		policies_forget(n->policies);
		loop_timer_start(&n->timer, RETRY_MS);
	}
	return r;
}

static void on_timer(struct loop_timer *t)
{
	write_rules(container_of(t, struct policy_agent, timer));
}

static bool all_synced(const struct policy_agent *n)
{
	return n->policies_synced && (n->pods_synced || !n->pods_wanted);
}

static void soon(struct policy_agent *n)
{
	if (all_synced(n) && !loop_timer_armed(&n->timer))
		loop_timer_start(&n->timer, COALESCE_MS);
}

/* --- pods that want to start --- */

/* The pod of the request as the API has it, with the addresses that it is given; NULL: not told of
 * yet. A static pod goes by another uid there. */
static const struct v1_pod *asked_pod(
	struct policy_agent *n, const struct question *q, struct arena *a)
{
	struct snapshot *s = client_snapshot(n->pod_client, &v1_pod_resource);
	const struct object *o = snapshot_get(s, q->rq->ns, q->rq->name);
	struct v1_pod *pod = NULL;

	if (o)
		pod = object_decode(o, a);
	snapshot_unref(s);
	if (pod && !str_eq(pod->metadata.uid, q->rq->uid) &&
		!str_map_get(&pod->metadata.annotations, S("kubernetes.io/config.mirror")))
		pod = NULL;
	if (!pod)
		return NULL;
	pod->status.pod_ip = S("");
	pod->status.pod_ips.n = 0;
	for (size_t i = 0; i < q->ips->n; i++) {
		struct v1_pod_ip ip = {.ip = q->ips->v[i]};

		ARENA_PUSH(a, &pod->status.pod_ips, ip);
	}
	return pod;
}

/* Whether it has an answer by now: *ret_r, 0: it may start. */
static bool look_at(struct policy_agent *n, struct question *q, int *ret_r)
{
	struct arena a CLEANUP(arena_release) = {0};
	int64_t now = loop_now_ms(n->loop);
	const struct v1_pod *pod;

	*ret_r = 0;
	if (!n->policies_synced)
		return now - n->started_ms >= SYNC_WAIT_MS;
	if (!n->pods_wanted)
		return true;
	if (!q->until_ms)
		q->until_ms = now + POD_WAIT_MS;
	pod = n->pods_synced ? asked_pod(n, q, &a) : NULL;
	if (pod) {
		policies_starts(n->policies, pod);
		*ret_r = write_rules(n);
		return true;
	}
	if (now < q->until_ms)
		return false;
	log_warn("pod " STR_FMT "/" STR_FMT " starts before its network policies are known",
		STR_ARG(q->rq->ns), STR_ARG(q->rq->name));
	return true;
}

static void look_at_all(struct policy_agent *n)
{
	struct question **at = &n->questions, *q;

	pthread_mutex_lock(&n->lock);
	while ((q = *at)) {
		if (!look_at(n, q, &q->r)) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		q->answered = true;
	}
	if (n->questions) /* what is waited for tells us; this is for the end of waiting */
		loop_timer_start(&n->question_timer, COALESCE_MS * 10);
	pthread_cond_broadcast(&n->answered);
	pthread_mutex_unlock(&n->lock);
}

static void on_wake(struct loop_task *t)
{
	struct policy_agent *n = container_of(t, struct policy_agent, wake);

	pthread_mutex_lock(&n->lock);
	n->woken = false;
	pthread_mutex_unlock(&n->lock);
	look_at_all(n);
}

static void on_question_timer(struct loop_timer *t)
{
	look_at_all(container_of(t, struct policy_agent, question_timer));
}

static int guard(void *user_data, const struct pod_network_request *rq, const struct str_vec *ips,
	struct err *err)
{
	struct policy_agent *n = user_data;
	struct question q = {.rq = rq, .ips = ips};

	pthread_mutex_lock(&n->lock);
	q.next = n->questions;
	n->questions = &q;
	if (!n->woken)
		loop_post(n->loop, &n->wake);
	n->woken = true;
	while (!q.answered)
		pthread_cond_wait(&n->answered, &n->lock);
	pthread_mutex_unlock(&n->lock);
	return q.r < 0 ? err_errno(err, -q.r, "cannot write the pod's network policies") : 0;
}

/* --- what happens in the cluster --- */

static bool same_labels(const struct str_map *a, const struct str_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

/* Whether an event of a pod is about anything that policies look at. */
static bool same_pod(const struct store_event *ev)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct v1_pod *was, *is;

	if (ev->type != STORE_MODIFIED || !ev->prev)
		return false;
	was = object_decode(ev->prev, &a);
	is = object_decode(ev->object, &a);
	return str_eq(was->metadata.uid, is->metadata.uid) &&
	       str_eq(was->status.phase, is->status.phase) &&
	       str_eq(was->status.pod_ip, is->status.pod_ip) &&
	       was->status.pod_ips.n == is->status.pod_ips.n &&
	       str_eq(was->spec.node_name, is->spec.node_name) &&
	       same_labels(&was->metadata.labels, &is->metadata.labels);
}

static void on_pod(void *user_data, const struct store_event *ev)
{
	struct policy_agent *n = user_data;
	struct arena a CLEANUP(arena_release) = {0};

	if (same_pod(ev))
		return;
	policies_pod(n->policies, object_decode(ev->object, &a), ev->type == STORE_DELETED);
	soon(n);
}

static void on_namespace(void *user_data, const struct store_event *ev)
{
	struct policy_agent *n = user_data;

	if (ev->type == STORE_MODIFIED && ev->prev &&
		same_labels(&ev->prev->labels, &ev->object->labels))
		return;
	policies_namespace(
		n->policies, ev->object->name, &ev->object->labels, ev->type == STORE_DELETED);
	soon(n);
}

static void on_pods_synced(void *user_data)
{
	struct policy_agent *n = user_data;

	n->pods_synced = true;
	soon(n);
}

static void on_policy(void *user_data, const struct store_event *ev)
{
	struct policy_agent *n = user_data;
	struct arena a CLEANUP(arena_release) = {0};

	policies_policy(n->policies, object_decode(ev->object, &a), ev->type == STORE_DELETED);
	if (!n->pods_wanted) {
		n->pods_wanted = true;
		client_start(n->pod_client, on_pods_synced, n);
	}
	soon(n);
}

static void on_policies_synced(void *user_data)
{
	struct policy_agent *n = user_data;

	n->policies_synced = true;
	soon(n);
	look_at_all(n);
}

int policy_agent_start(const struct policy_agent_opts *opts, struct err *err)
{
	struct policy_agent *n = xcalloc(1, sizeof(*n));

	n->policy_client = opts->policy_client;
	n->pod_client = opts->pod_client;
	n->loop = opts->loop;
	n->network = opts->network;
	n->policies = policies_new(opts->node_name);
	n->started_ms = loop_now_ms(n->loop);
	n->wake.fn = on_wake;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->answered, NULL);
	loop_timer_init(&n->timer, n->loop, on_timer);
	loop_timer_init(&n->question_timer, n->loop, on_question_timer);
	client_subscribe(n->pod_client, &v1_pod_resource, NULL, on_pod, n);
	client_subscribe(n->pod_client, &v1_namespace_resource, NULL, on_namespace, n);
	client_subscribe(
		n->policy_client, &networking_v1_network_policy_resource, NULL, on_policy, n);
	client_start(n->policy_client, on_policies_synced, n);
	pod_network_set_guard(n->network, guard, n);
	return 0;
}
