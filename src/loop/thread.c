#include "loop/thread.h"

#include <signal.h>

int loop_thread_init(struct loop_thread *t, struct err *err)
{
	*t = (struct loop_thread){.loop = loop_new_uv()};
	return t->loop ? 0 : err_errno(err, ENOMEM, "cannot make an event loop");
}

static void *run(void *arg)
{
	struct loop_thread *t = arg;

	loop_run(t->loop);
	return NULL;
}

int loop_thread_start(struct loop_thread *t, const char *name, struct err *err)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int r;

	sigfillset(&all); /* signals are the main loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 8 << 20); /* JSON may nest deeply; touched pages only count */
	r = pthread_create(&t->id, &attr, run, t);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		t->id = 0;
		return err_errno(err, r, "cannot start a thread");
	}
	pthread_setname_np(t->id, name);
	return 0;
}

void loop_thread_stop(struct loop_thread *t)
{
	if (!t->id)
		return;
	loop_stop(t->loop);
	pthread_join(t->id, NULL);
	t->id = 0;
}

void loop_thread_release(struct loop_thread *t)
{
	if (t->loop)
		loop_free(t->loop);
	t->loop = NULL;
}
