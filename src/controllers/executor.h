/*
 * executor.h: runs planners. Work queue (a key is queued once and reconciled by one at a time; what
 * changes meanwhile asks again), exponential back-off per key (5 ms … 1000 s, as client-go),
 * bounded parallel writes, events.
 *
 * A key is not planned again before the view contains what was written for it: the executor
 * remembers the revisions of its own writes and waits for their events. That replaces upstream's
 * expectations.
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_EXECUTOR_H
#define SAMPAN_EXECUTOR_H

#include "controllers/planner.h"

struct executor;

/* `reader` keeps the snapshots; the executor subscribes, but does not start it. `opts` is kept. All
 * borrowed. */
struct executor *executor_new(struct client *reader, const struct controllers_opts *opts);
/* Before executor_run. `writer` is borrowed: what the planner writes and records as. */
void executor_add(struct executor *x, const struct planner *p, struct client *writer);
/* From here on keys are planned: when the reader has synced. */
void executor_run(struct executor *x);
/* The i-th planner's name; NULL: there are no more. */
const char *executor_planner(const struct executor *x, size_t i);
/* How much waits and is being worked on, of each planner. */
void executor_write_metrics(struct executor *x, struct buf *out);
/* After the clients were freed: nothing is in flight any more. */
void executor_free(struct executor *x);

#endif
