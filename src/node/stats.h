/*
 * stats.h: one look at what the node, its pods and their containers use: cgroups and the runtime's
 * counters, CPU rates, networks, disks. What metrics-server, kubectl top and Prometheus ask for is
 * written from it (server_stats.c, server_metrics.c).
 *
 * Nothing happens while nobody asks. Who asks for rates first waits a second for the second sample;
 * from then on samples are taken every ten seconds until nobody has asked for two minutes. Disks
 * are walked on a worker thread and not more than once a minute.
 */
#ifndef SAMPAN_NODE_STATS_H
#define SAMPAN_NODE_STATS_H

#include "node/cgroup.h"
#include "node/pod.h"
#include "node/usage.h"

struct disk_use {
	int64_t time_ns; /* when it was looked at; 0: never */
	uint64_t bytes, inodes;
};

struct interface_stats {
	struct str name;
	uint64_t rx_bytes, rx_errors, tx_bytes, tx_errors;
};

struct network_stats {
	struct interface_stats *v;
	size_t n;
	size_t main; /* which one is the pod's or the node's */
};

struct container_stats {
	const struct cri_container_status *status; /* the kubelet's */
	struct cri_container_stats use;
	struct usage_rate rate;
	struct disk_use logs;
};

struct volume_stats {
	struct str name, path;
	struct str claim; /* of a persistent volume claim; may be empty */
	struct disk_use used;
};

struct pod_stats {
	struct pod *pod;
	struct cgroup_usage use;
	struct usage_rate rate;
	struct network_stats network; /* none for the host's */
	struct container_stats *containers;
	size_t n_containers;
	struct volume_stats *volumes;
	size_t n_volumes;
};

struct node_stats {
	int64_t time_ns;
	struct cgroup_usage use, pods_use; /* the machine's; the group of all pods */
	struct usage_rate rate, pods_rate;
	struct network_stats network;
	struct pod_stats *pods;
	size_t n_pods;
};

struct stats;

struct stats *stats_new(struct kubelet *k);
void stats_free(struct stats *s); /* nobody who asked is told */

enum stats_want { STATS_RATES = 1, STATS_DISKS = 2 };
/* done: on a later turn; err when the runtime did not answer. The statistics live during the call.
 */
void stats_ask(struct stats *s, unsigned want,
	void (*done)(void *user_data, const struct node_stats *st, struct err *err),
	void *user_data);

/* The text of /proc/<pid>/net/dev, without the loopback device. */
struct network_stats network_stats_parse(struct str text, struct arena *a);

#endif
