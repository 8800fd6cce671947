#include "scheduler/config.h"

#include "client/config_file.h"

#define PACE "the server's limits and watches set the pace"

int scheduler_config_read(const char *path, struct scheduler_config *c, struct err *err)
{
	int percentage = c->percentage_of_nodes_to_score;
	const struct flag fields[] = {
		{"clientConnection.kubeconfig", FLAG_STRING, &c->kubeconfig},
		{"clientConnection.qps", FLAG_UNUSED, NULL, NULL, PACE},
		{"clientConnection.burst", FLAG_UNUSED, NULL, NULL, PACE},
		{"clientConnection.contentType", FLAG_UNUSED, NULL, NULL, "objects travel as JSON"},
		{"clientConnection.acceptContentTypes", FLAG_UNUSED, NULL, NULL,
			"objects travel as JSON"},
		{"leaderElection.leaderElect", FLAG_BOOL, &c->leader.elect},
		{"leaderElection.leaseDuration", FLAG_DURATION, &c->leader.lease_ms},
		{"leaderElection.renewDeadline", FLAG_DURATION, &c->leader.renew_ms},
		{"leaderElection.retryPeriod", FLAG_DURATION, &c->leader.retry_ms},
		{"leaderElection.resourceLock", FLAG_STRING, &c->leader.lock},
		{"leaderElection.resourceName", FLAG_STRING, &c->leader.name},
		{"leaderElection.resourceNamespace", FLAG_STRING, &c->leader.ns},
		{"percentageOfNodesToScore", FLAG_INT, &percentage},
		{"profiles[0].schedulerName", FLAG_STRING, &c->scheduler_name},
		{"profiles[0].percentageOfNodesToScore", FLAG_INT, &percentage},
		{"profiles[0].plugins", FLAG_REFUSED, NULL, NULL,
			"all plugins run with upstream's default weights"},
		{"profiles[0].pluginConfig", FLAG_REFUSED, NULL, NULL,
			"plugins run with upstream's default arguments"},
		{"profiles[1]", FLAG_REFUSED, NULL, NULL,
			"one profile is all there is: run another kube-scheduler with its own "
			"--config and --leader-elect-resource-name"},
		{"extenders", FLAG_REFUSED, NULL, NULL, "there are no extenders"},
		{"parallelism", FLAG_UNUSED, NULL, NULL, "one thread is enough"},
		{"podInitialBackoffSeconds", FLAG_REFUSED, NULL, "1", "it is 1"},
		{"podMaxBackoffSeconds", FLAG_REFUSED, NULL, "10", "it is 10"},
		{"delayCacheUntilActive", FLAG_UNUSED, NULL, NULL,
			"who stands by keeps no cache anyway"},
		{"enableProfiling", FLAG_UNUSED, NULL, NULL, "perf(1) looks inside"},
		{"enableContentionProfiling", FLAG_UNUSED, NULL, NULL, "perf(1) looks inside"},
		{NULL},
	};
	int r = config_file_read(path, "kubescheduler.config.k8s.io/v1",
		"KubeSchedulerConfiguration", fields, &c->arena, err);

	if (r == 0)
		c->percentage_of_nodes_to_score = percentage;
	return r;
}

struct scheduler_opts scheduler_config_opts(const struct scheduler_config *c)
{
	return (struct scheduler_opts){
		.name = c->scheduler_name,
		.percentage_of_nodes_to_score = c->percentage_of_nodes_to_score,
	};
}
