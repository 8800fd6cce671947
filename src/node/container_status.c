/* container_status.c: v1 ContainerStatus out of what the runtime shows. */
#include "node/container_status.h"
#include "node/resources.h"

struct maker {
	const struct pod_status_input *in;
	enum container_kind kind;
	struct arena *a;
	const struct v1_container_status_vec *old;
};

static const struct container_facts *facts_of(const struct pod_status_input *in, struct str name)
{
	for (size_t i = 0; i < in->n_facts; i++)
		if (str_eq(in->facts[i].name, name))
			return &in->facts[i];
	return NULL;
}

static const struct v1_container_status *old_status(const struct maker *m, struct str name)
{
	for (size_t i = 0; i < m->old->n; i++)
		if (str_eq(m->old->v[i].name, name))
			return &m->old->v[i];
	return NULL;
}

static struct v1_container_state waiting(struct arena *a, struct str reason, struct str message)
{
	struct v1_container_state s = {.waiting = ARENA_NEW(a, struct v1_container_state_waiting)};

	s.waiting->reason = reason;
	s.waiting->message = message;
	return s;
}

static struct v1_container_state_terminated *lost(struct arena *a, struct str message)
{
	struct v1_container_state_terminated *t =
		ARENA_NEW(a, struct v1_container_state_terminated);

	t->reason = S("ContainerStatusUnknown");
	t->message = message;
	t->exit_code = 137;
	return t;
}

/* --- one container --- */

static void put(struct str_map *m, const char *name, struct str value)
{
	struct str *v = (struct str *)str_map_get(m, str_c(name));

	if (v)
		*v = value;
}

/* What is really in force, said in the spec's own words where it is the same. */
static struct v1_resource_requirements *actual_resources(
	struct arena *a, const struct v1_container *c, const struct cri_container_status *s)
{
	struct v1_resource_requirements *r =
		schema_copy(&v1_resource_requirements_schema, &c->resources, a);
	const struct cri_resources *now = &s->resources;
	const struct str *q;

	if (s->state != CRI_RUNNING)
		return r;
	q = str_map_get(&r->limits, S("cpu"));
	if (q && now->cpu_quota > 0 && now->cpu_period > 0 &&
		milli_to_quota(quantity_milli_of(*q), now->cpu_period) != now->cpu_quota)
		put(&r->limits, "cpu",
			arena_fmt(
				a, "%lldm", (long long)(now->cpu_quota * 1000 / now->cpu_period)));
	q = str_map_get(&r->limits, S("memory"));
	if (q && now->memory_limit > 0 && quantity_value_of(*q) != now->memory_limit)
		put(&r->limits, "memory", arena_fmt(a, "%lld", (long long)now->memory_limit));
	q = str_map_get(&r->requests, S("cpu"));
	if (q && now->cpu_shares > 0 && milli_to_shares(quantity_milli_of(*q)) != now->cpu_shares)
		put(&r->requests, "cpu",
			arena_fmt(a, "%lldm", (long long)((now->cpu_shares * 1000 + 1023) / 1024)));
	return r;
}

static struct v1_container_user *user_of(struct arena *a, const struct cri_container_status *s)
{
	struct v1_container_user *u;

	if (s->uid < 0)
		return NULL;
	u = ARENA_NEW(a, struct v1_container_user);
	u->linux_ = ARENA_NEW(a, struct v1_linux_container_user);
	u->linux_->uid = s->uid;
	u->linux_->gid = s->gid;
	u->linux_->supplemental_groups.v = s->supplemental_groups;
	u->linux_->supplemental_groups.n = s->n_supplemental_groups;
	return u;
}

static void set_state(const struct maker *m, const struct cri_container_status *s,
	const struct v1_container_status *old, struct v1_container_status *st)
{
	const struct container_facts *f = facts_of(m->in, s->name);
	struct v1_container_state_terminated *t;

	switch (s->state) {
	case CRI_RUNNING:
		st->state.running = ARENA_NEW(m->a, struct v1_container_state_running);
		st->state.running->started_at = k8s_time_of_ns(s->started_ns);
		break;
	case CRI_EXITED:
		t = st->state.terminated = ARENA_NEW(m->a, struct v1_container_state_terminated);
		t->exit_code = s->exit_code;
		t->reason = s->reason;
		t->message = s->message;
		if (f && str_eq(f->message_id, s->id) && !str_empty(f->message))
			t->message = f->message;
		t->started_at = k8s_time_of_ns(s->started_ns);
		t->finished_at = k8s_time_of_ns(s->finished_ns);
		t->container_id = st->container_id;
		break;
	case CRI_UNKNOWN:
		if (old && old->state.running) {
			st->state.terminated = lost(m->a, S("The container could not be located "
							    "when the pod was terminated"));
			st->restart_count = old->restart_count + 1;
			break;
		}
		/* fallthrough */
	case CRI_CREATED:
		st->state = waiting(m->a, S(""), S(""));
		break;
	}
}

static void volume_mounts(
	struct arena *a, const struct v1_container *c, struct v1_container_status *st)
{
	for (size_t i = 0; i < c->volume_mounts.n; i++) {
		const struct v1_volume_mount *m = &c->volume_mounts.v[i];
		struct v1_volume_mount_status s = {
			.name = m->name, .mount_path = m->mount_path, .read_only = m->read_only};

		if (m->read_only)
			s.recursive_read_only =
				str_eq(m->recursive_read_only, S("Enabled")) ||
						str_eq(m->recursive_read_only, S("IfPossible"))
					? S("Enabled")
					: S("Disabled");
		ARENA_PUSH(a, &st->volume_mounts, s);
	}
}

static struct v1_container_status from_runtime(const struct maker *m, const struct v1_container *c,
	const struct cri_container_status *s, const struct v1_container_status *old)
{
	struct v1_container_status st = {
		.name = c->name,
		.image = str_empty(s->image) ? c->image : s->image,
		.image_id = str_empty(s->image_ref) ? s->image_id : s->image_ref,
		.restart_count = cri_restart_count(s),
	};

	st.container_id =
		arena_fmt(m->a, STR_FMT "://" STR_FMT, STR_ARG(m->in->runtime), STR_ARG(s->id));
	volume_mounts(m->a, c, &st);
	if (old) {
		st.restart_count = MAX(st.restart_count, old->restart_count);
		if (!str_eq(old->container_id, st.container_id) && old->state.terminated)
			st.last_state.terminated = old->state.terminated;
		else
			st.last_state.terminated = old->last_state.terminated;
	}
	set_state(m, s, old, &st);
	st.resources = actual_resources(m->a, c, s);
	st.allocated_resources = c->resources.requests;
	st.user = user_of(m->a, s);
	if (c->lifecycle)
		st.stop_signal = c->lifecycle->stop_signal;
	return st;
}

/* The runtime does not know it: it was not created yet, or is gone. */
static struct v1_container_status without_runtime(
	const struct maker *m, const struct v1_container *c, const struct v1_container_status *old)
{
	bool init = m->in->pod->spec.init_containers.n > 0;
	struct v1_container_status st = {.name = c->name, .image = c->image};

	if (old && old->state.terminated)
		return *old;
	st.state = waiting(m->a, init ? S("PodInitializing") : S("ContainerCreating"), S(""));
	volume_mounts(m->a, c, &st);
	if (!old)
		return st;
	st.restart_count = old->restart_count;
	st.last_state = old->last_state;
	if (old->state.running && !st.last_state.terminated) {
		st.last_state.terminated =
			lost(m->a, S("The container could not be located when the pod was deleted. "
				     " The container used to be "
				     "Running"));
		if (!m->in->pod->metadata.deletion_timestamp.set)
			st.restart_count++;
	}
	return st;
}

/* The instance before the newest one, as the last state. */
static void set_last_state(
	const struct maker *m, const struct v1_container *c, struct v1_container_status *st)
{
	const struct observed *o = m->in->observed;
	struct v1_container_status before = {0};
	size_t seen = 0;

	for (size_t i = 0; i < o->n_containers; i++) {
		const struct cri_container_status *s = &o->containers[i];

		if (!str_eq(s->name, c->name) || s->state == CRI_CREATED || seen++ != 1)
			continue;
		before.container_id = arena_fmt(
			m->a, STR_FMT "://" STR_FMT, STR_ARG(m->in->runtime), STR_ARG(s->id));
		if (s->state != CRI_EXITED)
			return;
		if (st->last_state.terminated &&
			str_eq(st->last_state.terminated->container_id, before.container_id))
			return; /* it has its message already */
		set_state(m, s, NULL, &before);
		st->last_state = before.state;
	}
}

/* One that should run and does not: waiting, with what is known of why. */
static void set_waiting(
	const struct maker *m, const struct v1_container *c, struct v1_container_status *st)
{
	const struct cri_container_status *s = observed_find(m->in->observed, c->name);
	const struct container_facts *f = facts_of(m->in, c->name);

	if (m->kind == CONTAINER_INIT) {
		if (s && s->state == CRI_EXITED && s->exit_code == 0)
			return;
		if (!s && !container_is_sidecar(c) && st->state.waiting &&
			any_regular_container_created(m->in->pod, m->in->observed)) {
			st->state = (struct v1_container_state){
				.terminated =
					ARENA_NEW(m->a, struct v1_container_state_terminated)};
			st->state.terminated->reason = S("Completed");
			st->state.terminated->message =
				S("Unable to get init container status from container runtime "
				  "and pod has been initialized, treat it as exited normally");
			return;
		}
	}
	if (!container_should_start(m->in->pod, c, m->in->observed) || !f ||
		str_empty(f->wait_reason))
		return;
	if (st->state.terminated)
		st->last_state = st->state;
	st->state = waiting(m->a, f->wait_reason, f->wait_message);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct v1_container_status *)a)->name,
		((const struct v1_container_status *)b)->name);
}

/* What is created but does not run yet is not told: the instance before it stands for it. */
static const struct cri_container_status *shown_instance(const struct observed *o, struct str name)
{
	for (size_t i = 0; i < o->n_containers; i++)
		if (str_eq(o->containers[i].name, name) && o->containers[i].state != CRI_CREATED)
			return &o->containers[i];
	return NULL;
}

struct v1_container_status_vec container_statuses(
	const struct pod_status_input *in, enum container_kind kind, struct arena *a)
{
	const struct v1_pod_status *old = in->old ? in->old : &in->pod->status;
	struct maker m = {in, kind, a,
		kind == CONTAINER_INIT        ? &old->init_container_statuses
		: kind == CONTAINER_EPHEMERAL ? &old->ephemeral_container_statuses
					      : &old->container_statuses};
	struct v1_container_status_vec v = {0};
	const struct v1_container *c;

	for (size_t i = 0; (c = pod_container_at(in->pod, kind, i)); i++) {
		const struct cri_container_status *s = shown_instance(in->observed, c->name);
		const struct v1_container_status *was = old_status(&m, c->name);
		struct v1_container_status st =
			s ? from_runtime(&m, c, s, was) : without_runtime(&m, c, was);

		if (s)
			set_last_state(&m, c, &st);
		set_waiting(&m, c, &st);
		ARENA_PUSH(a, &v, st);
	}
	if (kind != CONTAINER_INIT && v.n > 1)
		qsort(v.v, v.n, sizeof(*v.v), by_name);
	return v;
}

void container_statuses_probed(const struct pod_status_input *in, enum container_kind kind,
	struct v1_container_status_vec *v, struct arena *a)
{
	for (size_t i = 0; i < v->n; i++) {
		struct v1_container_status *st = &v->v[i];
		const struct container_facts *f = facts_of(in, st->name);
		const struct v1_container *c = pod_container(in->pod, st->name, NULL);
		bool started = st->state.running != NULL;

		if (started && f && f->startup_worker)
			started = f->probes.startup == PROBE_SUCCESS;
		st->started = arena_memdup(a, &started, sizeof(started));
		if (kind == CONTAINER_INIT && c && !container_is_sidecar(c)) {
			st->ready = st->state.terminated && st->state.terminated->exit_code == 0;
			continue;
		}
		st->ready = started &&
			    (!f || !f->readiness_worker || f->probes.readiness == PROBE_SUCCESS);
	}
}

void container_statuses_end(struct v1_container_status_vec *v, bool initialized, struct arena *a)
{
	for (size_t i = 0; i < v->n; i++) {
		struct v1_container_status *st = &v->v[i];

		if (st->state.terminated || (!initialized && st->state.waiting))
			continue;
		st->state = (struct v1_container_state){
			.terminated = lost(a, S("The container could not be located when the pod "
						"was terminated"))};
		st->ready = false;
	}
}
