/* pods.c: the table of pods: what comes from the API, and waking. */
#include <stdio.h>

#include "node/pod.h"

/* --- one pod --- */

static void task_ran(struct loop_task *t)
{
	struct pod *p = container_of(t, struct pod, task);

	p->queued = false;
	pod_work(p);
}

static void timer_fired(struct loop_timer *t)
{
	pod_wake(container_of(t, struct pod, timer));
}

static void volumes_changed(void *user_data)
{
	pod_wake(user_data);
}

static void volumes_failed(void *user_data, struct str message)
{
	pod_event(user_data, (struct str){0}, "Warning", "FailedMount", STR_FMT, STR_ARG(message));
}

struct pod *pod_new(struct kubelet *k, struct str ns, struct str name, struct str uid)
{
	struct pod *p = xcalloc(1, sizeof(*p));

	p->k = k;
	p->fail_grace_s = -1;
	p->seen_ms = loop_now_ms(k->loop);
	arena_init(&p->names);
	p->ns = arena_str(&p->names, ns);
	p->name = arena_str(&p->names, name);
	p->uid = arena_str(&p->names, uid);
	p->task.fn = task_ran;
	arena_init(&p->observed.arena);
	loop_timer_init(&p->timer, k->loop, timer_fired);
	p->volumes = volumes_new(&(struct volumes_owner){.k = k,
		.user_data = p,
		.uid = p->uid,
		.ns = p->ns,
		.name = p->name,
		.changed = volumes_changed,
		.failed = volumes_failed});
	p->status = status_writer_new(p);
	p->next = k->pods;
	k->pods = p;
	return p;
}

static void memory_free(struct container_memory *m)
{
	free(m->name);
	free(m->wait_reason);
	free(m->wait_message);
	free(m->message_id);
	free(m->message);
	free(m->image_error);
	free(m->probes_id);
	free(m);
}

void pod_free(struct pod *p)
{
	struct pod **at = &p->k->pods;

	assert(p->ops == 0 && !p->queued);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	probes_stop(p, true);
	loop_timer_stop(&p->timer);
	while (p->containers) {
		struct container_memory *m = p->containers;

		p->containers = m->next;
		memory_free(m);
	}
	volumes_free(p->volumes);
	status_writer_free(p->status);
	observed_release(&p->observed);
	object_unref(p->object);
	pod_resize_free(p);
	free(p->fail_reason);
	free(p->fail_message);
	arena_release(&p->names);
	free(p);
}

void pod_wake(struct pod *p)
{
	if (p->queued || p->k->stopping)
		return;
	p->queued = true;
	loop_post(p->k->loop, &p->task);
}

void pod_wake_in(struct pod *p, int64_t delay_ms)
{
	int64_t due = loop_now_ms(p->k->loop) + MAX(delay_ms, 1);

	if (!loop_timer_armed(&p->timer) || p->timer.due_ms > due)
		loop_timer_start(&p->timer, MAX(delay_ms, 1));
}

void pod_ops_begin(struct pod *p)
{
	p->ops++;
}

void pod_ops_end(struct pod *p)
{
	assert(p->ops > 0);
	p->ops--;
	pod_wake(p);
}

void pod_look_again(struct pod *p)
{
	p->need_relist = relist_request(p->k->relist);
}

void set_string(char **to, struct str s)
{
	free(*to);
	*to = NULL;
	if (!s.p)
		return;
	*to = xmalloc(s.n + 1);
	memcpy(*to, s.p, s.n);
	(*to)[s.n] = 0;
}

struct container_memory *pod_memory(struct pod *p, struct str name)
{
	struct container_memory *m = p->containers;

	while (m && !str_eqc(name, m->name))
		m = m->next;
	if (m)
		return m;
	m = xcalloc(1, sizeof(*m));
	m->pod = p;
	set_string(&m->name, name);
	m->next = p->containers;
	p->containers = m;
	return m;
}

void pod_set_waiting(struct container_memory *m, const char *reason, struct str message)
{
	set_string(&m->wait_reason, str_c(reason));
	set_string(&m->wait_message, message);
}

void pod_fail(struct pod *p, const char *reason, struct str message)
{
	if (p->fail_reason)
		return;
	set_string(&p->fail_reason, str_c(reason));
	set_string(&p->fail_message, message);
	pod_wake(p);
}

struct v1_pod *pod_decode(const struct pod *p, struct arena *a)
{
	return p->object ? object_decode(p->object, a) : NULL;
}

struct pod_facts pod_facts(const struct pod *p, const struct v1_pod *spec, struct arena *a)
{
	const struct cri_sandbox_status *sb = observed_ready_sandbox(&p->observed);
	struct pod_facts f = {.pod = spec, .host_ips = p->k->node_ips};

	f.pod_ips = spec->spec.host_network ? p->k->node_ips : sb ? sb->ips : (struct str_vec){0};
	f.allocatable = node_allocatable(p->k, a);
	return f;
}

struct str pod_log_dir(const struct pod *p, struct arena *a)
{
	return arena_fmt(a, "%s/" STR_FMT "_" STR_FMT "_" STR_FMT, p->k->opts.pod_log_dir,
		STR_ARG(p->ns), STR_ARG(p->name), STR_ARG(p->uid));
}

struct str pod_text(const struct pod *p, struct arena *a)
{
	return arena_fmt(a, STR_FMT "_" STR_FMT "(" STR_FMT ")", STR_ARG(p->name), STR_ARG(p->ns),
		STR_ARG(p->uid));
}

/* --- the table --- */

struct pod *pod_by_uid(struct kubelet *k, struct str uid)
{
	struct pod *p = k->pods;

	while (p && !str_eq(p->uid, uid))
		p = p->next;
	return p;
}

struct pod *pod_by_name(struct kubelet *k, struct str ns, struct str name)
{
	struct pod *best = NULL;

	for (struct pod *p = k->pods; p; p = p->next)
		if (str_eq(p->name, name) && str_eq(p->ns, ns) &&
			(!best || (best->gone && !p->gone)))
			best = p;
	return best;
}

void pods_wake_all(struct kubelet *k)
{
	for (struct pod *p = k->pods; p; p = p->next)
		pod_wake(p);
}

void pods_object_changed(
	struct kubelet *k, const struct schema_resource *res, struct str ns, struct str name)
{
	for (struct pod *p = k->pods; p; p = p->next) {
		if (!str_eq(p->ns, ns))
			continue;
		volumes_object_changed(p->volumes, res, name);
		pod_wake(p);
	}
}

/* The mirror of a static pod is only looked at: the manifest says what runs. */
static bool is_mirror(const struct object *o)
{
	struct arena a;
	struct meta_v1_object_meta *m;
	bool mirror;

	if (memmem(o->json.p, o->json.n, "kubernetes.io/config.mirror", 27) == NULL)
		return false;
	arena_init(&a);
	m = object_meta(o, &a);
	mirror = str_map_get(&m->annotations, S("kubernetes.io/config.mirror")) != NULL;
	arena_release(&a);
	return mirror;
}

void pods_on_event(void *user_data, const struct store_event *ev)
{
	struct kubelet *k = user_data;
	const struct object *o = ev->object;
	struct pod *p;

	if (is_mirror(o)) {
		static_pods_mirror_event(k, ev);
		return;
	}
	p = pod_by_uid(k, o->uid);
	if (ev->type == STORE_DELETED) {
		if (!p)
			return;
		p->gone = true;
	} else {
		if (!p) {
			p = pod_new(k, o->ns, o->name, o->uid);
			/* Later on, the runtime has nothing that belongs to no pod. */
			if (!k->pods_synced || relist_done(k->relist) == 0)
				pod_look_again(p);
		}
		object_unref(p->object);
		p->object = object_ref(o);
		p->gone = false;
	}
	pod_wake(p);
}

void pods_on_synced(struct kubelet *k)
{
	k->pods_synced = true;
	relist_request(k->relist);
	pods_wake_all(k);
}
