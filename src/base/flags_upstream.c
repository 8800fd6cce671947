/* flags_upstream.c: what upstream's components all take and what comes of it here. */
#include "base/flags.h"

#define TO_STDERR "the log goes to standard error"
#define METRICS "there are few metrics, all of them shown"
#define NOT_SERVED "nothing is served"
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

const struct flag flags_delegated[] = {
	{"bind-address", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"secure-port", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"cert-dir", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"disable-http2-serving", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"http2-max-streams-per-connection", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"permit-address-sharing", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"permit-port-sharing", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-cert-file", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-private-key-file", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-cipher-suites", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-curve-preferences", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-min-version", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"tls-sni-cert-key", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"client-ca-file", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authentication-kubeconfig", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authentication-skip-lookup", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authentication-token-webhook-cache-ttl", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authentication-tolerate-lookup-failure", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-allowed-names", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-client-ca-file", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-extra-headers-prefix", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-group-headers", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-uid-headers", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"requestheader-username-headers", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authorization-always-allow-paths", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authorization-kubeconfig", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authorization-webhook-cache-authorized-ttl", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"authorization-webhook-cache-unauthorized-ttl", FLAG_UNUSED, NULL, NULL, NOT_SERVED},
	{"address", FLAG_RETIRED, NULL, NULL, NOT_SERVED},
	{"port", FLAG_RETIRED, NULL, NULL, NOT_SERVED},
	{NULL},
};
