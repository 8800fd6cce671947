/* container_start.c: the way of a container into being: images, environment, create, start,
 * postStart. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/container_config.h"
#include "node/handler.h"
#include "node/images.h"
#include "node/pod.h"
#include "node/volumes/files.h"

enum { RETRY_MS = 5000, HOOK_TIMEOUT_MS = 3600 * 1000 };

enum stage { STAGE_IMAGE, STAGE_ENV, STAGE_CREATE, STAGE_START, STAGE_HOOK };

struct start_op {
	struct pod *pod;
	struct arena arena;
	const struct v1_pod *spec; /* of the arena, as all below */
	const struct v1_container *container;
	enum container_kind kind;
	enum stage stage;
	bool cancelled;
	struct container_memory *memory;
	struct cri_sandbox_config sandbox_cfg;
	struct str sandbox_id, id;
	struct cri_image image;
	size_t volume_at; /* image volumes */
	struct env_refs refs;
	size_t ref_at;
	int restart_count;
};

static void end(struct start_op *op)
{
	struct pod *p = op->pod;

	if (p->starting == op)
		p->starting = NULL;
	op->memory->restarting = false;
	arena_release(&op->arena);
	free(op);
	pod_ops_end(p);
}

static void fail(struct start_op *op, const char *reason, struct str message)
{
	struct container_memory *m = op->memory;
	int64_t now = loop_wall_ns(op->pod->k->loop) / 1000000;

	pod_set_waiting(m, reason, message);
	m->failed = true;
	m->retry_ms = now + RETRY_MS;
	if (m->image.delay_ms &&
		(strcmp(reason, "ErrImagePull") == 0 || strcmp(reason, "ImagePullBackOff") == 0)) {
		int64_t left = m->image.updated_ms + m->image.delay_ms - now;

		/* Said once more as back-off soon, then when it is over or again now and then. */
		if (strcmp(reason, "ImagePullBackOff") == 0)
			m->retry_ms = now + MAX(MIN(left + 1, 15000), 1000);
	}
	end(op);
}

static bool cancelled(struct start_op *op)
{
	if (!op->cancelled)
		return false;
	end(op);
	return true;
}

bool pod_cancel_start(struct pod *p)
{
	struct start_op *op = p->starting;

	if (op->stage == STAGE_CREATE || op->stage == STAGE_START)
		return false;
	op->cancelled = true; /* it ends at its next step */
	p->starting = NULL;
	return true;
}

/* --- postStart --- */

static void hook_done(void *user_data, enum handler_result result, struct str output)
{
	struct start_op *op = user_data;
	struct pod *p = op->pod;

	if (op->cancelled) {
		end(op);
		return;
	}
	if (result == HANDLER_OK) {
		end(op);
		return;
	}
	pod_event(p, op->container->name, "Warning", "FailedPostStartHook", "PostStartHook failed");
	if (!op->memory->kill)
		pod_kill_container(p, op->spec,
			&(struct kill_request){.id = op->id,
				.name = op->container->name,
				.message = S("FailedPostStartHook"),
				.reason = KILL_POST_START,
				.grace_override_s = -1});
	fail(op, "PostStartHookError",
		arena_fmt(&op->arena, "PostStart hook failed: " STR_FMT, STR_ARG(output)));
}

static void run_hook(struct start_op *op)
{
	const struct v1_lifecycle_handler *h =
		op->container->lifecycle ? op->container->lifecycle->post_start : NULL;
	struct str_vec ips = pod_facts(op->pod, op->spec, &op->arena).pod_ips;

	if (!h) {
		end(op);
		return;
	}
	op->stage = STAGE_HOOK;
	handler_run(op->pod->k, &(struct handler_request){.exec = h->exec,
					.http_get = h->http_get,
					.tcp_socket = h->tcp_socket,
					.sleep = h->sleep,
					.container = op->container,
					.container_id = op->id,
					.pod_ip = ips.n ? ips.v[0] : S(""),
					.timeout_ms = HOOK_TIMEOUT_MS,
					.user_data = op,
					.done = hook_done});
}

/* --- create and start --- */

static void link_log(struct start_op *op)
{
	struct arena *a = &op->arena;
	struct str log = arena_fmt(a, STR_FMT "/" STR_FMT "/%d.log",
		STR_ARG(pod_log_dir(op->pod, a)), STR_ARG(op->container->name), op->restart_count);
	struct str dir = arena_fmt(a, "%s/../containers", op->pod->k->opts.pod_log_dir);

	if (files_make_dir(dir.p, 0755) == 0)
		(void)!symlink(log.p,
			arena_fmt(a, STR_FMT "/" STR_FMT "_" STR_FMT "_" STR_FMT "-" STR_FMT ".log",
				STR_ARG(dir), STR_ARG(op->pod->name), STR_ARG(op->pod->ns),
				STR_ARG(op->container->name), STR_ARG(op->id))
				.p);
}

static void started(void *user_data, struct err *err)
{
	struct start_op *op = user_data;
	struct container_memory *m = op->memory;
	int64_t now = loop_wall_ns(op->pod->k->loop) / 1000000;

	pod_look_again(op->pod);
	if (err) {
		struct str text = arena_strc(&op->arena, err_text(err));

		pod_event(op->pod, op->container->name, "Warning", "Failed", "Error: " STR_FMT,
			STR_ARG(text));
		backoff_next(&m->crash, now, now);
		fail(op, "RunContainerError", text);
		return;
	}
	meter_container_started(&op->pod->k->meter, op->kind);
	op->memory->restarting = false; /* told once the runtime shows it */
	pod_event(op->pod, op->container->name, "Normal", "Started", "Container started");
	if (op->pod->seen_ms)
		meter_pod_started(
			&op->pod->k->meter, loop_now_ms(op->pod->k->loop) - op->pod->seen_ms);
	op->pod->seen_ms = 0;
	pod_set_waiting(m, NULL, (struct str){0});
	m->failed = false;
	link_log(op);
	pod_wake(op->pod);
	run_hook(op);
}

static void created(void *user_data, struct str id, struct err *err)
{
	struct start_op *op = user_data;

	if (err) {
		struct str text = arena_strc(&op->arena, err_text(err));

		pod_event(op->pod, op->container->name, "Warning", "Failed", "Error: " STR_FMT,
			STR_ARG(text));
		pod_look_again(op->pod);
		fail(op, "CreateContainerError", text);
		return;
	}
	op->id = arena_str(&op->arena, id);
	pod_event(op->pod, op->container->name, "Normal", "Created", "Container created");
	op->stage = STAGE_START;
	op->pod->k->cri->ops->start_container(op->pod->k->cri, op->id, started, op);
}

/* The newest log file's number and one more, for a container that the runtime has forgotten. */
static int count_from_logs(struct start_op *op)
{
	struct str dir = arena_fmt(&op->arena, STR_FMT "/" STR_FMT,
		STR_ARG(pod_log_dir(op->pod, &op->arena)), STR_ARG(op->container->name));
	DIR *d = opendir(dir.p);
	struct dirent *e;
	int n = 0, at;

	while (d && (e = readdir(d)))
		if (sscanf(e->d_name, "%d.log", &at) == 1 && at >= n)
			n = at + 1;
	if (d)
		closedir(d);
	return n;
}

static struct str target_of(struct start_op *op, struct err *err)
{
	const struct v1_ephemeral_container *e = (const void *)op->container;
	const struct cri_container_status *s;

	if (op->kind != CONTAINER_EPHEMERAL || str_empty(e->target_container_name))
		return S("");
	s = observed_find(&op->pod->observed, e->target_container_name);
	if (!s || s->state != CRI_RUNNING)
		err_bad_request(err, "unable to find target container " STR_FMT,
			STR_ARG(e->target_container_name));
	return s ? s->id : S("");
}

static void create(struct start_op *op, struct cri_key_values env)
{
	const struct cri_container_status *before =
		observed_find(&op->pod->observed, op->container->name);
	struct err err CLEANUP(err_release) = {0};
	struct cri_container_config cfg;
	struct container_config_input in = {
		.pod = op->pod,
		.spec = op->spec,
		.container = op->container,
		.kind = op->kind,
		.image = &op->image,
		.env = env,
	};

	in.restart_count = op->restart_count =
		before ? cri_restart_count(before) + 1 : count_from_logs(op);
	in.target_id = target_of(op, &err);
	if (err_set(&err) || container_config(&in, &op->arena, &cfg, &err) < 0) {
		struct str text = arena_strc(&op->arena, err_text(&err));

		pod_event(op->pod, op->container->name, "Warning", "Failed", "Error: " STR_FMT,
			STR_ARG(text));
		fail(op, "CreateContainerConfigError", text);
		return;
	}
	op->stage = STAGE_CREATE;
	op->pod->k->cri->ops->create_container(
		op->pod->k->cri, op->sandbox_id, &cfg, &op->sandbox_cfg, created, op);
}

/* --- environment --- */

static void services_of(struct start_op *op, struct v1_service_vec *ret)
{
	struct snapshot *s = client_snapshot(op->pod->k->client, &v1_service_resource);
	struct snapshot_iter it;
	const struct object *o;

	*ret = (struct v1_service_vec){0};
	if (!s)
		return;
	snapshot_iter_init(&it, s, op->pod->ns, S(""), S(""));
	while ((o = snapshot_next(&it)) && str_eq(o->ns, op->pod->ns))
		ARENA_PUSH(&op->arena, ret,
			*(struct v1_service *)object_decode(
				object_ref_in(&op->arena, o), &op->arena));
	o = snapshot_get(s, S("default"), S("kubernetes"));
	if (o && !str_eq(op->pod->ns, S("default")))
		ARENA_PUSH(&op->arena, ret,
			*(struct v1_service *)object_decode(
				object_ref_in(&op->arena, o), &op->arena));
	snapshot_unref(s);
}

static void make_env(struct start_op *op)
{
	struct err err CLEANUP(err_release) = {0};
	struct v1_service_vec services;
	struct cri_key_values env;
	struct env_input in = {
		.facts = pod_facts(op->pod, op->spec, &op->arena),
		.container = op->container,
		.refs = op->refs,
		.services = &services,
	};

	services_of(op, &services);
	if (env_make(&in, &op->arena, &env, &err) < 0) {
		struct str text = arena_strc(&op->arena, err_text(&err));

		pod_event(op->pod, op->container->name, "Warning", "Failed", "Error: " STR_FMT,
			STR_ARG(text));
		fail(op, "CreateContainerConfigError", text);
		return;
	}
	create(op, env);
}

static struct str_map *copy_map(struct arena *a, const struct str_map *m)
{
	struct str_map *out = ARENA_NEW(a, struct str_map);

	for (size_t i = 0; i < m->n; i++) {
		struct str_pair p = {arena_str(a, m->v[i].key), arena_str(a, m->v[i].value)};

		if (!p.value.p)
			p.value = S("");
		ARENA_PUSH(a, out, p);
	}
	return out;
}

static void next_reference(struct start_op *op);

static void got_reference(void *user_data, const void *typed, struct err *err)
{
	struct start_op *op = user_data;
	struct env_ref *r = &op->refs.v[op->ref_at];
	const struct v1_secret *secret = typed;
	const struct v1_config_map *map = typed;

	if (cancelled(op))
		return;
	if (!typed && err->code != 404) {
		struct str text = arena_strc(&op->arena, err_text(err));

		pod_event(op->pod, op->container->name, "Warning", "Failed", "Error: " STR_FMT,
			STR_ARG(text));
		fail(op, "CreateContainerConfigError", text);
		return;
	}
	if (typed)
		r->data = copy_map(&op->arena, r->secret ? &secret->data : &map->data);
	op->ref_at++;
	next_reference(op);
}

static void next_reference(struct start_op *op)
{
	const struct env_ref *r;

	op->stage = STAGE_ENV;
	if (op->ref_at == op->refs.n) {
		make_env(op);
		return;
	}
	r = &op->refs.v[op->ref_at];
	objects_get(op->pod->k->objects, r->secret ? &v1_secret_resource : &v1_config_map_resource,
		op->pod->ns, r->name, got_reference, op);
}

/* --- images --- */

static const struct v1_image_volume_source *next_image_volume(struct start_op *op)
{
	for (; op->volume_at < op->container->volume_mounts.n; op->volume_at++) {
		struct str name = op->container->volume_mounts.v[op->volume_at].name;

		for (size_t i = 0; i < op->spec->spec.volumes.n; i++)
			if (op->spec->spec.volumes.v[i].image &&
				str_eq(op->spec->spec.volumes.v[i].name, name))
				return op->spec->spec.volumes.v[i].image;
	}
	return NULL;
}

static void ensure_next(struct start_op *op);

static void volume_image_there(
	void *user_data, const struct cri_image *image, const char *reason, struct str message)
{
	struct start_op *op = user_data;

	(void)image;
	if (cancelled(op))
		return;
	if (reason) {
		fail(op, reason, message);
		return;
	}
	op->volume_at++;
	ensure_next(op);
}

static void image_there(
	void *user_data, const struct cri_image *image, const char *reason, struct str message)
{
	struct start_op *op = user_data;

	if (cancelled(op))
		return;
	if (reason) {
		fail(op, reason, message);
		return;
	}
	op->image = (struct cri_image){
		.id = arena_str(&op->arena, image->id),
		.uid = image->uid,
		.username = arena_str(&op->arena, image->username),
	};
	ensure_next(op);
}

static void ensure_next(struct start_op *op)
{
	struct image_request r = {
		.pod = op->pod,
		.spec = op->spec,
		.sandbox_cfg = &op->sandbox_cfg,
		.memory = op->memory,
		.container = op->container->name,
		.user_data = op,
	};
	const struct v1_image_volume_source *v;

	if (str_empty(op->image.id)) {
		r.image = op->container->image;
		r.policy = op->container->image_pull_policy;
		r.done = image_there;
		image_ensure(&r);
		return;
	}
	v = next_image_volume(op);
	if (!v) {
		next_reference(op);
		return;
	}
	r.image = v->reference;
	r.policy = v->pull_policy;
	r.done = volume_image_there;
	image_ensure(&r);
}

void pod_start_container(
	struct pod *p, const struct v1_pod *spec, enum container_kind kind, size_t index)
{
	const struct cri_sandbox_status *sb = observed_ready_sandbox(&p->observed);
	struct start_op *op = xcalloc(1, sizeof(*op));

	arena_init(&op->arena);
	op->pod = p;
	op->spec = pod_decode(p, &op->arena);
	object_ref_in(&op->arena, p->object); /* the strings are views into it */
	op->kind = kind;
	op->container = pod_container_at(op->spec, kind, index);
	op->memory = pod_memory(p, op->container->name);
	op->sandbox_id = arena_str(&op->arena, sb->id);
	op->sandbox_cfg = sandbox_config(p, op->spec, sb->attempt, &op->arena);
	op->refs = env_references(op->container, &op->arena);
	(void)spec;
	p->starting = op;
	pod_ops_begin(p);
	ensure_next(op);
}
