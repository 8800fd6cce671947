/* pages.c: what the kubelet shows of itself: /healthz, /metrics, /configz, /flagz, /statusz. */
#include <stdio.h>

#include "json/write.h"
#include "node/server.h"

enum { RELIST_OLD_MS = 3 * 60 * 1000 }; /* as upstream: then the runtime does not answer */

static const struct metric node_name = {"kubelet_node_name", METRIC_GAUGE,
	"[ALPHA] The node's name. The count is always 1.", {"node"}};
static const struct metric running_pods = {"kubelet_running_pods", METRIC_GAUGE,
	"[ALPHA] Number of pods that have a running pod sandbox"};
static const struct metric running_containers = {"kubelet_running_containers", METRIC_GAUGE,
	"[ALPHA] Number of containers currently running", {"container_state"}};
static const struct metric desired_pods = {"kubelet_desired_pods", METRIC_GAUGE,
	"[ALPHA] The number of pods the kubelet is being instructed to run. static is true if the "
	"pod is not from the apiserver.",
	{"static"}};
static const struct metric cgroup_version = {
	"kubelet_cgroup_version", METRIC_GAUGE, "[ALPHA] cgroup version on the hosts."};

static void collect(void *user_data, struct buf *out)
{
	struct kubelet *k = ((struct kubelet_server *)user_data)->k;
	size_t pods = 0, desired[2] = {0}, states[4] = {0};

	for (struct pod *p = k->pods; p; p = p->next) {
		pods += observed_ready_sandbox(&p->observed) != NULL;
		desired[p->is_static] += p->object != NULL;
		for (size_t i = 0; i < p->observed.n_containers; i++)
			states[p->observed.containers[i].state]++;
	}
	metric_plain(out, &cgroup_version, k->cgroups.v2 ? 2 : 1);
	metric_begin(out, &desired_pods);
	METRIC_LINE(out, &desired_pods, (double)desired[0], "");
	METRIC_LINE(out, &desired_pods, (double)desired[1], "true");
	metric_begin(out, &node_name);
	METRIC_LINE(out, &node_name, 1, k->node_name.p);
	metric_begin(out, &running_containers);
	METRIC_LINE(out, &running_containers, (double)states[CRI_CREATED], "created");
	METRIC_LINE(out, &running_containers, (double)states[CRI_EXITED], "exited");
	METRIC_LINE(out, &running_containers, (double)states[CRI_RUNNING], "running");
	METRIC_LINE(out, &running_containers, (double)states[CRI_UNKNOWN], "unknown");
	metric_plain(out, &running_pods, (double)pods);
}

/* Whether the runtime still answers what is asked of it. */
static bool syncs(const struct kubelet *k)
{
	return k->meter.relisted_ns &&
	       metric_now_ns() - k->meter.relisted_ns < RELIST_OLD_MS * INT64_C(1000000);
}

static void checks(void *user_data, enum component_page page, component_check_fn *each, void *to)
{
	each(to, "ping", true);
	each(to, "log", true);
	each(to, "syncloop", syncs(((struct kubelet_server *)user_data)->k));
}

static void add_string(struct buf *out, const char *name, const char *value)
{
	buf_fmt(out, ",\"%s\":", name);
	json_write_string(out, str_c(value ? value : ""));
}

static void add_list(struct buf *out, const char *name, const struct str_vec *list)
{
	buf_fmt(out, ",\"%s\":[", name);
	for (size_t i = 0; i < list->n; i++) {
		buf_add_c(out, i ? "," : "");
		json_write_string(out, list->v[i]);
	}
	buf_add_char(out, ']');
}

/* KubeletConfiguration: what has an effect here. */
static void config(void *user_data, struct buf *out)
{
	struct kubelet *k = ((struct kubelet_server *)user_data)->k;
	const struct kubelet_opts *o = &k->opts;

	buf_fmt(out,
		"{\"kubeletconfig\":{\"kind\":\"KubeletConfiguration\",\"apiVersion\":"
		"\"kubelet.config.k8s.io/v1beta1\",\"enableServer\":%s,\"port\":%d,"
		"\"healthzPort\":%d,\"maxPods\":%d,\"imageGCHighThresholdPercent\":%d,"
		"\"imageGCLowThresholdPercent\":%d,\"containerLogMaxSize\":\"%lld\","
		"\"containerLogMaxFiles\":%d,\"registerNode\":%s,\"rotateCertificates\":%s,"
		"\"serverTLSBootstrap\":%s,\"nodeLeaseDurationSeconds\":40,"
		"\"authentication\":{\"anonymous\":{\"enabled\":false},\"webhook\":{\"enabled\":"
		"true}},\"authorization\":{\"mode\":\"Webhook\"}",
		o->port < 0 ? "false" : "true", MAX(o->port, 0), MAX(o->healthz_port, 0),
		o->max_pods, o->image_gc_high_percent, o->image_gc_low_percent,
		(long long)o->log_size_max, o->log_files_max, o->no_register ? "false" : "true",
		o->rotate_certificates ? "true" : "false",
		o->rotate_server_certificates ? "true" : "false");
	add_string(out, "address", o->bind_address);
	add_string(out, "healthzBindAddress", o->healthz_bind_address);
	add_string(out, "clusterDomain", o->cluster_domain);
	add_list(out, "clusterDNS", &k->cluster_dns);
	add_string(out, "resolvConf", o->resolv_conf);
	add_string(out, "podCIDR", k->pod_cidr.p);
	add_string(out, "podLogsDir", o->pod_log_dir);
	add_string(out, "staticPodPath", o->static_pod_path);
	add_string(out, "cgroupRoot", o->cgroup_root);
	add_string(out, "providerID", o->provider_id);
	add_string(out, "containerRuntimeEndpoint", o->runtime_endpoint);
	add_string(out, "tlsCertFile", o->tls_cert_file);
	add_string(out, "tlsPrivateKeyFile", o->tls_key_file);
	buf_add_c(out, "}}\n");
}

void kubelet_pages_init(struct kubelet_server *s)
{
	s->pages = (struct component){.name = "kubelet",
		.metrics = s->k->meter.all,
		.collect = collect,
		.pages = COMPONENT_HEALTHZ,
		.checks = checks,
		.config = config,
		.flags = s->k->opts.flags_text,
		.user_data = s};
	component_init(&s->pages);
}
