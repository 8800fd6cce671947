/* pages.c: what the proxy shows of itself on its metrics port: /metrics, /proxyMode, /configz,
 * /flagz, /statusz. */
#include "json/write.h"
#include "proxy/health.h"

/* Both families are programmed in one transaction; what there is of it is told under this name. */
#define FAMILY "IPv4"

static const double seconds[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
	0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
static const struct metric sync_all = {"kubeproxy_sync_proxy_rules_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] SyncProxyRules latency in seconds", {"ip_family"},
	METRIC_BUCKETS(seconds)};
static const struct metric sync_full = {"kubeproxy_sync_full_proxy_rules_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] SyncProxyRules latency in seconds for full resyncs",
	{"ip_family"}, METRIC_BUCKETS(seconds)};
static const struct metric sync_partial = {"kubeproxy_sync_partial_proxy_rules_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] SyncProxyRules latency in seconds for partial resyncs",
	{"ip_family"}, METRIC_BUCKETS(seconds)};
static const struct metric last_sync = {"kubeproxy_sync_proxy_rules_last_timestamp_seconds",
	METRIC_GAUGE, "[ALPHA] The last time proxy rules were successfully synced", {"ip_family"}};
static const struct metric last_queued = {
	"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", METRIC_GAUGE,
	"[ALPHA] The last time a sync of proxy rules was queued", {"ip_family"}};
static const struct metric service_changes = {"kubeproxy_sync_proxy_rules_service_changes_total",
	METRIC_COUNTER, "[ALPHA] Cumulative proxy rules Service changes"};
static const struct metric endpoint_changes = {"kubeproxy_sync_proxy_rules_endpoint_changes_total",
	METRIC_COUNTER, "[ALPHA] Cumulative proxy rules Endpoint changes"};
static const struct metric iptables_failures = {
	"kubeproxy_sync_proxy_rules_iptables_restore_failures_total", METRIC_COUNTER,
	"[ALPHA] Cumulative proxy iptables restore failures", {"ip_family"}};
static const struct metric nftables_failures = {
	"kubeproxy_sync_proxy_rules_nftables_sync_failures_total", METRIC_COUNTER,
	"[ALPHA] Cumulative proxy nftables sync failures", {"ip_family"}};
static const struct metric healthz = {"kubeproxy_proxy_healthz_total", METRIC_COUNTER,
	"[ALPHA] Cumulative proxy healthz HTTP status", {"code"}};
static const struct metric livez = {"kubeproxy_proxy_livez_total", METRIC_COUNTER,
	"[ALPHA] Cumulative proxy livez HTTP status", {"code"}};
static const struct metric services = {
	"sampan_proxy_services", METRIC_GAUGE, "Services that have rules."};
static const struct metric items = {
	"sampan_proxy_rule_items", METRIC_GAUGE, "Rules, chains and elements that are programmed."};

void proxy_stats_sync(struct proxy_stats *s, bool full, double duration_s)
{
	metric_observe(METRICS_GET(s->metrics, &sync_all, FAMILY), duration_s);
	metric_observe(
		METRICS_GET(s->metrics, full ? &sync_full : &sync_partial, FAMILY), duration_s);
}

void proxy_stats_asked(struct proxy_stats *s, bool live, int code)
{
	metric_add(
		METRICS_GET(s->metrics, live ? &livez : &healthz, code == 200 ? "200" : "503"), 1);
}

static void tell(struct buf *out, const struct metric *m, double v)
{
	metric_begin(out, m);
	METRIC_LINE(out, m, v, FAMILY);
}

static void collect(void *user_data, struct buf *out)
{
	const struct proxy_stats *s = user_data;

	tell(out, &last_sync, (double)s->synced_ns / 1e9);
	tell(out, &last_queued, (double)s->queued_ns / 1e9);
	tell(out, strcmp(s->mode, "iptables") == 0 ? &iptables_failures : &nftables_failures,
		(double)s->failures);
	metric_plain(out, &service_changes, (double)s->service_changes);
	metric_plain(out, &endpoint_changes, (double)s->endpoint_changes);
	metric_plain(out, &services, (double)s->n_services);
	metric_plain(out, &items, (double)s->n_items);
}

static void add_string(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, ",\"%s\":", name);
	json_write_string(out, value);
}

/* KubeProxyConfiguration: what has an effect here. */
static void config(void *user_data, struct buf *out)
{
	const struct proxy_stats *s = user_data;
	const struct proxy_config *c = s->config;

	buf_fmt(out,
		"{\"kubeproxy.config.k8s.io\":{\"kind\":\"KubeProxyConfiguration\",\"apiVersion\":"
		"\"kubeproxy.config.k8s.io/v1alpha1\",\"mode\":\"%s\",\"bindAddressHardFail\":%s",
		s->mode, c->bind_hard_fail ? "true" : "false");
	add_string(out, "bindAddress", c->bind_address);
	add_string(out, "healthzBindAddress", c->healthz_address);
	add_string(out, "metricsBindAddress", c->metrics_address);
	add_string(out, "hostnameOverride", c->node_name);
	buf_add_c(out, "}}\n");
}

void proxy_pages_init(struct component *c, struct proxy_stats *s)
{
	*c = (struct component){.name = "kube-proxy",
		.metrics = s->metrics,
		.collect = collect,
		.config = config,
		.flags = s->config->flags_text,
		.user_data = s};
	component_init(c);
}
