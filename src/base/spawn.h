/*
 * spawn.h: child processes from job threads (blocking).
 *
 * Children get an empty signal mask, default signal handlers and no descriptor but the ones given.
 */
#ifndef SAMPAN_BASE_SPAWN_H
#define SAMPAN_BASE_SPAWN_H

#include "base/base.h"

struct spawn_opts {
	const char *path;
	char *const *argv;
	char *const *envp;                  /* NULL: ours */
	const char *dir;                    /* working directory, NULL: ours */
	int stdin_fd, stdout_fd, stderr_fd; /* 0 or -1: /dev/null */
	const int *fds;                     /* become 3, 4, … in the child */
	size_t n_fds;
	bool new_session;
};

int spawn_start(const struct spawn_opts *o, pid_t *ret_pid); /* 0 or negative errno */
int spawn_wait(pid_t pid,
	int timeout_ms); /* exit code, 128+signal, or -ETIMEDOUT (killed and reaped then) */

/* Runs it to its end with `input` on stdin, collecting stdout and stderr (each up to its buf's
 * maximum, the rest is dropped). Returns the exit code, 128+signal, or a negative errno
 * (-ETIMEDOUT: it was killed). */
int spawn_run(const struct spawn_opts *o, struct str input, struct buf *out, struct buf *errout,
	int timeout_ms);

#endif
