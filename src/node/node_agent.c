/*
 * node_agent.c: keeps the Node object and its Lease: registers, says the status when it changes or
 * every five minutes, renews the lease every ten seconds, and looks after the runtime's state.
 */
#include <stdio.h>

#include "base/notify.h"
#include "node/certificates.h"
#include "node/node_status.h"
#include "node/pod.h"

enum {
	LEASE_MS = 10000,
	LEASE_S = 40,
	STATUS_MS = 5 * 60 * 1000,
	RETRY_MS = 1000,
	RUNTIME_MS = 30000,
	RUNTIME_BAD_MS = 1000,
	PATCH_MAX = 1 << 20,
};

struct node_agent {
	struct kubelet *k;
	struct loop_timer lease_timer, status_timer, runtime_timer;
	bool registering, registered, status_busy, status_again, lease_busy, runtime_busy,
		runtime_again, told;
	int64_t said_ms;
	struct arena said_arena; /* of `said` */
	struct v1_node_status *said;
	uint64_t lease_revision;
	struct k8s_time lease_since;
	struct str_map capacity, allocatable; /* in the kubelet's arena */
};

/* --- what others ask --- */

struct v1_node *node_object(struct kubelet *k, struct arena *a)
{
	struct snapshot *s = client_snapshot(k->client, &v1_node_resource);
	const struct object *o = s ? snapshot_get(s, S(""), k->node_name) : NULL;
	struct v1_node *n = o ? object_decode(object_ref_in(a, o), a) : NULL;

	if (s)
		snapshot_unref(s);
	return n;
}

const struct str_map *node_allocatable(struct kubelet *k, struct arena *a)
{
	(void)a;
	return &k->node->allocatable;
}

/* --- the runtime --- */

static void ask_runtime(struct node_agent *n);

static void runtime_timer_fired(struct loop_timer *t)
{
	ask_runtime(container_of(t, struct node_agent, runtime_timer));
}

static void got_runtime(void *user_data, bool runtime_ready, bool network_ready, struct str message,
	struct err *err)
{
	struct node_agent *n = user_data;
	struct kubelet *k = n->k;
	struct str text = err ? str_c(err_text(err)) : message;
	bool changed = !k->runtime_asked || k->runtime_ready != (runtime_ready && !err) ||
		       k->network_ready != (network_ready && !err) ||
		       !str_eqc(text, k->runtime_message ? k->runtime_message : "");

	n->runtime_busy = false;
	if (n->runtime_again) { /* what it is asked about changed meanwhile */
		n->runtime_again = false;
		ask_runtime(n);
		return;
	}
	k->runtime_asked = true;
	k->runtime_ready = runtime_ready && !err;
	k->network_ready = network_ready && !err;
	set_string(&k->runtime_message, text);
	if (changed)
		pods_wake_all(k);
	if (changed || !n->said)
		node_agent_changed(n);
	loop_timer_start(&n->runtime_timer,
		k->runtime_ready && k->network_ready ? RUNTIME_MS : RUNTIME_BAD_MS);
}

static void ask_runtime(struct node_agent *n)
{
	if (n->runtime_busy) {
		n->runtime_again = true;
		return;
	}
	n->runtime_busy = true;
	n->k->cri->ops->status(n->k->cri, got_runtime, n);
}

/* --- status --- */

static void say_status(struct node_agent *n);

static void status_timer_fired(struct loop_timer *t)
{
	say_status(container_of(t, struct node_agent, status_timer));
}

static void said(struct client_call *call)
{
	struct node_agent *n = call->user_data;

	n->status_busy = false;
	if (call->result < 0) {
		log_warn("node " STR_FMT ": writing its status: %s", STR_ARG(n->k->node_name),
			err_text(&call->err));
		n->said = NULL;
		if (call->status == 404)
			n->registered = false; /* somebody deleted it; it registers again */
		loop_timer_start(&n->status_timer, RETRY_MS);
		return;
	}
	loop_timer_start(&n->status_timer, n->status_again ? 0 : STATUS_MS);
	n->status_again = false;
	if (!n->told && n->k->runtime_ready && n->k->network_ready) {
		n->told = true;
		notify_supervisor("READY=1");
	}
}

static void register_node(struct node_agent *n);

static void patch_status(struct node_agent *n, const struct v1_node_status *s)
{
	struct client_call *call = client_call_new(n->k->client);
	struct buf b CLEANUP(buf_release) = {0}, status CLEANUP(buf_release) = {0};
	const struct str addresses = S("\"addresses\":[");
	struct str text;
	ssize_t at;

	buf_init(&b, PATCH_MAX);
	buf_init(&status, PATCH_MAX);
	schema_encode_json(&v1_node_status_schema, s, &status);
	/* Addresses would be merged by their type, of which a node may have two of each. */
	text = status.n ? buf_str(&status) : S("{}");
	at = str_find(text, addresses);
	at = at < 0 ? 0 : at + (ssize_t)addresses.n;
	buf_fmt(&b, "{\"status\":" STR_FMT "%s" STR_FMT "}", STR_ARG(str_sub(text, 0, (size_t)at)),
		at ? "{\"$patch\":\"replace\"}," : "", STR_ARG(str_sub(text, (size_t)at, text.n)));
	call->verb = "patch";
	call->resource = &v1_node_resource;
	call->name = n->k->node_name;
	call->subresource = S("status");
	call->content_type = "application/strategic-merge-patch+json";
	call->body = arena_str(&call->arena, buf_str(&b));
	call->done = said;
	call->user_data = n;
	n->status_busy = true;
	client_do(n->k->client, call);
}

static void say_status(struct node_agent *n)
{
	struct kubelet *k = n->k;
	int64_t now = loop_now_ms(k->loop);
	struct v1_node_status s;
	struct v1_node *old;
	struct arena a;

	if (!n->registered) {
		register_node(n);
		return;
	}
	if (n->status_busy) {
		n->status_again = true;
		return;
	}
	if (!n->said && n->runtime_busy)
		return; /* got_runtime comes back: a node that restarts must not say NotReady first
			 */
	arena_init(&a);
	old = node_object(k, &a);
	node_status_make(k, old, &a, &s);
	if (n->said && node_status_same(n->said, &s, &a) &&
		now - n->said_ms < STATUS_MS - RETRY_MS) {
		loop_timer_start(&n->status_timer, STATUS_MS - (now - n->said_ms));
	} else {
		arena_release(&n->said_arena);
		n->said = schema_copy(&v1_node_status_schema, &s, &n->said_arena);
		n->said_ms = now;
		patch_status(n, &s);
	}
	arena_release(&a);
}

void node_agent_changed(struct node_agent *n)
{
	if (n->registered)
		loop_timer_start(&n->status_timer, 0);
}

/* --- registration --- */

static void now_registered(struct node_agent *n)
{
	n->registering = false;
	if (n->registered)
		return;
	n->registered = true;
	log_info("node " STR_FMT " is registered", STR_ARG(n->k->node_name));
	loop_timer_start(&n->lease_timer, 0);
	loop_timer_start(&n->status_timer, 0);
	static_pods_node_ready(n->k);
	pods_wake_all(n->k);
}

static void labelled(struct client_call *call)
{
	struct node_agent *n = call->user_data;

	if (call->result < 0)
		log_warn("node " STR_FMT ": labels: %s", STR_ARG(n->k->node_name),
			err_text(&call->err));
	now_registered(n);
}

/* The node is there from before: only the labels that the kubelet sets are set again. */
static void label_node(struct node_agent *n)
{
	struct client_call *call = client_call_new(n->k->client);
	struct str_map labels = node_labels(n->k, &call->arena);
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, PATCH_MAX);
	buf_add_c(&b, "{\"metadata\":{\"labels\":{");
	for (size_t i = 0; i < labels.n; i++)
		buf_fmt(&b, "%s\"" STR_FMT "\":\"" STR_FMT "\"", i ? "," : "",
			STR_ARG(labels.v[i].key), STR_ARG(labels.v[i].value));
	buf_add_c(&b, "}}}");
	call->verb = "patch";
	call->resource = &v1_node_resource;
	call->name = n->k->node_name;
	call->content_type = "application/merge-patch+json";
	call->body = arena_str(&call->arena, buf_str(&b));
	call->done = labelled;
	call->user_data = n;
	client_do(n->k->client, call);
}

static void created(struct client_call *call)
{
	struct node_agent *n = call->user_data;

	n->registering = false;
	if (call->result == 0) {
		now_registered(n);
	} else if (call->status == 409) {
		n->registering = true;
		label_node(n);
	} else {
		log_warn("registering node " STR_FMT ": %s", STR_ARG(n->k->node_name),
			err_text(&call->err));
		loop_timer_start(&n->status_timer, RETRY_MS);
	}
}

static void register_node(struct node_agent *n)
{
	struct client_call *call;

	if (n->registering)
		return;
	if (n->k->opts.no_register) {
		now_registered(n);
		return;
	}
	n->registering = true;
	call = client_call_new(n->k->client);
	call->verb = "create";
	call->resource = &v1_node_resource;
	call->object = node_new(n->k, &call->arena);
	call->done = created;
	call->user_data = n;
	client_do(n->k->client, call);
}

/* --- lease --- */

static void renew(struct node_agent *n);

static void lease_timer_fired(struct loop_timer *t)
{
	renew(container_of(t, struct node_agent, lease_timer));
}

static void renewed(struct client_call *call)
{
	struct node_agent *n = call->user_data;

	n->lease_busy = false;
	if (call->result == 0)
		n->lease_revision = call->revision;
	else if (call->status == 404)
		n->lease_revision = 0;
	if (call->status == 401)
		certificates_refused(n->k->certificates);
	if (call->result < 0 && call->status != 409)
		log_debug("lease of node " STR_FMT ": %s", STR_ARG(n->k->node_name),
			err_text(&call->err));
	loop_timer_start(&n->lease_timer, call->result < 0 ? RETRY_MS : LEASE_MS);
}

/* Its revision is not known: read it first. */
static void got_lease(struct client_call *call)
{
	struct node_agent *n = call->user_data;

	n->lease_busy = false;
	if (call->result == 0)
		n->lease_revision = call->revision;
	loop_timer_start(&n->lease_timer, call->result == 0 ? 0 : RETRY_MS);
}

static void create_conflicted(struct client_call *call)
{
	struct node_agent *n = call->user_data;
	struct client_call *get;

	if (call->status != 409) {
		renewed(call);
		return;
	}
	get = client_call_new(n->k->client);
	get->verb = "get";
	get->resource = &coordination_v1_lease_resource;
	get->ns = S("kube-node-lease");
	get->name = n->k->node_name;
	get->done = got_lease;
	get->user_data = n;
	client_do(n->k->client, get);
}

static void renew(struct node_agent *n)
{
	struct client_call *call = client_call_new(n->k->client);
	struct coordination_v1_lease *l = ARENA_NEW(&call->arena, struct coordination_v1_lease);
	struct v1_node *node = node_object(n->k, &call->arena);
	int64_t now = loop_wall_ns(n->k->loop);
	int32_t seconds = LEASE_S;

	l->metadata.name = n->k->node_name;
	l->metadata.namespace = S("kube-node-lease");
	if (node) {
		struct meta_v1_owner_reference owner = {.api_version = S("v1"),
			.kind = S("Node"),
			.name = n->k->node_name,
			.uid = node->metadata.uid};

		ARENA_PUSH(&call->arena, &l->metadata.owner_references, owner);
	}
	l->spec.holder_identity = n->k->node_name;
	l->spec.lease_duration_seconds = arena_memdup(&call->arena, &seconds, sizeof(seconds));
	l->spec.renew_time = (struct k8s_time){.set = true,
		.sec = now / 1000000000,
		.nsec = (int32_t)(now % 1000000000) / 1000 * 1000};
	n->lease_busy = true;
	call->resource = &coordination_v1_lease_resource;
	call->ns = S("kube-node-lease");
	call->object = l;
	call->user_data = n;
	if (n->lease_revision) {
		l->metadata.resource_version =
			arena_fmt(&call->arena, "%llu", (unsigned long long)n->lease_revision);
		call->verb = "update";
		call->name = n->k->node_name;
		call->done = renewed;
	} else {
		call->verb = "create";
		call->done = create_conflicted;
	}
	client_do(n->k->client, call);
}

/* --- life --- */

/* Whether somebody else wrote another state of ours: the node lifecycle controller says Unknown of
 * a node that it has not heard of for a while. */
static bool contradicted(const struct node_agent *n, const struct v1_node_status *s)
{
	if (!n->said || n->status_busy)
		return false;
	for (size_t i = 0; i < n->said->conditions.n; i++) {
		const struct v1_node_condition *ours = &n->said->conditions.v[i];

		for (size_t j = 0; j < s->conditions.n; j++)
			if (str_eq(s->conditions.v[j].type, ours->type) &&
				!str_eq(s->conditions.v[j].status, ours->status))
				return true;
	}
	return false;
}

void node_on_event(void *user_data, const struct store_event *ev)
{
	struct kubelet *k = user_data;
	struct v1_node *node;
	struct str cidrs;
	struct arena a;

	if (!str_eq(ev->object->name, k->node_name))
		return;
	if (ev->type == STORE_DELETED) {
		k->node->registered = false;
		loop_timer_start(&k->node->status_timer, RETRY_MS);
		return;
	}
	arena_init(&a);
	node = object_decode(ev->object, &a);
	cidrs = node->spec.pod_cidr;
	for (size_t i = 0; i < node->spec.pod_cidrs.n; i++)
		cidrs = arena_fmt(&a, STR_FMT "%s" STR_FMT, STR_ARG(i ? cidrs : S("")),
			i ? "," : "", STR_ARG(node->spec.pod_cidrs.v[i]));
	if (k->builtin_runtime && !str_empty(cidrs) && !str_eq(cidrs, k->pod_cidr)) {
		k->pod_cidr = arena_str(&k->arena, cidrs);
		cri_runtime_set_pod_cidr(cri_metered_inner(k->cri), k->pod_cidr);
		ask_runtime(k->node);
	}
	if (contradicted(k->node, &node->status)) {
		k->node->said = NULL;
		loop_timer_start(&k->node->status_timer, RETRY_MS);
	}
	arena_release(&a);
	if (ev->type == STORE_ADDED)
		pods_wake_all(k);
}

struct node_agent *node_agent_new(struct kubelet *k)
{
	struct node_agent *n = xcalloc(1, sizeof(*n));

	n->k = k;
	arena_init(&n->said_arena);
	loop_timer_init(&n->lease_timer, k->loop, lease_timer_fired);
	loop_timer_init(&n->status_timer, k->loop, status_timer_fired);
	loop_timer_init(&n->runtime_timer, k->loop, runtime_timer_fired);
	n->capacity = node_capacity(k, &k->arena);
	n->allocatable = node_allocatable_of(k, &n->capacity, &k->arena);
	ask_runtime(n);
	return n;
}

void node_agent_start(struct node_agent *n)
{
	register_node(n);
}

void node_agent_free(struct node_agent *n)
{
	if (!n)
		return;
	loop_timer_stop(&n->lease_timer);
	loop_timer_stop(&n->status_timer);
	loop_timer_stop(&n->runtime_timer);
	arena_release(&n->said_arena);
	free(n);
}
