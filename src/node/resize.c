/*
 * resize.c: in-place resize: brings changed requests and limits to running containers: the pod's
 * cgroup is widened, each container updated or restarted as its resizePolicy says, then the pod's
 * cgroup is set to the new sum.
 */
#include <stdio.h>

#include "node/container_config.h"
#include "node/pod.h"
#include "node/resources.h"

enum { RETRY_MS = 5000 };

struct pod_resize {
	bool busy, widened;
	int64_t retry_ms; /* Unix ms, after a failure */
	char *error;
	struct k8s_time since;
};

/* 0: none. The kernel says "none" as a number near 2^63. */
static int64_t limit_of(int64_t v)
{
	return v <= 0 || v > (INT64_C(1) << 60) ? 0 : v;
}

static bool cpu_differs(const struct cri_resources *now, const struct cri_resources *want)
{
	return now->cpu_shares != want->cpu_shares ||
	       limit_of(now->cpu_quota) != limit_of(want->cpu_quota);
}

static bool memory_differs(const struct cri_resources *now, const struct cri_resources *want)
{
	return limit_of(now->memory_limit) != limit_of(want->memory_limit);
}

/* A container whose limits are not as the spec wants them; *ret_want is what it should have. */
static const struct cri_container_status *next_to_resize(struct pod *p, const struct v1_pod *spec,
	const struct v1_container **ret_container, struct cri_resources *ret_want)
{
	const struct v1_container *c;

	for (int kind = CONTAINER_REGULAR; kind <= CONTAINER_INIT; kind++) {
		for (size_t i = 0; (c = pod_container_at(spec, kind, i)); i++) {
			const struct cri_container_status *s = observed_find(&p->observed, c->name);

			if (kind == CONTAINER_INIT && !container_is_sidecar(c))
				continue;
			if (!s || s->state != CRI_RUNNING || s->resources.cpu_shares <= 0)
				continue; /* a runtime that does not tell */
			*ret_want = container_resources(p, spec, c);
			*ret_container = c;
			if (cpu_differs(&s->resources, ret_want) ||
				memory_differs(&s->resources, ret_want))
				return s;
		}
	}
	return NULL;
}

static bool wants_restart(const struct v1_container *c, const struct cri_resources *now,
	const struct cri_resources *want)
{
	for (size_t i = 0; i < c->resize_policy.n; i++) {
		const struct v1_container_resize_policy *r = &c->resize_policy.v[i];

		if (!str_eq(r->restart_policy, S("RestartContainer")))
			continue;
		if (str_eq(r->resource_name, S("cpu")) ? cpu_differs(now, want)
						       : memory_differs(now, want))
			return true;
	}
	return false;
}

const struct v1_pod_condition_vec *pod_resize_conditions(
	struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	struct v1_pod_condition_vec *v;
	const struct v1_container *c;
	struct cri_resources want;
	struct v1_pod_condition cond = {
		.type = S("PodResizeInProgress"),
		.status = S("True"),
		.observed_generation = spec->metadata.generation,
	};

	if (p->state != POD_SYNCING || !next_to_resize(p, spec, &c, &want)) {
		if (p->resize)
			p->resize->since = (struct k8s_time){0};
		return NULL;
	}
	if (!p->resize)
		p->resize = xcalloc(1, sizeof(*p->resize));
	if (!p->resize->since.set)
		p->resize->since = k8s_time_of_ns(loop_wall_ns(p->k->loop));
	cond.last_transition_time = p->resize->since;
	if (p->resize->error) {
		cond.reason = S("Error");
		cond.message = arena_strc(a, p->resize->error);
	}
	v = ARENA_NEW(a, struct v1_pod_condition_vec);
	ARENA_PUSH(a, v, cond);
	return v;
}

static void updated(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	set_string(&p->resize->error, err ? str_c(err_text(err)) : (struct str){0});
	if (err) {
		pod_event(p, (struct str){0}, "Warning", "ResizeError", "%s", err_text(err));
		p->resize->retry_ms = loop_wall_ns(p->k->loop) / 1000000 + RETRY_MS;
	}
	p->resize->busy = false;
	pod_look_again(p);
	pod_ops_end(p);
}

/* As wide as both the old and the new sums need it. */
static void widen(struct pod *p, const struct v1_pod *spec)
{
	struct pod_sums sums = pod_resource_sums(spec);

	p->resize->widened = true;
	sums.cpu_limit_milli = 0;
	sums.memory_limit = 0;
	(void)cgroup_pod_make(&p->k->cgroups, p->cgroup, &sums, NULL);
}

static void restart(struct pod *p, const struct v1_pod *spec, const struct cri_container_status *s)
{
	char message[320];
	struct kill_request r = {.id = s->id, .name = s->name, .grace_override_s = -1};

	if (pod_memory(p, s->name)->kill)
		return;
	snprintf(message, sizeof(message), "Container " STR_FMT " resize requires restart",
		STR_ARG(s->name));
	r.message = str_c(message);
	pod_memory(p, s->name)->restarting = true;
	pod_kill_container(p, spec, &r);
}

void pod_resize_sync(struct pod *p, const struct v1_pod *spec)
{
	struct pod_sums sums = pod_resource_sums(spec);
	const struct cri_container_status *s;
	const struct v1_container *c;
	struct cri_resources want;
	int64_t now_ms = loop_wall_ns(p->k->loop) / 1000000;

	if (!p->resize)
		p->resize = xcalloc(1, sizeof(*p->resize));
	if (p->resize->busy)
		return;
	s = next_to_resize(p, spec, &c, &want);
	if (!s) {
		if (p->resize->widened)
			(void)cgroup_pod_make(&p->k->cgroups, p->cgroup, &sums, NULL);
		p->resize->widened = false;
		return;
	}
	if (now_ms < p->resize->retry_ms) {
		pod_wake_in(p, p->resize->retry_ms - now_ms);
		return;
	}
	if (!p->resize->widened)
		widen(p, spec);
	if (wants_restart(c, &s->resources, &want)) {
		restart(p, spec, s);
		return;
	}
	p->resize->busy = true;
	pod_ops_begin(p);
	p->k->cri->ops->update_resources(p->k->cri, s->id, &want, updated, p);
}

void pod_resize_free(struct pod *p)
{
	if (p->resize)
		free(p->resize->error);
	free(p->resize);
	p->resize = NULL;
}
