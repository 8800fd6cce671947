/*
 * monitor.h: conmon, one per running container: it holds the container's streams, writes its log
 * and its exit file, and outlives us. We watch conmon itself by a pidfd: when it has gone, the exit
 * file is there, or there will be none.
 */
#ifndef SAMPAN_RUNTIME_MONITOR_H
#define SAMPAN_RUNTIME_MONITOR_H

#include "node/runtime/runtime.h"

/* Job thread: starts conmon, which makes the container through the OCI runtime, then lets the
 * container run. The message of a failure is the OCI runtime's. */
int monitor_launch(struct runtime *rt, const struct container *c, int *ret_pid, struct err *err);

/* Loop thread: watch conmon of a container that runs; container_exit_seen() is called when it has
 * gone. False when it has gone already (then it is not). */
bool monitor_start(struct runtime *rt, struct container *c);
void monitor_stop(struct container *c);

/* Job threads. */
struct exit_status {
	int code;
	int64_t finished_ns;
	bool oom_killed, lost; /* lost: nobody saw how it ended */
};
void monitor_exit_status(struct runtime *rt, const struct container *c, struct exit_status *ret);
struct str oci_words(
	struct str text, struct arena *a); /* the OCI runtime's last error out of what it printed */
void oci_delete(struct runtime *rt,
	const char *id); /* kills what is left, removes cgroups and the runtime's state */
/* Writes "a b c\n" into one of conmon's fifos ("ctl", "winsz"). */
int monitor_control(
	struct runtime *rt, const struct container *c, const char *fifo, const char *line);

/* lifecycle.c, loop thread */
void stop_calls_end(struct runtime *rt, struct container *c); /* answers stop_container calls */
/* At start, blocking: it ended while we did not run. */
void container_ended_before(struct runtime *rt, struct container *c);
void container_lost(struct runtime *rt, struct container *c); /* exited, nobody knows how */

#endif
