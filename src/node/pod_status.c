/* pod_status.c: phase and conditions. */
#include "node/container_status.h"
#include "node/resources.h"

struct k8s_time k8s_time_of_ns(int64_t ns)
{
	return (struct k8s_time){.set = ns > 0, .sec = ns / 1000000000};
}

bool phase_is_terminal(struct str phase)
{
	return str_eq(phase, S("Failed")) || str_eq(phase, S("Succeeded"));
}

const struct v1_pod_condition *status_condition(const struct v1_pod_status *s, const char *type)
{
	for (size_t i = 0; i < s->conditions.n; i++)
		if (str_eqc(s->conditions.v[i].type, type))
			return &s->conditions.v[i];
	return NULL;
}

static const struct v1_container_status *find(
	const struct v1_container_status_vec *v, struct str name)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i].name, name))
			return &v->v[i];
	return NULL;
}

/* --- phase --- */

struct tally {
	int pending_init, pending_sidecar, failed_init;
	int unknown, running, waiting, stopped, stopped_for_good, succeeded;
};

static void count_init(struct tally *t, const struct v1_pod *pod, const struct v1_container *c,
	const struct v1_container_status *s)
{
	const struct v1_container_state_terminated *end = !s ? NULL
							  : s->state.terminated
								  ? s->state.terminated
								  : s->last_state.terminated;

	if (!s || s->state.running || !end || (!s->state.terminated && !s->state.waiting))
		t->pending_init++;
	else if (end->exit_code != 0 && !container_restarts(pod, c, end->exit_code))
		t->failed_init++;
}

static void count_sidecar(struct tally *t, const struct v1_container_status *s)
{
	if (!s) {
		t->unknown++;
	} else if (s->state.running) {
		t->pending_sidecar += !s->started || !*s->started;
		t->running++;
	} else if (s->state.waiting && !s->last_state.terminated) {
		t->pending_sidecar++;
		t->waiting++;
	}
}

static void count_regular(struct tally *t, const struct v1_pod *pod, const struct v1_container *c,
	const struct v1_container_status *s)
{
	const struct v1_container_state_terminated *end;

	if (!s) {
		t->unknown++;
		return;
	}
	if (s->state.running) {
		t->running++;
		return;
	}
	end = s->state.terminated ? s->state.terminated : s->last_state.terminated;
	if (!end) {
		t->waiting++;
		return;
	}
	t->stopped++;
	t->stopped_for_good += !container_restarts(pod, c, end->exit_code);
	t->succeeded += s->state.terminated && end->exit_code == 0;
}

static bool any_regular_active(const struct pod_status_input *in)
{
	const struct cri_sandbox_status *sb =
		in->observed->n_sandboxes ? &in->observed->sandboxes[0] : NULL;

	for (size_t i = 0; i < in->pod->spec.containers.n; i++) {
		const struct cri_container_status *s =
			observed_find(in->observed, in->pod->spec.containers.v[i].name);

		if (s && sb && str_eq(s->sandbox_id, sb->id))
			return true;
	}
	return false;
}

static struct str phase_of(const struct pod_status_input *in, const struct v1_pod_status *st)
{
	const struct v1_pod *pod = in->pod;
	struct tally t = {0};

	for (size_t i = 0; i < pod->spec.init_containers.n; i++) {
		const struct v1_container *c = &pod->spec.init_containers.v[i];
		const struct v1_container_status *s = find(&st->init_container_statuses, c->name);

		if (container_is_sidecar(c))
			count_sidecar(&t, s);
		else
			count_init(&t, pod, c, s);
	}
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		count_regular(&t, pod, &pod->spec.containers.v[i],
			find(&st->container_statuses, pod->spec.containers.v[i].name));
	if (t.failed_init)
		return S("Failed");
	if (t.pending_init || (t.pending_sidecar && !any_regular_active(in)) || t.waiting)
		return S("Pending");
	if (t.unknown)
		return S("Pending");
	if (t.running)
		return S("Running");
	if (!t.stopped)
		return S("Pending");
	if (!in->terminal && t.stopped != t.stopped_for_good)
		return S("Running");
	return t.stopped == t.succeeded ? S("Succeeded") : S("Failed");
}

/* --- conditions --- */

struct condition {
	bool status;
	struct str reason, message;
};

static void add_name(struct buf *b, struct str name)
{
	if (b->n)
		buf_add_char(b, ' ');
	buf_add_str(b, name);
}

static void add_names(struct arena *a, struct str *text, const char *what, const struct buf *names)
{
	if (names->n)
		*text = arena_fmt(a, STR_FMT "%scontainers with %s status: [" STR_FMT "]",
			STR_ARG(*text), text->n ? ", " : "", what, STR_ARG(buf_str(names)));
}

static struct condition terminal_condition(struct str phase)
{
	return (struct condition){
		.reason = str_eq(phase, S("Failed")) ? S("PodFailed") : S("PodCompleted")};
}

static struct condition containers_ready(
	const struct v1_pod *pod, const struct v1_pod_status *st, struct arena *a)
{
	struct buf unready CLEANUP(buf_release) = {0}, unknown CLEANUP(buf_release) = {0};
	struct str text = {0};

	buf_init(&unready, 64 * 1024);
	buf_init(&unknown, 64 * 1024);
	for (size_t k = 0; k < 2; k++) {
		const struct v1_container_vec *v =
			k ? &pod->spec.containers : &pod->spec.init_containers;

		for (size_t i = 0; i < v->n; i++) {
			const struct v1_container_status *s =
				find(k ? &st->container_statuses : &st->init_container_statuses,
					v->v[i].name);

			if (k == 0 && !container_is_sidecar(&v->v[i]))
				continue;
			if (!s)
				add_name(&unknown, v->v[i].name);
			else if (!s->ready)
				add_name(&unready, v->v[i].name);
		}
	}
	if (phase_is_terminal(st->phase) && (unknown.n == 0 || str_eq(st->phase, S("Failed"))))
		return terminal_condition(st->phase);
	add_names(a, &text, "unknown", &unknown);
	add_names(a, &text, "unready", &unready);
	if (text.n)
		return (struct condition){.reason = S("ContainersNotReady"), .message = text};
	return (struct condition){.status = true};
}

static struct condition pod_ready(
	const struct v1_pod *pod, const struct v1_pod_status *st, struct arena *a)
{
	struct condition c = containers_ready(pod, st, a);
	struct str text = {0};

	if (!c.status)
		return c;
	for (size_t i = 0; i < pod->spec.readiness_gates.n; i++) {
		struct str type = pod->spec.readiness_gates.v[i].condition_type;
		const struct v1_pod_condition *g =
			status_condition(&pod->status, arena_cstr(a, type));

		if (g && str_eq(g->status, S("True")))
			continue;
		text = g ? arena_fmt(a,
				   STR_FMT "%sthe status of pod readiness gate \"" STR_FMT
					   "\" is not \"True\", but " STR_FMT,
				   STR_ARG(text), text.n ? ", " : "", STR_ARG(type),
				   STR_ARG(g->status))
			 : arena_fmt(a,
				   STR_FMT
				   "%scorresponding condition of pod readiness gate \"" STR_FMT
				   "\" does not exist.",
				   STR_ARG(text), text.n ? ", " : "", STR_ARG(type));
	}
	if (text.n)
		return (struct condition){.reason = S("ReadinessGatesNotReady"), .message = text};
	return c;
}

static struct condition initialized(
	const struct v1_pod *pod, const struct v1_pod_status *st, struct arena *a)
{
	struct buf unknown CLEANUP(buf_release) = {0}, incomplete CLEANUP(buf_release) = {0};
	struct str text = {0};

	buf_init(&unknown, 64 * 1024);
	buf_init(&incomplete, 64 * 1024);
	for (size_t i = 0; i < pod->spec.init_containers.n; i++) {
		const struct v1_container *c = &pod->spec.init_containers.v[i];
		const struct v1_container_status *s = find(&st->init_container_statuses, c->name);

		if (!s)
			add_name(&unknown, c->name);
		else if (container_is_sidecar(c) ? !s->started || !*s->started : !s->ready)
			add_name(&incomplete, c->name);
	}
	if (str_eq(st->phase, S("Succeeded")) && unknown.n == 0)
		return (struct condition){.status = true, .reason = S("PodCompleted")};
	for (size_t i = 0; i < st->container_statuses.n; i++) {
		const struct v1_container_status *s = &st->container_statuses.v[i];

		if (s->state.running || s->state.terminated)
			return (struct condition){.status = true};
	}
	add_names(a, &text, "unknown", &unknown);
	add_names(a, &text, "incomplete", &incomplete);
	if (text.n)
		return (struct condition){.reason = S("ContainersNotInitialized"), .message = text};
	return (struct condition){.status = true};
}

static void add_condition(const struct pod_status_input *in, struct arena *a,
	struct v1_pod_status *st, const char *type, struct condition c)
{
	const struct v1_pod_condition *old =
		status_condition(in->old ? in->old : &in->pod->status, type);
	struct v1_pod_condition n = {
		.type = str_c(type),
		.status = c.status ? S("True") : S("False"),
		.reason = c.reason,
		.message = c.message,
		.observed_generation = in->pod->metadata.generation,
		.last_transition_time = k8s_time_of_ns(in->now_ns),
	};

	if (!old)
		old = status_condition(&in->pod->status, type);
	if (old && str_eq(old->status, n.status) && old->last_transition_time.set)
		n.last_transition_time = old->last_transition_time;
	ARENA_PUSH(a, &st->conditions, n);
}

static bool kubelets_own(struct str type)
{
	static const char *const own[] = {"PodScheduled", "Ready", "Initialized", "ContainersReady",
		"PodReadyToStartContainers", "PodResizePending", "PodResizeInProgress"};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_eqc(type, own[i]))
			return true;
	return false;
}

static void set_conditions(
	const struct pod_status_input *in, struct arena *a, struct v1_pod_status *st)
{
	const struct v1_pod_condition_vec *theirs = &in->pod->status.conditions;
	struct condition ready, all;
	uint32_t attempt;

	for (size_t i = 0; i < theirs->n; i++)
		if (!kubelets_own(theirs->v[i].type))
			ARENA_PUSH(a, &st->conditions, theirs->v[i]);
	for (size_t i = 0; in->resize && i < in->resize->n; i++)
		ARENA_PUSH(a, &st->conditions, in->resize->v[i]);
	add_condition(in, a, st, "PodReadyToStartContainers",
		(struct condition){.status = !sandbox_needed(in->pod, in->observed, &attempt)});
	add_condition(in, a, st, "Initialized", initialized(in->pod, st, a));
	ready = pod_ready(in->pod, st, a);
	all = containers_ready(in->pod, st, a);
	if (phase_is_terminal(st->phase))
		ready = all = terminal_condition(st->phase);
	add_condition(in, a, st, "Ready", ready);
	add_condition(in, a, st, "ContainersReady", all);
	add_condition(in, a, st, "PodScheduled", (struct condition){.status = true});
}

/* --- the whole --- */

static void set_addresses(
	const struct pod_status_input *in, struct arena *a, struct v1_pod_status *st)
{
	const struct cri_sandbox_status *sb =
		in->observed->n_sandboxes ? &in->observed->sandboxes[0] : NULL;
	const struct v1_pod_status *old = in->old ? in->old : &in->pod->status;
	const struct str_vec *ips = in->pod->spec.host_network ? &in->host_ips
				    : sb                       ? &sb->ips
							       : NULL;

	for (size_t i = 0; i < in->host_ips.n; i++) {
		struct v1_host_ip h = {in->host_ips.v[i]};

		ARENA_PUSH(a, &st->host_ips, h);
	}
	if (in->host_ips.n)
		st->host_ip = in->host_ips.v[0];
	for (size_t i = 0; ips && i < ips->n; i++) {
		struct v1_pod_ip p = {ips->v[i]};

		ARENA_PUSH(a, &st->pod_ips, p);
	}
	if (st->pod_ips.n == 0 && in->terminal)
		st->pod_ips = old->pod_ips; /* the address of what has run stays on record */
	if (st->pod_ips.n)
		st->pod_ip = st->pod_ips.v[0].ip;
}

static void settle_phase(const struct pod_status_input *in, struct v1_pod_status *st)
{
	const struct v1_pod_status *old = in->old ? in->old : &in->pod->status;

	st->phase = phase_of(in, st);
	if (!phase_is_terminal(st->phase)) {
		if (phase_is_terminal(old->phase))
			st->phase = old->phase;
		else if (phase_is_terminal(in->pod->status.phase))
			st->phase = in->pod->status.phase;
		else if (in->terminal)
			st->phase = S("Failed");
	}
	if (str_eq(st->phase, old->phase)) {
		st->reason = str_empty(old->reason) ? in->pod->status.reason : old->reason;
		st->message = str_empty(old->message) ? in->pod->status.message : old->message;
	}
	if (!str_empty(in->fail_reason)) {
		st->phase = S("Failed");
		st->reason = in->fail_reason;
		st->message = in->fail_message;
	}
	if (phase_is_terminal(in->pod->status.phase))
		st->phase = in->pod->status.phase;
}

void pod_status_make(const struct pod_status_input *in, struct arena *a, struct v1_pod_status *ret)
{
	const struct v1_pod_status *old = in->old ? in->old : &in->pod->status;
	struct v1_pod_status st = {.observed_generation = in->pod->metadata.generation};

	set_addresses(in, a, &st);
	st.qos_class = qos_name(pod_qos(in->pod));
	st.container_statuses = container_statuses(in, CONTAINER_REGULAR, a);
	st.init_container_statuses = container_statuses(in, CONTAINER_INIT, a);
	st.ephemeral_container_statuses = container_statuses(in, CONTAINER_EPHEMERAL, a);
	container_statuses_probed(in, CONTAINER_REGULAR, &st.container_statuses, a);
	container_statuses_probed(in, CONTAINER_INIT, &st.init_container_statuses, a);
	settle_phase(in, &st);
	if (in->terminal) {
		bool ran = any_regular_container_created(in->pod, in->observed);

		container_statuses_end(&st.container_statuses, ran, a);
		container_statuses_end(&st.init_container_statuses, ran, a);
		container_statuses_end(&st.ephemeral_container_statuses, true, a);
	}
	if (in->stopping && phase_is_terminal(st.phase) && !phase_is_terminal(old->phase)) {
		st.phase = str_empty(old->phase) ? S("Pending") : old->phase;
		st.reason = old->reason;
		st.message = old->message;
	}
	set_conditions(in, a, &st);
	st.start_time = old->start_time.set ? old->start_time : in->pod->status.start_time;
	if (!st.start_time.set)
		st.start_time = k8s_time_of_ns(in->now_ns);
	st.nominated_node_name = in->pod->status.nominated_node_name;
	st.resource_claim_statuses = in->pod->status.resource_claim_statuses;
	*ret = st;
}
