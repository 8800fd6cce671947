/* pod_worker.c: carries out what the planner says, one look at a time. Nothing here waits: whatever
 * takes time is an operation that wakes the pod again when it is done. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/pod.h"
#include "node/resources.h"
#include "node/termination_message.h"
#include "node/volumes/files.h"

enum { NETWORK_RETRY_MS = 2000, BACKOFF_EVENT_MS = 15000 };

static int64_t wall_ms(const struct pod *p)
{
	return loop_wall_ns(p->k->loop) / 1000000;
}

/* --- saying how it is --- */

static size_t gather_facts(struct pod *p, struct arena *a, struct container_facts **ret)
{
	size_t n = 0;

	for (struct container_memory *m = p->containers; m; m = m->next)
		n++;
	*ret = ARENA_ARRAY(a, struct container_facts, n);
	n = 0;
	for (struct container_memory *m = p->containers; m; m = m->next)
		(*ret)[n++] = (struct container_facts){
			.name = str_c(m->name),
			.wait_reason = str_c(m->wait_reason),
			.wait_message = str_c(m->wait_message),
			.message_id = str_c(m->message_id),
			.message = str_c(m->message),
			.probes = m->results,
			.readiness_worker = m->probes[1] != NULL,
			.startup_worker = m->probes[2] != NULL,
		};
	return n;
}

static struct v1_pod_status *make_status(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	struct v1_pod_status *s = ARENA_NEW(a, struct v1_pod_status);
	struct pod_status_input in = {
		.pod = spec,
		.old = status_writer_last(p->status),
		.observed = &p->observed,
		.terminal = p->state >= POD_TERMINATED,
		.stopping = p->state < POD_TERMINATED,
		.fail_reason = str_c(p->fail_reason),
		.fail_message = str_c(p->fail_message),
		.host_ips = p->k->node_ips,
		.runtime = p->k->runtime_name,
		.now_ns = loop_wall_ns(p->k->loop),
	};
	struct container_facts *facts;

	in.n_facts = gather_facts(p, a, &facts);
	in.facts = facts;
	in.resize = pod_resize_conditions(p, spec, a);
	pod_status_make(&in, a, s);
	return s;
}

/* Whether it has come to its end by itself. */
static bool has_ended(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	struct v1_pod_status s;
	struct pod_status_input in = {
		.pod = spec,
		.old = status_writer_last(p->status),
		.observed = &p->observed,
		.runtime = p->k->runtime_name,
		.now_ns = loop_wall_ns(p->k->loop),
	};
	struct container_facts *facts;

	in.n_facts = gather_facts(p, a, &facts);
	in.facts = facts;
	pod_status_make(&in, a, &s);
	return phase_is_terminal(s.phase);
}

/* --- preparing --- */

static int make_dirs(struct pod *p, struct arena *a)
{
	struct str dir = arena_fmt(a, "%s/pods/" STR_FMT, p->k->opts.root_dir, STR_ARG(p->uid));
	int r = files_make_dir(dir.p, 0750);

	if (r == 0)
		r = files_make_dir(arena_fmt(a, "%s/volumes", dir.p).p, 0750);
	if (r == 0)
		r = files_make_dir(pod_log_dir(p, a).p, 0755);
	if (r < 0) {
		pod_event(p, (struct str){0}, "Warning", "FailedToMakePodDataDirectories",
			"error making pod data directories: %s", strerror(-r));
		return r;
	}
	p->dirs_made = true;
	return 0;
}

static int make_cgroup(struct pod *p, const struct v1_pod *spec)
{
	struct pod_sums sums = pod_resource_sums(spec);
	struct err err CLEANUP(err_release) = {0};

	p->cgroup = cgroup_of_pod(&p->k->cgroups, &p->names, pod_qos(spec), p->uid);
	if (cgroup_pod_make(&p->k->cgroups, p->cgroup, &sums, &err) < 0) {
		pod_event(p, (struct str){0}, "Warning", "FailedToCreatePodContainer",
			"unable to ensure pod container exists: failed to create container for %s "
			": %s",
			p->cgroup.p, err_text(&err));
		return -EIO;
	}
	p->cgroup_made = true;
	return 0;
}

/* The downward API volumes show labels and annotations as they are now. */
static void note_changes(struct pod *p, const struct v1_pod *spec)
{
	uint64_t h = 1;

	for (size_t i = 0; i < spec->metadata.labels.n; i++)
		h = h * 31 + str_hash(spec->metadata.labels.v[i].key) * 7 +
		    str_hash(spec->metadata.labels.v[i].value);
	for (size_t i = 0; i < spec->metadata.annotations.n; i++)
		h = h * 37 + str_hash(spec->metadata.annotations.v[i].key) * 11 +
		    str_hash(spec->metadata.annotations.v[i].value);
	if (p->labels_hash && p->labels_hash != h)
		volumes_pod_changed(p->volumes);
	p->labels_hash = h;
}

static void know_containers(struct pod *p, const struct v1_pod *spec)
{
	for (int kind = CONTAINER_REGULAR; kind <= CONTAINER_EPHEMERAL; kind++) {
		const struct v1_container *c;

		for (size_t i = 0; (c = pod_container_at(spec, kind, i)); i++)
			pod_memory(p, c->name)->kind = kind;
	}
}

/* --- carrying out a plan --- */

static bool kill_all(struct pod *p, const struct v1_pod *spec, const char *message)
{
	bool running = false;

	for (size_t i = 0; i < p->observed.n_containers; i++) {
		const struct cri_container_status *c = &p->observed.containers[i];

		if (c->state != CRI_RUNNING)
			continue;
		running = true;
		if (!pod_memory(p, c->name)->kill)
			pod_kill_container(p, spec,
				&(struct kill_request){.id = c->id,
					.name = c->name,
					.message = str_c(message),
					.grace_override_s = -1});
	}
	return running;
}

static void renew_sandbox(struct pod *p, const struct v1_pod *spec, const struct pod_plan *plan)
{
	bool had = p->observed.n_sandboxes > 0;

	if (p->starting && !pod_cancel_start(p))
		return;
	if (kill_all(p, spec, "") || p->sandbox_busy)
		return;
	for (size_t i = 0; i < p->observed.n_sandboxes; i++) {
		if (p->observed.sandboxes[i].ready) {
			sandboxes_stop(p);
			return;
		}
	}
	if (!plan->create_sandbox)
		return;
	if (wall_ms(p) < p->sandbox_retry_ms) {
		pod_wake_in(p, p->sandbox_retry_ms - wall_ms(p));
		return;
	}
	if (had && pod_purge_init_containers(p, spec))
		return;
	if (had && p->sandbox_backoff.delay_ms == 0)
		pod_event(p, (struct str){0}, "Normal", "SandboxChanged",
			"Pod sandbox changed, it will be killed and re-created.");
	sandbox_create(p, spec, plan->attempt);
}

static bool is_killed_in(const struct pod_plan *plan, struct str name)
{
	for (size_t i = 0; i < plan->kills.n; i++)
		if (str_eq(plan->kills.v[i].name, name))
			return true;
	return false;
}

/* True: not now, because it has crashed or could not be started a short while ago. */
static bool backs_off(struct pod *p, struct container_memory *m, struct arena *a)
{
	const struct cri_container_status *s = observed_find(&p->observed, str_c(m->name));
	int64_t now = wall_ms(p), ended;

	if (m->failed && now < m->retry_ms) {
		m->restarting = false;
		pod_wake_in(p, m->retry_ms - now);
		return true;
	}
	if (!s || s->state != CRI_EXITED)
		return false;
	ended = s->finished_ns / 1000000;
	if (!backoff_active(&m->crash, ended, now)) {
		backoff_next(&m->crash, ended, now);
		return false;
	}
	if (!m->wait_reason || strcmp(m->wait_reason, "CrashLoopBackOff") != 0 ||
		now >= m->retry_ms) {
		pod_event(p, str_c(m->name), "Warning", "BackOff",
			"Back-off restarting failed container %s in pod " STR_FMT, m->name,
			STR_ARG(pod_text(p, a)));
		m->retry_ms = now + BACKOFF_EVENT_MS;
	}
	m->restarting = false;
	pod_set_waiting(m, "CrashLoopBackOff",
		arena_fmt(a, "back-off " STR_FMT " restarting failed container=%s pod=" STR_FMT,
			STR_ARG(duration_text(a, m->crash.delay_ms)), m->name,
			STR_ARG(pod_text(p, a))));
	pod_wake_in(p, MIN(ended + m->crash.delay_ms - now + 1, BACKOFF_EVENT_MS));
	return true;
}

static void start_containers(
	struct pod *p, const struct v1_pod *spec, const struct pod_plan *plan, struct arena *a)
{
	for (size_t i = 0; i < plan->starts.n && !p->starting; i++) {
		const struct plan_start *s = &plan->starts.v[i];
		const struct v1_container *c = pod_container_at(spec, s->kind, s->index);
		struct container_memory *m = pod_memory(p, c->name);

		if (m->kill || is_killed_in(plan, c->name))
			continue;
		if (!backs_off(p, m, a))
			pod_start_container(p, spec, s->kind, s->index);
		else if (s->kind == CONTAINER_INIT && !container_is_sidecar(c))
			break;
	}
}

static bool starts_again(const struct pod_plan *plan, const struct v1_pod *spec, struct str name)
{
	for (size_t i = 0; i < plan->starts.n; i++)
		if (str_eq(pod_container_at(spec, plan->starts.v[i].kind, plan->starts.v[i].index)->name, name))
			return true;
	return false;
}

/* A restart is told when it is through, not halfway. */
static bool is_restarting(const struct pod *p)
{
	for (const struct container_memory *m = p->containers; m; m = m->next)
		if (m->restarting)
			return true;
	return false;
}

static void carry_out(
	struct pod *p, const struct v1_pod *spec, const struct pod_plan *plan, struct arena *a)
{
	if (plan->kill_pod) {
		renew_sandbox(p, spec, plan);
		return;
	}
	p->sandbox_backoff.delay_ms = 0;
	for (size_t i = 0; i < plan->kills.n; i++) {
		const struct plan_kill *k = &plan->kills.v[i];

		if (!pod_memory(p, k->name)->kill) {
			pod_memory(p, k->name)->restarting = starts_again(plan, spec, k->name);
			pod_kill_container(p, spec,
				&(struct kill_request){.id = k->id,
					.name = k->name,
					.message = k->message,
					.reason = k->reason,
					.grace_override_s = -1});
		}
	}
	start_containers(p, spec, plan, a);
}

static size_t gather_probes(struct pod *p, struct arena *a, struct probe_results **ret)
{
	size_t n = 0;

	for (struct container_memory *m = p->containers; m; m = m->next)
		n++;
	*ret = ARENA_ARRAY(a, struct probe_results, n);
	n = 0;
	for (struct container_memory *m = p->containers; m; m = m->next)
		(*ret)[n++] = m->results;
	return n;
}

/* True: it has run longer than it may. */
static bool past_deadline(struct pod *p, const struct v1_pod *spec)
{
	const struct v1_pod_status *s = status_writer_last(p->status);
	const int64_t *limit = spec->spec.active_deadline_seconds;
	struct k8s_time start = s && s->start_time.set ? s->start_time : spec->status.start_time;
	int64_t left;

	if (!limit || !start.set)
		return false;
	left = (start.sec + *limit) * 1000 - wall_ms(p);
	if (left > 0) {
		pod_wake_in(p, left);
		return false;
	}
	pod_event(p, (struct str){0}, "Normal", "DeadlineExceeded",
		"Pod was active on the node longer than the specified deadline");
	pod_fail(p, "DeadlineExceeded",
		S("Pod was active on the node longer than the specified deadline"));
	return true;
}

static void sync_pod(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	struct pod_facts facts = pod_facts(p, spec, a);
	struct pod_plan_input in = {.pod = spec, .observed = &p->observed};
	struct probe_results *probes;
	struct pod_plan plan;

	if (!p->k->network_ready && !spec->spec.host_network && p->k->runtime_asked) {
		pod_event(p, (struct str){0}, "Warning", "NetworkNotReady",
			"network is not ready: %s",
			p->k->runtime_message ? p->k->runtime_message : "");
		pod_wake_in(p, NETWORK_RETRY_MS);
		return;
	}
	if ((!p->dirs_made && make_dirs(p, a) < 0) ||
		(!p->cgroup_made && make_cgroup(p, spec) < 0)) {
		pod_wake_in(p, NETWORK_RETRY_MS);
		return;
	}
	note_changes(p, spec);
	if (!volumes_sync(p->volumes, &facts))
		return;
	probes_sync(p, spec);
	in.n_probes = gather_probes(p, a, &probes);
	in.probes = probes;
	pod_plan(&in, a, &plan);
	carry_out(p, spec, &plan, a);
	pod_resize_sync(p, spec);
	pod_prune(p);
}

/* --- one look --- */

static void consider_stopping(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	if (!spec || p->gone || spec->metadata.deletion_timestamp.set ||
		phase_is_terminal(spec->status.phase) || p->fail_reason) {
		pod_begin_stopping(p, spec);
		return;
	}
	if (past_deadline(p, spec) || has_ended(p, spec, a))
		pod_begin_stopping(p, spec);
}

static void admit(struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	const char *reason;
	struct str message;

	p->admitted = true;
	if (p->observed.n_containers || spec->metadata.deletion_timestamp.set || p->gone ||
		phase_is_terminal(spec->status.phase))
		return; /* it was taken before */
	if (pod_admit(p, spec, a, &reason, &message))
		return;
	pod_event(p, (struct str){0}, "Warning", reason, STR_FMT, STR_ARG(message));
	pod_fail(p, reason, arena_fmt(a, "Pod was rejected: " STR_FMT, STR_ARG(message)));
}

void pod_work(struct pod *p)
{
	uint64_t done = relist_done(p->k->relist);
	struct v1_pod *spec;
	struct arena a;
	bool freed = false;

	if (p->k->stopping || done == 0 || done < p->need_relist)
		return;
	arena_init(&a);
	spec = pod_decode(p, &a);
	if (spec) {
		know_containers(p, spec);
		if (!p->admitted && (p->is_static || node_object(p->k, &a)))
			admit(p, spec, &a);
	}
	termination_messages_read(p);
	if (p->state == POD_SYNCING)
		consider_stopping(p, spec, &a);
	if (p->state == POD_SYNCING && p->admitted)
		sync_pod(p, spec, &a);
	if (p->state == POD_TERMINATING)
		pod_terminate(p, spec);
	if (spec && !p->gone && (p->state != POD_SYNCING || !is_restarting(p)))
		status_writer_set(p->status, spec, make_status(p, spec, &a));
	if (p->state == POD_TERMINATED)
		pod_clear_away(p, spec);
	if (p->state == POD_FINISHED)
		freed = pod_finish(p, &a);
	(void)freed;
	arena_release(&a);
}
