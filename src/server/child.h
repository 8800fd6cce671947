/*
 * child.h: a program that is kept running: restarted with back-off when it ends, its output in a
 * log file that cannot grow without bound, its readiness heard (sd_notify). One thread: the loop's.
 */
#ifndef SAMPAN_CHILD_H
#define SAMPAN_CHILD_H

#include <uv.h>

#include "base/base.h"
#include "loop/loop.h"

enum { CHILD_LOG_MAX = 8 << 20 };

struct child {
	const char *name; /* "control" */
	char **args;      /* NULL-terminated; args[0] is the subcommand's program name; borrowed */
	const char *log_path; /* <data-dir>/log/<name>.log; the one before it is kept as .1 */
	void (*on_ready)(struct child *c);   /* each time it says READY=1 */
	void (*on_stopped)(struct child *c); /* after child_stop: it is gone */
	/* It ended with an error, exit_code, before it was ever ready: trying again would not help,
	 * and is not done. */
	void (*on_refused)(struct child *c);
	int exit_code;
	void *user_data;

	/* private */
	struct loop *loop;
	uv_process_t process;
	uv_pipe_t output;
	uv_poll_t notify;
	char notify_name[32];
	int notify_fd, log_fd;
	size_t log_size;
	struct loop_timer again;
	int64_t started_ms, delay_ms;
	bool running, stopping, ready, was_ready, refused;
};

/* Opens the log and the notify socket and starts the program (this executable). */
int child_start(struct child *c, struct loop *loop, struct err *err);
/* SIGTERM; on_stopped when it is gone (at once when it does not run). */
void child_stop(struct child *c);

#endif
