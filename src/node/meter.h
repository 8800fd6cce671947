/* meter.h: what the kubelet counts (kubelet_*), under upstream's names. One thread: the loop's. */
#ifndef SAMPAN_NODE_METER_H
#define SAMPAN_NODE_METER_H

#include "metrics/metrics.h"
#include "node/cri.h"
#include "node/pod_plan.h"

struct kubelet_meter {
	struct metrics *all;
	struct metric_series *pod_start, *pods_started, *containers[3]; /* enum container_kind */
	struct metric_series *relist, *relist_interval, *relist_seen;
	int64_t relisted_ns; /* when the last one began; 0: none yet */
};

void kubelet_meter_init(struct kubelet_meter *m);
void kubelet_meter_release(struct kubelet_meter *m);
/* A pod's first container has started, so long after the pod was seen first. */
void meter_pod_started(struct kubelet_meter *m, int64_t duration_ms);
void meter_container_started(struct kubelet_meter *m, enum container_kind kind);
/* The runtime is asked for everything; it has answered. Both as metric_now_ns. */
void meter_relist_begins(struct kubelet_meter *m);
void meter_relist_done(struct kubelet_meter *m);
void meter_eviction(struct kubelet_meter *m, const char *signal); /* "memory.available" */

/* A runtime that counts what is asked of `inner` (kubelet_runtime_operations_*); takes it over.
 * cri_metered_inner gives it back to who knows the backend. (cri_metered.c) */
struct cri *cri_metered_new(struct cri *inner, struct metrics *metrics);
struct cri *cri_metered_inner(struct cri *c);

#endif
