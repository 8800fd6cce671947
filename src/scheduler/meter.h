/* meter.h: what the scheduler counts (scheduler_*), under upstream's names. One thread: the
 * scheduler's. Without metrics (NULL) everything here does nothing. */
#ifndef SAMPAN_SCHEDULER_METER_H
#define SAMPAN_SCHEDULER_METER_H

#include "client/leader.h"
#include "scheduler/framework.h"
#include "scheduler/scheduler.h"
#include "serving/component.h"

enum attempt_result { ATTEMPT_SCHEDULED, ATTEMPT_UNSCHEDULABLE, ATTEMPT_ERROR, ATTEMPT_RESULTS };

enum meter_point {
	POINT_PRE_ENQUEUE,
	POINT_PRE_FILTER,
	POINT_FILTER,
	POINT_POST_FILTER,
	POINT_SCORE, /* with PreScore */
	POINT_BIND,
	METER_POINTS,
};
enum meter_status {
	POINT_SUCCESS,
	POINT_UNSCHEDULABLE,
	POINT_UNRESOLVABLE,
	POINT_ERROR,
	METER_STATUSES
};

/* Why a pod came into a queue: enum cluster_event's bits in their order, then these. */
enum meter_event {
	INCOMING_CLUSTER_EVENTS = 7,
	INCOMING_NEW = INCOMING_CLUSTER_EVENTS,
	INCOMING_CHANGED,
	INCOMING_FAILED,
	INCOMING_BACKOFF_OVER,
	INCOMING_WAITED,
	METER_EVENTS
};
enum meter_queue { QUEUE_ACTIVE, QUEUE_BACKOFF, QUEUE_UNSCHEDULABLE, METER_QUEUES };

struct scheduler_meter;

struct scheduler_meter *scheduler_meter_new(struct metrics *metrics, const char *profile);
void scheduler_meter_free(struct scheduler_meter *m);
void meter_point(
	struct scheduler_meter *m, enum meter_point p, enum meter_status s, int64_t since_ns);
void meter_incoming(struct scheduler_meter *m, enum meter_event e, enum meter_queue q);
void meter_algorithm(struct scheduler_meter *m, int64_t since_ns);
void meter_attempt(struct scheduler_meter *m, enum attempt_result r, int64_t since_ns);
/* A pod has got its node: after so many attempts, queued since then. */
void meter_scheduled(struct scheduler_meter *m, unsigned attempts, int64_t queued_ns);
void meter_preemption(struct scheduler_meter *m, size_t victims); /* 0: none were found */

/* What is told when asked for. */
struct scheduler_numbers {
	size_t active, backoff, unschedulable, gated;
	size_t nodes, pods, assumed;
};
void scheduler_numbers_write(const struct scheduler_numbers *n, struct buf *out);

/* kube-scheduler's pages, of the program and of `control`. */
struct scheduler_face {
	struct component component;
	struct scheduler *scheduler; /* NULL while it does not run */
	struct leader *leader;       /* NULL: without election */
	const struct leader_flags *election;
	const char *kubeconfig, *scheduler_name;
	int percentage_of_nodes_to_score;
};
void scheduler_face_init(struct scheduler_face *f);

#endif
