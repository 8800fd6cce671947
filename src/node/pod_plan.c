/* pod_plan.c: the planner of a pod. */
#include <inttypes.h>
#include <stdio.h>

#include "node/pod_plan.h"

/* An ephemeral container begins with the fields of a container, in the same order. */
static_assert(offsetof(struct v1_container, tty) == offsetof(struct v1_ephemeral_container, tty),
	"ephemeral containers are read as containers");

bool container_is_sidecar(const struct v1_container *c)
{
	return str_eq(c->restart_policy, S("Always"));
}

const struct v1_container *pod_container_at(
	const struct v1_pod *pod, enum container_kind kind, size_t index)
{
	const struct v1_pod_spec *s = &pod->spec;

	switch (kind) {
	case CONTAINER_INIT:
		return index < s->init_containers.n ? &s->init_containers.v[index] : NULL;
	case CONTAINER_EPHEMERAL:
		return index < s->ephemeral_containers.n
			       ? (const void *)&s->ephemeral_containers.v[index]
			       : NULL;
	case CONTAINER_REGULAR:
		break;
	}
	return index < s->containers.n ? &s->containers.v[index] : NULL;
}

const struct v1_container *pod_container(
	const struct v1_pod *pod, struct str name, enum container_kind *ret_kind)
{
	static const enum container_kind kinds[] = {
		CONTAINER_REGULAR, CONTAINER_INIT, CONTAINER_EPHEMERAL};
	const struct v1_container *c;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t i = 0; (c = pod_container_at(pod, kinds[k], i)); i++) {
			if (!str_eq(c->name, name))
				continue;
			if (ret_kind)
				*ret_kind = kinds[k];
			return c;
		}
	}
	return NULL;
}

uint64_t container_hash(const struct v1_container *c)
{
	return str_hash(c->name) * 31 + str_hash(c->image);
}

static bool rule_matches(const struct v1_container_restart_rule *r, int exit_code)
{
	bool in = false;

	if (!r->exit_codes)
		return false;
	for (size_t i = 0; i < r->exit_codes->values.n; i++)
		in |= r->exit_codes->values.v[i] == exit_code;
	return str_eq(r->exit_codes->operator, S("NotIn")) ? !in : in;
}

bool container_restarts(const struct v1_pod *pod, const struct v1_container *c, int exit_code)
{
	struct str policy =
		str_empty(c->restart_policy) ? pod->spec.restart_policy : c->restart_policy;

	for (size_t i = 0; i < c->restart_policy_rules.n; i++)
		if (rule_matches(&c->restart_policy_rules.v[i], exit_code))
			return str_starts(c->restart_policy_rules.v[i].action, S("Restart"));
	if (str_eq(policy, S("Never")))
		return false;
	if (str_eq(policy, S("OnFailure")))
		return exit_code != 0;
	return true;
}

bool container_should_start(
	const struct v1_pod *pod, const struct v1_container *c, const struct observed *o)
{
	const struct cri_container_status *s = observed_find(o, c->name);

	if (pod->metadata.deletion_timestamp.set)
		return false;
	if (!s)
		return true;
	switch (s->state) {
	case CRI_RUNNING:
		return false;
	case CRI_UNKNOWN:
	case CRI_CREATED:
		return true;
	case CRI_EXITED:
		break;
	}
	return container_restarts(pod, c, s->exit_code);
}

bool sandbox_needed(const struct v1_pod *pod, const struct observed *o, uint32_t *ret_attempt)
{
	size_t ready = 0;

	*ret_attempt = 0;
	if (o->n_sandboxes == 0)
		return true;
	for (size_t i = 0; i < o->n_sandboxes; i++)
		ready += o->sandboxes[i].ready;
	*ret_attempt = o->sandboxes[0].attempt + 1;
	if (ready != 1 || !o->sandboxes[0].ready)
		return true;
	if (!pod->spec.host_network && o->sandboxes[0].ips.n == 0)
		return true;
	*ret_attempt = o->sandboxes[0].attempt;
	return false;
}

bool any_regular_container_created(const struct v1_pod *pod, const struct observed *o)
{
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		if (observed_find(o, pod->spec.containers.v[i].name))
			return true;
	return false;
}

struct planner_state {
	const struct v1_pod *pod;
	const struct observed *o;
	const struct pod_plan_input *in;
	struct arena *a;
	struct pod_plan *plan;
};

static void plan_start(struct planner_state *p, enum container_kind kind, size_t index)
{
	struct plan_start s = {kind, (uint32_t)index};

	ARENA_PUSH(p->a, &p->plan->starts, s);
}

static void plan_kill(struct planner_state *p, const struct cri_container_status *s,
	enum kill_reason reason, struct str message)
{
	struct plan_kill k = {s->id, s->name, message, reason};

	ARENA_PUSH(p->a, &p->plan->kills, k);
}

static struct probe_results probes_of(struct planner_state *p, struct str id)
{
	for (size_t i = 0; i < p->in->n_probes; i++)
		if (str_eq(p->in->probes[i].id, id))
			return p->in->probes[i];
	return (struct probe_results){0};
}

static bool definition_changed(const struct v1_container *c, const struct cri_container_status *s)
{
	char now[32];
	struct str then = cri_lookup(&s->annotations, S(ANNOTATION_HASH));

	snprintf(now, sizeof(now), "%" PRIx64, container_hash(c));
	return !str_empty(then) && !str_eqc(then, now);
}

/* The pod's own policy, when it may start again at all. */
static bool restarts_on_failure(const struct v1_pod *pod, const struct v1_container *c)
{
	if (c && !str_empty(c->restart_policy))
		return !str_eq(c->restart_policy, S("Never"));
	return !str_eq(pod->spec.restart_policy, S("Never"));
}

/* --- a new sandbox --- */

static bool ran_once(struct planner_state *p, const struct v1_container *c)
{
	struct str policy =
		str_empty(c->restart_policy) ? p->pod->spec.restart_policy : c->restart_policy;
	const struct cri_container_status *s = observed_find(p->o, c->name);

	return str_eq(policy, S("OnFailure")) && s && s->state == CRI_EXITED && s->exit_code == 0;
}

static void plan_new_sandbox(struct planner_state *p)
{
	const struct v1_pod_spec *spec = &p->pod->spec;
	struct pod_plan *plan = p->plan;
	size_t n = 0;

	plan->kill_pod = plan->create_sandbox = true;
	if (!restarts_on_failure(p->pod, NULL) && plan->attempt != 0 && p->o->n_containers) {
		plan->create_sandbox = false;
		return;
	}
	for (size_t i = 0; i < spec->containers.n; i++)
		n += !ran_once(p, &spec->containers.v[i]);
	if (n == 0 && any_regular_container_created(p->pod, p->o)) {
		plan->create_sandbox = false;
		return;
	}
	if (spec->init_containers.n) {
		plan_start(p, CONTAINER_INIT, 0);
		return;
	}
	for (size_t i = 0; i < spec->containers.n; i++)
		if (!ran_once(p, &spec->containers.v[i]))
			plan_start(p, CONTAINER_REGULAR, i);
}

/* --- init containers and sidecars --- */

struct init_walk {
	bool initialized; /* all of them are through, or a main container has run */
	bool previously;  /* a later one was seen, so this one is through */
	size_t *starts;   /* found backwards */
	size_t n_starts;
};

static void init_start(struct init_walk *w, size_t i)
{
	w->starts[w->n_starts++] = i;
}

static void kill_init(struct planner_state *p, const struct cri_container_status *s,
	enum kill_reason reason, const char *what)
{
	plan_kill(p, s, reason,
		arena_fmt(p->a, "Init container " STR_FMT " %s", STR_ARG(s->name), what));
}

static void init_passed(struct planner_state *p, struct init_walk *w, size_t i)
{
	if (i == p->pod->spec.init_containers.n - 1)
		w->initialized = true;
	else if (!w->previously)
		init_start(w, i + 1);
}

static void plan_running_sidecar(struct planner_state *p, struct init_walk *w, size_t i,
	const struct cri_container_status *s)
{
	const struct v1_container *c = &p->pod->spec.init_containers.v[i];
	struct probe_results r = probes_of(p, s->id);

	if (c->startup_probe && r.startup != PROBE_SUCCESS) {
		if (r.startup == PROBE_FAILURE) {
			kill_init(p, s, KILL_STARTUP, "failed startup probe");
			init_start(w, i);
		}
		return;
	}
	init_passed(p, w, i);
	if (definition_changed(c, s)) {
		kill_init(p, s, KILL_PLAIN, "definition changed");
		init_start(w, i);
	} else if (r.liveness == PROBE_FAILURE) {
		kill_init(p, s, KILL_LIVENESS, "failed liveness probe");
		init_start(w, i);
	}
}

/* False: initialization has failed for good. */
static bool plan_ended_init(struct planner_state *p, struct init_walk *w, size_t i,
	const struct cri_container_status *s)
{
	const struct v1_container *c = &p->pod->spec.init_containers.v[i];
	bool unknown = s->state == CRI_UNKNOWN;

	if (!container_is_sidecar(c)) {
		if (!unknown && s->exit_code == 0) {
			init_passed(p, w, i);
			return true;
		}
		if (unknown ? !restarts_on_failure(p->pod, c)
			    : !container_should_start(p->pod, c, p->o))
			return false;
	}
	if (unknown)
		plan_kill(p, s, KILL_UNKNOWN_STATE,
			S("Init container is in \"unknown\" state, try killing it before restart"));
	init_start(w, i);
	return true;
}

/* True: the containers proper may run. */
static bool plan_init_containers(struct planner_state *p)
{
	const struct v1_pod_spec *spec = &p->pod->spec;
	struct init_walk w = {.starts = ARENA_ARRAY(p->a, size_t, 2 * spec->init_containers.n + 1)};

	if (spec->init_containers.n == 0)
		return true;
	for (size_t i = 0; i < spec->containers.n; i++) {
		const struct cri_container_status *s =
			observed_find(p->o, spec->containers.v[i].name);

		w.initialized |= s && (s->state == CRI_CREATED || s->state == CRI_RUNNING);
	}
	w.previously = w.initialized;
	for (size_t i = spec->init_containers.n; i-- > 0;) {
		const struct v1_container *c = &spec->init_containers.v[i];
		const struct cri_container_status *s = observed_find(p->o, c->name);

		if (!s) {
			if (w.previously && container_is_sidecar(c))
				init_start(&w, i);
			continue;
		}
		if (w.previously && !container_is_sidecar(c))
			continue;
		if (s->state == CRI_CREATED) {
			init_start(&w, i);
		} else if (s->state == CRI_RUNNING) {
			if (container_is_sidecar(c))
				plan_running_sidecar(p, &w, i, s);
		} else if (!plan_ended_init(p, &w, i, s)) {
			p->plan->kill_pod = true;
			return false;
		}
		w.previously = true;
	}
	if (!w.previously)
		init_start(&w, 0);
	while (w.n_starts)
		plan_start(p, CONTAINER_INIT, w.starts[--w.n_starts]);
	return w.initialized;
}

/* --- the containers proper --- */

/* Returns whether it stays as it is. */
static bool plan_running(struct planner_state *p, size_t i, const struct cri_container_status *s)
{
	const struct v1_container *c = &p->pod->spec.containers.v[i];
	struct probe_results r = probes_of(p, s->id);
	bool restart = restarts_on_failure(p->pod, c);
	enum kill_reason reason = KILL_PLAIN;
	const char *what;

	if (definition_changed(c, s)) {
		what = "definition changed";
		restart = true;
	} else if (r.liveness == PROBE_FAILURE) {
		what = "failed liveness probe";
		reason = KILL_LIVENESS;
	} else if (r.startup == PROBE_FAILURE) {
		what = "failed startup probe";
		reason = KILL_STARTUP;
	} else {
		return true;
	}
	plan_kill(p, s, reason,
		arena_fmt(p->a, "Container " STR_FMT " %s%s", STR_ARG(c->name), what,
			restart ? ", will be restarted" : ""));
	if (restart)
		plan_start(p, CONTAINER_REGULAR, i);
	return false;
}

static void plan_containers(struct planner_state *p)
{
	const struct v1_pod_spec *spec = &p->pod->spec;
	size_t keep = 0, starts = 0;

	for (size_t i = 0; i < spec->containers.n; i++) {
		const struct v1_container *c = &spec->containers.v[i];
		const struct cri_container_status *s = observed_find(p->o, c->name);
		size_t before = p->plan->starts.n;

		if (s && s->state == CRI_RUNNING) {
			keep += plan_running(p, i, s);
			starts += p->plan->starts.n - before;
			continue;
		}
		if (!container_should_start(p->pod, c, p->o))
			continue;
		if (s && s->state == CRI_UNKNOWN)
			plan_kill(p, s, KILL_UNKNOWN_STATE,
				S("Container is in \"unknown\" state, try killing it before "
				  "restart"));
		plan_start(p, CONTAINER_REGULAR, i);
		starts++;
	}
	if (keep == 0 && starts == 0) {
		p->plan->kill_pod = true;
		p->plan->starts.n = 0;
	}
}

void pod_plan(const struct pod_plan_input *in, struct arena *a, struct pod_plan *ret)
{
	struct planner_state p = {in->pod, in->observed, in, a, ret};

	*ret = (struct pod_plan){0};
	if (sandbox_needed(in->pod, in->observed, &ret->attempt)) {
		plan_new_sandbox(&p);
		return;
	}
	for (size_t i = 0; i < in->pod->spec.ephemeral_containers.n; i++)
		if (!observed_find(in->observed, in->pod->spec.ephemeral_containers.v[i].name))
			plan_start(&p, CONTAINER_EPHEMERAL, i);
	if (!plan_init_containers(&p)) {
		if (ret->kill_pod)
			ret->starts.n = 0;
		return;
	}
	plan_containers(&p);
}
