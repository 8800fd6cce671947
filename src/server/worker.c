#include "server/worker.h"

int worker_init(struct worker *w, struct err *err)
{
	return loop_thread_init(&w->thread, err);
}

static void on_leading(void *user_data)
{
	struct worker *w = user_data;
	struct err err CLEANUP(err_release) = {0};

	if (w->start(w, &err) < 0)
		log_error("%s", err_text(&err));
}

static void on_lost(void *user_data)
{
	struct worker *w = user_data;

	w->stop(w);
}

int worker_start(struct worker *w, const char *name, struct client *lease,
	const struct leader_flags *flags, struct err *err)
{
	struct leader_opts opts = {
		.client = lease,
		.ns = flags->ns,
		.name = flags->name,
		.lease_ms = flags->lease_ms,
		.renew_ms = flags->renew_ms,
		.retry_ms = flags->retry_ms,
		.started = on_leading,
		.stopped = on_lost,
		.user_data = w,
	};
	int r = 0;

	if (lease)
		w->leader = leader_new(&opts);
	else
		r = w->start(w, err);
	if (w->elected)
		*w->elected = w->leader;
	return r < 0 ? r : loop_thread_start(&w->thread, name, err);
}

static void on_released(void *user_data)
{
	struct worker *w = user_data;

	sem_post(&w->quitted);
}

static void quit(struct loop_task *t)
{
	struct worker *w = container_of(t, struct worker, quit);

	leader_release(w->leader, on_released, w);
}

void worker_stop(struct worker *w)
{
	if (w->leader && w->thread.id) {
		sem_init(&w->quitted, 0, 0);
		w->quit.fn = quit;
		loop_post(w->thread.loop, &w->quit);
		while (sem_wait(&w->quitted) < 0)
			;
		sem_destroy(&w->quitted);
	}
	loop_thread_stop(&w->thread);
}
