/*
 * cri_grpc.c: the second backend of cri.h: containerd or CRI-O over their unix socket, CRI v1.
 *
 * Lists ask for the full status of each entry, as cri.h wants it. Streams (exec, attach,
 * port-forward) are not spoken here yet: they are refused with words.
 */
#include "http/grpc.h"
#include "node/cri.h"
#include "node/cri_proto.h"
#include "node/pb.h"

enum { MESSAGE_MAX = 4 * 1024 * 1024, PULL_TIMEOUT_MS = 3600 * 1000, GRACE_MS = 30000 };

#define RUNTIME "/runtime.v1.RuntimeService/"
#define IMAGES "/runtime.v1.ImageService/"

struct remote {
	struct cri cri;
	struct grpc_client *client;
};

/* One call under way; what to do with its answer. */
struct call {
	struct remote *r;
	struct buf answer;
	void (*finish)(struct call *c, struct str answer, struct err *err); /* frees nothing */
	union {
		cri_done *done;
		cri_id_done *id;
		cri_exec_done *exec;
		cri_images_done *images;
		cri_stats_done *stats;
		cri_sandboxes_done *sandboxes;
		cri_containers_done *containers;
		void (*status)(void *user_data, bool runtime_ready, bool network_ready,
			struct str message, struct err *err);
	} u;
	void *user_data;
	struct gather *gather;
};

static int http_code(int status)
{
	switch (status) {
	case GRPC_NOT_FOUND:
		return 404;
	case GRPC_ALREADY_EXISTS:
		return 409;
	case GRPC_INVALID_ARGUMENT:
		return 400;
	case GRPC_DEADLINE_EXCEEDED:
		return 504;
	case GRPC_UNAVAILABLE:
		return 503;
	default:
		return 500;
	}
}

static void on_message(void *user_data, struct str message)
{
	struct call *c = user_data;

	buf_reset(&c->answer);
	buf_add_str(&c->answer, message);
}

static void on_end(void *user_data, int status, struct str text)
{
	struct err err CLEANUP(err_release) = {0};
	struct call *c = user_data;

	if (status != GRPC_OK)
		err_fmt(&err, http_code(status),
			status == GRPC_NOT_FOUND ? "NotFound" : "InternalError", STR_FMT,
			STR_ARG(text.n ? text : S("the container runtime gives no reason")));
	c->finish(c, c->answer.n ? buf_str(&c->answer) : S(""), status == GRPC_OK ? NULL : &err);
	buf_release(&c->answer);
	free(c);
}

static struct call *call_new(struct cri *cri,
	void (*finish)(struct call *c, struct str answer, struct err *err), void *user_data)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->r = container_of(cri, struct remote, cri);
	c->finish = finish;
	c->user_data = user_data;
	buf_init(&c->answer, GRPC_MESSAGE_MAX);
	return c;
}

static void send_for(struct call *c, const char *method, struct buf *message, int timeout_ms)
{
	struct grpc_request r = {
		.method = method,
		.message = message && message->n ? buf_str(message) : S(""),
		.timeout_ms = timeout_ms,
		.on_message = on_message,
		.on_end = on_end,
		.user_data = c,
	};

	grpc_call_new(c->r->client, &r);
	if (message)
		buf_release(message);
}

/* A request whose first field is an id. */
static struct buf with_id(struct str id)
{
	struct buf b = {0};

	buf_init(&b, MESSAGE_MAX);
	pb_str(&b, 1, id);
	return b;
}

static void finish_done(struct call *c, struct str answer, struct err *err)
{
	c->u.done(c->user_data, err);
}

/* Stopping and removing what is not there is done already. */
static void finish_gone(struct call *c, struct str answer, struct err *err)
{
	c->u.done(c->user_data, err && err->code == 404 ? NULL : err);
}

static void finish_id(struct call *c, struct str answer, struct err *err)
{
	c->u.id(c->user_data, err ? (struct str){0} : pb_get(answer, 1), err);
}

static void call_done(struct cri *cri, const char *method, struct buf *message, int timeout_ms,
	bool gone_is_fine, cri_done *done, void *user_data)
{
	struct call *c = call_new(cri, gone_is_fine ? finish_gone : finish_done, user_data);

	c->u.done = done;
	send_for(c, method, message, timeout_ms);
}

/* --- the runtime itself --- */

static void finish_version(struct call *c, struct str answer, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str name = pb_get(answer, 2), version = pb_get(answer, 3);

	while (version.n && version.p[0] == 'v')
		version = str_sub(version, 1, version.n);
	c->u.id(c->user_data,
		err ? (struct str){0}
		    : arena_fmt(&a, STR_FMT "://" STR_FMT, STR_ARG(name), STR_ARG(version)),
		err);
}

static void remote_version(struct cri *cri, cri_id_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_version, user_data);

	c->u.id = done;
	send_for(c, RUNTIME "Version", NULL, 0);
}

static void finish_status(struct call *c, struct str answer, struct err *err)
{
	struct str status = pb_get(answer, 1), message = S("");
	bool runtime = false, network = false;
	struct pb_field f;

	while (pb_next(&status, &f)) {
		struct str type = pb_get(f.bytes, 1);
		bool ok = pb_get_int(f.bytes, 2);

		if (f.number != 1)
			continue;
		if (str_eqc(type, "RuntimeReady"))
			runtime = ok;
		if (str_eqc(type, "NetworkReady"))
			network = ok;
		if (!ok)
			message = pb_get(f.bytes, 4);
	}
	c->u.status(c->user_data, runtime, network, message, err);
}

static void remote_status(struct cri *cri,
	void (*done)(void *user_data, bool runtime_ready, bool network_ready, struct str message,
		struct err *err),
	void *user_data)
{
	struct call *c = call_new(cri, finish_status, user_data);

	c->u.status = done;
	send_for(c, RUNTIME "Status", NULL, 0);
}

/* --- lists: one call for the ids, then one for each --- */

struct gather {
	struct arena arena;
	bool containers;
	struct {
		struct str *v; /* answers */
		size_t n;
	} answers;
	size_t waiting;
	union {
		cri_sandboxes_done *sandboxes;
		cri_containers_done *containers;
	} u;
	void *user_data;
	struct str_vec sandbox_ids; /* of the containers, in the order of the list */
	struct str_vec ids;
};

static struct str sandbox_of(const struct gather *g, struct str id)
{
	for (size_t i = 0; i < g->ids.n; i++)
		if (str_eq(g->ids.v[i], id))
			return g->sandbox_ids.v[i];
	return (struct str){0};
}

static void gather_end(struct gather *g)
{
	if (g->containers) {
		struct cri_container_status *v =
			ARENA_ARRAY(&g->arena, struct cri_container_status, g->answers.n);

		for (size_t i = 0; i < g->answers.n; i++) {
			cri_read_container_status(pb_get(g->answers.v[i], 1), &g->arena, &v[i]);
			v[i].sandbox_id = sandbox_of(g, v[i].id);
		}
		g->u.containers(g->user_data, v, g->answers.n, NULL);
	} else {
		struct cri_sandbox_status *v =
			ARENA_ARRAY(&g->arena, struct cri_sandbox_status, g->answers.n);

		for (size_t i = 0; i < g->answers.n; i++)
			cri_read_sandbox_status(pb_get(g->answers.v[i], 1), &g->arena, &v[i]);
		g->u.sandboxes(g->user_data, v, g->answers.n, NULL);
	}
	arena_release(&g->arena);
	free(g);
}

/* One that went meanwhile is left out. */
static void finish_one(struct call *c, struct str answer, struct err *err)
{
	struct gather *g = c->gather;

	if (!err)
		ARENA_PUSH(&g->arena, &g->answers, arena_str(&g->arena, answer));
	if (--g->waiting == 0)
		gather_end(g);
}

static void finish_list(struct call *c, struct str answer, struct err *err)
{
	struct gather *g = c->gather;
	struct pb_field f;

	if (err) {
		if (g->containers)
			g->u.containers(g->user_data, NULL, 0, err);
		else
			g->u.sandboxes(g->user_data, NULL, 0, err);
		arena_release(&g->arena);
		free(g);
		return;
	}
	while (pb_next(&answer, &f)) {
		if (f.number != 1)
			continue;
		ARENA_PUSH(&g->arena, &g->ids, arena_str(&g->arena, pb_get(f.bytes, 1)));
		ARENA_PUSH(&g->arena, &g->sandbox_ids, arena_str(&g->arena, pb_get(f.bytes, 2)));
	}
	g->waiting = g->ids.n;
	if (!g->waiting) {
		gather_end(g);
		return;
	}
	for (size_t i = 0, n = g->ids.n; i < n; i++) {
		struct call *one = call_new(&c->r->cri, finish_one, NULL);
		struct buf b = with_id(g->ids.v[i]);

		one->gather = g;
		send_for(one,
			g->containers ? RUNTIME "ContainerStatus" : RUNTIME "PodSandboxStatus", &b,
			0);
	}
}

static void remote_list_sandboxes(struct cri *cri, cri_sandboxes_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_list, NULL);

	c->gather = xcalloc(1, sizeof(*c->gather));
	c->gather->u.sandboxes = done;
	c->gather->user_data = user_data;
	send_for(c, RUNTIME "ListPodSandbox", NULL, 0);
}

static void remote_list_containers(
	struct cri *cri, struct str sandbox_id, cri_containers_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_list, NULL);
	struct buf b = {0};

	c->gather = xcalloc(1, sizeof(*c->gather));
	c->gather->containers = true;
	c->gather->u.containers = done;
	c->gather->user_data = user_data;
	buf_init(&b, MESSAGE_MAX);
	if (sandbox_id.n) {
		size_t at = pb_open(&b, 1);

		pb_str(&b, 3, sandbox_id);
		pb_close(&b, at);
	}
	send_for(c, RUNTIME "ListContainers", &b, 0);
}

/* --- sandboxes and containers --- */

static void remote_run_sandbox(
	struct cri *cri, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_id, user_data);
	struct buf b = {0};
	size_t at;

	buf_init(&b, MESSAGE_MAX);
	at = pb_open(&b, 1);
	cri_write_sandbox_config(&b, cfg);
	pb_close(&b, at);
	pb_str(&b, 2, cfg->runtime_handler);
	c->u.id = done;
	send_for(c, RUNTIME "RunPodSandbox", &b, 0);
}

static void remote_stop_sandbox(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	call_done(cri, RUNTIME "StopPodSandbox", &b, 0, true, done, user_data);
}

static void remote_remove_sandbox(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	call_done(cri, RUNTIME "RemovePodSandbox", &b, 0, true, done, user_data);
}

static void remote_create_container(struct cri *cri, struct str sandbox_id,
	const struct cri_container_config *cfg, const struct cri_sandbox_config *sandbox_cfg,
	cri_id_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_id, user_data);
	struct buf b = with_id(sandbox_id);
	size_t at = pb_open(&b, 2);

	cri_write_container_config(&b, cfg);
	pb_close(&b, at);
	at = pb_open(&b, 3);
	cri_write_sandbox_config(&b, sandbox_cfg);
	pb_close(&b, at);
	c->u.id = done;
	send_for(c, RUNTIME "CreateContainer", &b, 0);
}

static void remote_start_container(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	call_done(cri, RUNTIME "StartContainer", &b, 0, false, done, user_data);
}

static void remote_stop_container(
	struct cri *cri, struct str id, int64_t timeout_s, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	pb_int(&b, 2, timeout_s);
	call_done(cri, RUNTIME "StopContainer", &b,
		(int)MIN(timeout_s * 1000 + GRACE_MS, (int64_t)INT32_MAX), true, done, user_data);
}

static void remote_remove_container(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	call_done(cri, RUNTIME "RemoveContainer", &b, 0, true, done, user_data);
}

static void remote_update_resources(struct cri *cri, struct str id, const struct cri_resources *r,
	cri_done *done, void *user_data)
{
	struct buf b = with_id(id);
	size_t at = pb_open(&b, 2);

	cri_write_resources(&b, r);
	pb_close(&b, at);
	call_done(cri, RUNTIME "UpdateContainerResources", &b, 0, false, done, user_data);
}

static void remote_reopen_log(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct buf b = with_id(id);

	call_done(cri, RUNTIME "ReopenContainerLog", &b, 0, false, done, user_data);
}

static void finish_exec(struct call *c, struct str answer, struct err *err)
{
	c->u.exec(c->user_data, err ? -1 : (int)pb_get_int(answer, 3), pb_get(answer, 1),
		pb_get(answer, 2), err);
}

static void remote_exec_sync(struct cri *cri, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_exec, user_data);
	struct buf b = with_id(id);

	pb_strs(&b, 2, command);
	pb_int(&b, 3, (timeout_ms + 999) / 1000);
	c->u.exec = done;
	send_for(c, RUNTIME "ExecSync", &b, timeout_ms > 0 ? (int)timeout_ms + GRACE_MS : 0);
}

static struct cri_stream *remote_stream(
	struct cri *cri, struct str id, const struct cri_stream_opts *opts, struct err *err)
{
	err_fmt(err, 501, "NotImplemented",
		"exec and attach are not supported with a remote container runtime");
	return NULL;
}

struct refused {
	struct loop_task task;
	void (*fn)(void *user_data, int fd, struct err *err);
	void *user_data;
};

static void refuse(struct loop_task *t)
{
	struct refused *f = container_of(t, struct refused, task);
	struct err err CLEANUP(err_release) = {0};

	err_fmt(&err, 501, "NotImplemented",
		"port-forward is not supported with a remote container runtime");
	f->fn(f->user_data, -1, &err);
	free(f);
}

static void remote_port_forward(struct cri *cri, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data)
{
	struct refused *f = xcalloc(1, sizeof(*f));

	*f = (struct refused){{.fn = refuse}, fn, user_data};
	loop_post(cri->loop, &f->task);
}

/* --- images, stats --- */

static struct buf with_image(struct str image)
{
	struct buf b = {0};
	size_t at;

	buf_init(&b, MESSAGE_MAX);
	at = pb_open(&b, 1);
	pb_str(&b, 1, image);
	pb_close(&b, at);
	return b;
}

static void remote_pull_image(struct cri *cri, struct str image, const struct cri_auth *auth,
	size_t n_auth, const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done,
	void *user_data)
{
	struct call *c = call_new(cri, finish_id, user_data);
	struct buf b = with_image(image);
	size_t at;

	if (n_auth) {
		at = pb_open(&b, 2);
		pb_str(&b, 1, auth->username);
		pb_str(&b, 2, auth->password);
		pb_str(&b, 3, auth->auth);
		pb_str(&b, 4, auth->server);
		pb_str(&b, 5, auth->identity_token);
		pb_str(&b, 6, auth->registry_token);
		pb_close(&b, at);
	}
	if (sandbox_cfg) {
		at = pb_open(&b, 3);
		cri_write_sandbox_config(&b, sandbox_cfg);
		pb_close(&b, at);
	}
	c->u.id = done;
	send_for(c, IMAGES "PullImage", &b, PULL_TIMEOUT_MS);
}

static void finish_images(struct call *c, struct str answer, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct {
		struct cri_image *v;
		size_t n;
	} list = {0};
	struct pb_field f;

	while (!err && pb_next(&answer, &f)) {
		struct cri_image m;

		if (f.number != 1)
			continue;
		cri_read_image(f.bytes, &a, &m);
		if (m.id.n)
			ARENA_PUSH(&a, &list, m);
	}
	c->u.images(c->user_data, list.v, list.n, err);
}

static void remote_image_status(
	struct cri *cri, struct str image, cri_images_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_images, user_data);
	struct buf b = with_image(image);

	c->u.images = done;
	send_for(c, IMAGES "ImageStatus", &b, 0);
}

static void remote_list_images(struct cri *cri, cri_images_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_images, user_data);

	c->u.images = done;
	send_for(c, IMAGES "ListImages", NULL, 0);
}

static void remote_remove_image(struct cri *cri, struct str image, cri_done *done, void *user_data)
{
	struct buf b = with_image(image);

	call_done(cri, IMAGES "RemoveImage", &b, 0, true, done, user_data);
}

static void finish_stats(struct call *c, struct str answer, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct {
		struct cri_container_stats *v;
		size_t n;
	} list = {0};
	struct pb_field f;

	while (!err && pb_next(&answer, &f)) {
		struct cri_container_stats s;

		if (f.number != 1)
			continue;
		cri_read_stats(f.bytes, &a, &s);
		ARENA_PUSH(&a, &list, s);
	}
	c->u.stats(c->user_data, list.v, list.n, err);
}

static void remote_container_stats(struct cri *cri, cri_stats_done *done, void *user_data)
{
	struct call *c = call_new(cri, finish_stats, user_data);

	c->u.stats = done;
	send_for(c, RUNTIME "ListContainerStats", NULL, 0);
}

static void remote_free(struct cri *cri)
{
	struct remote *r = container_of(cri, struct remote, cri);

	grpc_client_free(r->client);
	free(r);
}

static const struct cri_ops ops = {
	.name = "containerd",
	.version = remote_version,
	.status = remote_status,
	.run_sandbox = remote_run_sandbox,
	.stop_sandbox = remote_stop_sandbox,
	.remove_sandbox = remote_remove_sandbox,
	.list_sandboxes = remote_list_sandboxes,
	.create_container = remote_create_container,
	.start_container = remote_start_container,
	.stop_container = remote_stop_container,
	.remove_container = remote_remove_container,
	.list_containers = remote_list_containers,
	.update_resources = remote_update_resources,
	.reopen_log = remote_reopen_log,
	.exec_sync = remote_exec_sync,
	.stream = remote_stream,
	.port_forward = remote_port_forward,
	.pull_image = remote_pull_image,
	.image_status = remote_image_status,
	.list_images = remote_list_images,
	.remove_image = remote_remove_image,
	.container_stats = remote_container_stats,
	.free = remote_free,
};

int cri_grpc_new(struct loop *loop, const char *endpoint, struct cri **ret, struct err *err)
{
	struct str address = str_c(endpoint);
	struct arena a CLEANUP(arena_release) = {0};
	struct remote *r;

	/* unix:///run/… as upstream's flag has it, or a path */
	if (str_starts(address, S("unix://")))
		address = arena_fmt(&a, "unix:" STR_FMT, STR_ARG(str_sub(address, 7, address.n)));
	else if (str_starts(address, S("/")))
		address = arena_fmt(&a, "unix:" STR_FMT, STR_ARG(address));
	if (!str_starts(address, S("unix:/")))
		return err_bad_request(
			err, "container runtime endpoint \"%s\" is not a unix socket", endpoint);
	r = xcalloc(1, sizeof(*r));
	r->cri.ops = &ops;
	r->cri.loop = loop;
	r->client = grpc_client_new(loop, address);
	*ret = &r->cri;
	return 0;
}
