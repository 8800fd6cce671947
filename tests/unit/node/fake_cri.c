/* fake_cri.c: included by the tests that use it. */
#include <stdio.h>

#include "fake_cri.h"
#include "node/observed.h"

enum { FAKE_MAX = 64 };

struct fake {
	struct cri cri;
	struct arena arena;
	struct cri_sandbox_status sandboxes[FAKE_MAX];
	size_t n_sandboxes;
	struct cri_container_status containers[FAKE_MAX];
	size_t n_containers;
	const char *fail_call;
	struct str fail_message;
	struct buf calls;
};

struct answer { /* on a later turn */
	struct loop_task task;
	struct fake *f;
	void *done, *user_data;
	struct err err;
	char id[32];
	int kind;
};

enum {
	ANSWER_DONE,
	ANSWER_ID,
	ANSWER_SANDBOXES,
	ANSWER_CONTAINERS,
	ANSWER_IMAGES,
	ANSWER_EXEC,
	ANSWER_STATUS
};

static void answer(struct loop_task *t)
{
	struct answer *a = container_of(t, struct answer, task);
	struct err *err = err_set(&a->err) ? &a->err : NULL;
	static const struct cri_image image = {.id = {"sha256:1", 8}, .size = 1234, .uid = -1};

	switch (a->kind) {
	case ANSWER_DONE:
		((cri_done *)a->done)(a->user_data, err);
		break;
	case ANSWER_ID:
		((cri_id_done *)a->done)(a->user_data, str_c(a->id), err);
		break;
	case ANSWER_SANDBOXES:
		((cri_sandboxes_done *)a->done)(
			a->user_data, a->f->sandboxes, a->f->n_sandboxes, err);
		break;
	case ANSWER_CONTAINERS:
		((cri_containers_done *)a->done)(
			a->user_data, a->f->containers, a->f->n_containers, err);
		break;
	case ANSWER_IMAGES:
		((cri_images_done *)a->done)(a->user_data, &image, 1, err);
		break;
	case ANSWER_EXEC:
		((cri_exec_done *)a->done)(a->user_data, 0, S(""), S(""), err);
		break;
	case ANSWER_STATUS:
		((void (*)(void *, bool, bool, struct str, struct err *))a->done)(
			a->user_data, true, true, S(""), err);
		break;
	}
	err_release(&a->err);
	free(a);
}

static bool later(
	struct cri *c, const char *call, int kind, void *done, void *user_data, const char *id)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct answer *a = xcalloc(1, sizeof(*a));

	a->f = f;
	a->kind = kind;
	a->done = done;
	a->user_data = user_data;
	snprintf(a->id, sizeof(a->id), "%s", id);
	if (f->fail_call && strcmp(f->fail_call, call) == 0) {
		err_internal(&a->err, STR_FMT, STR_ARG(f->fail_message));
		f->fail_call = NULL;
	}
	bool ok = !err_set(&a->err);

	a->task.fn = answer;
	loop_post(c->loop, &a->task);
	return ok;
}

static void note(struct fake *f, const char *call, struct str what)
{
	buf_fmt(&f->calls, "%s%s%s" STR_FMT, f->calls.n ? " " : "", call, what.n ? ":" : "",
		STR_ARG(what));
}

static struct cri_container_status *by_id(struct fake *f, struct str id)
{
	for (size_t i = 0; i < f->n_containers; i++)
		if (str_eq(f->containers[i].id, id))
			return &f->containers[i];
	return NULL;
}

static void fake_version(struct cri *c, cri_id_done *done, void *ud)
{
	later(c, "version", ANSWER_ID, done, ud, "fake://1");
}

static void fake_status(
	struct cri *c, void (*done)(void *, bool, bool, struct str, struct err *), void *ud)
{
	later(c, "status", ANSWER_STATUS, done, ud, "");
}

static void fake_run_sandbox(
	struct cri *c, const struct cri_sandbox_config *cfg, cri_id_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct str id = arena_fmt(&f->arena, "sandbox%zu", f->n_sandboxes);
	struct cri_sandbox_status s = {.id = id, .name = cfg->name, .ns = cfg->ns, .uid = cfg->uid};

	note(f, "run_sandbox", cfg->name);
	s.attempt = cfg->attempt;
	s.ready = true;
	s.created_ns = loop_wall_ns(c->loop);
	s.labels = cfg->labels;
	ARENA_PUSH(&f->arena, &s.ips, arena_fmt(&f->arena, "10.99.0.%zu", f->n_sandboxes + 2));
	if (later(c, "run_sandbox", ANSWER_ID, done, ud, id.p) && f->n_sandboxes < FAKE_MAX)
		f->sandboxes[f->n_sandboxes++] = cri_sandbox_copy(&f->arena, &s);
}

static void fake_stop_sandbox(struct cri *c, struct str id, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);

	note(f, "stop_sandbox", S(""));
	for (size_t i = 0; i < f->n_sandboxes; i++)
		if (str_eq(f->sandboxes[i].id, id))
			f->sandboxes[i].ready = false;
	later(c, "stop_sandbox", ANSWER_DONE, done, ud, "");
}

static void fake_remove_sandbox(struct cri *c, struct str id, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	size_t n = 0, m = 0;

	note(f, "remove_sandbox", S(""));
	for (size_t i = 0; i < f->n_containers; i++)
		if (!str_eq(f->containers[i].sandbox_id, id))
			f->containers[m++] = f->containers[i];
	f->n_containers = m;
	for (size_t i = 0; i < f->n_sandboxes; i++)
		if (!str_eq(f->sandboxes[i].id, id))
			f->sandboxes[n++] = f->sandboxes[i];
	f->n_sandboxes = n;
	later(c, "remove_sandbox", ANSWER_DONE, done, ud, "");
}

static void fake_list_sandboxes(struct cri *c, cri_sandboxes_done *done, void *ud)
{
	later(c, "list_sandboxes", ANSWER_SANDBOXES, done, ud, "");
}

static void fake_create_container(struct cri *c, struct str sandbox_id,
	const struct cri_container_config *cfg, const struct cri_sandbox_config *sandbox_cfg,
	cri_id_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct str id = arena_fmt(&f->arena, "container%zu", f->n_containers);
	struct cri_container_status s = {.id = id, .name = cfg->name, .sandbox_id = sandbox_id};

	(void)sandbox_cfg;
	note(f, "create_container", cfg->name);
	s.attempt = cfg->attempt;
	s.created_ns = loop_wall_ns(c->loop);
	s.image = cfg->user_image;
	s.image_id = cfg->image;
	s.labels = cfg->labels;
	s.annotations = cfg->annotations;
	s.mounts = cfg->mounts;
	s.n_mounts = cfg->n_mounts;
	s.resources = cfg->resources;
	s.uid = -1;
	if (later(c, "create_container", ANSWER_ID, done, ud, id.p) && f->n_containers < FAKE_MAX)
		f->containers[f->n_containers++] = cri_container_copy(&f->arena, &s);
}

static void fake_start_container(struct cri *c, struct str id, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct cri_container_status *s = by_id(f, id);

	note(f, "start_container", s ? s->name : S("?"));
	if (later(c, "start_container", ANSWER_DONE, done, ud, "") && s) {
		s->state = CRI_RUNNING;
		s->started_ns = loop_wall_ns(c->loop);
	}
}

static void ends(struct cri *c, struct cri_container_status *s, int exit_code)
{
	if (!s || s->state == CRI_EXITED)
		return;
	s->state = CRI_EXITED;
	s->exit_code = exit_code;
	s->finished_ns = loop_wall_ns(c->loop);
	s->reason = exit_code ? S("Error") : S("Completed");
}

static void fake_stop_container(
	struct cri *c, struct str id, int64_t timeout_s, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct cri_container_status *s = by_id(f, id);

	(void)timeout_s;
	note(f, "stop_container", s ? s->name : S("?"));
	ends(c, s, 143);
	later(c, "stop_container", ANSWER_DONE, done, ud, "");
}

static void fake_remove_container(struct cri *c, struct str id, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	size_t n = 0;

	note(f, "remove_container", S(""));
	for (size_t i = 0; i < f->n_containers; i++)
		if (!str_eq(f->containers[i].id, id))
			f->containers[n++] = f->containers[i];
	f->n_containers = n;
	later(c, "remove_container", ANSWER_DONE, done, ud, "");
}

static void fake_list_containers(
	struct cri *c, struct str sandbox_id, cri_containers_done *done, void *ud)
{
	(void)sandbox_id;
	later(c, "list_containers", ANSWER_CONTAINERS, done, ud, "");
}

static void fake_update(
	struct cri *c, struct str id, const struct cri_resources *r, cri_done *done, void *ud)
{
	struct fake *f = container_of(c, struct fake, cri);
	struct cri_container_status *s = by_id(f, id);

	note(f, "update_resources", s ? s->name : S("?"));
	if (s)
		s->resources = *r;
	later(c, "update_resources", ANSWER_DONE, done, ud, "");
}

static void fake_reopen(struct cri *c, struct str id, cri_done *done, void *ud)
{
	(void)id;
	later(c, "reopen_log", ANSWER_DONE, done, ud, "");
}

static void fake_exec_sync(struct cri *c, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *ud)
{
	(void)id, (void)command, (void)timeout_ms;
	later(c, "exec_sync", ANSWER_EXEC, done, ud, "");
}

static void fake_pull(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *cfg, cri_id_done *done, void *ud)
{
	(void)auth, (void)n_auth, (void)cfg;
	note(container_of(c, struct fake, cri), "pull_image", image);
	later(c, "pull_image", ANSWER_ID, done, ud, "sha256:1");
}

static void fake_image_status(struct cri *c, struct str image, cri_images_done *done, void *ud)
{
	(void)image;
	later(c, "image_status", ANSWER_IMAGES, done, ud, "");
}

static void fake_list_images(struct cri *c, cri_images_done *done, void *ud)
{
	later(c, "list_images", ANSWER_IMAGES, done, ud, "");
}

static void fake_free(struct cri *c)
{
	struct fake *f = container_of(c, struct fake, cri);

	arena_release(&f->arena);
	buf_release(&f->calls);
	free(f);
}

static const struct cri_ops fake_ops = {
	.name = "fake",
	.version = fake_version,
	.status = fake_status,
	.run_sandbox = fake_run_sandbox,
	.stop_sandbox = fake_stop_sandbox,
	.remove_sandbox = fake_remove_sandbox,
	.list_sandboxes = fake_list_sandboxes,
	.create_container = fake_create_container,
	.start_container = fake_start_container,
	.stop_container = fake_stop_container,
	.remove_container = fake_remove_container,
	.list_containers = fake_list_containers,
	.update_resources = fake_update,
	.reopen_log = fake_reopen,
	.exec_sync = fake_exec_sync,
	.pull_image = fake_pull,
	.image_status = fake_image_status,
	.list_images = fake_list_images,
	.free = fake_free,
};

struct cri *fake_cri_new(struct loop *loop)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	arena_init(&f->arena);
	buf_init(&f->calls, 1 << 20);
	f->cri.ops = &fake_ops;
	f->cri.loop = loop;
	return &f->cri;
}

void fake_cri_exit(struct cri *c, const char *name, int exit_code)
{
	struct fake *f = container_of(c, struct fake, cri);

	for (size_t i = 0; i < f->n_containers; i++)
		if (str_eqc(f->containers[i].name, name))
			ends(c, &f->containers[i], exit_code);
	if (c->on_event)
		c->on_event(c->event_user_data, S(""), S(""));
}

void fake_cri_fail(struct cri *c, const char *call, const char *message)
{
	struct fake *f = container_of(c, struct fake, cri);

	f->fail_call = call;
	f->fail_message = str_c(message);
}

const char *fake_cri_calls(struct cri *c)
{
	struct fake *f = container_of(c, struct fake, cri);

	return f->calls.p ? f->calls.p : "";
}
