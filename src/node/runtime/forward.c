/* forward.c: a connection into a sandbox's network. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/netlink.h"
#include "base/fs.h"
#include "node/runtime/runtime.h"

enum { CONNECT_TIMEOUT_MS = 10000 };

struct forward_job {
	struct job job;
	char *netns; /* NULL: the node's */
	int port, fd;
	struct err err;
	void (*fn)(void *user_data, int fd, struct err *err);
	void *user_data;
};

static int connect_local(int family, int port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int failed = 0;
	socklen_t n = sizeof(failed);

	if (fd < 0)
		return -errno;
	r = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
			      : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r < 0)
		failed = errno;
	if (failed == EINPROGRESS) {
		if (poll(&p, 1, CONNECT_TIMEOUT_MS) <= 0)
			failed = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n);
	}
	if (!failed)
		return fd;
	close(fd);
	return -failed;
}

static void forward_run(struct job *job)
{
	struct forward_job *j = container_of(job, struct forward_job, job);
	int back = -1, r = j->netns ? netns_enter(j->netns, &back) : 0;

	if (r == 0) {
		r = connect_local(AF_INET, j->port);
		if (r < 0) {
			int v6 = connect_local(AF_INET6, j->port);

			r = v6 >= 0 ? v6 : r;
		}
	}
	if (back >= 0)
		netns_leave(back);
	if (r < 0)
		err_errno(&j->err, -r,
			"failed to connect to localhost:%d inside the pod's network namespace",
			j->port);
	else
		j->fd = r;
}

static void forward_done(struct job *job)
{
	struct forward_job *j = container_of(job, struct forward_job, job);

	j->fn(j->user_data, err_set(&j->err) ? -1 : j->fd, err_set(&j->err) ? &j->err : NULL);
	err_release(&j->err);
	free(j->netns);
	free(j);
}

static void refuse(struct loop_task *t)
{
	forward_done(container_of(t, struct job, task));
}

void sandbox_port_forward(struct cri *c, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct sandbox *s = sandbox_find(rt, sandbox_id);
	struct forward_job *j = xcalloc(1, sizeof(*j));

	j->fd = -1;
	j->port = port;
	j->fn = fn;
	j->user_data = user_data;
	if (!s || !s->st.ready || port <= 0 || port > 65535) {
		err_fmt(&j->err, 404, "NotFound", "sandbox \"" STR_FMT "\" does not run",
			STR_ARG(sandbox_id));
		j->job.task.fn = refuse;
		loop_post(c->loop, &j->job.task);
		return;
	}
	j->netns = s->network == CRI_NS_POD ? xstrdup(s->st.netns_path.p) : NULL;
	job_submit(rt->jobs, &j->job, forward_run, forward_done);
}
