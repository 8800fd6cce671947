/* cri_metered.c: a container runtime that counts and times what is asked of the one behind it. */
#include "node/meter.h"

enum operation {
	OP_VERSION,
	OP_STATUS,
	OP_RUN_SANDBOX,
	OP_STOP_SANDBOX,
	OP_REMOVE_SANDBOX,
	OP_LIST_SANDBOXES,
	OP_CREATE,
	OP_START,
	OP_STOP,
	OP_REMOVE,
	OP_LIST,
	OP_UPDATE,
	OP_REOPEN_LOG,
	OP_EXEC_SYNC,
	OP_EXEC,
	OP_PORT_FORWARD,
	OP_PULL,
	OP_IMAGE_STATUS,
	OP_LIST_IMAGES,
	OP_REMOVE_IMAGE,
	OP_STATS,
	OPERATIONS,
};

/* Upstream's operation_type. */
static const char *const names[] = {"version", "status", "run_podsandbox", "stop_podsandbox",
	"remove_podsandbox", "list_podsandbox", "create_container", "start_container",
	"stop_container", "remove_container", "list_containers", "update_container",
	"reopen_container_log", "exec_sync", "exec", "port_forward", "pull_image", "image_status",
	"list_images", "remove_image", "list_container_stats"};

static const double seconds[] = {0.005, 0.0125, 0.03125, 0.078125, 0.1953125, 0.48828125,
	1.220703125, 3.0517578125, 7.62939453125, 19.073486328125, 47.6837158203125,
	119.20928955078125, 298.0232238769531, 745.0580596923828};
static const struct metric total = {"kubelet_runtime_operations_total", METRIC_COUNTER,
	"[ALPHA] Cumulative number of runtime operations by operation type.", {"operation_type"}};
static const struct metric errors = {"kubelet_runtime_operations_errors_total", METRIC_COUNTER,
	"[ALPHA] Cumulative number of runtime operation errors by operation type.",
	{"operation_type"}};
static const struct metric durations = {"kubelet_runtime_operations_duration_seconds",
	METRIC_HISTOGRAM,
	"[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
	{"operation_type"}, METRIC_BUCKETS(seconds)};

struct metered {
	struct cri base;
	struct cri *inner;
	struct metrics *metrics;
	struct metric_series *totals[OPERATIONS], *durations[OPERATIONS]; /* NULL: not yet asked */
};

typedef void status_done(
	void *ud, bool runtime_ready, bool network_ready, struct str message, struct err *err);
typedef void fd_done(void *user_data, int fd, struct err *err);

/* One question under way: whose answer it is. */
struct asked {
	struct metered *m;
	enum operation op;
	int64_t since_ns;
	void (*done)(void); /* cast back to what it was by the answer's function */
	void *user_data;
};

static struct metered *metered(struct cri *c)
{
	return container_of(c, struct metered, base);
}

static struct asked *ask(struct cri *c, enum operation op, void (*done)(void), void *user_data)
{
	struct metered *m = metered(c);
	struct asked *a = xmalloc(sizeof(*a));

	if (!m->totals[op]) {
		m->totals[op] = METRICS_GET(m->metrics, &total, names[op]);
		m->durations[op] = METRICS_GET(m->metrics, &durations, names[op]);
	}
	metric_add(m->totals[op], 1);
	*a = (struct asked){m, op, metric_now_ns(), done, user_data};
	return a;
}

static struct asked answered(void *user_data, const struct err *err)
{
	struct asked a = *(struct asked *)user_data;

	free(user_data);
	metric_observe_since(a.m->durations[a.op], a.since_ns);
	if (err)
		metric_add(METRICS_GET(a.m->metrics, &errors, names[a.op]), 1);
	return a;
}

#define ASK(op) ask(c, op, (void (*)(void))done, user_data)
#define PASS(type) ((type *)a.done)

static void done_plain(void *user_data, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_done)(a.user_data, err);
}

static void done_id(void *user_data, struct str id, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_id_done)(a.user_data, id, err);
}

static void done_status(void *user_data, bool runtime_ready, bool network_ready, struct str message,
	struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(status_done)(a.user_data, runtime_ready, network_ready, message, err);
}

static void done_sandboxes(
	void *user_data, const struct cri_sandbox_status *v, size_t n, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_sandboxes_done)(a.user_data, v, n, err);
}

static void done_containers(
	void *user_data, const struct cri_container_status *v, size_t n, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_containers_done)(a.user_data, v, n, err);
}

static void done_images(void *user_data, const struct cri_image *v, size_t n, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_images_done)(a.user_data, v, n, err);
}

static void done_exec(
	void *user_data, int exit_code, struct str out, struct str errout, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_exec_done)(a.user_data, exit_code, out, errout, err);
}

static void done_stats(
	void *user_data, const struct cri_container_stats *v, size_t n, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(cri_stats_done)(a.user_data, v, n, err);
}

static void done_fd(void *user_data, int fd, struct err *err)
{
	struct asked a = answered(user_data, err);

	PASS(fd_done)(a.user_data, fd, err);
}

#define INNER metered(c)->inner
#define CALL(fn, ...) INNER->ops->fn(INNER, __VA_ARGS__)

static void version(struct cri *c, cri_id_done *done, void *user_data)
{
	CALL(version, done_id, ASK(OP_VERSION));
}

static void status(struct cri *c, status_done *done, void *user_data)
{
	CALL(status, done_status, ASK(OP_STATUS));
}

static void run_sandbox(
	struct cri *c, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data)
{
	CALL(run_sandbox, cfg, done_id, ASK(OP_RUN_SANDBOX));
}

static void stop_sandbox(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	CALL(stop_sandbox, id, done_plain, ASK(OP_STOP_SANDBOX));
}

static void remove_sandbox(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	CALL(remove_sandbox, id, done_plain, ASK(OP_REMOVE_SANDBOX));
}

static void list_sandboxes(struct cri *c, cri_sandboxes_done *done, void *user_data)
{
	CALL(list_sandboxes, done_sandboxes, ASK(OP_LIST_SANDBOXES));
}

static void create_container(struct cri *c, struct str sandbox_id,
	const struct cri_container_config *cfg, const struct cri_sandbox_config *sandbox_cfg,
	cri_id_done *done, void *user_data)
{
	CALL(create_container, sandbox_id, cfg, sandbox_cfg, done_id, ASK(OP_CREATE));
}

static void start_container(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	CALL(start_container, id, done_plain, ASK(OP_START));
}

static void stop_container(
	struct cri *c, struct str id, int64_t timeout_s, cri_done *done, void *user_data)
{
	CALL(stop_container, id, timeout_s, done_plain, ASK(OP_STOP));
}

static void remove_container(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	CALL(remove_container, id, done_plain, ASK(OP_REMOVE));
}

static void list_containers(
	struct cri *c, struct str sandbox_id, cri_containers_done *done, void *user_data)
{
	CALL(list_containers, sandbox_id, done_containers, ASK(OP_LIST));
}

static void update_resources(struct cri *c, struct str id, const struct cri_resources *r,
	cri_done *done, void *user_data)
{
	CALL(update_resources, id, r, done_plain, ASK(OP_UPDATE));
}

static void reopen_log(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	CALL(reopen_log, id, done_plain, ASK(OP_REOPEN_LOG));
}

static void exec_sync(struct cri *c, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *user_data)
{
	CALL(exec_sync, id, command, timeout_ms, done_exec, ASK(OP_EXEC_SYNC));
}

/* Upstream times how long it takes to get the stream's address; a stream is counted here. */
static struct cri_stream *stream(
	struct cri *c, struct str id, const struct cri_stream_opts *opts, struct err *err)
{
	struct metered *m = metered(c);
	struct cri_stream *s = CALL(stream, id, opts, err);

	metric_add(METRICS_GET(m->metrics, &total, names[OP_EXEC]), 1);
	if (!s)
		metric_add(METRICS_GET(m->metrics, &errors, names[OP_EXEC]), 1);
	return s;
}

static void port_forward(
	struct cri *c, struct str sandbox_id, int port, fd_done *done, void *user_data)
{
	CALL(port_forward, sandbox_id, port, done_fd, ASK(OP_PORT_FORWARD));
}

static void pull_image(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data)
{
	CALL(pull_image, image, auth, n_auth, sandbox_cfg, done_id, ASK(OP_PULL));
}

static void image_status(struct cri *c, struct str image, cri_images_done *done, void *user_data)
{
	CALL(image_status, image, done_images, ASK(OP_IMAGE_STATUS));
}

static void list_images(struct cri *c, cri_images_done *done, void *user_data)
{
	CALL(list_images, done_images, ASK(OP_LIST_IMAGES));
}

static void remove_image(struct cri *c, struct str image, cri_done *done, void *user_data)
{
	CALL(remove_image, image, done_plain, ASK(OP_REMOVE_IMAGE));
}

static void container_stats(struct cri *c, cri_stats_done *done, void *user_data)
{
	CALL(container_stats, done_stats, ASK(OP_STATS));
}

static void metered_free(struct cri *c)
{
	INNER->ops->free(INNER);
	free(metered(c));
}

static void on_event(void *user_data, struct str pod_uid, struct str container_id)
{
	struct metered *m = user_data;

	if (m->base.on_event)
		m->base.on_event(m->base.event_user_data, pod_uid, container_id);
}

static const struct cri_ops ops = {
	.name = "metered",
	.version = version,
	.status = status,
	.run_sandbox = run_sandbox,
	.stop_sandbox = stop_sandbox,
	.remove_sandbox = remove_sandbox,
	.list_sandboxes = list_sandboxes,
	.create_container = create_container,
	.start_container = start_container,
	.stop_container = stop_container,
	.remove_container = remove_container,
	.list_containers = list_containers,
	.update_resources = update_resources,
	.reopen_log = reopen_log,
	.exec_sync = exec_sync,
	.stream = stream,
	.port_forward = port_forward,
	.pull_image = pull_image,
	.image_status = image_status,
	.list_images = list_images,
	.remove_image = remove_image,
	.container_stats = container_stats,
	.free = metered_free,
};

struct cri *cri_metered_new(struct cri *inner, struct metrics *metrics)
{
	struct metered *m = xcalloc(1, sizeof(*m));

	_Static_assert(ARRAY_SIZE(names) == OPERATIONS, "a name for each");
	m->base = (struct cri){.ops = &ops, .loop = inner->loop};
	m->inner = inner;
	m->metrics = metrics;
	inner->on_event = on_event;
	inner->event_user_data = m;
	return &m->base;
}

struct cri *cri_metered_inner(struct cri *c)
{
	return INNER;
}
