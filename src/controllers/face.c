/* face.c: what kube-controller-manager shows of itself. */
#include "controllers/metrics.h"
#include "json/write.h"

static const struct metric master_status = {"leader_election_master_status", METRIC_GAUGE,
	"[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates "
	"backup, 1 indicates master. 'name' is the string used to identify the lease. Please make "
	"sure to group by name.",
	{"name"}};

static void collect(void *user_data, struct buf *out)
{
	struct controllers_face *f = user_data;

	if (f->leader) {
		metric_begin(out, &master_status);
		METRIC_LINE(out, &master_status, leader_leads(f->leader), f->election->name);
	}
	if (f->controllers)
		controllers_write_metrics(f->controllers, out);
}

static void checks(void *user_data, enum component_page page, component_check_fn *each, void *to)
{
	struct controllers_face *f = user_data;

	if (f->leader)
		each(to, "leaderElection", leader_healthy(f->leader));
	for (size_t i = 0; f->controllers && controllers_running(f->controllers, i); i++)
		each(to, controllers_running(f->controllers, i), true);
}

static void add_duration(struct buf *out, const char *name, int64_t ms)
{
	buf_fmt(out, "\"%s\":\"", name);
	duration_format(ms, out);
	buf_add_char(out, '"');
}

static void add_string(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, "\"%s\":", name);
	json_write_string(out, str_c(value ? value : ""));
}

static void add_election(struct buf *out, const struct leader_flags *e)
{
	buf_fmt(out, "\"LeaderElection\":{\"leaderElect\":%s,", e->elect ? "true" : "false");
	add_duration(out, "leaseDuration", e->lease_ms);
	buf_add_char(out, ',');
	add_duration(out, "renewDeadline", e->renew_ms);
	buf_add_char(out, ',');
	add_duration(out, "retryPeriod", e->retry_ms);
	buf_add_char(out, ',');
	add_string(out, "resourceLock", e->lock);
	buf_add_char(out, ',');
	add_string(out, "resourceName", e->name);
	buf_add_char(out, ',');
	add_string(out, "resourceNamespace", e->ns);
	buf_add_char(out, '}');
}

static void add_list(struct buf *out, const char *name, const char *list)
{
	struct str rest = str_c(list), one;

	buf_fmt(out, "\"%s\":[", name);
	for (bool more = rest.n > 0, first = true; more; first = false) {
		more = str_cut(rest, ',', &one, &rest);
		buf_add_c(out, first ? "" : ",");
		json_write_string(out, one);
	}
	buf_add_char(out, ']');
}

/* What the command line came to, in upstream's KubeControllerManagerConfiguration: what has an
 * effect here. */
static void config(void *user_data, struct buf *out)
{
	const struct controllers_face *f = user_data;
	const struct controllers_opts *o = f->opts;
	const char *list = o->controllers ? o->controllers : "*";

	buf_add_c(out, "{\"kubecontrollermanager.config.k8s.io\":{\"kind\":"
		       "\"KubeControllerManagerConfiguration\",\"apiVersion\":"
		       "\"kubecontrollermanager.config.k8s.io/v1alpha1\",\"Generic\":{");
	buf_fmt(out, "\"Port\":%d,", f->port);
	add_string(out, "Address", f->bind_address);
	buf_add_c(out, ",\"ClientConnection\":{");
	add_string(out, "kubeconfig", f->kubeconfig);
	buf_add_c(out, ",\"contentType\":\"application/json\"},");
	add_election(out, f->election);
	buf_add_char(out, ',');
	add_list(out, "Controllers", list);
	buf_add_c(out, "},\"KubeCloudShared\":{");
	add_string(out, "ClusterCIDR", o->cluster_cidr ? o->cluster_cidr : "10.244.0.0/16");
	buf_fmt(out, ",\"AllocateNodeCIDRs\":%s},\"NodeIPAMController\":{",
		strstr(list, "-node-ipam-controller") ? "false" : "true");
	add_string(out, "ServiceCIDR", o->service_cidr);
	buf_fmt(out, ",\"NodeCIDRMaskSizeIPv4\":%d,\"NodeCIDRMaskSizeIPv6\":%d},",
		o->node_cidr_mask_ipv4 ? o->node_cidr_mask_ipv4 : 24,
		o->node_cidr_mask_ipv6 ? o->node_cidr_mask_ipv6 : 64);
	buf_add_c(out, "\"NodeLifecycleController\":{");
	add_duration(out, "NodeStartupGracePeriod",
		o->node_startup_grace_ms ? o->node_startup_grace_ms : 60000);
	buf_add_char(out, ',');
	add_duration(out, "NodeMonitorGracePeriod",
		o->node_monitor_grace_ms ? o->node_monitor_grace_ms : 50000);
	buf_fmt(out, "},\"PodGCController\":{\"TerminatedPodGCThreshold\":%d},",
		o->terminated_pod_gc_threshold ? o->terminated_pod_gc_threshold : 12500);
	buf_add_c(out, "\"CSRSigningController\":{");
	add_duration(out, "ClusterSigningDuration",
		o->signing_duration_ms ? o->signing_duration_ms : INT64_C(8760) * 3600 * 1000);
	buf_add_c(out, "}}}\n");
}

void controllers_face_init(struct controllers_face *f)
{
	struct component *c = &f->component;

	c->name = "kube-controller-manager";
	c->metrics = metrics_new();
	c->collect = collect;
	c->pages = COMPONENT_HEALTHZ;
	c->checks = checks;
	c->config = config;
	c->user_data = f;
	component_init(c);
}
