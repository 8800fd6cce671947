/* client.c: the calls that are one request and one reply, and the backend's table. */
#include "node/cri_grpc/client.h"

enum {
	EXEC_OUTPUT_MAX = 16 * 1024,
	SANDBOX_TIMEOUT_MS = 4 * 60 * 1000, /* networks may be slow to set up */
	EVENTS_RETRY_MS = 5000,
};

/* --- calls --- */

static const char *status_name(int status)
{
	static const char *const names[] = {"OK", "Canceled", "Unknown", "InvalidArgument",
		"DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
		"ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
		"Internal", "Unavailable", "DataLoss", "Unauthenticated"};

	return status >= 0 && (size_t)status < ARRAY_SIZE(names) ? names[status] : "Unknown";
}

void call_error(struct err *err, int status, struct str text)
{
	int code = status == GRPC_NOT_FOUND           ? 404
		   : status == GRPC_DEADLINE_EXCEEDED ? 504
		   : status == GRPC_UNAVAILABLE       ? 503
						      : 500;

	err_fmt(err, code,
		code == 404   ? "NotFound"
		: code == 504 ? "Timeout"
		: code == 503 ? "ServiceUnavailable"
			      : "InternalError",
		"rpc error: code = %s desc = " STR_FMT, status_name(status), STR_ARG(text));
}

static void call_free(struct call *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->g->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	arena_release(&c->arena);
	free(c);
}

static void on_message(void *user_data, struct str message)
{
	struct call *c = user_data;

	c->message = arena_str(&c->arena, message);
	c->answered = true;
}

static void on_end(void *user_data, int status, struct str text)
{
	struct err err CLEANUP(err_release) = {0};
	struct call *c = user_data;

	if (status == GRPC_OK && !c->answered)
		call_error(&err, GRPC_INTERNAL, S("the runtime ended the call without an answer"));
	else if (status != GRPC_OK)
		call_error(&err, status, text);
	c->reply(c, err_set(&err) ? &err : NULL);
	call_free(c);
}

struct call *call_start_encoded(struct cri_grpc *g, const char *method, struct str message,
	int timeout_ms, void (*reply)(struct call *c, struct err *err))
{
	struct call *c = xcalloc(1, sizeof(*c));

	arena_init(&c->arena);
	c->g = g;
	c->reply = reply;
	c->next = g->calls;
	if (c->next)
		c->next->prev = c;
	g->calls = c;
	grpc_call_new(g->grpc,
		&(struct grpc_request){.method = arena_fmt(&c->arena, "/runtime.v1.%s", method).p,
			.message = message,
			.timeout_ms = timeout_ms,
			.on_message = on_message,
			.on_end = on_end,
			.user_data = c});
	return c;
}

struct call *call_start(struct cri_grpc *g, const char *method, const struct wire_type *type,
	const void *request, int timeout_ms, void (*reply)(struct call *c, struct err *err))
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, CALL_REQUEST_MAX);
	if (type)
		wire_encode(type, request, &b);
	/* one that is too large goes out empty: the runtime refuses it with its own words */
	return call_start_encoded(
		g, method, buf_failed(&b) ? (struct str){0} : buf_str(&b), timeout_ms, reply);
}

void *call_decode(struct call *c, const struct wire_type *type, struct err *err)
{
	void *v = arena_alloc(&c->arena, type->size);

	if (wire_decode(type, c->message, &c->arena, v) == 0)
		return v;
	call_error(err, GRPC_INTERNAL, S("the runtime's answer is not a message of CRI v1"));
	return NULL;
}

static void plain_reply(struct call *c, struct err *err)
{
	c->done(c->user_data, err);
}

/* Stopping or removing what is gone already is no error. */
static void gone_reply(struct call *c, struct err *err)
{
	c->done(c->user_data, err && err->code == 404 ? NULL : err);
}

/* The answer's only string: an id. */
static void id_reply(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct text_message *m = err ? NULL : call_decode(c, &text_message, &mine);

	if (m && str_empty(m->text)) {
		call_error(&mine, GRPC_INTERNAL, S("the runtime gave no id"));
		m = NULL;
	}
	c->id(c->user_data, m ? m->text : S(""), err ? err : m ? NULL : &mine);
}

static void start_plain(struct cri *cri, const char *method, struct str id, int timeout_ms,
	void (*reply)(struct call *c, struct err *err), cri_done *done, void *user_data)
{
	struct text_message request = {id};
	struct call *c =
		call_start(cri_grpc_of(cri), method, &text_message, &request, timeout_ms, reply);

	c->done = done;
	c->user_data = user_data;
}

/* --- the runtime --- */

static void version_done(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct version_reply *m = err ? NULL : call_decode(c, &version_reply, &mine);
	struct str version = {0};

	if (m)
		version = arena_fmt(
			&c->arena, STR_FMT "://" STR_FMT, STR_ARG(m->name), STR_ARG(m->version));
	c->id(c->user_data, version, err ? err : m ? NULL : &mine);
}

static void grpc_version(struct cri *cri, cri_id_done *done, void *user_data)
{
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/Version", NULL, NULL,
		CALL_TIMEOUT_MS, version_done);

	c->id = done;
	c->user_data = user_data;
}

static void status_done(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct status_reply *m = err ? NULL : call_decode(c, &status_reply, &mine);
	bool runtime = false, network = false;
	struct str text = {0};

	for (size_t i = 0; m && i < m->n_conditions; i++) {
		const struct runtime_condition *k = &m->conditions[i];

		if (str_eq(k->type, S("RuntimeReady")))
			runtime = k->status;
		else if (str_eq(k->type, S("NetworkReady")))
			network = k->status;
		if (k->status)
			continue;
		text = arena_fmt(&c->arena,
			STR_FMT "%scontainer runtime %s: " STR_FMT "=false reason:" STR_FMT
				" message:" STR_FMT,
			STR_ARG(text), text.n ? ", " : "",
			str_eq(k->type, S("NetworkReady")) ? "network not ready" : "not ready",
			STR_ARG(k->type), STR_ARG(k->reason), STR_ARG(k->message));
	}
	c->status(c->user_data, runtime, network, text, err ? err : m ? NULL : &mine);
}

static void grpc_status(struct cri *cri,
	void (*done)(void *ud, bool runtime, bool network, struct str message, struct err *err),
	void *user_data)
{
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/Status", NULL, NULL,
		CALL_TIMEOUT_MS, status_done);

	c->status = done;
	c->user_data = user_data;
}

/* --- sandboxes --- */

static int protocol_number(const char *name)
{
	struct str s = str_c(name);

	return str_eq(s, S("UDP")) ? 1 : str_eq(s, S("SCTP")) ? 2 : 0;
}

struct sandbox_message *sandbox_message(struct arena *a, const struct cri_sandbox_config *cfg)
{
	struct sandbox_message *m;

	if (!cfg)
		return NULL;
	m = ARENA_NEW(a, struct sandbox_message);
	m->c = *cfg;
	m->ports = ARENA_ARRAY(a, struct port_message, cfg->n_ports);
	m->n_ports = cfg->n_ports;
	for (size_t i = 0; i < cfg->n_ports; i++) {
		const struct cri_port_mapping *p = &cfg->ports[i];

		m->ports[i] = (struct port_message){
			protocol_number(p->protocol), p->container_port, p->host_port, p->host_ip};
	}
	return m;
}

static void grpc_run_sandbox(
	struct cri *cri, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data)
{
	struct arena a CLEANUP(arena_release);
	struct run_sandbox_request request;
	struct call *c;

	arena_init(&a);
	request = (struct run_sandbox_request){sandbox_message(&a, cfg), cfg->runtime_handler};
	c = call_start(cri_grpc_of(cri), "RuntimeService/RunPodSandbox", &run_sandbox_request,
		&request, SANDBOX_TIMEOUT_MS, id_reply);
	c->id = done;
	c->user_data = user_data;
}

static void grpc_stop_sandbox(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	start_plain(c, "RuntimeService/StopPodSandbox", id, SANDBOX_TIMEOUT_MS, gone_reply, done,
		user_data);
}

static void grpc_remove_sandbox(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	start_plain(c, "RuntimeService/RemovePodSandbox", id, SANDBOX_TIMEOUT_MS, gone_reply, done,
		user_data);
}

/* --- containers --- */

static void grpc_create_container(struct cri *cri, struct str sandbox_id,
	const struct cri_container_config *cfg, const struct cri_sandbox_config *sandbox_cfg,
	cri_id_done *done, void *user_data)
{
	struct arena a CLEANUP(arena_release);
	struct create_container_request request;
	struct call *c;

	arena_init(&a);
	request = (struct create_container_request){.sandbox_id = sandbox_id,
		.c = *cfg,
		.network = sandbox_cfg->network,
		.ipc = sandbox_cfg->ipc,
		.stop_signal = signal_number(cfg->stop_signal),
		.sandbox = sandbox_message(&a, sandbox_cfg)};
	c = call_start(cri_grpc_of(cri), "RuntimeService/CreateContainer",
		&create_container_request, &request, CALL_TIMEOUT_MS, id_reply);
	c->id = done;
	c->user_data = user_data;
}

static void grpc_start_container(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	start_plain(c, "RuntimeService/StartContainer", id, CALL_TIMEOUT_MS, plain_reply, done,
		user_data);
}

static void grpc_stop_container(
	struct cri *cri, struct str id, int64_t timeout_s, cri_done *done, void *user_data)
{
	struct stop_container_request request = {id, timeout_s};
	int64_t limit_ms = MIN(MAX(timeout_s, 0), (int64_t)INT32_MAX / 2000) * 1000;
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/StopContainer",
		&stop_container_request, &request, (int)limit_ms + CALL_TIMEOUT_MS, gone_reply);

	c->done = done;
	c->user_data = user_data;
}

static void grpc_remove_container(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	start_plain(c, "RuntimeService/RemoveContainer", id, CALL_TIMEOUT_MS, gone_reply, done,
		user_data);
}

static void update_done(struct call *c, struct err *err)
{
	seen_outdated(c->g);
	c->done(c->user_data, err);
}

static void grpc_update_resources(struct cri *cri, struct str id, const struct cri_resources *r,
	cri_done *done, void *user_data)
{
	struct update_resources_request request = {id, *r};
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/UpdateContainerResources",
		&update_resources_request, &request, CALL_TIMEOUT_MS, update_done);

	c->done = done;
	c->user_data = user_data;
}

static void grpc_reopen_log(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	start_plain(c, "RuntimeService/ReopenContainerLog", id, CALL_TIMEOUT_MS, plain_reply, done,
		user_data);
}

static void exec_done(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct exec_sync_reply *m = err ? NULL : call_decode(c, &exec_sync_reply, &mine);

	if (!m) {
		if (err && err->code == 504) {
			err_fmt(&mine, 504, "DeadlineExceeded", "command timed out: %s",
				err_text(err));
			err = &mine;
		}
		c->exec(c->user_data, -1, S(""), S(""), err ? err : &mine);
		return;
	}
	m->out.n = MIN(m->out.n, (size_t)EXEC_OUTPUT_MAX);
	m->err.n = MIN(m->err.n, (size_t)EXEC_OUTPUT_MAX);
	c->exec(c->user_data, m->exit_code, m->out.p ? m->out : S(""), m->err.p ? m->err : S(""),
		NULL);
}

/* CRI counts whole seconds; 0 is no limit there. */
static void grpc_exec_sync(struct cri *cri, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *user_data)
{
	int64_t timeout_s = MIN(timeout_ms > 0 ? (timeout_ms + 999) / 1000 : 0, 1000 * 1000);
	struct exec_sync_request request = {id, *command, timeout_s};
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/ExecSync", &exec_sync_request,
		&request, timeout_s ? (int)timeout_s * 1000 + CALL_TIMEOUT_MS : CALL_NO_TIMEOUT,
		exec_done);

	c->exec = done;
	c->user_data = user_data;
}

static void stats_done(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct stats_reply *m = err ? NULL : call_decode(c, &stats_reply, &mine);

	c->stats(c->user_data, m ? m->v : NULL, m ? m->n : 0, err ? err : m ? NULL : &mine);
}

static void grpc_container_stats(struct cri *cri, cri_stats_done *done, void *user_data)
{
	struct call *c = call_start(cri_grpc_of(cri), "RuntimeService/ListContainerStats", NULL,
		NULL, CALL_TIMEOUT_MS, stats_done);

	c->stats = done;
	c->user_data = user_data;
}

/* --- events: what the runtime tells by itself; the kubelet looks every second all the same --- */

static void on_event(void *user_data, struct str message)
{
	struct arena a CLEANUP(arena_release);
	struct event_message m = {0};
	struct cri_grpc *g = user_data;

	arena_init(&a);
	if (wire_decode(&event_message, message, &a, &m) == 0 && g->cri.on_event)
		g->cri.on_event(g->cri.event_user_data, m.pod_uid, m.container_id);
}

static void events_ended(void *user_data, int status, struct str text)
{
	struct cri_grpc *g = user_data;

	(void)text;
	g->events = NULL;
	if (status != GRPC_UNIMPLEMENTED) /* containerd before 1.7 has none */
		loop_timer_start(&g->retry, EVENTS_RETRY_MS);
}

static void events_start(struct loop_timer *t)
{
	struct cri_grpc *g = container_of(t, struct cri_grpc, retry);

	g->events = grpc_call_new(g->grpc,
		&(struct grpc_request){.method = "/runtime.v1.RuntimeService/GetContainerEvents",
			.timeout_ms = CALL_NO_TIMEOUT,
			.on_message = on_event,
			.on_end = events_ended,
			.user_data = g});
}

/* --- the backend --- */

static void grpc_free(struct cri *cri)
{
	struct cri_grpc *g = cri_grpc_of(cri);

	loop_timer_stop(&g->retry);
	sessions_free(g);
	grpc_client_free(g->grpc);
	while (g->calls) {
		if (g->calls->dropped)
			g->calls->dropped(g->calls);
		call_free(g->calls);
	}
	seen_free(g);
	free(g);
}

static const struct cri_ops ops = {
	.name = "cri",
	.version = grpc_version,
	.status = grpc_status,
	.run_sandbox = grpc_run_sandbox,
	.stop_sandbox = grpc_stop_sandbox,
	.remove_sandbox = grpc_remove_sandbox,
	.list_sandboxes = grpc_list_sandboxes,
	.create_container = grpc_create_container,
	.start_container = grpc_start_container,
	.stop_container = grpc_stop_container,
	.remove_container = grpc_remove_container,
	.list_containers = grpc_list_containers,
	.update_resources = grpc_update_resources,
	.reopen_log = grpc_reopen_log,
	.exec_sync = grpc_exec_sync,
	.stream = grpc_stream,
	.port_forward = grpc_port_forward,
	.pull_image = grpc_pull_image,
	.image_status = grpc_image_status,
	.list_images = grpc_list_images,
	.remove_image = grpc_remove_image,
	.container_stats = grpc_container_stats,
	.free = grpc_free,
};

int cri_grpc_new(struct loop *loop, const char *endpoint, struct cri **ret, struct err *err)
{
	struct str path = str_c(endpoint);
	struct arena a CLEANUP(arena_release);
	struct cri_grpc *g;

	if (str_starts(path, S("unix://")))
		path = str_sub(path, 7, path.n);
	if (!str_starts(path, S("/")))
		return err_bad_request(err,
			"the container runtime's endpoint must be unix:///SOCKET, not \"%s\"",
			endpoint);
	arena_init(&a);
	g = xcalloc(1, sizeof(*g));
	g->cri = (struct cri){.ops = &ops, .loop = loop};
	g->grpc = grpc_client_new(loop, arena_fmt(&a, "unix:" STR_FMT, STR_ARG(path)));
	loop_timer_init(&g->retry, loop, events_start);
	loop_timer_start(&g->retry, 0);
	*ret = &g->cri;
	return 0;
}
