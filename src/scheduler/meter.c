#include "scheduler/meter.h"

#include <stdio.h>

enum { ATTEMPTS_LABELS = 16 }; /* 1 … 14, and more */

static const double from_1ms[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
	0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
static const double from_100us[] = {0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128,
	0.0256, 0.0512, 0.1024, 0.2048};
static const double from_10ms[] = {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12,
	10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88};
static const double to_16[] = {1, 2, 4, 8, 16};
static const double to_64[] = {1, 2, 4, 8, 16, 32, 64};

static const struct metric attempts_total = {"scheduler_schedule_attempts_total", METRIC_COUNTER,
	"[STABLE] Number of attempts to schedule pods, by the result. 'unschedulable' means a pod "
	"could not be scheduled, while 'error' means an internal scheduler problem.",
	{"profile", "result"}};
static const struct metric attempt_duration = {"scheduler_scheduling_attempt_duration_seconds",
	METRIC_HISTOGRAM,
	"[STABLE] Scheduling attempt latency in seconds (scheduling algorithm + binding)",
	{"profile", "result"}, METRIC_BUCKETS(from_1ms)};
static const struct metric algorithm_duration = {"scheduler_scheduling_algorithm_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] Scheduling algorithm latency in seconds", {NULL},
	METRIC_BUCKETS(from_1ms)};
static const struct metric point_duration = {"scheduler_framework_extension_point_duration_seconds",
	METRIC_HISTOGRAM, "[STABLE] Latency for running all plugins of a specific extension point.",
	{"extension_point", "profile", "status"}, METRIC_BUCKETS(from_100us)};
static const struct metric sli_duration = {"scheduler_pod_scheduling_sli_duration_seconds",
	METRIC_HISTOGRAM,
	"[BETA] E2e latency for a pod being scheduled, from the time the pod enters the scheduling "
	"queue and might involve multiple scheduling attempts.",
	{"attempts"}, METRIC_BUCKETS(from_10ms)};
static const struct metric pod_attempts = {"scheduler_pod_scheduling_attempts", METRIC_HISTOGRAM,
	"[STABLE] Number of attempts to successfully schedule a pod.", {NULL},
	METRIC_BUCKETS(to_16)};
static const struct metric incoming = {"scheduler_queue_incoming_pods_total", METRIC_COUNTER,
	"[STABLE] Number of pods added to scheduling queues by event and queue type.",
	{"event", "queue"}};
static const struct metric preemptions = {"scheduler_preemption_attempts_total", METRIC_COUNTER,
	"[STABLE] Total preemption attempts in the cluster till now"};
static const struct metric victims_of = {"scheduler_preemption_victims", METRIC_HISTOGRAM,
	"[STABLE] Number of selected preemption victims", {NULL}, METRIC_BUCKETS(to_64)};
static const struct metric pending = {"scheduler_pending_pods", METRIC_GAUGE,
	"[STABLE] Number of pending pods, by the queue type. 'active' means number of pods in "
	"activeQ; 'backoff' means number of pods in backoffQ; 'unschedulable' means number of pods "
	"in unschedulablePods that the scheduler attempted to schedule and failed; 'gated' is the "
	"number of unschedulable pods that the scheduler never attempted to schedule because they "
	"are gated.",
	{"queue"}};
static const struct metric cache_size = {"scheduler_cache_size", METRIC_GAUGE,
	"[ALPHA] Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
	{"type"}};

static const char *const results[] = {"scheduled", "unschedulable", "error"};
static const char *const points[] = {
	"PreEnqueue", "PreFilter", "Filter", "PostFilter", "Score", "Bind"};
static const char *const statuses[] = {
	"Success", "Unschedulable", "UnschedulableAndUnresolvable", "Error"};
static const char *const events[] = {"NodeAdd", "NodeUpdateNodeAllocatable", "NodeUpdateNodeLabel",
	"NodeUpdateNodeTaint", "AssignedPodAdd", "AssignedPodUpdate", "AssignedPodDelete",
	"UnschedulablePodAdd", "UnschedulablePodUpdate", "ScheduleAttemptFailure",
	"BackoffComplete", "UnschedulableTimeout"};
static const char *const queues[] = {"active", "backoff", "unschedulable"};

struct scheduler_meter {
	struct metrics *metrics;
	char *profile;
	/* Series found before; NULL: not yet. */
	struct metric_series *attempts[ATTEMPT_RESULTS], *durations[ATTEMPT_RESULTS];
	struct metric_series *points[METER_POINTS][METER_STATUSES];
	struct metric_series *incoming[METER_EVENTS][METER_QUEUES];
	struct metric_series *sli[ATTEMPTS_LABELS];
	struct metric_series *algorithm, *pod_attempts, *preemptions, *victims;
};

struct scheduler_meter *scheduler_meter_new(struct metrics *metrics, const char *profile)
{
	struct scheduler_meter *m;

	if (!metrics)
		return NULL;
	m = xcalloc(1, sizeof(*m));
	m->metrics = metrics;
	m->profile = xstrdup(profile);
	m->algorithm = metrics_get_plain(metrics, &algorithm_duration);
	m->pod_attempts = metrics_get_plain(metrics, &pod_attempts);
	m->preemptions = metrics_get_plain(metrics, &preemptions);
	m->victims = metrics_get_plain(metrics, &victims_of);
	return m;
}

void scheduler_meter_free(struct scheduler_meter *m)
{
	if (!m)
		return;
	free(m->profile);
	free(m);
}

void meter_point(
	struct scheduler_meter *m, enum meter_point p, enum meter_status s, int64_t since_ns)
{
	struct metric_series **at;

	if (!m)
		return;
	at = &m->points[p][s];
	if (!*at)
		*at = METRICS_GET(m->metrics, &point_duration, points[p], m->profile, statuses[s]);
	metric_observe_since(*at, since_ns);
}

void meter_incoming(struct scheduler_meter *m, enum meter_event e, enum meter_queue q)
{
	struct metric_series **at;

	if (!m)
		return;
	at = &m->incoming[e][q];
	if (!*at)
		*at = METRICS_GET(m->metrics, &incoming, events[e], queues[q]);
	metric_add(*at, 1);
}

void meter_algorithm(struct scheduler_meter *m, int64_t since_ns)
{
	if (m)
		metric_observe_since(m->algorithm, since_ns);
}

void meter_attempt(struct scheduler_meter *m, enum attempt_result r, int64_t since_ns)
{
	if (!m)
		return;
	if (!m->attempts[r]) {
		m->attempts[r] = METRICS_GET(m->metrics, &attempts_total, m->profile, results[r]);
		m->durations[r] =
			METRICS_GET(m->metrics, &attempt_duration, m->profile, results[r]);
	}
	metric_add(m->attempts[r], 1);
	metric_observe_since(m->durations[r], since_ns);
}

void meter_scheduled(struct scheduler_meter *m, unsigned attempts, int64_t queued_ns)
{
	unsigned label = MIN(attempts, 15u);
	char text[8];

	if (!m)
		return;
	if (!m->sli[label]) {
		snprintf(text, sizeof(text), "%u%s", label, label == 15 ? "+" : "");
		m->sli[label] = METRICS_GET(m->metrics, &sli_duration, text);
	}
	metric_observe(m->pod_attempts, attempts);
	metric_observe_since(m->sli[label], queued_ns);
}

void meter_preemption(struct scheduler_meter *m, size_t n)
{
	if (!m)
		return;
	metric_add(m->preemptions, 1);
	if (n)
		metric_observe(m->victims, (double)n);
}

void scheduler_numbers_write(const struct scheduler_numbers *n, struct buf *out)
{
	metric_begin(out, &pending);
	METRIC_LINE(out, &pending, (double)n->active, "active");
	METRIC_LINE(out, &pending, (double)n->backoff, "backoff");
	METRIC_LINE(out, &pending, (double)n->gated, "gated");
	METRIC_LINE(out, &pending, (double)n->unschedulable, "unschedulable");
	metric_begin(out, &cache_size);
	METRIC_LINE(out, &cache_size, (double)n->assumed, "assumed_pods");
	METRIC_LINE(out, &cache_size, (double)n->nodes, "nodes");
	METRIC_LINE(out, &cache_size, (double)n->pods, "pods");
}
