#include "serving/program.h"

#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "base/notify.h"

struct running {
	struct client_program *p;
	struct loop *loop;
	struct leader *leader; /* NULL: without election */
	struct serving *serving;
	uv_signal_t term, interrupt;
	bool failed;
};

int client_program_client(const struct client_program *p, struct loop *loop, bool anonymous,
	struct client **ret, struct err *err)
{
	char *agent CLEANUP(free_ptr) = xasprintf("%s/" SAMPAN_VERSION, p->name);
	const struct client_http_opts opts = {
		.kubeconfig = p->kubeconfig,
		.server = p->master ? str_c(p->master) : (struct str){0},
		.user_agent = agent,
		.anonymous = anonymous,
		.metrics = p->component ? p->component->metrics : NULL,
	};

	return client_http_new(loop, &opts, ret, err);
}

static int start(struct running *r, struct err *err)
{
	struct client *client;
	int rc = client_program_client(r->p, r->loop, false, &client, err);

	return rc < 0 ? rc : r->p->start(r->p, r->loop, client, err);
}

static void on_leading(void *user_data)
{
	struct running *r = user_data;
	struct err err CLEANUP(err_release) = {0};

	if (start(r, &err) == 0)
		return;
	fprintf(stderr, "%s: %s\n", r->p->name, err_text(&err));
	r->failed = true;
	loop_stop(r->loop);
}

static void on_lost(void *user_data)
{
	struct running *r = user_data;

	if (!r->failed)
		r->p->stop(r->p);
}

static void on_released(void *user_data)
{
	loop_stop(((struct running *)user_data)->loop);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct running *r = handle->data;

	uv_signal_stop(handle);
	if (r->leader)
		leader_release(r->leader, on_released, r);
	else
		loop_stop(r->loop);
}

static int begin(struct running *r, struct err *err)
{
	const struct leader_flags *f = &r->p->leader;
	struct leader_opts opts = {
		.ns = f->ns,
		.name = f->name,
		.lease_ms = f->lease_ms,
		.renew_ms = f->renew_ms,
		.retry_ms = f->retry_ms,
		.started = on_leading,
		.stopped = on_lost,
		.user_data = r,
	};
	int rc;

	rc = r->p->component ? serving_flags_check(&r->p->serving, err) : 0;
	if (rc == 0 && f->elect)
		rc = leader_flags_check(f, err);
	if (rc == 0 && r->p->component)
		rc = serving_start_flags(
			r->loop, &r->p->serving, r->p->component, &r->serving, err);
	if (rc < 0 || !f->elect)
		return rc < 0 ? rc : start(r, err);
	rc = client_program_client(r->p, r->loop, false, &opts.client, err);
	if (rc == 0)
		r->leader = leader_new(&opts);
	if (r->p->elected)
		*r->p->elected = r->leader;
	return rc;
}

const char *client_program_url(const char *master, struct arena *a)
{
	if (!master || strstr(master, "://"))
		return master;
	return arena_fmt(a, "http://%s", master).p;
}

int client_program_run(struct client_program *p)
{
	struct running r = {.p = p};
	struct err err CLEANUP(err_release) = {0};

	if (!p->kubeconfig && !p->master) {
		fprintf(stderr, "%s: --kubeconfig or --master is needed\n", p->name);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	r.loop = loop_new_uv();
	if (begin(&r, &err) < 0) {
		fprintf(stderr, "%s: %s\n", p->name, err_text(&err));
		return 1;
	}
	uv_signal_init(loop_uv(r.loop), &r.term);
	uv_signal_init(loop_uv(r.loop), &r.interrupt);
	r.term.data = r.interrupt.data = &r;
	uv_signal_start(&r.term, on_signal, SIGTERM);
	uv_signal_start(&r.interrupt, on_signal, SIGINT);
	log_info("%s: started", p->name);
	notify_supervisor("READY=1");
	loop_run(r.loop);
	if (p->elected)
		*p->elected = NULL;
	if (r.leader)
		leader_free(r.leader);
	else
		p->stop(p);
	return r.failed ? 1 : 0;
}
