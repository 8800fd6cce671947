/* face.c: what kube-scheduler shows of itself. */
#include "json/write.h"
#include "scheduler/meter.h"

static const struct metric master_status = {"leader_election_master_status", METRIC_GAUGE,
	"[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates "
	"backup, 1 indicates master. 'name' is the string used to identify the lease. Please make "
	"sure to group by name.",
	{"name"}};

static void collect(void *user_data, struct buf *out)
{
	struct scheduler_face *f = user_data;

	if (f->leader) {
		metric_begin(out, &master_status);
		METRIC_LINE(out, &master_status, leader_leads(f->leader), f->election->name);
	}
	if (f->scheduler)
		scheduler_write_metrics(f->scheduler, out);
}

/* Who stands by is ready: its handlers are for when it leads. */
static void checks(void *user_data, enum component_page page, component_check_fn *each, void *to)
{
	struct scheduler_face *f = user_data;

	if (page == COMPONENT_LIVEZ) {
		each(to, "ping", true);
		return;
	}
	if (f->leader)
		each(to, "leaderElection", leader_healthy(f->leader));
	else if (page == COMPONENT_HEALTHZ)
		each(to, "ping", true);
	if (page == COMPONENT_READYZ)
		each(to, "sched-handler-sync", !f->scheduler || scheduler_synced(f->scheduler));
}

static void add_duration(struct buf *out, const char *name, int64_t ms)
{
	buf_fmt(out, "\"%s\":\"", name);
	duration_format(ms, out);
	buf_add_c(out, "\",");
}

static void add_string(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, "\"%s\":", name);
	json_write_string(out, str_c(value ? value : ""));
}

/* KubeSchedulerConfiguration: what has an effect here. */
static void config(void *user_data, struct buf *out)
{
	const struct scheduler_face *f = user_data;
	const struct leader_flags *e = f->election;

	buf_fmt(out,
		"{\"componentconfig\":{\"kind\":\"KubeSchedulerConfiguration\",\"apiVersion\":"
		"\"kubescheduler.config.k8s.io/v1\",\"leaderElection\":{\"leaderElect\":%s,",
		e->elect ? "true" : "false");
	add_duration(out, "leaseDuration", e->lease_ms);
	add_duration(out, "renewDeadline", e->renew_ms);
	add_duration(out, "retryPeriod", e->retry_ms);
	add_string(out, "resourceLock", e->lock);
	buf_add_char(out, ',');
	add_string(out, "resourceName", e->name);
	buf_add_char(out, ',');
	add_string(out, "resourceNamespace", e->ns);
	buf_add_c(out, "},\"clientConnection\":{");
	add_string(out, "kubeconfig", f->kubeconfig);
	buf_fmt(out,
		",\"contentType\":\"application/json\"},\"percentageOfNodesToScore\":%d,"
		"\"podInitialBackoffSeconds\":1,\"podMaxBackoffSeconds\":10,\"profiles\":[{",
		f->percentage_of_nodes_to_score);
	add_string(
		out, "schedulerName", f->scheduler_name ? f->scheduler_name : "default-scheduler");
	buf_add_c(out, ",\"plugins\":{\"multiPoint\":{\"enabled\":[");
	for (size_t i = 0; plugins[i]; i++)
		buf_fmt(out, "%s{\"name\":\"%s\",\"weight\":%d}", i ? "," : "", plugins[i]->name,
			plugins[i]->weight);
	buf_add_c(out, "]}}}]}}\n");
}

void scheduler_face_init(struct scheduler_face *f)
{
	struct component *c = &f->component;

	c->name = "kube-scheduler";
	c->metrics = metrics_new();
	c->collect = collect;
	c->pages = COMPONENT_HEALTHZ | COMPONENT_LIVEZ | COMPONENT_READYZ;
	c->checks = checks;
	c->config = config;
	c->user_data = f;
	component_init(c);
}
