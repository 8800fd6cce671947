/* exec.c: another process in a running container, through `exec` of the OCI runtime, its streams on
 * the loop. */
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/monitor.h"
#include "node/runtime/spec.h"

enum {
	QUEUE_MAX = 1024 * 1024, /* to stdin */
	EARLY_MAX = 16384,       /* no complaint of a runtime is longer */
	DRAIN_MS = 2000, /* of silence after the process has ended, while what it left behind holds
			    its pipes open */
	CHUNK = 32768,
};

struct exec {
	struct cri_stream s; /* what the caller sees */
	struct runtime *rt;
	uv_process_t process;
	uv_pipe_t in, out, err;
	struct loop_timer drain;
	uv_fs_event_t watch; /* for the pid file, while something is held back */
	bool in_open, out_open, err_open, running, closed, started, full, stopped, watching;
	int handles; /* not yet closed */
	int code;
	int pty;          /* a second descriptor of the master, for its size; -1 none */
	struct buf early; /* of stderr (or the terminal) before we know whether the process started:
			     else it is the runtime's complaint */
	char *process_json, *pid_file;
	char chunk[CHUNK];
};

static struct exec *exec_of(struct cri_stream *s)
{
	return container_of(s, struct exec, s);
}

static void release(struct exec *e)
{
	loop_timer_stop(&e->drain);
	unlink(e->process_json);
	unlink(e->pid_file);
	fd_close(&e->pty);
	buf_release(&e->early);
	free(e->process_json);
	free(e->pid_file);
	free(e);
}

static void handle_closed(uv_handle_t *h)
{
	struct exec *e = h->data;

	if (--e->handles == 0)
		release(e);
}

static void close_stream(uv_pipe_t *p, bool *open)
{
	if (*open)
		uv_close((uv_handle_t *)p, handle_closed);
	*open = false;
}

static void stop_watching(struct exec *e)
{
	if (e->watching)
		uv_close((uv_handle_t *)&e->watch, handle_closed);
	e->watching = false;
}

/* The runtime writes the pid file; the process may have printed something before. */
static bool has_started(struct exec *e)
{
	if (!e->started)
		e->started = access(e->pid_file, F_OK) == 0;
	return e->started;
}

static void deliver(struct exec *e, bool is_err, struct str bytes)
{
	if (e->closed || !bytes.n)
		return;
	if (is_err)
		e->s.events->on_stderr(&e->s, bytes);
	else
		e->s.events->on_stdout(&e->s, bytes);
}

static void flush_early(struct exec *e)
{
	struct buf b = e->early;

	stop_watching(e);
	if (!b.n)
		return;
	buf_init(&e->early, EARLY_MAX);
	deliver(e, e->pty < 0, buf_str(&b));
	buf_release(&b);
}

static void pid_file_seen(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct exec *e = watch->data;

	if (has_started(e))
		flush_early(e);
}

/* What is held back must not wait for more output: a prompt would never be seen. */
static void watch_for_start(struct exec *e)
{
	char dir[PATH_MAX];

	if (e->watching)
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(e->pid_file, '/') - e->pid_file),
		e->pid_file);
	uv_fs_event_init(loop_uv(e->rt->cri.loop), &e->watch);
	e->watch.data = e;
	e->handles++;
	e->watching = true;
	if (uv_fs_event_start(&e->watch, pid_file_seen, dir, 0) < 0)
		e->started = true; /* better shown as output than not at all */
	if (has_started(e))
		flush_early(e);
}

/* False: not to be held back, for it is the process's own. */
static bool hold_back(struct exec *e, bool is_err, struct str bytes)
{
	if (is_err == (e->pty >= 0) || has_started(e))
		return false;
	if (e->early.n + bytes.n > EARLY_MAX) {
		e->started = true;
		return false;
	}
	buf_add_str(&e->early, bytes);
	watch_for_start(e);
	return true;
}

/* Process ended and streams read to their end: the caller hears of it, and this goes. */
static void maybe_finish(struct exec *e)
{
	struct err err CLEANUP(err_release) = {0};

	if (e->running || e->out_open || e->err_open)
		return;
	loop_timer_stop(&e->drain);
	stop_watching(e);
	if (!e->closed) {
		if (has_started(e)) {
			flush_early(e);
		} else {
			struct arena a = {0};
			struct str words = oci_words(
				e->early.n ? buf_str(&e->early) : S("no reason given"), &a);

			err_fmt(&err, 500, "InternalError",
				"failed to exec in container: OCI runtime exec failed: " STR_FMT,
				STR_ARG(words));
			arena_release(&a);
		}
	}
	if (!e->closed) {
		e->closed = true;
		e->s.events->on_exit(&e->s, e->code, err_set(&err) ? &err : NULL);
	}
	close_stream(&e->in, &e->in_open);
	uv_close((uv_handle_t *)&e->process, handle_closed);
}

static void alloc_cb(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct exec *e = h->data;

	*buf = uv_buf_init(e->chunk, CHUNK);
}

/* A caller who does not read now is waited for: what is in the pipes is his. */
static void wait_for_rest(struct exec *e)
{
	if (!e->running && !e->stopped && (e->out_open || e->err_open))
		loop_timer_start(&e->drain, DRAIN_MS);
	else
		loop_timer_stop(&e->drain);
}

static void read_cb(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct exec *e = stream->data;
	bool is_err = stream == (uv_stream_t *)&e->err;

	if (n < 0) { /* the end; EIO is a terminal's */
		close_stream(is_err ? &e->err : &e->out, is_err ? &e->err_open : &e->out_open);
		maybe_finish(e);
		return;
	}
	if (n == 0 || e->closed)
		return;
	if (!hold_back(e, is_err, str_n(buf->base, n))) {
		if (e->started)
			flush_early(e);
		deliver(e, is_err, str_n(buf->base, n));
	}
	if (!e->running)
		wait_for_rest(e);
}

static void drain_over(struct loop_timer *t)
{
	struct exec *e = container_of(t, struct exec, drain);

	close_stream(&e->out, &e->out_open);
	close_stream(&e->err, &e->err_open);
	maybe_finish(e);
}

static void exit_cb(uv_process_t *p, int64_t status, int signal)
{
	struct exec *e = p->data;

	e->running = false;
	e->code = signal ? 128 + signal : status;
	wait_for_rest(e);
	maybe_finish(e);
}

/* --- what the caller may do --- */

struct write_call {
	uv_write_t req;
	struct exec *e;
	char bytes[];
};

static void written(uv_write_t *req, int status)
{
	struct write_call *w = container_of(req, struct write_call, req);
	struct exec *e = w->e;

	if (e->full && !e->closed &&
		uv_stream_get_write_queue_size((uv_stream_t *)&e->in) < QUEUE_MAX / 2) {
		e->full = false;
		e->s.events->on_writable(&e->s);
	}
	free(w);
}

static size_t op_write(struct cri_stream *s, struct str bytes)
{
	struct exec *e = exec_of(s);
	size_t queued = e->in_open ? uv_stream_get_write_queue_size((uv_stream_t *)&e->in) : 0;
	size_t n = MIN(bytes.n, QUEUE_MAX - MIN(queued, (size_t)QUEUE_MAX));
	struct write_call *w;
	uv_buf_t buf;

	if (!e->in_open)
		return bytes.n; /* nobody reads: as a closed pipe with SIGPIPE ignored */
	if (n < bytes.n)
		e->full = true;
	if (!n)
		return 0;
	w = xmalloc(sizeof(*w) + n);
	w->e = e;
	memcpy(w->bytes, bytes.p, n);
	buf = uv_buf_init(w->bytes, n);
	if (uv_write(&w->req, (uv_stream_t *)&e->in, &buf, 1, written) < 0)
		free(w);
	return n;
}

static void shut(uv_shutdown_t *req, int status)
{
	struct exec *e = req->data;

	free(req);
	close_stream(&e->in, &e->in_open);
}

static void op_close_stdin(struct cri_stream *s)
{
	struct exec *e = exec_of(s);
	uv_shutdown_t *req;

	if (!e->in_open)
		return;
	if (e->pty >= 0) { /* the terminal's end of file character */
		op_write(s, S("\004"));
		return;
	}
	req = xcalloc(1, sizeof(*req));
	req->data = e;
	if (uv_shutdown(req, (uv_stream_t *)&e->in, shut) < 0) {
		free(req);
		close_stream(&e->in, &e->in_open);
	}
}

static void op_resize(struct cri_stream *s, uint16_t width, uint16_t height)
{
	struct winsize size = {.ws_col = width, .ws_row = height};
	struct exec *e = exec_of(s);

	if (e->pty >= 0)
		ioctl(e->pty, TIOCSWINSZ,
			&size); /* the kernel tells the runtime, which passes it on */
}

static void op_read_stop(struct cri_stream *s)
{
	struct exec *e = exec_of(s);

	e->stopped = true;
	if (e->out_open)
		uv_read_stop((uv_stream_t *)&e->out);
	if (e->err_open)
		uv_read_stop((uv_stream_t *)&e->err);
	wait_for_rest(e);
}

static void op_read_start(struct cri_stream *s)
{
	struct exec *e = exec_of(s);

	e->stopped = false;
	if (e->out_open)
		uv_read_start((uv_stream_t *)&e->out, alloc_cb, read_cb);
	if (e->err_open)
		uv_read_start((uv_stream_t *)&e->err, alloc_cb, read_cb);
	wait_for_rest(e);
}

/* The process inside first; the runtime's own process ends with it. */
static void kill_all(struct exec *e)
{
	struct arena a CLEANUP(arena_release);
	struct str text;
	int64_t pid;

	arena_init(&a);
	if (fs_read(e->pid_file, 32, &a, &text) == 0 && str_to_i64(str_trim(text), &pid) == 0 &&
		pid > 1)
		kill(pid, SIGKILL);
	else if (e->running)
		uv_process_kill(&e->process, SIGKILL);
}

static void op_close(struct cri_stream *s)
{
	struct exec *e = exec_of(s);

	e->closed = true;
	if (e->running)
		kill_all(e);
	close_stream(&e->in, &e->in_open);
	close_stream(&e->out, &e->out_open);
	close_stream(&e->err, &e->err_open);
	maybe_finish(e);
}

static const struct cri_stream_ops ops = {
	.write = op_write,
	.close_stdin = op_close_stdin,
	.resize = op_resize,
	.read_stop = op_read_stop,
	.read_start = op_read_start,
	.close = op_close,
};

/* --- starting --- */

static int write_process(struct runtime *rt, struct container *c, struct exec *e,
	const struct cri_stream_opts *o, struct err *err)
{
	struct arena a CLEANUP(arena_release);
	struct buf b CLEANUP(buf_release) = {0};
	char id[ID_LEN + 1];
	struct str config;
	int r;

	arena_init(&a);
	make_id(id);
	e->process_json = xasprintf("%s/%s/exec-%.16s.json", rt->run_containers_dir, c->id, id);
	e->pid_file = xasprintf("%s/%s/exec-%.16s.pid", rt->run_containers_dir, c->id, id);
	r = fs_read(arena_fmt(&a, "%s/%s/config.json", rt->run_containers_dir, c->id).p,
		SPEC_BYTES_MAX, &a, &config);
	if (r < 0)
		return err_errno(err, -r, "cannot read the container's configuration");
	buf_init(&b, SPEC_BYTES_MAX);
	r = spec_write_exec(config, o, &a, &b, err);
	if (r < 0)
		return r;
	r = fs_write(e->process_json, buf_str(&b), 0600);
	return r < 0 ? err_errno(err, -r, "cannot write %s", e->process_json) : 0;
}

static void init_pipe(struct exec *e, uv_pipe_t *p, bool *open)
{
	uv_pipe_init(loop_uv(e->rt->cri.loop), p, 0);
	p->data = e;
	e->handles++;
	*open = true;
}

/* A terminal pair: its master is our one stream, its slave the runtime's stdio and controlling
 * terminal. */
static int open_terminal(
	struct exec *e, const struct cri_stream_opts *o, int *ret_slave, struct err *err)
{
	struct winsize size = {
		.ws_col = o->width ? o->width : 80, .ws_row = o->height ? o->height : 24};
	struct termios raw;
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, &size) < 0)
		return err_errno(err, errno, "cannot open a terminal");
	if (tcgetattr(slave, &raw) == 0) {
		cfmakeraw(&raw); /* the container's own terminal does what a terminal does */
		tcsetattr(slave, TCSANOW, &raw);
	}
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	e->pty = fcntl(master, F_DUPFD_CLOEXEC, 3);
	init_pipe(e, &e->out, &e->out_open);
	init_pipe(e, &e->in, &e->in_open);
	uv_pipe_open(&e->out, master);
	uv_pipe_open(&e->in, fcntl(master, F_DUPFD_CLOEXEC, 3));
	*ret_slave = slave;
	return 0;
}

static int spawn(
	struct exec *e, const char *id, const struct cri_stream_opts *o, int slave, struct err *err)
{
	struct runtime *rt = e->rt;
	/* setsid -c gives the runtime the terminal as its controlling one, so that it hears of new
	 * sizes. */
	char *args[] = {"setsid", "-c", "-w", rt->oci.path, "--root", rt->oci_dir, "exec",
		"--process", e->process_json, "--pid-file", e->pid_file, (char *)id, NULL};
	char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
	uv_process_options_t opts = {.exit_cb = exit_cb,
		.file = o->tty ? "setsid" : rt->oci.path,
		.args = o->tty ? args : args + 3,
		.env = env,
		.stdio = stdio,
		.stdio_count = 3};
	int r;

	for (int i = 0; i < 3 && o->tty; i++)
		stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = slave};
	if (!o->tty) {
		if (o->stdin_) {
			init_pipe(e, &e->in, &e->in_open);
			stdio[0] = (uv_stdio_container_t){
				UV_CREATE_PIPE | UV_READABLE_PIPE, {(uv_stream_t *)&e->in}};
		}
		init_pipe(e, &e->out, &e->out_open);
		init_pipe(e, &e->err, &e->err_open);
		stdio[1] = (uv_stdio_container_t){
			UV_CREATE_PIPE | UV_WRITABLE_PIPE, {(uv_stream_t *)&e->out}};
		stdio[2] = (uv_stdio_container_t){
			UV_CREATE_PIPE | UV_WRITABLE_PIPE, {(uv_stream_t *)&e->err}};
	}
	e->process.data = e;
	e->handles++;
	r = uv_spawn(loop_uv(rt->cri.loop), &e->process, &opts);
	if (r < 0)
		return err_errno(err, -r, "cannot start %s", rt->oci.path);
	e->running = true;
	return 0;
}

static struct cri_stream *start(
	struct runtime *rt, struct container *c, const struct cri_stream_opts *o, struct err *err)
{
	struct exec *e = xcalloc(1, sizeof(*e));
	int slave = -1, r;

	e->s = (struct cri_stream){&ops, o->events, o->user_data};
	e->rt = rt;
	e->pty = -1;
	buf_init(&e->early, EARLY_MAX);
	loop_timer_init(&e->drain, rt->cri.loop, drain_over);
	r = write_process(rt, c, e, o, err);
	if (r == 0 && o->tty)
		r = open_terminal(e, o, &slave, err);
	if (r < 0) {
		release(e);
		return NULL;
	}
	r = spawn(e, c->id, o, slave, err);
	fd_close(&slave);
	if (r < 0) {
		e->closed = true;
		close_stream(&e->in, &e->in_open);
		close_stream(&e->out, &e->out_open);
		close_stream(&e->err, &e->err_open);
		uv_close((uv_handle_t *)&e->process, handle_closed);
		return NULL;
	}
	op_read_start(&e->s);
	return &e->s;
}

struct cri_stream *container_stream(
	struct cri *cri, struct str id, const struct cri_stream_opts *o, struct err *err)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);

	if (!c) {
		no_container(id, err);
		return NULL;
	}
	if (c->st.state != CRI_RUNNING) {
		err_fmt(err, 400, "BadRequest", "container is in %s state",
			c->st.state == CRI_CREATED ? "CONTAINER_CREATED" : "CONTAINER_EXITED");
		return NULL;
	}
	return o->command.n ? start(rt, c, o, err) : container_attach(rt, c, o, err);
}
