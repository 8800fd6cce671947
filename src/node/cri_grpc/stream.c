/* stream.c: exec and attach (v4.channel.k8s.io): error, stdin, stdout, stderr and resize are a
 * stream each. */
#include "node/cri_grpc/session.h"
#include "schema/schema.h"
#include "types.gen.h"

enum {
	QUEUE_MAX = 1024 * 1024, /* to stdin */
	STATUS_MAX = 64 * 1024,
};

struct stream {
	struct cri_stream s;
	struct session *session;
	bool stdin_, stdout_, stderr_, tty;
	bool ready, full, stdin_closed;
	uint32_t error_id, in_id, out_id, err_id, resize_id; /* 0: not there */
	struct buf early; /* to stdin, before the streams are open */
	struct buf status;
	uint16_t width, height;
};

static struct stream *stream_of(struct cri_stream *s)
{
	return container_of(s, struct stream, s);
}

static void stream_free(struct stream *t)
{
	buf_release(&t->early);
	buf_release(&t->status);
	free(t);
}

static void report(struct stream *t, int code, struct err *err)
{
	t->s.events->on_exit(&t->s, code, err);
	stream_free(t);
}

/* --- how it ended --- */

/* The exit code of a Failure with reason NonZeroExitCode: among its causes. */
static int exit_code(const struct meta_v1_status *st)
{
	int64_t code = 1;

	for (size_t i = 0; st->details && i < st->details->causes.n; i++)
		if (str_eq(st->details->causes.v[i].reason, S("ExitCode")))
			str_to_i64(st->details->causes.v[i].message, &code);
	return (int)code;
}

/* The error stream is complete: a Status. An empty one is no word at all. */
static void ended(struct stream *t)
{
	struct err err CLEANUP(err_release) = {0};
	struct arena a CLEANUP(arena_release);
	const struct meta_v1_status *st;
	int code = 0;
	void *typed;

	arena_init(&a);
	session_close(t->session);
	if (buf_failed(&t->status) || !t->status.n ||
		schema_decode_json(
			&meta_v1_status_schema, buf_str(&t->status), &a, NULL, &typed, NULL) < 0) {
		err_internal(&err, "the container runtime did not say how the command ended");
		report(t, 1, &err);
		return;
	}
	st = typed;
	if (!str_eq(st->status, S("Success"))) {
		if (str_eq(st->reason, S("NonZeroExitCode")))
			code = exit_code(st);
		else
			err_internal(&err, STR_FMT, STR_ARG(st->message));
	}
	report(t, err_set(&err) ? 1 : code, err_set(&err) ? &err : NULL);
}

/* --- the session --- */

static uint32_t open_stream(struct stream *t, const char *type)
{
	struct http_header h = {S("streamtype"), str_c(type)};

	return session_stream(t->session, &h, 1, false);
}

static void send_size(struct stream *t)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (!t->resize_id || !t->width)
		return;
	buf_init(&b, 64);
	buf_fmt(&b, "{\"Width\":%u,\"Height\":%u}\n", t->width, t->height);
	session_write(t->session, t->resize_id, buf_str(&b), false);
}

static void on_ready(void *owner)
{
	struct stream *t = owner;

	t->ready = true;
	t->error_id = open_stream(t, "error");
	if (t->stdin_)
		t->in_id = open_stream(t, "stdin");
	if (t->stdout_)
		t->out_id = open_stream(t, "stdout");
	if (t->stderr_)
		t->err_id = open_stream(t, "stderr");
	if (t->tty)
		t->resize_id = open_stream(t, "resize");
	send_size(t);
	if (t->in_id && (t->early.n || t->stdin_closed))
		session_write(t->session, t->in_id, buf_str(&t->early), t->stdin_closed);
	buf_release(&t->early);
	if (t->full && session_pending(t->session) < QUEUE_MAX / 2) {
		t->full = false;
		t->s.events->on_writable(&t->s);
	}
}

static void on_data(void *owner, uint32_t id, struct str bytes, bool fin)
{
	struct stream *t = owner;

	if (id == t->error_id) {
		buf_add_str(&t->status, bytes);
		if (fin)
			ended(t);
	} else if (bytes.n && id == t->out_id) {
		t->s.events->on_stdout(&t->s, bytes);
	} else if (bytes.n && id == t->err_id) {
		t->s.events->on_stderr(&t->s, bytes);
	}
}

static void on_reset(void *owner, uint32_t id)
{
	struct stream *t = owner;

	if (id == t->error_id)
		ended(t);
}

static void on_writable(void *owner)
{
	struct stream *t = owner;

	if (!t->full)
		return;
	t->full = false;
	t->s.events->on_writable(&t->s);
}

static void on_failed(void *owner, struct err *err)
{
	struct stream *t = owner;

	report(t, 1, err);
}

static const struct session_events session_events = {
	.on_ready = on_ready,
	.on_data = on_data,
	.on_reset = on_reset,
	.on_writable = on_writable,
	.on_failed = on_failed,
};

/* --- what the caller may do --- */

static size_t op_write(struct cri_stream *s, struct str bytes)
{
	struct stream *t = stream_of(s);
	size_t queued = t->ready ? session_pending(t->session) : t->early.n;
	size_t n = MIN(bytes.n, QUEUE_MAX - MIN(queued, (size_t)QUEUE_MAX));

	if (!t->stdin_ || t->stdin_closed)
		return bytes.n; /* nobody reads it */
	if (n < bytes.n)
		t->full = true;
	if (n && t->ready)
		session_write(t->session, t->in_id, str_sub(bytes, 0, n), false);
	else if (n)
		buf_add(&t->early, bytes.p, n);
	return n;
}

static void op_close_stdin(struct cri_stream *s)
{
	struct stream *t = stream_of(s);

	if (!t->stdin_ || t->stdin_closed)
		return;
	t->stdin_closed = true;
	if (t->ready)
		session_write(t->session, t->in_id, S(""), true);
}

static void op_resize(struct cri_stream *s, uint16_t width, uint16_t height)
{
	struct stream *t = stream_of(s);

	t->width = width;
	t->height = height;
	send_size(t);
}

static void op_read_stop(struct cri_stream *s)
{
	session_pause(stream_of(s)->session);
}

static void op_read_start(struct cri_stream *s)
{
	session_resume(stream_of(s)->session);
}

static void op_close(struct cri_stream *s)
{
	struct stream *t = stream_of(s);

	session_close(t->session);
	stream_free(t);
}

static const struct cri_stream_ops ops = {
	.write = op_write,
	.close_stdin = op_close_stdin,
	.resize = op_resize,
	.read_stop = op_read_stop,
	.read_start = op_read_start,
	.close = op_close,
};

struct cri_stream *grpc_stream(
	struct cri *c, struct str id, const struct cri_stream_opts *o, struct err *err)
{
	struct stream *t = xcalloc(1, sizeof(*t));
	struct stream_request request;
	bool exec = o->command.n > 0;

	(void)err; /* what goes wrong comes with on_exit */
	t->s = (struct cri_stream){&ops, o->events, o->user_data};
	t->stdin_ = o->stdin_;
	t->stdout_ = o->stdout_;
	t->stderr_ = o->stderr_ && !o->tty;
	t->tty = o->tty;
	t->width = o->width;
	t->height = o->height;
	buf_init(&t->early, QUEUE_MAX);
	buf_init(&t->status, STATUS_MAX);
	request =
		(struct stream_request){id, o->command, o->tty, t->stdin_, t->stdout_, t->stderr_};
	t->session =
		session_open(cri_grpc_of(c), exec ? "RuntimeService/Exec" : "RuntimeService/Attach",
			exec ? &exec_request : &attach_request, &request, "v4.channel.k8s.io",
			&session_events, t);
	return &t->s;
}
