/* hollow_node.c: registering, and saying that the node is alive as the kubelet does: a Lease
 * renewed every 10 s, the status every 5 minutes and whenever the API shows something else. */
#include "node/hollow_int.h"
#include "schema/time.h"

enum {
	RENEW_MS = 10 * 1000,
	STATUS_MS = 5 * 60 * 1000,
	RETRY_MS = 2 * 1000,
	LEASE_S = 40,
};

#define LEASE_NAMESPACE S("kube-node-lease")

static void tick_in(struct hollow_node *n, int64_t ms)
{
	loop_timer_start(&n->tick, ms);
}

/* --- the status --- */

static void add_condition(struct hollow_node *n, struct arena *a, struct v1_node_status *s,
	const char *type, const char *status, const char *reason, const char *message)
{
	struct k8s_time now = hollow_now(n->h);
	struct v1_node_condition c = {
		.type = str_c(type),
		.status = str_c(status),
		.last_heartbeat_time = now,
		.last_transition_time = now,
		.reason = str_c(reason),
		.message = str_c(message),
	};

	ARENA_PUSH(a, &s->conditions, c);
}

static void fill_status(struct hollow_node *n, struct arena *a, struct v1_node_status *s)
{
	struct str_pair resources[] = {
		{S("cpu"), str_c(n->h->o.cpu)},
		{S("memory"), str_c(n->h->o.memory)},
		{S("pods"), str_c(n->h->o.pods)},
	};
	struct v1_node_address addresses[] = {
		{S("InternalIP"), str_c(n->ip)},
		{S("Hostname"), str_c(n->name)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		ARENA_PUSH(a, &s->capacity, resources[i]);
	s->allocatable = s->capacity;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		ARENA_PUSH(a, &s->addresses, addresses[i]);
	add_condition(n, a, s, "MemoryPressure", "False", "KubeletHasSufficientMemory",
		"kubelet has sufficient memory available");
	add_condition(n, a, s, "DiskPressure", "False", "KubeletHasNoDiskPressure",
		"kubelet has no disk pressure");
	add_condition(n, a, s, "PIDPressure", "False", "KubeletHasSufficientPID",
		"kubelet has sufficient PID available");
	add_condition(n, a, s, "Ready", "True", "KubeletReady", "kubelet is posting ready status");
	s->daemon_endpoints.kubelet_endpoint.port = 10250;
	s->node_info = (struct v1_node_system_info){
		.kubelet_version = S("v1.36.2"),
		.kube_proxy_version = S(""),
		.operating_system = S("linux"),
		.architecture = S("amd64"),
		.container_runtime_version = S("hollow://1"),
		.os_image = S("none"),
		.kernel_version = S("none"),
	};
}

/* --- calls --- */

static void call_over(struct hollow_node *n, bool ok, int64_t next_ms)
{
	n->busy = false;
	tick_in(n, ok ? next_ms : hollow_delay(n->h, RETRY_MS));
}

static void on_registered(struct client_call *call)
{
	struct hollow_node *n = call->user_data;

	n->registered = call->result == 0 || call->result == -EEXIST;
	n->status_due = true; /* an older one may be there */
	call_over(n, n->registered, 0);
}

static void register_node(struct hollow_node *n)
{
	struct client_call *call =
		hollow_call(n->h, "create", &v1_node_resource, S(""), S(""), on_registered, n);
	struct str_pair labels[] = {
		{S("beta.kubernetes.io/arch"), S("amd64")},
		{S("beta.kubernetes.io/os"), S("linux")},
		{S("kubernetes.io/arch"), S("amd64")},
		{S("kubernetes.io/hostname"), str_c(n->name)},
		{S("kubernetes.io/os"), S("linux")},
	};
	struct v1_node *node = ARENA_NEW(&call->arena, struct v1_node);

	node->metadata.name = str_c(n->name);
	node->metadata.labels = (struct str_map){labels, ARRAY_SIZE(labels)};
	fill_status(n, &call->arena, &node->status);
	call->object = node;
	client_do(n->h->o.client, call);
}

static void on_status(struct client_call *call)
{
	struct hollow_node *n = call->user_data;

	if (call->result == 0) {
		n->status_due = false;
		n->status_at_ms = loop_now_ms(n->h->loop);
	} else if (call->result == -ENOENT) {
		n->registered = false;
	}
	call_over(n, call->result == 0, 0);
}

/* {"status":…} as a patch, so that conditions of others stay. */
static void report_status(struct hollow_node *n)
{
	struct client_call *call =
		hollow_call(n->h, "patch", &v1_node_resource, S(""), str_c(n->name), on_status, n);
	struct v1_node_status *status = ARENA_NEW(&call->arena, struct v1_node_status);
	struct buf body;

	fill_status(n, &call->arena, status);
	buf_init(&body, 64 * 1024);
	buf_add_c(&body, "{\"status\":");
	schema_encode_json(&v1_node_status_schema, status, &body);
	buf_add_c(&body, "}");
	call->subresource = S("status");
	call->content_type = "application/strategic-merge-patch+json";
	call->body = buf_str(&body);
	client_do(n->h->o.client, call);
	buf_release(&body);
}

static void on_lease_created(struct client_call *call)
{
	call_over(call->user_data, call->result == 0, RENEW_MS);
}

static void create_lease(struct hollow_node *n)
{
	struct client_call *call = hollow_call(n->h, "create", &coordination_v1_lease_resource,
		LEASE_NAMESPACE, S(""), on_lease_created, n);
	struct coordination_v1_lease *lease = ARENA_NEW(&call->arena, struct coordination_v1_lease);
	int32_t seconds = LEASE_S;

	lease->metadata.name = str_c(n->name);
	lease->metadata.namespace = LEASE_NAMESPACE;
	lease->spec.holder_identity = str_c(n->name);
	lease->spec.lease_duration_seconds = &seconds;
	lease->spec.renew_time = k8s_time_from_us(loop_wall_ns(n->h->loop) / 1000);
	call->object = lease;
	client_do(n->h->o.client, call);
}

static void on_renewed(struct client_call *call)
{
	struct hollow_node *n = call->user_data;

	if (call->result == -ENOENT)
		create_lease(n);
	else
		call_over(n, call->result == 0, RENEW_MS);
}

static void renew_lease(struct hollow_node *n)
{
	struct client_call *call = hollow_call(n->h, "patch", &coordination_v1_lease_resource,
		LEASE_NAMESPACE, str_c(n->name), on_renewed, n);
	struct k8s_time now = k8s_time_from_us(loop_wall_ns(n->h->loop) / 1000);
	char text[K8S_TIME_TEXT_MAX];
	size_t len = k8s_time_format(&now, true, text);

	call->content_type = "application/merge-patch+json";
	call->body = arena_fmt(&call->arena,
		"{\"spec\":{\"holderIdentity\":\"%s\",\"renewTime\":\"%.*s\"}}", n->name, (int)len,
		text);
	client_do(n->h->o.client, call);
}

static void on_tick(struct loop_timer *t)
{
	struct hollow_node *n = container_of(t, struct hollow_node, tick);

	if (!n->alive || n->busy)
		return;
	n->busy = true;
	if (!n->registered)
		register_node(n);
	else if (n->status_due || loop_now_ms(n->h->loop) - n->status_at_ms >= STATUS_MS)
		report_status(n);
	else
		renew_lease(n);
}

/* --- what the API shows --- */

static bool shown_ready(const struct object *o)
{
	struct arena a CLEANUP(arena_release) = {0};
	const struct v1_node *node = object_decode(o, &a);

	for (size_t i = 0; i < node->status.conditions.n; i++) {
		const struct v1_node_condition *c = &node->status.conditions.v[i];

		if (str_eqc(c->type, "Ready"))
			return str_eqc(c->status, "True");
	}
	return false;
}

void hollow_node_event(void *user_data, const struct store_event *ev)
{
	struct hollow *h = user_data;
	struct hollow_node *n = map_get(&h->by_name, ev->object->name);

	if (!n)
		return;
	if (ev->type == STORE_DELETED)
		n->registered = false;
	else if (!shown_ready(ev->object))
		n->status_due = true;
	else
		return;
	if (n->alive && !n->busy)
		tick_in(n, hollow_delay(h, 1000));
}

void hollow_node_init(struct hollow_node *n, struct hollow *h, int index)
{
	n->h = h;
	n->index = index;
	n->alive = true;
	n->name = xasprintf("%s%d", h->o.name_prefix, index);
	n->ip = xasprintf(
		"10.%d.%d.%d", 64 + index / 62500 % 64, index / 250 % 250, index % 250 + 1);
	loop_timer_init(&n->tick, h->loop, on_tick);
	map_set(&h->by_name, str_c(n->name), n);
	tick_in(n, hollow_delay(h, 1000));
}

void hollow_node_release(struct hollow_node *n)
{
	loop_timer_stop(&n->tick);
	free(n->name);
	free(n->ip);
}
