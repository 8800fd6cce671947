/* config.h: kube-scheduler's configuration file: KubeSchedulerConfiguration,
 * kubescheduler.config.k8s.io/v1. */
#ifndef SAMPAN_SCHEDULER_CONFIG_H
#define SAMPAN_SCHEDULER_CONFIG_H

#include "client/leader.h"
#include "scheduler/scheduler.h"

struct scheduler_config {
	const char *kubeconfig;     /* NULL: as the flag says */
	const char *scheduler_name; /* NULL: the default */
	int percentage_of_nodes_to_score;
	struct leader_flags leader;
	struct arena arena; /* owns what was read */
};

/* What the file says replaces what `c` holds. What we cannot do as it asks is an error. */
int scheduler_config_read(const char *path, struct scheduler_config *c, struct err *err);

/* The configuration's part of what a scheduler is started with; borrows. */
struct scheduler_opts scheduler_config_opts(const struct scheduler_config *c);

#endif
