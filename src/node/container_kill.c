/* container_kill.c: how a container ends: event, preStop, stop signal, SIGKILL. */
#include "node/handler.h"
#include "node/pod.h"

enum { MIN_GRACE_S = 2 };

struct kill_op {
	struct pod *pod;
	struct container_memory *memory;
	struct str id;
	struct arena arena;
	int64_t grace_s, began_ms;
	bool stopping;
};

static int64_t now_ms(const struct kill_op *op)
{
	return loop_now_ms(op->pod->k->loop);
}

static void stopped(void *user_data, struct err *err)
{
	struct kill_op *op = user_data;
	struct pod *p = op->pod;

	if (err)
		log_warn("pod " STR_FMT "/" STR_FMT ": stopping container %s: %s", STR_ARG(p->ns),
			STR_ARG(p->name), op->memory->name, err_text(err));
	if (op->memory->kill == op)
		op->memory->kill = NULL;
	pod_look_again(p);
	arena_release(&op->arena);
	free(op);
	pod_ops_end(p);
}

static void stop_now(struct kill_op *op)
{
	int64_t left = op->grace_s - (now_ms(op) - op->began_ms) / 1000;

	op->stopping = true;
	op->pod->k->cri->ops->stop_container(
		op->pod->k->cri, op->id, MAX(left, MIN_GRACE_S), stopped, op);
}

static void pre_stop_done(void *user_data, enum handler_result result, struct str output)
{
	struct kill_op *op = user_data;

	if (result != HANDLER_OK)
		pod_event(op->pod, str_c(op->memory->name), "Warning", "FailedPreStopHook",
			"PreStopHook failed");
	(void)output;
	if (!op->stopping)
		stop_now(op);
}

static int64_t grace_for(struct pod *p, const struct v1_pod *spec, const struct v1_container *c,
	const struct kill_request *r)
{
	const struct v1_probe *probe = NULL;
	int64_t grace = 30;

	if (r->grace_override_s >= 0)
		return r->grace_override_s;
	if (spec && spec->spec.termination_grace_period_seconds)
		grace = *spec->spec.termination_grace_period_seconds;
	if (spec && spec->metadata.deletion_timestamp.set &&
		spec->metadata.deletion_grace_period_seconds)
		grace = *spec->metadata.deletion_grace_period_seconds;
	else if (c && r->reason == KILL_LIVENESS)
		probe = c->liveness_probe;
	else if (c && r->reason == KILL_STARTUP)
		probe = c->startup_probe;
	if (probe && probe->termination_grace_period_seconds)
		grace = *probe->termination_grace_period_seconds;
	(void)p;
	return grace;
}

void pod_kill_container(struct pod *p, const struct v1_pod *spec, const struct kill_request *r)
{
	struct kill_op *op = xcalloc(1, sizeof(*op));
	const struct v1_container *c = spec ? pod_container(spec, r->name, NULL) : NULL;
	const struct v1_lifecycle_handler *hook = c && c->lifecycle ? c->lifecycle->pre_stop : NULL;
	struct str_vec ips;

	arena_init(&op->arena);
	op->pod = p;
	op->memory = pod_memory(p, r->name);
	op->id = arena_str(&op->arena, r->id);
	op->grace_s = grace_for(p, spec, c, r);
	op->began_ms = now_ms(op);
	op->memory->kill = op;
	pod_ops_begin(p);
	if (str_empty(r->message))
		pod_event(p, r->name, "Normal", "Killing", "Stopping container " STR_FMT,
			STR_ARG(r->name));
	else
		pod_event(p, r->name, "Normal", "Killing", STR_FMT, STR_ARG(r->message));
	if (!hook || op->grace_s <= 0) {
		stop_now(op);
		return;
	}
	ips = pod_facts(p, spec, &op->arena).pod_ips;
	handler_run(p->k, &(struct handler_request){.exec = hook->exec,
				  .http_get = hook->http_get,
				  .tcp_socket = hook->tcp_socket,
				  .sleep = hook->sleep,
				  .container = c,
				  .container_id = op->id,
				  .pod_ip = ips.n ? ips.v[0] : S(""),
				  .timeout_ms = op->grace_s * 1000,
				  .user_data = op,
				  .done = pre_stop_done});
}

static void sooner_done(void *user_data, struct err *err)
{
	(void)err;
	pod_ops_end(user_data);
}

void pod_kill_sooner(struct kill_op *op, int64_t grace_s)
{
	struct pod *p = op->pod;

	if (grace_s >= op->grace_s)
		return;
	op->grace_s = grace_s;
	if (!op->stopping)
		return; /* the hook's end will see it */
	pod_ops_begin(p);
	p->k->cri->ops->stop_container(
		p->k->cri, op->id, MAX(grace_s, MIN_GRACE_S), sooner_done, p);
}
