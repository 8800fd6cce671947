/* pod_stop.c: how a pod ends: its containers and sandbox are stopped, its volumes and cgroup go,
 * then the API object. */
#include "node/pod.h"
#include "node/volumes/files.h"

enum { RETRY_MS = 2000, DEFAULT_GRACE_S = 30 };

static int64_t wall_ms(const struct pod *p)
{
	return loop_wall_ns(p->k->loop) / 1000000;
}

/* --- stopping --- */

static int64_t grace_of(const struct pod *p, const struct v1_pod *spec)
{
	int64_t grace = DEFAULT_GRACE_S, n;

	if (p->fail_grace_s >= 0)
		return p->fail_grace_s;
	if (!spec) {
		for (size_t i = 0; i < p->observed.n_containers; i++)
			if (str_to_i64(cri_lookup(&p->observed.containers[i].annotations,
					       S(ANNOTATION_GRACE)),
				    &n) == 0)
				grace = n;
		return grace;
	}
	if (spec->spec.termination_grace_period_seconds)
		grace = *spec->spec.termination_grace_period_seconds;
	if (spec->metadata.deletion_timestamp.set && spec->metadata.deletion_grace_period_seconds)
		grace = *spec->metadata.deletion_grace_period_seconds;
	return MAX(grace, 1);
}

/* Sidecars go after all that may need them, the last one first, while there is time. */
static bool its_turn(struct pod *p, const struct v1_pod *spec, struct str name)
{
	enum container_kind kind = CONTAINER_REGULAR;
	const struct v1_container *c = spec ? pod_container(spec, name, &kind) : NULL;
	bool later = false;

	if (!c || kind != CONTAINER_INIT || !container_is_sidecar(c) ||
		wall_ms(p) - p->stop_since_ms >= p->grace_s * 1000)
		return true;
	for (size_t i = 0; i < spec->spec.containers.n; i++) {
		const struct cri_container_status *s =
			observed_find(&p->observed, spec->spec.containers.v[i].name);

		if (s && s->state == CRI_RUNNING)
			return false;
	}
	for (size_t i = 0; i < spec->spec.init_containers.n; i++) {
		const struct cri_container_status *s =
			observed_find(&p->observed, spec->spec.init_containers.v[i].name);

		if (later && s && s->state == CRI_RUNNING)
			return false;
		later |= str_eq(spec->spec.init_containers.v[i].name, name);
	}
	return true;
}

static bool stop_containers(struct pod *p, const struct v1_pod *spec)
{
	int64_t passed = (wall_ms(p) - p->stop_since_ms) / 1000;
	bool running = false;

	for (size_t i = 0; i < p->observed.n_containers; i++) {
		const struct cri_container_status *c = &p->observed.containers[i];

		if (c->state != CRI_RUNNING)
			continue;
		running = true;
		if (pod_memory(p, c->name)->kill)
			continue;
		if (!its_turn(p, spec, c->name)) {
			pod_wake_in(p, MAX(p->grace_s * 1000 - (wall_ms(p) - p->stop_since_ms), 1));
			continue;
		}
		pod_kill_container(p, spec,
			&(struct kill_request){.id = c->id,
				.name = c->name,
				.grace_override_s = MAX(p->grace_s - passed, 0)});
	}
	for (struct container_memory *m = p->containers; m; m = m->next)
		running |= m->kill != NULL;
	return running;
}

void pod_begin_stopping(struct pod *p, const struct v1_pod *spec)
{
	p->state = POD_TERMINATING;
	p->stop_since_ms = wall_ms(p);
	p->grace_s = grace_of(p, spec);
	probes_stop(p, false);
}

void pod_terminate(struct pod *p, const struct v1_pod *spec)
{
	int64_t grace = grace_of(p, spec);

	if (grace < p->grace_s) {
		p->grace_s = grace;
		for (struct container_memory *m = p->containers; m; m = m->next)
			if (m->kill)
				pod_kill_sooner(m->kill, grace);
	}
	if (p->starting && !pod_cancel_start(p))
		return;
	if (stop_containers(p, spec) || p->sandbox_busy)
		return;
	for (size_t i = 0; i < p->observed.n_sandboxes; i++) {
		if (p->observed.sandboxes[i].ready) {
			sandboxes_stop(p);
			return;
		}
	}
	probes_stop(p, true);
	p->state = POD_TERMINATED;
	pod_wake(p);
}

/* --- clearing away --- */

static void torn_down(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err) {
		log_warn("pod " STR_FMT "/" STR_FMT ": %s", STR_ARG(p->ns), STR_ARG(p->name),
			err_text(err));
		pod_wake_in(p, RETRY_MS);
	} else {
		p->volumes_gone = true;
	}
	p->removing = false;
	pod_ops_end(p);
}

static void deleted(struct client_call *call)
{
	struct pod *p = call->user_data;

	p->api_deleting = false;
	if (call->status == 404 || call->status == 409)
		p->gone = true; /* of this uid there is none */
	else if (call->result < 0)
		pod_wake_in(p, RETRY_MS);
	pod_ops_end(p);
}

/* With no grace left the API server removes it by itself; the kubelet steps in when it did not. */
static bool api_removes_it(struct pod *p, const struct v1_pod *spec)
{
	const int64_t *grace = spec->metadata.deletion_grace_period_seconds;
	int64_t left = p->stop_since_ms + RETRY_MS - wall_ms(p);

	if (!grace || *grace > 0 || left <= 0)
		return false;
	pod_wake_in(p, left);
	return true;
}

static void delete_from_api(struct pod *p)
{
	struct client_call *call = client_call_new(p->k->client);

	p->api_deleting = true;
	pod_ops_begin(p);
	call->verb = "delete";
	call->resource = &v1_pod_resource;
	call->ns = p->ns;
	call->name = p->name;
	call->body = arena_fmt(&call->arena,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
		"\"preconditions\":{\"uid\":\"" STR_FMT "\"}}",
		STR_ARG(p->uid));
	call->done = deleted;
	call->user_data = p;
	client_do(p->k->client, call);
}

void pod_clear_away(struct pod *p, const struct v1_pod *spec)
{
	if (!p->volumes_gone) {
		if (p->removing)
			return;
		p->removing = true;
		pod_ops_begin(p);
		volumes_teardown(p->volumes, torn_down);
		return;
	}
	if (!p->cgroup_gone && (p->cgroup_made || spec)) {
		if (!p->cgroup_made)
			p->cgroup = cgroup_of_pod(&p->k->cgroups, &p->names, pod_qos(spec), p->uid);
		cgroup_pod_remove(&p->k->cgroups, p->cgroup);
		p->cgroup_gone = true;
	}
	if (p->gone) {
		p->state = POD_FINISHED;
		pod_wake(p);
	} else if (spec->metadata.deletion_timestamp.set && !p->is_static && !p->api_deleting &&
		   status_writer_idle(p->status) && !api_removes_it(p, spec)) {
		delete_from_api(p);
	}
}

static void sandbox_removed(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err) {
		log_warn("pod " STR_FMT "/" STR_FMT ": removing its sandbox: %s", STR_ARG(p->ns),
			STR_ARG(p->name), err_text(err));
		p->sandbox_retry_ms = wall_ms(p) + RETRY_MS;
	}
	pod_look_again(p);
	p->removing = false;
	pod_ops_end(p);
}

/* True: the pod is no more. */
bool pod_finish(struct pod *p, struct arena *a)
{
	if (p->removing || p->ops || p->queued) /* woken by its own work: it is asked again */
		return false;
	if (p->observed.n_sandboxes) {
		if (wall_ms(p) < p->sandbox_retry_ms) {
			pod_wake_in(p, p->sandbox_retry_ms - wall_ms(p));
			return false;
		}
		p->removing = true;
		pod_ops_begin(p);
		p->k->cri->ops->remove_sandbox(
			p->k->cri, p->observed.sandboxes[0].id, sandbox_removed, p);
		return false;
	}
	files_remove_tree(pod_log_dir(p, a).p);
	files_remove_tree(arena_fmt(a, "%s/pods/" STR_FMT, p->k->opts.root_dir, STR_ARG(p->uid)).p);
	pod_free(p);
	return true;
}
