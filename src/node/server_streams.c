/* server_streams.c: exec, attach and port-forward: the client's streams on one side, the runtime's
 * on the other. */
#include <stdio.h>
#include <unistd.h>

#include "http/conn.h"
#include "http/streams.h"
#include "node/server.h"

enum { PENDING_MAX = 1 << 20, STDIN_MAX = 4 << 20, SIZE_WAIT_MS = 100 };

/* --- exec and attach --- */

struct exec {
	struct kubelet *k;
	struct remote_session *session; /* NULL: the client left */
	struct cri_stream *stream;      /* NULL: not started, or over */
	struct arena arena;
	struct str id;
	struct cri_stream_opts opts;
	struct buf in; /* what the process has not taken yet */
	struct loop_timer size_wait;
	bool in_closed, paused, held, waiting;
};

static void exec_free(struct exec *e)
{
	loop_timer_stop(&e->size_wait);
	buf_release(&e->in);
	arena_release(&e->arena);
	free(e);
}

static void hold_output(struct exec *e)
{
	if (!e->held && e->stream && remote_pending(e->session) > PENDING_MAX) {
		e->held = true;
		e->stream->ops->read_stop(e->stream);
	}
}

static void on_stdout(struct cri_stream *s, struct str bytes)
{
	struct exec *e = s->user_data;

	remote_write_stdout(e->session, bytes);
	hold_output(e);
}

static void on_stderr(struct cri_stream *s, struct str bytes)
{
	struct exec *e = s->user_data;

	remote_write_stderr(e->session, bytes);
	hold_output(e);
}

/* Hands on what is waiting. */
static void feed(struct exec *e)
{
	size_t n;

	if (!e->stream)
		return;
	while (e->in.n && (n = e->stream->ops->write(e->stream, buf_str(&e->in))) > 0)
		buf_consume(&e->in, n);
	if (e->in.n)
		return;
	if (e->paused) {
		e->paused = false;
		remote_stdin_resume(e->session);
	}
	if (e->in_closed)
		e->stream->ops->close_stdin(e->stream);
}

/* The size of the terminal comes on the same connection: reading goes on while it is awaited. */
static void pause_stdin(struct exec *e)
{
	if (e->paused || e->in.n <= (e->waiting ? PENDING_MAX : 0))
		return;
	e->paused = true;
	remote_stdin_pause(e->session);
}

static void in_writable(struct cri_stream *s)
{
	feed(s->user_data);
}

static void stream_ended(struct cri_stream *s, int exit_code, struct err *err)
{
	struct exec *e = s->user_data;

	e->stream = NULL;
	if (e->session)
		remote_finish(e->session, exit_code, err_set(err) ? err_text(err) : NULL);
	exec_free(e);
}

static const struct cri_stream_events cri_events = {
	.on_stdout = on_stdout,
	.on_stderr = on_stderr,
	.on_writable = in_writable,
	.on_exit = stream_ended,
};

static void start(struct exec *e)
{
	struct err err CLEANUP(err_release) = {0};

	loop_timer_stop(&e->size_wait);
	e->waiting = false;
	e->stream = e->k->cri->ops->stream(e->k->cri, e->id, &e->opts, &err);
	if (e->stream) {
		feed(e);
		pause_stdin(e);
		return;
	}
	remote_finish(e->session, 1, err_text(&err));
	exec_free(e);
}

static void size_wait_over(struct loop_timer *t)
{
	start(container_of(t, struct exec, size_wait));
}

/* A client with a terminal tells its size first: a process started with it never sees another. Who
 * has none to tell is not waited for long. */
static void on_ready(struct remote_session *session, void *owner)
{
	struct exec *e = owner;

	(void)session;
	e->waiting = e->opts.tty && e->opts.command.n && !e->opts.width;
	if (e->waiting)
		loop_timer_start(&e->size_wait, SIZE_WAIT_MS);
	else
		start(e);
}

static void on_stdin(struct remote_session *session, void *owner, struct str bytes)
{
	struct exec *e = owner;

	(void)session;
	buf_add_str(&e->in, bytes);
	feed(e);
	pause_stdin(e);
}

static void on_stdin_close(struct remote_session *session, void *owner)
{
	struct exec *e = owner;

	(void)session;
	e->in_closed = true;
	feed(e);
}

static void on_resize(struct remote_session *session, void *owner, uint16_t width, uint16_t height)
{
	struct exec *e = owner;

	(void)session;
	e->opts.width = width;
	e->opts.height = height;
	if (e->stream)
		e->stream->ops->resize(e->stream, width, height);
	else if (e->waiting)
		start(e);
}

static void out_writable(struct remote_session *session, void *owner)
{
	struct exec *e = owner;

	(void)session;
	if (e->held && e->stream) {
		e->held = false;
		e->stream->ops->read_start(e->stream);
	}
}

static void on_closed(struct remote_session *session, void *owner)
{
	struct exec *e = owner;

	if (e->stream)
		e->stream->ops->close(e->stream);
	remote_abort(session);
	exec_free(e);
}

static const struct remote_events remote_events = {
	.on_ready = on_ready,
	.on_stdin = on_stdin,
	.on_stdin_close = on_stdin_close,
	.on_resize = on_resize,
	.on_writable = out_writable,
	.on_closed = on_closed,
};

static bool asked(struct http_exchange *x, const char *name, const char *other)
{
	struct str v = http_query(x, name);

	if (!v.p)
		v = http_query(x, other);
	return str_eq(v, S("1")) || str_eq(v, S("true"));
}

/* The running instance of the container that the path names. */
static const struct cri_container_status *container_of_path(struct route_args *r)
{
	struct pod *p = server_pod(r, "pod does not exist");
	struct str name = r->part[r->n - 1];
	const struct cri_container_status *c;

	if (!p)
		return NULL;
	c = observed_find(&p->observed, name);
	if (!c) {
		server_error(r->x, 404, "container not found (\"" STR_FMT "\")", STR_ARG(name));
		return NULL;
	}
	return c;
}

static void serve_streams(struct route_args *r, bool exec)
{
	const struct cri_container_status *c = container_of_path(r);
	struct err err CLEANUP(err_release) = {0};
	struct remote_options o;
	struct str_vec command;
	struct exec *e;

	if (!c)
		return;
	command = http_query_all(r->x, "command");
	o = (struct remote_options){
		.stdin = asked(r->x, "input", "stdin"),
		.stdout = asked(r->x, "output", "stdout"),
		.stderr = asked(r->x, "error", "stderr"),
		.tty = asked(r->x, "tty", "tty"),
	};
	o.stderr = o.stderr && !o.tty;
	if (!o.stdin && !o.stdout && !o.stderr) {
		server_error(r->x, 400, "you must specify at least 1 of stdin, stdout, stderr");
		return;
	}
	e = xcalloc(1, sizeof(*e));
	arena_init(&e->arena);
	buf_init(&e->in, STDIN_MAX);
	e->k = r->s->k;
	loop_timer_init(&e->size_wait, e->k->loop, size_wait_over);
	e->id = arena_str(&e->arena, c->id);
	for (size_t i = 0; exec && i < command.n; i++)
		ARENA_PUSH(&e->arena, &e->opts.command, arena_str(&e->arena, command.v[i]));
	e->opts.stdin_ = o.stdin;
	e->opts.stdout_ = o.stdout;
	e->opts.stderr_ = o.stderr;
	e->opts.tty = o.tty;
	e->opts.events = &cri_events;
	e->opts.user_data = e;
	if (remote_accept(r->x, &o, &remote_events, e, &e->session, &err) < 0) {
		server_error(r->x, err.code, "%s", err_text(&err));
		exec_free(e);
	}
}

void serve_exec(struct route_args *r)
{
	serve_streams(r, true);
}

void serve_attach(struct route_args *r)
{
	serve_streams(r, false);
}

/* --- /run: a command's output as the answer --- */

struct run {
	struct http_exchange *x; /* NULL: the client left */
};

static void run_left(struct http_exchange *x)
{
	struct run *q = x->user_data;

	q->x = NULL;
}

static void run_done(
	void *user_data, int exit_code, struct str out, struct str errout, struct err *err)
{
	struct run *q = user_data;
	struct http_exchange *x = q->x;

	free(q);
	if (!x)
		return;
	x->on_close = NULL;
	if (err)
		server_error(x, 500, "%s", err_text(err));
	else
		server_error(x, exit_code == 0 ? 200 : 500, STR_FMT STR_FMT, STR_ARG(out),
			STR_ARG(errout));
}

void serve_run(struct route_args *r)
{
	const struct cri_container_status *c = container_of_path(r);
	struct str rest = http_query(r->x, "cmd"), one;
	struct str_vec command = {0};
	bool more = rest.n > 0;
	struct run *q;

	if (!c)
		return;
	while (more) {
		more = str_cut(rest, ' ', &one, &rest);
		if (one.n)
			ARENA_PUSH(&r->x->arena, &command, arena_str(&r->x->arena, one));
	}
	if (command.n == 0) {
		server_error(r->x, 400, "a command is needed");
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->x = r->x;
	r->x->user_data = q;
	r->x->on_close = run_left;
	r->s->k->cri->ops->exec_sync(r->s->k->cri, c->id, &command, 60000, run_done, q);
}

/* --- port-forward --- */

struct forward {
	struct kubelet *k;
	struct arena arena;
	struct str sandbox_id, netns;
	struct forward_session *session;
	int links; /* that may still call back */
	bool over;
};

struct link {
	struct forward *f;
	struct forward_stream *stream; /* NULL: closed */
	struct conn *conn;             /* NULL: not connected, or closed */
	struct buf early;              /* came before the connection was there */
	uint16_t port;
	bool connecting, eof, paused, held;
};

static void forward_unref(struct forward *f)
{
	if (!f->over || f->links)
		return;
	arena_release(&f->arena);
	free(f);
}

static void link_free(struct link *l)
{
	struct forward *f = l->f;

	if (l->stream || l->conn || l->connecting)
		return;
	buf_release(&l->early);
	free(l);
	f->links--;
	forward_unref(f);
}

static void link_end(struct link *l, const char *message)
{
	if (l->stream) {
		forward_close(l->stream, message);
		l->stream = NULL;
	}
	if (l->conn)
		conn_close(l->conn);
	else
		link_free(l);
}

static void conn_data(struct conn *c, struct str bytes)
{
	struct link *l = c->user_data;

	if (!l->stream)
		return;
	forward_write(l->stream, bytes);
	if (!l->held && forward_pending(l->stream) > PENDING_MAX) {
		l->held = true;
		conn_read_stop(c);
	}
}

static void conn_eof(struct conn *c)
{
	link_end(c->user_data, NULL);
}

static void conn_writable(struct conn *c)
{
	struct link *l = c->user_data;

	if (l->paused && l->stream) {
		l->paused = false;
		forward_resume(l->stream);
	}
}

static void conn_closed(struct conn *c, int status)
{
	struct link *l = c->user_data;

	(void)status;
	l->conn = NULL;
	link_end(l, NULL);
}

static const struct conn_events link_events = {.on_data = conn_data,
	.on_eof = conn_eof,
	.on_writable = conn_writable,
	.on_close = conn_closed};

static void connected(void *user_data, int fd, struct err *err)
{
	struct link *l = user_data;
	char message[512];

	l->connecting = false;
	if (err || !l->stream) {
		if (err)
			snprintf(message, sizeof(message),
				"error forwarding port %d to pod " STR_FMT ", uid : %s", l->port,
				STR_ARG(l->f->sandbox_id), err_text(err));
		else
			close(fd);
		link_end(l, err ? message : NULL);
		return;
	}
	l->conn = conn_from_fd(l->f->k->loop, fd);
	l->conn->events = &link_events;
	l->conn->user_data = l;
	conn_read_start(l->conn);
	if (l->early.n)
		conn_write(l->conn, buf_str(&l->early));
	buf_reset(&l->early);
	if (l->paused) {
		l->paused = false;
		forward_resume(l->stream);
	}
	if (l->eof)
		conn_shutdown(l->conn);
}

static void forward_open(
	struct forward_session *s, void *owner, struct forward_stream *stream, uint16_t port)
{
	struct forward *f = owner;
	struct link *l = xcalloc(1, sizeof(*l));

	(void)s;
	l->f = f;
	l->stream = stream;
	l->port = port;
	l->connecting = true;
	buf_init(&l->early, STDIN_MAX);
	f->links++;
	forward_set_data(stream, l);
	f->k->cri->ops->port_forward(f->k->cri, f->sandbox_id, port, connected, l);
}

static void forward_in(struct forward_stream *stream, struct str bytes)
{
	struct link *l = forward_data(stream);

	if (l->conn)
		conn_write(l->conn, bytes);
	else
		buf_add_str(&l->early, bytes);
	if (!l->paused && (!l->conn || l->conn->pending > PENDING_MAX)) {
		l->paused = true;
		forward_pause(stream);
	}
}

static void forward_eof(struct forward_stream *stream)
{
	struct link *l = forward_data(stream);

	l->eof = true;
	if (l->conn)
		conn_shutdown(l->conn);
}

static void forward_writable(struct forward_stream *stream)
{
	struct link *l = forward_data(stream);

	if (l->held && l->conn) {
		l->held = false;
		conn_read_start(l->conn);
	}
}

static void forward_reset(struct forward_stream *stream)
{
	link_end(forward_data(stream), NULL);
}

static void forward_over(struct forward_session *s, void *owner)
{
	struct forward *f = owner;

	forward_end(s);
	f->session = NULL;
	f->over = true;
	forward_unref(f);
}

static const struct forward_events forward_events = {
	.on_open = forward_open,
	.on_data = forward_in,
	.on_eof = forward_eof,
	.on_writable = forward_writable,
	.on_reset = forward_reset,
	.on_closed = forward_over,
};

void serve_port_forward(struct route_args *r)
{
	struct pod *p = server_pod(r, "pod does not exist");
	const struct cri_sandbox_status *sb = p ? observed_ready_sandbox(&p->observed) : NULL;
	struct err err CLEANUP(err_release) = {0};
	struct forward *f;

	if (!p)
		return;
	if (!sb) {
		server_error(r->x, 500, "failed to find sandbox for pod \"" STR_FMT "\"",
			STR_ARG(p->name));
		return;
	}
	f = xcalloc(1, sizeof(*f));
	arena_init(&f->arena);
	f->k = r->s->k;
	f->sandbox_id = arena_str(&f->arena, sb->id);
	if (forward_accept(r->x, &forward_events, f, &f->session, &err) < 0) {
		server_error(r->x, err.code, "%s", err_text(&err));
		f->over = true;
		forward_unref(f);
	}
}
