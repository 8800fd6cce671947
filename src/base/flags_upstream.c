/* flags_upstream.c: what upstream's components all take and what comes of it here. */
#include "base/flags.h"

#define TO_STDERR "the log goes to standard error"
#define METRICS "all metrics that there are are shown, with all their labels"
#define PACE "the server's limits and watches set the pace"

const struct flag flags_logging[] = {
	{"logging-format", FLAG_REFUSED, NULL, "text", "the log is text"},
	{"log-flush-frequency", FLAG_UNUSED, NULL, NULL, "each line is written at once"},
	{"log-text-split-stream", FLAG_UNUSED, NULL, NULL, TO_STDERR},
	{"log-text-info-buffer-size", FLAG_UNUSED, NULL, NULL, TO_STDERR},
	{"log-json-split-stream", FLAG_UNUSED, NULL, NULL, TO_STDERR},
	{"log-json-info-buffer-size", FLAG_UNUSED, NULL, NULL, TO_STDERR},
	{"vmodule", FLAG_UNUSED, NULL, NULL, "there is one level: --v"},
	{"logtostderr", FLAG_RETIRED, NULL, NULL, TO_STDERR " always; how much: --v"},
	{"alsologtostderr", FLAG_RETIRED, NULL, NULL, TO_STDERR " always"},
	{"stderrthreshold", FLAG_RETIRED, NULL, NULL, TO_STDERR " always; how much: --v"},
	{"log-dir", FLAG_RETIRED, NULL, NULL, TO_STDERR ", the journal keeps it"},
	{"log-file", FLAG_RETIRED, NULL, NULL, TO_STDERR ", the journal keeps it"},
	{"log-file-max-size", FLAG_RETIRED, NULL, NULL, TO_STDERR ", the journal keeps it"},
	{"log-cadvisor-usage", FLAG_RETIRED, NULL, NULL, "it belongs to cAdvisor"},
	{"log-backtrace-at", FLAG_RETIRED, NULL, NULL, NULL},
	{"add-dir-header", FLAG_RETIRED, NULL, NULL, NULL},
	{"one-output", FLAG_RETIRED, NULL, NULL, NULL},
	{"skip-headers", FLAG_RETIRED, NULL, NULL, NULL},
	{"skip-log-headers", FLAG_RETIRED, NULL, NULL, NULL},
	{NULL},
};

const struct flag flags_component[] = {
	{"feature-gates", FLAG_UNUSED, NULL, NULL,
		"features are as " SAMPAN_KUBERNETES_VERSION " has them by default"},
	{"emulated-version", FLAG_REFUSED, NULL, "1.36", "this is " SAMPAN_KUBERNETES_VERSION},
	{"min-compatibility-version", FLAG_UNUSED, NULL, NULL,
		"all versions of the API that are served stay"},
	{"allow-metric-labels", FLAG_UNUSED, NULL, NULL, METRICS},
	{"allow-metric-labels-manifest", FLAG_UNUSED, NULL, NULL, METRICS},
	{"disabled-metrics", FLAG_UNUSED, NULL, NULL, METRICS},
	{"show-hidden-metrics-for-version", FLAG_UNUSED, NULL, NULL, METRICS},
	{"profiling", FLAG_UNUSED, NULL, NULL, "perf(1) looks inside"},
	{"contention-profiling", FLAG_UNUSED, NULL, NULL, "perf(1) looks inside"},
	{NULL},
};

const struct flag flags_client[] = {
	{"kube-api-qps", FLAG_UNUSED, NULL, NULL, PACE},
	{"kube-api-burst", FLAG_UNUSED, NULL, NULL, PACE},
	{"kube-api-content-type", FLAG_UNUSED, NULL, NULL, "objects travel as JSON"},
	{NULL},
};
