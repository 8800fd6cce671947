/* resize.c: in-place resize: brings changed requests and limits to running containers. */
#include "node/container_config.h"
#include "node/pod.h"
#include "node/resources.h"

struct pod_resize {
	bool busy;
};

const struct v1_pod_condition_vec *pod_resize_conditions(
	struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	(void)p, (void)spec, (void)a;
	return NULL;
}

static void updated(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err)
		log_warn("pod " STR_FMT "/" STR_FMT ": resizing: %s", STR_ARG(p->ns),
			STR_ARG(p->name), err_text(err));
	p->resize->busy = false;
	pod_look_again(p);
	pod_ops_end(p);
}

static bool differs(const struct cri_resources *now, const struct cri_resources *want)
{
	return (now->cpu_shares > 0 && now->cpu_shares != want->cpu_shares) ||
	       (now->cpu_period > 0 && now->cpu_quota != want->cpu_quota &&
		       !(now->cpu_quota <= 0 && want->cpu_quota <= 0)) ||
	       now->memory_limit != want->memory_limit;
}

void pod_resize_sync(struct pod *p, const struct v1_pod *spec)
{
	const struct v1_container *c;

	if (!p->resize)
		p->resize = xcalloc(1, sizeof(*p->resize));
	for (size_t i = 0; (c = pod_container_at(spec, CONTAINER_REGULAR, i)) && !p->resize->busy;
		i++) {
		const struct cri_container_status *s = observed_find(&p->observed, c->name);
		struct cri_resources want = container_resources(p, spec, c);
		struct pod_sums sums = pod_resource_sums(spec);

		if (!s || s->state != CRI_RUNNING || !differs(&s->resources, &want))
			continue;
		cgroup_pod_make(&p->k->cgroups, p->cgroup, &sums, NULL);
		p->resize->busy = true;
		pod_ops_begin(p);
		p->k->cri->ops->update_resources(p->k->cri, s->id, &want, updated, p);
	}
}
