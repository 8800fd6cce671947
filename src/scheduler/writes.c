/* writes.c: what becomes of an attempt: the binding, or the reason why not; victims of preemption.
 */
#include <inttypes.h>

#include "json/write.h"
#include "scheduler/scheduler_priv.h"
#include "schema/time.h"

struct bound { /* in the call's arena */
	struct scheduler *s;
	struct str ns, name, uid, node;
	uint64_t revision;
	int64_t began_ns, bind_ns, queued_ns; /* the attempt, the call, the pod's first coming */
	unsigned attempts;
};

static struct event_about about(const struct bound *b)
{
	return (struct event_about){.resource = &v1_pod_resource,
		.ns = b->ns,
		.name = b->name,
		.uid = b->uid,
		.revision = b->revision};
}

/* The pod goes back to the queue, unless it has been deleted or bound meanwhile. */
static void bind_failed(struct scheduler *s, const struct bound *b, const struct client_call *call)
{
	struct event_about pod = about(b);
	struct pod_info *info = cache_forget(s->cache, b->uid);
	struct queued *q = queue_find(s->queue, b->uid);

	if (!info)
		return;
	if (!q || q->info) {
		pod_info_free(info);
		return;
	}
	q->info = info;
	if (call->status == 404) {
		queue_remove(s->queue, q);
		return;
	}
	queue_failed(s->queue, q, 0, loop_now_ms(s->loop));
	recorder_event(
		s->recorder, &pod, "Warning", "FailedScheduling", "%s", err_text(&call->err));
}

static void bind_done(struct client_call *call)
{
	struct bound *b = call->user_data;
	struct scheduler *s = b->s;
	uint32_t events = 0;

	s->in_flight--;
	meter_point(
		s->meter, POINT_BIND, call->result < 0 ? POINT_ERROR : POINT_SUCCESS, b->bind_ns);
	meter_attempt(s->meter, call->result < 0 ? ATTEMPT_ERROR : ATTEMPT_SCHEDULED, b->began_ns);
	if (call->result >= 0)
		meter_scheduled(s->meter, b->attempts, b->queued_ns);
	if (call->result < 0) {
		bind_failed(s, b, call);
		events = EVENT_POD_DELETE; /* what was held for it is free */
	} else {
		struct event_about pod = about(b);

		recorder_event(s->recorder, &pod, "Normal", "Scheduled",
			"Successfully assigned " STR_FMT "/" STR_FMT " to " STR_FMT, STR_ARG(b->ns),
			STR_ARG(b->name), STR_ARG(b->node));
	}
	scheduler_changed(s, events);
}

void scheduler_bind(struct scheduler *s, struct queued *q, struct node_info *n, int64_t began_ns)
{
	struct pod_info *info = q->info;
	struct client_call *call = client_call_new(s->client);
	struct arena *a = &call->arena;
	struct bound *b = ARENA_NEW(a, struct bound);
	struct v1_binding *binding = ARENA_NEW(a, struct v1_binding);

	*b = (struct bound){
		.s = s,
		.ns = arena_str(a, info->object->ns),
		.name = arena_str(a, info->object->name),
		.uid = arena_str(a, info->object->uid),
		.node = arena_str(a, n->name),
		.revision = info->object->revision,
		.began_ns = began_ns,
		.bind_ns = metric_now_ns(),
		.queued_ns = q->queued_ns,
		.attempts = q->attempts,
	};
	q->info = NULL;
	queue_nominate(s->queue, q, S(""));
	cache_assume(s->cache, info, n);
	binding->metadata.name = b->name;
	binding->metadata.namespace = b->ns;
	binding->metadata.uid = b->uid;
	binding->target.kind = S("Node");
	binding->target.name = b->node;
	call->verb = "create";
	call->resource = &v1_pod_resource;
	call->ns = b->ns;
	call->name = b->name;
	call->subresource = S("binding");
	call->object = binding;
	call->body_type = &v1_binding_schema;
	call->done = bind_done;
	call->user_data = b;
	s->in_flight++;
	client_do(s->client, call);
}

/* --- failures --- */

static void write_done(struct client_call *call)
{
	struct scheduler *s = call->user_data;

	s->in_flight--;
	if (call->result < 0 && call->status != 404)
		log_debug("scheduler: %s: %s", call->verb, err_text(&call->err));
	scheduler_changed(s, 0);
}

static struct client_call *pod_call(struct scheduler *s, const struct object *pod, const char *verb)
{
	struct client_call *call = client_call_new(s->client);

	call->verb = verb;
	call->resource = &v1_pod_resource;
	call->ns = arena_str(&call->arena, pod->ns);
	call->name = arena_str(&call->arena, pod->name);
	call->done = write_done;
	call->user_data = s;
	s->in_flight++;
	return call;
}

static struct str now_text(struct scheduler *s, struct arena *a)
{
	const struct k8s_time t = k8s_time_from_ms(loop_wall_ns(s->loop) / 1000000);
	char text[K8S_TIME_TEXT_MAX];

	return arena_str(a, str_n(text, k8s_time_format(&t, false, text)));
}

struct condition {
	const char *type, *status, *reason;
	struct str message;
};

/* Patches a condition, and the nominated node when `nominated` is not NULL. */
static void patch_status(struct scheduler *s, const struct object *pod, const struct condition *c,
	bool transition, const struct str *nominated)
{
	enum { PATCH_MAX = 64 * 1024 };
	struct client_call *call = pod_call(s, pod, "patch");
	struct buf b;

	buf_init(&b, PATCH_MAX);
	buf_fmt(&b, "{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"conditions\":[{",
		STR_ARG(pod->uid));
	if (transition)
		buf_fmt(&b, "\"lastProbeTime\":null,\"lastTransitionTime\":\"%s\",",
			now_text(s, &call->arena).p);
	buf_add_c(&b, "\"message\":");
	json_write_string(&b, c->message);
	if (pod->generation)
		buf_fmt(&b, ",\"observedGeneration\":%" PRId64, pod->generation);
	buf_fmt(&b, ",\"reason\":\"%s\",\"status\":\"%s\",\"type\":\"%s\"}]", c->reason, c->status,
		c->type);
	if (nominated)
		buf_fmt(&b, ",\"nominatedNodeName\":\"" STR_FMT "\"", STR_ARG(*nominated));
	buf_add_c(&b, "}}");
	call->subresource = S("status");
	call->content_type = "application/strategic-merge-patch+json";
	call->body = arena_str(&call->arena, buf_str(&b));
	buf_release(&b);
	client_do(s->client, call);
}

static const struct v1_pod_condition *scheduled_condition(const struct v1_pod *pod)
{
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eq(pod->status.conditions.v[i].type, S("PodScheduled")))
			return &pod->status.conditions.v[i];
	return NULL;
}

static void say_unscheduled(struct scheduler *s, const struct pod_info *info, const char *reason,
	struct str message, const struct str *nominated)
{
	const struct v1_pod_condition *old = scheduled_condition(info->pod);
	const struct condition c = {"PodScheduled", "False", reason, message};
	bool transition = !old || !str_eq(old->status, S("False"));

	if (!transition && !nominated && str_eqc(old->reason, reason) &&
		str_eq(old->message, message))
		return;
	patch_status(s, info->object, &c, transition, nominated);
}

void scheduler_gated(struct scheduler *s, struct queued *q)
{
	say_unscheduled(s, q->info, "SchedulingGated", str_c(cycle_pre_enqueue(q->info)), NULL);
}

static void evict(struct scheduler *s, const struct pod_info *by, const struct pod_info *victim)
{
	const struct object *o = victim->object;
	struct client_call *call;
	struct condition c = {"DisruptionTarget", "True", "PreemptionByScheduler", {0}};
	struct arena a;

	if (o->deletion_ms)
		return; /* on its way already */
	arena_init(&a);
	c.message = arena_fmt(&a, "%s: preempting to accommodate a higher priority pod", s->name);
	patch_status(s, o, &c, true, NULL);
	call = pod_call(s, o, "delete");
	call->body = arena_fmt(&call->arena,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":"
		"\"" STR_FMT "\"}}",
		STR_ARG(o->uid));
	client_do(s->client, call);
	recorder_event_object(s->recorder, o, "Normal", "Preempted",
		arena_fmt(&a, "Preempted by pod " STR_FMT " on node " STR_FMT,
			STR_ARG(by->object->uid), STR_ARG(victim->node->name)));
	arena_release(&a);
}

void scheduler_failed(struct scheduler *s, struct queued *q, const struct verdict *v,
	struct arena *a, int64_t began_ns)
{
	const struct pod_info *info = q->info;
	struct str none = S("");
	const struct str *nominated = NULL;

	for (size_t i = 0; i < v->victims.n; i++)
		evict(s, info, v->victims.v[i]);
	if (v->nominated) {
		queue_nominate(s->queue, q, v->nominated->name);
		nominated = &v->nominated->name;
	} else if (q->nominated && !cache_node(s->cache, str_c(q->nominated))) {
		queue_nominate(s->queue, q, S(""));
		nominated = &none;
	}
	meter_attempt(s->meter, ATTEMPT_UNSCHEDULABLE, began_ns);
	recorder_event_object(s->recorder, info->object, "Warning", "FailedScheduling", v->message);
	say_unscheduled(s, info, "Unschedulable", v->message, nominated);
	queue_failed(s->queue, q, v->events, loop_now_ms(s->loop));
}
