/* stream.c: exec, attach and port-forward through the runtime's streaming server. */
#include "node/cri_grpc/client.h"

struct cri_stream *grpc_stream(
	struct cri *c, struct str id, const struct cri_stream_opts *opts, struct err *err)
{
	(void)c, (void)id, (void)opts;
	err_fmt(err, 501, "NotImplemented",
		"exec and attach are not possible with this container runtime");
	return NULL;
}

struct refused {
	struct loop_task task;
	void (*fn)(void *user_data, int fd, struct err *err);
	void *user_data;
};

static void refuse(struct loop_task *t)
{
	struct refused *r = container_of(t, struct refused, task);
	struct err err CLEANUP(err_release) = {0};

	err_fmt(&err, 501, "NotImplemented",
		"port-forward is not possible with this container runtime");
	r->fn(r->user_data, -1, &err);
	free(r);
}

void grpc_port_forward(struct cri *c, struct str sandbox_id, int port,
	void (*fn)(void *user_data, int fd, struct err *err), void *user_data)
{
	struct refused *r = xcalloc(1, sizeof(*r));

	(void)sandbox_id, (void)port;
	*r = (struct refused){{.fn = refuse}, fn, user_data};
	loop_post(c->loop, &r->task);
}

void sessions_free(struct cri_grpc *g)
{
	(void)g;
}
