/* print_pod.c: the cells of a pod: what it is doing, in one word. */
#include "apiserver/resources/printers.h"
#include "apiserver/validation/pod.h"

struct summary {
	struct arena *a;
	const struct v1_pod *pod;
	struct str reason;
	int64_t restarts, total, ready;
	struct k8s_time restarted; /* the last one */
	/* of sidecars alone */
	int64_t sidecar_restarts;
	struct k8s_time sidecar_restarted;
};

static void note_restart(struct k8s_time *last, const struct v1_container_status *s)
{
	const struct v1_container_state_terminated *end = s->last_state.terminated;

	if (end && end->finished_at.set && (!last->set || end->finished_at.sec > last->sec))
		*last = end->finished_at;
}

static const struct v1_container *init_container(const struct v1_pod *pod, struct str name)
{
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		if (str_eq(pod->spec.init_containers.v[i].name, name))
			return &pod->spec.init_containers.v[i];
	return NULL;
}

static struct str ended_reason(
	struct arena *a, const struct v1_container_state_terminated *end, const char *prefix)
{
	if (end->reason.n)
		return arena_fmt(a, "%s" STR_FMT, prefix, STR_ARG(end->reason));
	if (end->signal)
		return arena_fmt(a, "%sSignal:%d", prefix, end->signal);
	return arena_fmt(a, "%sExitCode:%d", prefix, end->exit_code);
}

/* True when this init container is what the pod waits for. */
static bool init_blocks(
	struct summary *s, const struct v1_container_status *st, bool sidecar, size_t i)
{
	const struct v1_container_state_terminated *end = st->state.terminated;
	const struct v1_container_state_waiting *wait = st->state.waiting;

	if (end && end->exit_code == 0)
		return false;
	if (sidecar && st->started && *st->started) {
		s->ready += st->ready;
		return false;
	}
	if (end)
		s->reason = ended_reason(s->a, end, "Init:");
	else if (wait && wait->reason.n && !str_eqc(wait->reason, "PodInitializing"))
		s->reason = arena_fmt(s->a, "Init:" STR_FMT, STR_ARG(wait->reason));
	else
		s->reason = arena_fmt(s->a, "Init:%zu/%zu", i, s->pod->spec.init_containers.n);
	return true;
}

static bool summarize_init(struct summary *s)
{
	for (size_t i = 0; i < s->pod->status.init_container_statuses.n; i++) {
		const struct v1_container_status *st = &s->pod->status.init_container_statuses.v[i];
		const struct v1_container *ctr = init_container(s->pod, st->name);
		bool sidecar = ctr && sidecar_container(ctr);

		s->restarts += st->restart_count;
		note_restart(&s->restarted, st);
		if (sidecar) {
			s->sidecar_restarts += st->restart_count;
			note_restart(&s->sidecar_restarted, st);
		}
		if (init_blocks(s, st, sidecar, i))
			return true;
	}
	return false;
}

static bool condition_is_true(const struct v1_pod *pod, const char *type)
{
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eqc(pod->status.conditions.v[i].type, type))
			return str_eqc(pod->status.conditions.v[i].status, "True");
	return false;
}

static void summarize_containers(struct summary *s)
{
	const struct v1_container_status_vec *list = &s->pod->status.container_statuses;
	struct str error = {0};
	bool running = false;

	s->restarts = s->sidecar_restarts;
	s->restarted = s->sidecar_restarted;
	for (size_t i = list->n; i > 0; i--) {
		const struct v1_container_status *st = &list->v[i - 1];

		s->restarts += st->restart_count;
		note_restart(&s->restarted, st);
		if (st->state.waiting && st->state.waiting->reason.n) {
			s->reason = st->state.waiting->reason;
		} else if (st->state.terminated) {
			s->reason = ended_reason(s->a, st->state.terminated, "");
			if (st->state.terminated->exit_code != 0)
				error = s->reason;
		} else if (st->ready && st->state.running) {
			running = true;
			s->ready++;
		}
	}
	if (!str_eqc(s->reason, "Completed"))
		return;
	if (running && condition_is_true(s->pod, "Ready"))
		s->reason = S("Running");
	else if (error.n)
		s->reason = error;
	else if (running)
		s->reason = S("NotReady");
}

static void summarize(struct summary *s)
{
	const struct v1_pod *pod = s->pod;
	bool ended =
		str_eqc(pod->status.phase, "Failed") || str_eqc(pod->status.phase, "Succeeded");

	s->total = (int64_t)pod->spec.containers.n;
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		s->total += sidecar_container(&pod->spec.init_containers.v[i]);
	s->reason = pod->status.reason.n ? pod->status.reason : pod->status.phase;
	for (size_t i = 0; i < pod->status.conditions.n; i++)
		if (str_eqc(pod->status.conditions.v[i].type, "PodScheduled") &&
			str_eqc(pod->status.conditions.v[i].reason, "SchedulingGated"))
			s->reason = S("SchedulingGated");
	if (!summarize_init(s) || condition_is_true(pod, "Initialized"))
		summarize_containers(s);
	if (!pod->metadata.deletion_timestamp.set)
		return;
	if (str_eqc(pod->status.reason, "NodeLost"))
		s->reason = S("Unknown");
	else if (!ended)
		s->reason = S("Terminating");
}

static struct str gates_text(struct arena *a, const struct v1_pod *pod)
{
	size_t yes = 0;

	if (pod->spec.readiness_gates.n == 0)
		return S("<none>");
	for (size_t i = 0; i < pod->spec.readiness_gates.n; i++)
		yes += condition_is_true(
			pod, arena_cstr(a, pod->spec.readiness_gates.v[i].condition_type));
	return arena_fmt(a, "%zu/%zu", yes, pod->spec.readiness_gates.n);
}

static struct str or_none(struct str s)
{
	return s.n ? s : S("<none>");
}

void print_pod(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_pod *pod = obj;
	struct summary s = {.a = a, .pod = pod};
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	summarize(&s);
	row_str(&r, pod->metadata.name);
	row_fmt(&r, "%lld/%lld", (long long)s.ready, (long long)s.total);
	row_str(&r, s.reason);
	if (s.restarts && s.restarted.set) {
		struct str ago = age_text(a, &s.restarted, now_ns);
		row_fmt(&r, "%lld (" STR_FMT " ago)", (long long)s.restarts, STR_ARG(ago));
	} else {
		row_fmt(&r, "%lld", (long long)s.restarts);
	}
	row_age(&r, &pod->metadata.creation_timestamp);
	row_str(&r, or_none(pod->status.pod_ips.n ? pod->status.pod_ips.v[0].ip : S("")));
	row_str(&r, or_none(pod->spec.node_name));
	row_str(&r, or_none(pod->status.nominated_node_name));
	row_str(&r, gates_text(a, pod));
}
