#include "server/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DELAY_MIN_MS = 100, DELAY_MAX_MS = 10000, HEALTHY_MS = 10000 };

static void launch(struct child *c);

static int open_log(struct child *c)
{
	off_t end;

	c->log_fd = open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (c->log_fd < 0)
		return -errno;
	end = lseek(c->log_fd, 0, SEEK_END);
	c->log_size = end > 0 ? end : 0;
	return 0;
}

static void rotate_log(struct child *c)
{
	char *old CLEANUP(free_ptr) = xasprintf("%s.1", c->log_path);

	close(c->log_fd);
	if (rename(c->log_path, old) < 0)
		log_warn("%s: %s", c->log_path, strerror(errno));
	if (open_log(c) < 0)
		log_warn("%s: %s", c->log_path, strerror(errno));
}

static void give_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	*buf = uv_buf_init(xmalloc(16384), 16384);
}

static void on_output(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct child *c = s->data;

	if (n > 0 && c->log_fd >= 0) {
		if (c->log_size + n > CHILD_LOG_MAX)
			rotate_log(c);
		if (write(c->log_fd, buf->base, n) == n)
			c->log_size += n;
	} else if (n < 0) {
		uv_read_stop(s);
	}
	free(buf->base);
}

static void on_notify(uv_poll_t *p, int status, int events)
{
	struct child *c = p->data;
	char text[256];
	ssize_t n = recv(c->notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	text[n] = 0;
	if (strstr(text, "READY=1")) {
		c->ready = c->was_ready = true;
		if (c->on_ready)
			c->on_ready(c);
	}
}

/* An abstract socket with a name that the kernel chooses. */
static int open_notify(struct child *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(addr);

	c->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->notify_fd < 0 ||
		bind(c->notify_fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) < 0 ||
		getsockname(c->notify_fd, (struct sockaddr *)&addr, &n) < 0)
		return -errno;
	snprintf(c->notify_name, sizeof(c->notify_name), "@%.*s",
		(int)(n - offsetof(struct sockaddr_un, sun_path) - 1), addr.sun_path + 1);
	return 0;
}

static void on_again(struct loop_timer *t)
{
	launch(container_of(t, struct child, again));
}

static void restart_later(struct child *c)
{
	int64_t up_ms = loop_now_ms(c->loop) - c->started_ms;

	c->delay_ms = up_ms > HEALTHY_MS || !c->delay_ms ? DELAY_MIN_MS
							 : MIN(c->delay_ms * 2, DELAY_MAX_MS);
	loop_timer_start(&c->again, c->delay_ms);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	if (c->stopping) {
		if (c->on_stopped)
			c->on_stopped(c);
		return;
	}
	if (c->refused)
		c->on_refused(c);
	else
		restart_later(c);
}

static void on_output_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	uv_close((uv_handle_t *)&c->process, on_handle_closed);
}

static void on_exit_(uv_process_t *p, int64_t status, int signal)
{
	struct child *c = p->data;

	c->running = c->ready = false;
	c->exit_code = (int)status;
	c->refused = c->on_refused && !c->was_ready && !signal && status;
	if (!c->stopping && signal)
		log_error("%s was ended by %s; see %s", c->name, strsignal(signal), c->log_path);
	else if (!c->stopping)
		log_error("%s ended with code %d; see %s", c->name, (int)status, c->log_path);
	uv_close((uv_handle_t *)&c->output, on_output_closed);
}

static void launch(struct child *c)
{
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&c->output}};
	uv_process_options_t opts = {
		.file = "/proc/self/exe",
		.args = c->args,
		.exit_cb = on_exit_,
		.stdio = stdio,
		.stdio_count = 3,
	};
	uv_loop_t *uv = loop_uv(c->loop);
	int r;

	uv_pipe_init(uv, &c->output, 0);
	c->output.data = c->process.data = c;
	setenv("NOTIFY_SOCKET", c->notify_name, 1);
	c->started_ms = loop_now_ms(c->loop);
	r = uv_spawn(uv, &c->process, &opts);
	if (r < 0) {
		log_error("%s: cannot start: %s", c->name, uv_strerror(r));
		uv_close((uv_handle_t *)&c->output, on_output_closed);
		return;
	}
	c->running = true;
	uv_read_start((uv_stream_t *)&c->output, give_buffer, on_output);
}

int child_start(struct child *c, struct loop *loop, struct err *err)
{
	int r;

	c->loop = loop;
	c->notify_fd = c->log_fd = -1;
	r = open_log(c);
	if (r < 0)
		return err_errno(err, -r, "cannot write %s", c->log_path);
	r = open_notify(c);
	if (r < 0)
		return err_errno(err, -r, "%s: cannot make its notify socket", c->name);
	uv_poll_init(loop_uv(loop), &c->notify, c->notify_fd);
	c->notify.data = c;
	uv_poll_start(&c->notify, UV_READABLE, on_notify);
	loop_timer_init(&c->again, loop, on_again);
	launch(c);
	return 0;
}

void child_stop(struct child *c)
{
	c->stopping = true;
	loop_timer_stop(&c->again);
	if (c->running)
		uv_process_kill(&c->process, SIGTERM);
	else if (c->on_stopped)
		c->on_stopped(c);
}
