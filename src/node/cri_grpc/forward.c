/* forward.c: a forwarded connection: a socket pair, whose one end the caller gets, and a session
 * that the other end is copied to and from. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/conn.h"
#include "node/cri_grpc/session.h"

enum {
	QUEUE_MAX = 1024 * 1024,
	MESSAGE_MAX = 4096,
	HALF_CLOSED_LOOK_MS = 5000,
};

struct forward {
	struct loop *loop;
	struct session *session; /* NULL: over */
	struct conn *local;      /* NULL: not there yet, or gone */
	struct loop_timer look;  /* once the caller sends no more: whether it still reads */
	int local_fd;            /* local's; not ours */
	uint32_t data_id, error_id;
	int port;
	struct buf message; /* of the error stream */
	bool fin_sent, fin_got;
	void (*fn)(void *user_data, int fd, struct err *err); /* NULL: called */
	void *user_data;
};

static void forward_free(struct forward *f)
{
	loop_timer_stop(&f->look);
	buf_release(&f->message);
	free(f);
}

static void maybe_free(struct forward *f)
{
	if (!f->session && !f->local)
		forward_free(f);
}

static void end_session(struct forward *f)
{
	struct session *s = f->session;

	f->session = NULL;
	if (s)
		session_close(s);
}

/* --- the caller's side --- */

static void local_data(struct conn *c, struct str bytes)
{
	struct forward *f = c->user_data;

	if (!f->session)
		return;
	session_write(f->session, f->data_id, bytes, false);
	if (session_pending(f->session) > QUEUE_MAX)
		conn_read_stop(c);
}

/* A caller that closed its end altogether looks like one that only sends no more, but for the
 * hang-up. */
static void look(struct loop_timer *t)
{
	struct forward *f = container_of(t, struct forward, look);
	struct pollfd p = {.fd = f->local_fd};

	if (!f->local)
		return;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))) {
		end_session(f);
		conn_close(f->local);
	} else {
		loop_timer_start(t, HALF_CLOSED_LOOK_MS);
	}
}

static void local_eof(struct conn *c)
{
	struct forward *f = c->user_data;

	if (f->session && !f->fin_sent) {
		f->fin_sent = true;
		session_write(f->session, f->data_id, S(""), true);
	}
	if (f->fin_got) {
		end_session(f);
		conn_close(c);
		return;
	}
	look(&f->look);
}

static void local_writable(struct conn *c)
{
	struct forward *f = c->user_data;

	if (f->session)
		session_resume(f->session);
}

static void local_gone(struct conn *c, int status)
{
	struct forward *f = c->user_data;

	(void)status;
	f->local = NULL;
	end_session(f);
	maybe_free(f);
}

static const struct conn_events local_events = {
	.on_data = local_data,
	.on_eof = local_eof,
	.on_writable = local_writable,
	.on_close = local_gone,
};

/* --- the runtime's side --- */

static void give(struct forward *f, int fd, struct err *err)
{
	void (*fn)(void *user_data, int fd, struct err *err) = f->fn;

	f->fn = NULL;
	fn(f->user_data, fd, err);
}

static uint32_t open_stream(struct forward *f, const char *type, bool fin)
{
	struct arena a CLEANUP(arena_release);
	struct http_header h[3];

	arena_init(&a);
	h[0] = (struct http_header){S("streamtype"), str_c(type)};
	h[1] = (struct http_header){S("port"), arena_fmt(&a, "%d", f->port)};
	h[2] = (struct http_header){S("requestid"), S("0")};
	return session_stream(f->session, h, ARRAY_SIZE(h), fin);
}

static void on_ready(void *owner)
{
	struct err err CLEANUP(err_release) = {0};
	struct forward *f = owner;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		err_errno(&err, errno, "cannot make a socket pair");
		end_session(f);
		give(f, -1, &err);
		maybe_free(f);
		return;
	}
	f->local_fd = pair[0];
	f->local = conn_from_fd(f->loop, pair[0]);
	f->local->events = &local_events;
	f->local->user_data = f;
	f->error_id = open_stream(f, "error", true); /* we say nothing on it */
	f->data_id = open_stream(f, "data", false);
	conn_read_start(f->local);
	give(f, pair[1], NULL);
}

/* Nothing more comes from the pod. */
static void remote_over(struct forward *f)
{
	if (f->message.n)
		log_warn("port-forward to %d: " STR_FMT, f->port, STR_ARG(buf_str(&f->message)));
	buf_reset(&f->message);
	f->fin_got = true;
	if (!f->local)
		return;
	if (f->fin_sent) {
		end_session(f);
		conn_close(f->local);
	} else {
		conn_shutdown(f->local);
	}
}

static void on_data(void *owner, uint32_t id, struct str bytes, bool fin)
{
	struct forward *f = owner;

	if (id == f->error_id) {
		buf_add_str(&f->message, bytes);
		if (fin && f->message.n) { /* the connection could not be made */
			f->fin_sent = true;
			remote_over(f);
		}
		return;
	}
	if (id != f->data_id || !f->local)
		return;
	if (bytes.n) {
		conn_write(f->local, bytes);
		if (f->local->pending > QUEUE_MAX)
			session_pause(f->session);
	}
	if (fin)
		remote_over(f);
}

static void on_reset(void *owner, uint32_t id)
{
	struct forward *f = owner;

	if (id != f->data_id)
		return;
	f->fin_sent = true; /* both directions are over */
	remote_over(f);
}

static void on_writable(void *owner)
{
	struct forward *f = owner;

	if (f->local)
		conn_read_start(f->local);
}

static void on_failed(void *owner, struct err *err)
{
	struct forward *f = owner;

	f->session = NULL;
	if (f->local)
		conn_close(f->local);
	if (f->fn)
		give(f, -1, err);
	maybe_free(f);
}

static const struct session_events session_events = {
	.on_ready = on_ready,
	.on_data = on_data,
	.on_reset = on_reset,
	.on_writable = on_writable,
	.on_failed = on_failed,
};

void grpc_port_forward(struct cri *c, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data)
{
	struct forward *f = xcalloc(1, sizeof(*f));
	int64_t wanted = port;
	struct forward_request request = {sandbox_id, &wanted, 1};

	f->loop = c->loop;
	f->port = port;
	f->fn = fn;
	f->user_data = user_data;
	buf_init(&f->message, MESSAGE_MAX);
	loop_timer_init(&f->look, c->loop, look);
	f->session = session_open(cri_grpc_of(c), "RuntimeService/PortForward", &forward_request,
		&request, "portforward.k8s.io", &session_events, f);
}
