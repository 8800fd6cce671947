/* attach.c: a container's own streams, over conmon's attach socket; its log. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/monitor.h"

/* conmon's packets: the first byte says which stream. What goes in is plain, in packets it can
 * take. */
enum {
	PACKET_MAX = 65536,
	STREAM_OUT = 2,
	STREAM_ERR = 3,
	INPUT_PACKET = 8192,
	QUEUE_MAX = 1024 * 1024
};

struct attach {
	struct cri_stream s;
	struct runtime *rt;
	struct container *ct;
	uv_poll_t poll;
	int fd;
	bool want_out, want_err, stopped, full, shut, closed;
	struct buf queue; /* to stdin */
};

static struct attach *attach_of(struct cri_stream *s)
{
	return container_of(s, struct attach, s);
}

static void poll_closed(uv_handle_t *h)
{
	struct attach *t = container_of((uv_poll_t *)h, struct attach, poll);

	fd_close(&t->fd);
	buf_release(&t->queue);
	container_unref(t->ct);
	free(t);
}

static void end(struct attach *t)
{
	uv_poll_stop(&t->poll);
	uv_close((uv_handle_t *)&t->poll, poll_closed);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void listen_for(struct attach *t)
{
	uv_poll_start(&t->poll,
		(t->stopped ? 0 : UV_READABLE) | (t->queue.n ? UV_WRITABLE : 0) | UV_DISCONNECT,
		on_ready);
}

static void flush(struct attach *t)
{
	while (t->queue.n) {
		ssize_t n = send(t->fd, t->queue.p, MIN(t->queue.n, (size_t)INPUT_PACKET),
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			break;
		buf_consume(&t->queue, n);
	}
	if (!t->queue.n && t->shut)
		shutdown(t->fd, SHUT_WR);
	if (t->full && t->queue.n < QUEUE_MAX / 2) {
		t->full = false;
		t->s.events->on_writable(&t->s);
	}
}

/* False at the end. */
static bool take_packet(struct attach *t)
{
	char packet[PACKET_MAX];
	ssize_t n = recv(t->fd, packet, sizeof(packet), MSG_DONTWAIT);
	struct str bytes;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	bytes = str_n(packet + 1, n - 1);
	if (packet[0] == STREAM_OUT && t->want_out && bytes.n)
		t->s.events->on_stdout(&t->s, bytes);
	else if (packet[0] == STREAM_ERR && t->want_err && bytes.n)
		t->s.events->on_stderr(&t->s, bytes);
	return true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct attach *t = container_of(poll, struct attach, poll);
	bool more = status >= 0;

	if (more && (events & (UV_READABLE | UV_DISCONNECT)) && !t->stopped)
		more = take_packet(t);
	if (t->closed)
		return;
	if (more && (events & UV_WRITABLE))
		flush(t);
	if (t->closed)
		return;
	if (more) {
		listen_for(t);
		return;
	}
	t->closed = true;
	t->s.events->on_exit(&t->s, 0, NULL);
	end(t);
}

static size_t op_write(struct cri_stream *s, struct str bytes)
{
	struct attach *t = attach_of(s);
	size_t n = MIN(bytes.n, QUEUE_MAX - t->queue.n);

	if (!t->ct->stdin_ || t->shut)
		return bytes.n;
	if (n < bytes.n)
		t->full = true;
	buf_add(&t->queue, bytes.p, n);
	listen_for(t);
	return n;
}

static void op_close_stdin(struct cri_stream *s)
{
	struct attach *t = attach_of(s);

	t->shut = true;
	if (!t->queue.n)
		shutdown(t->fd, SHUT_WR);
}

static void op_resize(struct cri_stream *s, uint16_t width, uint16_t height)
{
	struct attach *t = attach_of(s);
	char line[32];

	snprintf(line, sizeof(line), "%d %d\n", height, width);
	if (t->ct->tty)
		monitor_control(t->rt, t->ct, "winsz", line);
}

static void op_read_stop(struct cri_stream *s)
{
	attach_of(s)->stopped = true;
	listen_for(attach_of(s));
}

static void op_read_start(struct cri_stream *s)
{
	attach_of(s)->stopped = false;
	listen_for(attach_of(s));
}

static void op_close(struct cri_stream *s)
{
	struct attach *t = attach_of(s);

	t->closed = true;
	end(t);
}

static const struct cri_stream_ops ops = {
	.write = op_write,
	.close_stdin = op_close_stdin,
	.resize = op_resize,
	.read_stop = op_read_stop,
	.read_start = op_read_start,
	.close = op_close,
};

/* The socket's path may be longer than an address holds: through the directory's descriptor. */
static int connect_to(struct runtime *rt, const struct container *c)
{
	char *dir CLEANUP(free_ptr) = xasprintf("%s/%s", rt->run_containers_dir, c->id);
	int at CLEANUP(fd_close) = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (at < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/attach", at);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

struct cri_stream *container_attach(
	struct runtime *rt, struct container *c, const struct cri_stream_opts *o, struct err *err)
{
	int fd = connect_to(rt, c);
	struct attach *t;

	if (fd < 0) {
		err_errno(err, -fd, "cannot attach to container %s", c->id);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->s = (struct cri_stream){&ops, o->events, o->user_data};
	t->rt = rt;
	t->ct = c;
	c->refs++;
	t->fd = fd;
	t->want_out = o->stdout_;
	t->want_err = o->stderr_;
	buf_init(&t->queue, QUEUE_MAX);
	uv_poll_init(loop_uv(rt->cri.loop), &t->poll, fd);
	listen_for(t);
	return &t->s;
}

void container_reopen_log(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);
	struct err err CLEANUP(err_release) = {0};
	int r;

	if (!c) {
		no_container(id, &err);
	} else if (c->st.state != CRI_RUNNING) {
		err_fmt(&err, 400, "BadRequest", "container is not running");
	} else {
		r = monitor_control(rt, c, "ctl", "2 0 0\n");
		if (r < 0)
			err_errno(&err, -r, "cannot tell conmon to open the log again");
	}
	later(rt, done, user_data, &err);
}
