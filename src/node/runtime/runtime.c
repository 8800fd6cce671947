/* runtime.c: the built-in runtime as a whole: what cri.h asks for, start and end. */
#include "node/runtime/runtime.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fs.h"

struct status_call {
	struct status_call *next;
	struct job job; /* who connects a pod just now holds the network's lock for a while */
	struct pod_network *network;
	bool network_ready;
	const char *why;
	void (*done)(void *user_data, bool runtime_ready, bool network_ready, struct str message,
		struct err *err);
	void *user_data;
};

static void status_run(struct job *job)
{
	struct status_call *s = container_of(job, struct status_call, job);

	s->network_ready = pod_network_ready(s->network, &s->why);
}

static void status_done(struct job *job)
{
	struct status_call *s = container_of(job, struct status_call, job);

	s->done(s->user_data, true, s->network_ready, str_c(s->why), NULL);
	free(s);
}

static void runtime_status(struct cri *c,
	void (*done)(void *user_data, bool runtime_ready, bool network_ready, struct str message,
		struct err *err),
	void *user_data)
{
	struct status_call *s = xcalloc(1, sizeof(*s));

	s->network = runtime_of(c)->network;
	s->why = "";
	s->done = done;
	s->user_data = user_data;
	if (runtime_of(c)->cidr_jobs) {
		s->next = runtime_of(c)->status_waiting;
		runtime_of(c)->status_waiting = s;
		return;
	}
	job_submit(runtime_of(c)->jobs, &s->job, status_run, status_done);
}

struct version_call {
	struct loop_task task;
	cri_id_done *done;
	void *user_data;
};

static void version_now(struct loop_task *t)
{
	struct version_call *v = container_of(t, struct version_call, task);

	v->done(v->user_data, S("sampan://" SAMPAN_VERSION), NULL);
	free(v);
}

static void runtime_version(struct cri *c, cri_id_done *done, void *user_data)
{
	struct version_call *v = xcalloc(1, sizeof(*v));

	*v = (struct version_call){{.fn = version_now}, done, user_data};
	loop_post(c->loop, &v->task);
}

static void runtime_free(struct cri *c);

static const struct cri_ops ops = {
	.name = "sampan",
	.version = runtime_version,
	.status = runtime_status,
	.run_sandbox = sandbox_run,
	.stop_sandbox = sandbox_stop,
	.remove_sandbox = sandbox_remove,
	.list_sandboxes = sandbox_list,
	.create_container = container_create,
	.start_container = container_start,
	.stop_container = container_stop,
	.remove_container = container_remove,
	.list_containers = container_list,
	.update_resources = container_update_resources,
	.reopen_log = container_reopen_log,
	.exec_sync = container_exec_sync,
	.stream = container_stream,
	.port_forward = sandbox_port_forward,
	.pull_image = images_pull,
	.image_status = images_status,
	.list_images = images_list,
	.remove_image = images_remove,
	.container_stats = container_stats,
	.free = runtime_free,
};

static int make_dirs(struct runtime *rt, const struct cri_runtime_opts *o, struct err *err)
{
	rt->base_dir = xstrdup(o->data_dir);
	rt->data_dir = xasprintf("%s/runtime", o->data_dir);
	rt->run_dir = xstrdup(o->run_dir);
	rt->sandboxes_dir = xasprintf("%s/sandboxes", rt->data_dir);
	rt->containers_dir = xasprintf("%s/containers", rt->data_dir);
	rt->run_sandboxes_dir = xasprintf("%s/sandboxes", rt->run_dir);
	rt->run_containers_dir = xasprintf("%s/containers", rt->run_dir);
	rt->exits_dir = xasprintf("%s/exits", rt->run_dir);
	rt->oci_dir = xasprintf("%s/oci", rt->run_dir);
	rt->images.dir = xasprintf("%s/images", rt->data_dir);
	rt->images.containers_dir = rt->containers_dir;
	const char *const dirs[] = {rt->sandboxes_dir, rt->containers_dir, rt->run_sandboxes_dir,
		rt->run_containers_dir, rt->exits_dir, rt->oci_dir};
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = fs_mkdirs(dirs[i], 0711);

		if (r < 0)
			return err_errno(err, -r, "cannot make %s", dirs[i]);
	}
	return image_store_prepare(&rt->images, err);
}

/* Frees addresses of sandboxes that went while we did not run. At once: nothing else uses the
 * network yet. */
static void collect_network(struct runtime *rt)
{
	struct arena a CLEANUP(arena_release);
	struct str_vec live = {0};

	arena_init(&a);
	for (struct sandbox *s = rt->sandboxes; s; s = s->next)
		if (s->st.ready)
			ARENA_PUSH(&a, &live, s->st.id);
	pod_network_gc(rt->network, &live);
}

int cri_runtime_new(
	struct loop *loop, const struct cri_runtime_opts *o, struct cri **ret, struct err *err)
{
	struct runtime *rt = xcalloc(1, sizeof(*rt));
	char *network_dir CLEANUP(free_ptr) = xasprintf("%s/network", o->data_dir);
	struct pod_network_opts network = {.state_dir = network_dir,
		.cni_conf_dir = o->cni_conf_dir,
		.cni_bin_dir = o->cni_bin_dir,
		.bridge = o->bridge,
		.mtu = o->mtu};
	int r;

	rt->cri.ops = &ops;
	rt->registry_mirrors = o->registry_mirrors ? xstrdup(o->registry_mirrors) : NULL;
	rt->cri.loop = loop;
	rt->jobs = jobs_new(loop, JOBS_MAX);
	r = make_dirs(rt, o, err);
	if (r == 0)
		r = pod_network_new(&network, &rt->network, err);
	if (r == 0)
		r = pod_network_set_cidr(rt->network, o->pod_cidr, err);
	if (r == 0)
		r = oci_runtime_probe(o->oci_runtime, o->conmon, rt->oci_dir, &rt->oci, err);
	if (r < 0) {
		runtime_free(&rt->cri);
		return r;
	}
	sandboxes_load(rt);
	containers_load(rt);
	collect_network(rt);
	*ret = &rt->cri;
	return 0;
}

struct pod_network *cri_runtime_network(struct cri *c)
{
	return runtime_of(c)->network;
}

struct cidr_job {
	struct job job;
	struct runtime *runtime;
	struct str cidr;
	struct arena arena;
};

static void cidr_run(struct job *job)
{
	struct cidr_job *j = container_of(job, struct cidr_job, job);
	struct err err CLEANUP(err_release) = {0};

	if (pod_network_set_cidr(j->runtime->network, j->cidr, &err) < 0)
		log_warn("runtime: pod CIDR " STR_FMT ": %s", STR_ARG(j->cidr), err_text(&err));
}

static void cidr_done(struct job *job)
{
	struct cidr_job *j = container_of(job, struct cidr_job, job);
	struct runtime *rt = j->runtime;

	arena_release(&j->arena);
	free(j);
	rt->cidr_jobs--;
	while (rt->cidr_jobs == 0 && rt->status_waiting) {
		struct status_call *s = rt->status_waiting;

		rt->status_waiting = s->next;
		job_submit(rt->jobs, &s->job, status_run, status_done);
	}
}

void cri_runtime_set_pod_cidr(struct cri *c, struct str pod_cidr)
{
	struct runtime *rt = runtime_of(c);
	struct cidr_job *j = xcalloc(1, sizeof(*j));

	arena_init(&j->arena);
	j->runtime = rt;
	j->cidr = arena_str(&j->arena, pod_cidr);
	rt->cidr_jobs++;
	job_submit(rt->jobs, &j->job, cidr_run, cidr_done);
}

static void free_tables(struct runtime *rt)
{
	while (rt->status_waiting) {
		struct status_call *s = rt->status_waiting;

		rt->status_waiting = s->next;
		free(s);
	}
	while (rt->containers) {
		struct container *c = rt->containers;

		rt->containers = c->next;
		container_forget(c);
		container_unref(c);
	}
	while (rt->sandboxes) {
		struct sandbox *s = rt->sandboxes;

		rt->sandboxes = s->next;
		sandbox_unref(s);
	}
}

/* Containers go on without us. */
static void runtime_free(struct cri *c)
{
	struct runtime *rt = runtime_of(c);

	jobs_free(rt->jobs);
	free_tables(rt);
	images_free(rt);
	pod_network_free(rt->network);
	oci_runtime_release(&rt->oci);
	free(rt->base_dir);
	free(rt->registry_mirrors);
	free(rt->data_dir);
	free(rt->run_dir);
	free(rt->sandboxes_dir);
	free(rt->containers_dir);
	free(rt->run_sandboxes_dir);
	free(rt->run_containers_dir);
	free(rt->exits_dir);
	free(rt->oci_dir);
	free((char *)rt->images.dir);
	free(rt);
}
