#include "controllers/metrics.h"

#include "base/map.h"
#include "types.gen.h"

static const double tens[] = {
	1e-08, 1e-07, 1e-06, 9.999999999999999e-06, 9.999999999999999e-05, 0.001, 0.01, 0.1, 1, 10};
static const double late[] = {0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240};

static const struct metric adds = {"workqueue_adds_total", METRIC_COUNTER,
	"[BETA] Total number of adds handled by workqueue", {"name"}};
static const struct metric depth = {
	"workqueue_depth", METRIC_GAUGE, "[BETA] Current depth of workqueue", {"name"}};
static const struct metric retries = {"workqueue_retries_total", METRIC_COUNTER,
	"[BETA] Total number of retries handled by workqueue", {"name"}};
static const struct metric waited = {"workqueue_queue_duration_seconds", METRIC_HISTOGRAM,
	"[BETA] How long in seconds an item stays in workqueue before being requested.", {"name"},
	METRIC_BUCKETS(tens)};
static const struct metric worked = {"workqueue_work_duration_seconds", METRIC_HISTOGRAM,
	"[BETA] How long in seconds processing an item from workqueue takes.", {"name"},
	METRIC_BUCKETS(tens)};
static const struct metric unfinished = {"workqueue_unfinished_work_seconds", METRIC_GAUGE,
	"[BETA] How many seconds of work has done that is in progress and hasn't been observed by "
	"work_duration. Large values indicate stuck threads. One can deduce the number of stuck "
	"threads by observing the rate at which this increases.",
	{"name"}};
static const struct metric longest = {"workqueue_longest_running_processor_seconds", METRIC_GAUGE,
	"[BETA] How many seconds has the longest running processor for workqueue been running.",
	{"name"}};
static const struct metric zone_health = {"node_collector_zone_health", METRIC_GAUGE,
	"[ALPHA] Gauge measuring percentage of healthy nodes per zone.", {"zone"}};
static const struct metric zone_size = {"node_collector_zone_size", METRIC_GAUGE,
	"[ALPHA] Gauge measuring number of registered Nodes per zones.", {"zone"}};
static const struct metric zone_unhealthy = {"node_collector_unhealthy_nodes_in_zone", METRIC_GAUGE,
	"[ALPHA] Gauge measuring number of not Ready Nodes per zones.", {"zone"}};
static const struct metric node_evictions = {"node_collector_evictions_total", METRIC_COUNTER,
	"[STABLE] Number of Node evictions that happened since current instance of NodeController "
	"started.",
	{"zone"}};
static const struct metric pod_deletions = {"taint_eviction_controller_pod_deletions_total",
	METRIC_COUNTER,
	"[ALPHA] Total number of Pods deleted by TaintEvictionController since its start."};
static const struct metric pod_deletion_late = {
	"taint_eviction_controller_pod_deletion_duration_seconds", METRIC_HISTOGRAM,
	"[ALPHA] Latency, in seconds, between the time when a taint effect has been activated for "
	"the Pod and its deletion via TaintEvictionController.",
	{NULL}, METRIC_BUCKETS(late)};

/* --- queues --- */

/* A controller without a queue upstream, or with several, has its own name here. */
static const char *const names[][2] = {
	{"clusterrole-aggregation-controller", "ClusterRoleAggregator"},
	{"certificatesigningrequest-signing-controller", "certificate"},
	{"certificatesigningrequest-approving-controller", "certificate_approving"},
	{"cronjob-controller", "cronjob"},
	{"daemonset-controller", "daemonset"},
	{"deployment-controller", "deployment"},
	{"disruption-controller", "disruption"},
	{"endpoints-controller", "endpoint"},
	{"endpointslice-controller", "endpoint_slice"},
	{"endpointslice-mirroring-controller", "endpoint_slice_mirroring"},
	{"ephemeral-volume-controller", "ephemeral_volume"},
	{"garbage-collector-controller", "garbage_collector_attempt_to_delete"},
	{"horizontal-pod-autoscaler-controller", "horizontalpodautoscaler"},
	{"job-controller", "job"},
	{"namespace-controller", "namespace"},
	{"node-lifecycle-controller", "node_lifecycle_controller"},
	{"node-ipam-controller", "node"},
	{"persistentvolume-binder-controller", "claims"},
	{"persistentvolume-protection-controller", "pvprotection"},
	{"persistentvolumeclaim-protection-controller", "pvcprotection"},
	{"pod-garbage-collector-controller", "orphaned_pods_nodes"},
	{"replicaset-controller", "replicaset"},
	{"replicationcontroller-controller", "replicationmanager"},
	{"resourceclaim-controller", "resource_claim"},
	{"resourcequota-controller", "resourcequota_primary"},
	{"root-ca-certificate-publisher-controller", "root_ca_cert_publisher"},
	{"serviceaccount-controller", "serviceaccount"},
	{"statefulset-controller", "statefulset"},
	{"taint-eviction-controller", "noexec_taint_pod"},
	{"token-cleaner-controller", "token_cleaner"},
	{"bootstrap-signer-controller", "bootstrap_signer_queue"},
	{"ttl-after-finished-controller", "ttl_jobs_to_delete"},
	{"ttl-controller", "ttlcontroller"},
	{"volumeattributesclass-protection-controller", "vacprotection"},
};

const char *queue_name(const char *planner)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i][0], planner))
			return names[i][1];
	return planner;
}

struct queue_meter queue_meter_new(struct metrics *m, const char *planner)
{
	const char *name = queue_name(planner);

	return (struct queue_meter){METRICS_GET(m, &adds, name), METRICS_GET(m, &retries, name),
		METRICS_GET(m, &waited, name), METRICS_GET(m, &worked, name)};
}

void queue_states_write(const struct queue_state *v, size_t n, struct buf *out)
{
	metric_begin(out, &depth);
	for (size_t i = 0; i < n; i++)
		METRIC_LINE(out, &depth, (double)v[i].depth, queue_name(v[i].planner));
	metric_begin(out, &longest);
	for (size_t i = 0; i < n; i++)
		METRIC_LINE(out, &longest, v[i].longest_s, queue_name(v[i].planner));
	metric_begin(out, &unfinished);
	for (size_t i = 0; i < n; i++)
		METRIC_LINE(out, &unfinished, v[i].unfinished_s, queue_name(v[i].planner));
}

/* --- nodes --- */

struct zone {
	size_t nodes, ready;
};

static struct str label(const struct object *o, const char *beta, const char *stable)
{
	const struct str *v = str_map_get(&o->labels, str_c(beta));

	v = v ? v : str_map_get(&o->labels, str_c(stable));
	return v ? *v : S("");
}

/* "region::zone"; upstream has a NUL between the colons. */
static struct str zone_of(const struct object *o, struct arena *a)
{
	struct str region = label(o, "failure-domain.beta.kubernetes.io/region",
			   "topology.kubernetes.io/region"),
		   zone = label(o, "failure-domain.beta.kubernetes.io/zone",
			   "topology.kubernetes.io/zone");

	return region.n || zone.n
		       ? arena_fmt(a, STR_FMT "::" STR_FMT, STR_ARG(region), STR_ARG(zone))
		       : S("");
}

static bool is_ready(const struct object *o, struct arena *a)
{
	const struct v1_node *n = object_decode(o, a);

	for (size_t i = 0; i < n->status.conditions.n; i++)
		if (str_eq(n->status.conditions.v[i].type, S("Ready")))
			return str_eq(n->status.conditions.v[i].status, S("True"));
	return false;
}

static void count_zones(struct snapshot *nodes, struct map *zones, struct arena *a)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, nodes, S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		struct arena scratch = {0};
		struct str name = zone_of(o, &scratch);
		struct zone *z = map_get(zones, name);

		if (!z) {
			z = ARENA_NEW(a, struct zone);
			map_set(zones, name, z);
		}
		z->nodes++;
		z->ready += is_ready(o, &scratch);
		arena_release(&scratch);
	}
}

void node_zones_write(struct snapshot *nodes, struct buf *out)
{
	struct map zones = {0};
	struct arena a = {0};

	count_zones(nodes, &zones, &a);
	if (zones.n)
		metric_begin(out, &zone_unhealthy);
	for (struct map_entry *e = map_first(&zones); e; e = map_next(&zones, e)) {
		const struct zone *z = e->value;

		METRIC_LINE(out, &zone_unhealthy, (double)(z->nodes - z->ready), e->key);
	}
	if (zones.n)
		metric_begin(out, &zone_health);
	for (struct map_entry *e = map_first(&zones); e; e = map_next(&zones, e)) {
		const struct zone *z = e->value;

		METRIC_LINE(out, &zone_health, 100.0 * (double)z->ready / (double)z->nodes, e->key);
	}
	if (zones.n)
		metric_begin(out, &zone_size);
	for (struct map_entry *e = map_first(&zones); e; e = map_next(&zones, e))
		METRIC_LINE(
			out, &zone_size, (double)((const struct zone *)e->value)->nodes, e->key);
	map_release(&zones);
	arena_release(&a);
}

void count_node_eviction(struct metrics *m, const struct object *node)
{
	struct arena a = {0};

	metric_add(METRICS_GET(m, &node_evictions, arena_cstr(&a, zone_of(node, &a))), 1);
	arena_release(&a);
}

void count_pod_eviction(struct metrics *m, int64_t late_ms)
{
	metric_add(metrics_get_plain(m, &pod_deletions), 1);
	metric_observe(metrics_get_plain(m, &pod_deletion_late), (double)late_ms / 1000);
}
