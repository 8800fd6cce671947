/* thread.h: a loop with a thread of its own. */
#ifndef SAMPAN_LOOP_THREAD_H
#define SAMPAN_LOOP_THREAD_H

#include <pthread.h>

#include "loop/loop.h"

struct loop_thread {
	struct loop *loop;
	pthread_t id;
};

/* The loop does not run yet: set things up on it from the caller's thread, then loop_thread_start. */
int loop_thread_init(struct loop_thread *t, struct err *err);
int loop_thread_start(struct loop_thread *t, const char *name, struct err *err);
/* Stops the loop and waits for the thread; what lived on the loop may then be freed from the caller's thread, and
 * after that the loop itself, by loop_thread_release. */
void loop_thread_stop(struct loop_thread *t);
void loop_thread_release(struct loop_thread *t);

#endif
