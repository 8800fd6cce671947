/* hollow_pod.c: a pod of a hollow node: what the API shows of it decides what happens next, after a
 * while. */
#include <stdio.h>

#include "node/hollow_int.h"
#include "schema/time.h"

enum { RETRY_MS = 2 * 1000 };

void hollow_pod_free(struct hollow_pod *p)
{
	loop_timer_stop(&p->timer);
	free(p->key);
	free(p);
}

/* --- what to do --- */

enum todo { NOTHING, RUN, END };

static bool condition_is_true(const struct v1_pod *pod, const char *type)
{
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eqc(pod->status.conditions.v[i].type, type))
			return str_eqc(pod->status.conditions.v[i].status, "True");
	return false;
}

static enum todo what_to_do(const struct v1_pod *pod)
{
	const int64_t *grace_s = pod->metadata.deletion_grace_period_seconds;

	if (pod->metadata.deletion_timestamp
			.set) /* with no grace left, only finalizers still hold it */
		return grace_s && *grace_s == 0 ? NOTHING : END;
	if (str_eqc(pod->status.phase, "Succeeded") || str_eqc(pod->status.phase, "Failed"))
		return NOTHING;
	return str_eqc(pod->status.phase, "Running") && condition_is_true(pod, "Ready") ? NOTHING
											: RUN;
}

static void consider(struct hollow_pod *p);

static void bury(struct hollow_pod *p)
{
	struct hollow_pod **at = &p->h->gone;

	while (*at != p)
		at = &(*at)->next_gone;
	*at = p->next_gone;
	hollow_pod_free(p);
}

static void on_done(struct client_call *call)
{
	struct hollow_pod *p = call->user_data;

	p->busy = false;
	if (p->gone)
		bury(p);
	else if (call->result < 0)
		loop_timer_start(&p->timer, hollow_delay(p->h, RETRY_MS));
	else if (client_caught_up(p->h->o.client, &v1_pod_resource, call->revision))
		consider(p);
	/* else the event that is on its way makes us look again */
}

static struct client_call *pod_call(struct hollow_pod *p, const char *verb)
{
	p->busy = true;
	return hollow_call(p->h, verb, &v1_pod_resource, p->ns, p->name, on_done, p);
}

static void end_pod(struct hollow_pod *p, const struct v1_pod *pod)
{
	struct client_call *call = pod_call(p, "delete");

	call->body = arena_fmt(&call->arena,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
		"\"preconditions\":{\"uid\":\"" STR_FMT "\"}}",
		STR_ARG(pod->metadata.uid));
	client_do(p->h->o.client, call);
}

static void add_condition(
	struct hollow *h, struct arena *a, struct v1_pod_status *s, const char *type)
{
	struct v1_pod_condition c = {
		.type = str_c(type),
		.status = S("True"),
		.last_transition_time = hollow_now(h),
	};

	ARENA_PUSH(a, &s->conditions, c);
}

static void add_container(struct hollow *h, struct arena *a, struct v1_pod_status *s,
	const struct v1_pod *pod, const struct v1_container *c)
{
	struct v1_container_status cs = {
		.name = c->name,
		.image = c->image,
		.image_id = c->image,
		.ready = true,
		.container_id = arena_fmt(a, "hollow://" STR_FMT "-" STR_FMT,
			STR_ARG(pod->metadata.uid), STR_ARG(c->name)),
	};

	cs.started = ARENA_NEW(a, bool);
	*cs.started = true;
	cs.state.running = ARENA_NEW(a, struct v1_container_state_running);
	cs.state.running->started_at = hollow_now(h);
	ARENA_PUSH(a, &s->container_statuses, cs);
}

static void fill_status(
	struct hollow_pod *p, struct arena *a, const struct v1_pod *pod, struct v1_pod_status *s)
{
	static const char *const conditions[] = {
		"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"};
	struct hollow *h = p->h;
	struct v1_pod_ip ip;
	struct v1_host_ip host = {str_c(p->node->ip)};
	uint64_t n = h->addresses++;

	ip.ip = str_empty(pod->status.pod_ip)
			? arena_fmt(a, "10.%d.%d.%d", 128 + (int)(n / 62500 % 128),
				  (int)(n / 250 % 250), (int)(n % 250) + 1)
			: pod->status.pod_ip;
	s->phase = S("Running");
	s->host_ip = host.ip;
	ARENA_PUSH(a, &s->host_ips, host);
	s->pod_ip = ip.ip;
	ARENA_PUSH(a, &s->pod_ips, ip);
	s->start_time = hollow_now(h);
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		add_condition(h, a, s, conditions[i]);
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		add_container(h, a, s, pod, &pod->spec.containers.v[i]);
}

static void run_pod(struct hollow_pod *p, const struct v1_pod *pod)
{
	struct client_call *call = pod_call(p, "patch");
	struct v1_pod_status *status = ARENA_NEW(&call->arena, struct v1_pod_status);
	struct buf body;

	fill_status(p, &call->arena, pod, status);
	buf_init(&body, 256 * 1024);
	buf_fmt(&body,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":", STR_ARG(pod->metadata.uid));
	schema_encode_json(&v1_pod_status_schema, status, &body);
	buf_add_c(&body, "}");
	call->subresource = S("status");
	call->content_type = "application/strategic-merge-patch+json";
	call->body = buf_str(&body);
	client_do(p->h->o.client, call);
	buf_release(&body);
}

/* Its time has come: does what the newest state asks for. */
static void on_timer(struct loop_timer *t)
{
	struct hollow_pod *p = container_of(t, struct hollow_pod, timer);
	struct arena a CLEANUP(arena_release) = {0};
	struct snapshot *s = client_snapshot(p->h->o.client, &v1_pod_resource);
	const struct object *o = snapshot_get(s, p->ns, p->name);
	const struct v1_pod *pod = o ? object_decode(object_ref_in(&a, o), &a) : NULL;
	enum todo todo = pod && p->node->alive ? what_to_do(pod) : NOTHING;

	snapshot_unref(s);
	if (todo == END)
		end_pod(p, pod);
	else if (todo == RUN)
		run_pod(p, pod);
}

/* --- what the API shows --- */

static void plan(struct hollow_pod *p, const struct object *o)
{
	struct arena a CLEANUP(arena_release) = {0};
	enum todo todo;

	if (p->busy || !p->node->alive || loop_timer_armed(&p->timer))
		return;
	todo = what_to_do(object_decode(o, &a));
	if (todo != NOTHING)
		loop_timer_start(&p->timer,
			hollow_delay(p->h,
				todo == RUN ? p->h->o.pod_start_max_ms : p->h->o.pod_stop_max_ms));
}

static void consider(struct hollow_pod *p)
{
	struct snapshot *s = client_snapshot(p->h->o.client, &v1_pod_resource);
	const struct object *o = snapshot_get(s, p->ns, p->name);

	if (o)
		plan(p, o);
	snapshot_unref(s);
}

static struct hollow_pod *pod_new(struct hollow *h, struct hollow_node *n, const struct object *o)
{
	struct hollow_pod *p = xcalloc(1, sizeof(*p));

	p->h = h;
	p->node = n;
	p->key = xasprintf(STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(o->name));
	p->ns = str_n(p->key, o->ns.n);
	p->name = str_n(p->key + o->ns.n + 1, o->name.n);
	loop_timer_init(&p->timer, h->loop, on_timer);
	map_set(&h->pods, str_c(p->key), p);
	return p;
}

static void forget(struct hollow_pod *p)
{
	map_remove(&p->h->pods, str_c(p->key));
	if (!p->busy) {
		hollow_pod_free(p);
		return;
	}
	p->gone = true;
	p->next_gone = p->h->gone;
	p->h->gone = p;
}

void hollow_pod_event(void *user_data, const struct store_event *ev)
{
	struct hollow *h = user_data;
	struct hollow_node *n = map_get(&h->by_name, object_field(ev->object, S("spec.nodeName")));
	struct arena a CLEANUP(arena_release) = {0};
	struct hollow_pod *p;

	if (!n)
		return;
	p = map_get(&h->pods, arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(ev->object->ns),
				      STR_ARG(ev->object->name)));
	if (p && (ev->type == STORE_DELETED || p->node != n)) {
		forget(p);
		p = NULL;
	}
	if (ev->type == STORE_DELETED)
		return;
	if (!p)
		p = pod_new(h, n, ev->object);
	plan(p, ev->object);
}

void hollow_pods_of(struct hollow *h, struct hollow_node *n)
{
	for (struct map_entry *e = map_first(&h->pods); e; e = map_next(&h->pods, e)) {
		struct hollow_pod *p = e->value;

		if (p->node == n)
			consider(p);
	}
}
