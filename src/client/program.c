#include "client/program.h"

#include <signal.h>
#include <stdio.h>
#include <uv.h>

static void on_signal(uv_signal_t *handle, int signum)
{
	loop_stop(handle->data);
}

static int make_client(
	const struct client_program *p, struct loop *loop, struct client **ret, struct err *err)
{
	char *agent = xasprintf("%s/" SAMPAN_VERSION, p->name);
	const struct client_http_opts opts = {
		.kubeconfig = p->kubeconfig,
		.server = p->master ? str_c(p->master) : (struct str){0},
		.user_agent = agent,
	};
	int r = client_http_new(loop, &opts, ret, err);

	free(agent);
	return r;
}

int client_program_run(struct client_program *p)
{
	struct err err CLEANUP(err_release) = {0};
	struct loop *loop;
	struct client *client;
	uv_signal_t term, interrupt;
	int r;

	if (!p->kubeconfig && !p->master) {
		fprintf(stderr, "%s: --kubeconfig or --master is needed\n", p->name);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	loop = loop_new_uv();
	r = make_client(p, loop, &client, &err);
	if (r == 0)
		r = p->start(p, loop, client, &err);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", p->name, err_text(&err));
		return 1;
	}
	uv_signal_init(loop_uv(loop), &term);
	uv_signal_init(loop_uv(loop), &interrupt);
	term.data = interrupt.data = loop;
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	log_info("%s: started", p->name);
	loop_run(loop);
	p->stop(p);
	return 0;
}
