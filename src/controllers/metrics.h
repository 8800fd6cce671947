/* metrics.h: what the controllers count: their queues as upstream names them (workqueue_*), nodes
 * (node_collector_*), evictions; and how kube-controller-manager shows it (face). */
#ifndef SAMPAN_CONTROLLERS_METRICS_H
#define SAMPAN_CONTROLLERS_METRICS_H

#include "client/leader.h"
#include "controllers/controllers.h"
#include "serving/component.h"

/* One planner's queue. All NULL-safe: without metrics nothing is counted. */
struct queue_meter {
	struct metric_series *adds, *retries, *waited, *worked;
};
struct queue_meter queue_meter_new(struct metrics *m, const char *planner);
/* Upstream's name of the queue that the planner's stands for. */
const char *queue_name(const char *planner);

/* What stands in a queue now. */
struct queue_state {
	const char *planner;
	size_t depth;
	double unfinished_s, longest_s; /* of the keys being worked on: all together, the longest */
};
void queue_states_write(const struct queue_state *v, size_t n, struct buf *out);

/* node_collector_zone_*, from the Nodes as they are. */
void node_zones_write(struct snapshot *nodes, struct buf *out);
/* A NoExecute taint was set on a node of that zone. */
void count_node_eviction(struct metrics *m, const struct object *node);
/* taint-eviction-controller deletes a pod, so long after it had to go. */
void count_pod_eviction(struct metrics *m, int64_t late_ms);

/* kube-controller-manager's pages, of the program and of `control`. */
struct controllers_face {
	struct component component;
	struct controllers *controllers; /* NULL while they do not run */
	struct leader *leader;           /* NULL: without election */
	const struct controllers_opts *opts;
	const struct leader_flags *election;
	const char *kubeconfig, *bind_address;
	int port;
};
/* Fills the component in; metrics are made. */
void controllers_face_init(struct controllers_face *f);

#endif
