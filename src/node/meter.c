#include "node/meter.h"

#include <time.h>

static const double startup[] = {0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300,
	360, 480, 600, 900, 1200, 1800, 2700, 3600};
static const double usual[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

static const struct metric pod_start = {"kubelet_pod_start_duration_seconds", METRIC_HISTOGRAM,
	"[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod "
	"starting to run",
	{NULL}, METRIC_BUCKETS(startup)};
static const struct metric pods_started = {
	"kubelet_started_pods_total", METRIC_COUNTER, "[ALPHA] Cumulative number of pods started"};
static const struct metric containers_started = {"kubelet_started_containers_total", METRIC_COUNTER,
	"[ALPHA] Cumulative number of containers started", {"container_type"}};
static const struct metric relist = {"kubelet_pleg_relist_duration_seconds", METRIC_HISTOGRAM,
	"[ALPHA] Duration in seconds for relisting pods in PLEG.", {NULL}, METRIC_BUCKETS(usual)};
static const struct metric relist_interval = {"kubelet_pleg_relist_interval_seconds",
	METRIC_HISTOGRAM, "[ALPHA] Interval in seconds between relisting in PLEG.", {NULL},
	METRIC_BUCKETS(usual)};
static const struct metric relist_seen = {"kubelet_pleg_last_seen_seconds", METRIC_GAUGE,
	"[ALPHA] Timestamp in seconds when PLEG was last seen active."};
static const struct metric evictions = {"kubelet_evictions", METRIC_COUNTER,
	"[ALPHA] Cumulative number of pod evictions by eviction signal", {"eviction_signal"}};

void kubelet_meter_init(struct kubelet_meter *m)
{
	static const char *const kinds[] = {[CONTAINER_REGULAR] = "container",
		[CONTAINER_INIT] = "init_container",
		[CONTAINER_EPHEMERAL] = "ephemeral_container"};

	m->all = metrics_new();
	m->pod_start = metrics_get_plain(m->all, &pod_start);
	m->pods_started = metrics_get_plain(m->all, &pods_started);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		m->containers[i] = METRICS_GET(m->all, &containers_started, kinds[i]);
	m->relist = metrics_get_plain(m->all, &relist);
	m->relist_interval = metrics_get_plain(m->all, &relist_interval);
	m->relist_seen = metrics_get_plain(m->all, &relist_seen);
}

void kubelet_meter_release(struct kubelet_meter *m)
{
	metrics_free(m->all);
	m->all = NULL;
}

void meter_pod_started(struct kubelet_meter *m, int64_t duration_ms)
{
	metric_add(m->pods_started, 1);
	metric_observe(m->pod_start, (double)duration_ms / 1000);
}

void meter_container_started(struct kubelet_meter *m, enum container_kind kind)
{
	metric_add(m->containers[kind], 1);
}

void meter_relist_begins(struct kubelet_meter *m)
{
	int64_t now_ns = metric_now_ns();

	if (m->relisted_ns)
		metric_observe(m->relist_interval, (double)(now_ns - m->relisted_ns) / 1e9);
	m->relisted_ns = now_ns;
}

void meter_relist_done(struct kubelet_meter *m)
{
	metric_observe_since(m->relist, m->relisted_ns);
	metric_set(m->relist_seen, (double)time(NULL));
}

void meter_eviction(struct kubelet_meter *m, const char *signal)
{
	metric_add(METRICS_GET(m->all, &evictions, signal), 1);
}
