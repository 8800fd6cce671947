/* exec_sync.c: a command in a container, its output collected: for probes, hooks and /run. */
#include "node/runtime/runtime.h"

enum { OUTPUT_MAX = 16384 };

struct sync {
	struct buf out, err;
	struct loop_timer timer;
	struct cri_stream *stream;
	int64_t timeout_ms;
	cri_exec_done *done;
	void *user_data;
};

static void collect(struct buf *b, struct str bytes)
{
	buf_add(b, bytes.p, MIN(bytes.n, b->max - b->n));
}

static void sync_out(struct cri_stream *s, struct str bytes)
{
	collect(&((struct sync *)s->user_data)->out, bytes);
}

static void sync_err(struct cri_stream *s, struct str bytes)
{
	collect(&((struct sync *)s->user_data)->err, bytes);
}

static void sync_end(struct sync *y, int code, struct err *err)
{
	loop_timer_stop(&y->timer);
	y->done(y->user_data, code, y->out.n ? buf_str(&y->out) : S(""),
		y->err.n ? buf_str(&y->err) : S(""), err);
	buf_release(&y->out);
	buf_release(&y->err);
	free(y);
}

static void sync_exit(struct cri_stream *s, int code, struct err *err)
{
	sync_end(s->user_data, code, err);
}

static void sync_writable(struct cri_stream *s)
{
}

static const struct cri_stream_events sync_events = {sync_out, sync_err, sync_writable, sync_exit};

static void sync_timeout(struct loop_timer *t)
{
	struct sync *y = container_of(t, struct sync, timer);
	struct err err CLEANUP(err_release) = {0};

	y->stream->ops->close(y->stream);
	err_fmt(&err, 504, "DeadlineExceeded",
		"command timed out: timeout %g seconds exceeded: context deadline exceeded",
		y->timeout_ms / 1000.0);
	sync_end(y, -1, &err);
}

struct sync_refused {
	struct loop_task task;
	struct err err;
	cri_exec_done *done;
	void *user_data;
};

static void sync_refuse(struct loop_task *t)
{
	struct sync_refused *f = container_of(t, struct sync_refused, task);

	f->done(f->user_data, -1, S(""), S(""), &f->err);
	err_release(&f->err);
	free(f);
}

void container_exec_sync(struct cri *cri, struct str id, const struct str_vec *command,
	int64_t timeout_ms, cri_exec_done *done, void *user_data)
{
	struct sync *y = xcalloc(1, sizeof(*y));
	struct cri_stream_opts o = {.command = *command,
		.stdout_ = true,
		.stderr_ = true,
		.events = &sync_events,
		.user_data = y};
	struct err err = {0};

	buf_init(&y->out, OUTPUT_MAX);
	buf_init(&y->err, OUTPUT_MAX);
	loop_timer_init(&y->timer, cri->loop, sync_timeout);
	y->timeout_ms = timeout_ms;
	y->done = done;
	y->user_data = user_data;
	if (!command->n)
		err_bad_request(&err, "no command to execute");
	else
		y->stream = container_stream(cri, id, &o, &err);
	if (y->stream) {
		if (timeout_ms > 0)
			loop_timer_start(&y->timer, timeout_ms);
		return;
	}
	struct sync_refused *f = xcalloc(1, sizeof(*f));
	*f = (struct sync_refused){.task.fn = sync_refuse, .done = done, .user_data = user_data};
	err_move(&f->err, &err);
	loop_post(cri->loop, &f->task);
	buf_release(&y->out);
	buf_release(&y->err);
	free(y);
}
