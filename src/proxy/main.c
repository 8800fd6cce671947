/* main.c: kube-proxy as a program of its own. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/notify.h"
#include "metrics/metrics.h"
#include "proxy/flags.h"
#include "proxy/proxy.h"
#include "proxy/route.h"

/* What the command line says, before it becomes a configuration. */
struct settings {
	const char *config_file, *kubeconfig, *master, *name, *mode, *bind_address;
	const char *healthz_address, *metrics_address;
	const char *cluster_cidr, *detect, *bridge, *prefix;
	struct flag_list node_ports;
	int healthz_port, metrics_port, masquerade_bit;
	int64_t sync_period_ms, min_sync_period_ms;
	bool bind_hard_fail, masquerade_all, localhost_node_ports, cleanup;
	struct proxy_company company;
	struct arena arena;
	struct str flags_text; /* in arena */
	int (*join)(const struct proxy_company *c, struct proxy_opts *opts, struct err *err);
};

static int parse(struct settings *s, int argc, char **argv)
{
	const struct flag flags[] = {
		{"config", FLAG_STRING, &s->config_file, "FILE",
			"a KubeProxyConfiguration; other flags are ignored then"},
		{"kubeconfig", FLAG_STRING, &s->kubeconfig, "FILE", "how to reach the API server"},
		{"master", FLAG_STRING, &s->master, "URL", "the API server; overrides kubeconfig"},
		{"hostname-override", FLAG_STRING, &s->name, "NAME",
			"this node's name; default: its host name"},
		{"proxy-mode", FLAG_STRING, &s->mode, "MODE", "nftables (default) or iptables"},
		{"bind-address", FLAG_STRING, &s->bind_address, "IP",
			"the node's address, if it is not what the Node object says"},
		{"healthz-bind-address", FLAG_STRING, &s->healthz_address, "IP:PORT",
			"default 0.0.0.0:10256; empty: none"},
		{"metrics-bind-address", FLAG_STRING, &s->metrics_address, "IP:PORT",
			"default 127.0.0.1:10249; empty: none"},
		{"bind-address-hard-fail", FLAG_BOOL, &s->bind_hard_fail, NULL,
			"a port in use ends the program"},
		{"cluster-cidr", FLAG_STRING, &s->cluster_cidr, "CIDR[,CIDR]",
			"the pods' addresses, for detect-local-mode ClusterCIDR"},
		{"detect-local-mode", FLAG_STRING, &s->detect, "MODE",
			"ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix"},
		{"pod-bridge-interface", FLAG_STRING, &s->bridge, "NAME", "for BridgeInterface"},
		{"pod-interface-name-prefix", FLAG_STRING, &s->prefix, "PREFIX",
			"for InterfaceNamePrefix"},
		{"nodeport-addresses", FLAG_LIST, &s->node_ports, "CIDR,…",
			"where node ports answer, or \"primary\"; default: every local address"},
		{"masquerade-all", FLAG_BOOL, &s->masquerade_all, NULL,
			"masquerade all traffic to cluster addresses"},
		{"iptables-masquerade-bit", FLAG_INT, &s->masquerade_bit, "BIT",
			"the bit of the packet mark that asks for masquerading, 0 to 31"},
		{"iptables-localhost-nodeports", FLAG_BOOL, &s->localhost_node_ports, NULL,
			"node ports answer on 127.0.0.1, too"},
		{"iptables-sync-period", FLAG_DURATION, &s->sync_period_ms, "DURATION",
			"how often to look whether the rules are still there"},
		{"iptables-min-sync-period", FLAG_DURATION, &s->min_sync_period_ms, "DURATION",
			"accepted; a change is written at once"},
		{"cleanup", FLAG_BOOL, &s->cleanup, NULL,
			"remove all rules of both modes and exit"},
		{"dns", FLAG_BOOL, &s->company.dns, NULL,
			"answer at the cluster's DNS address where nobody else does [true]"},
		{"cluster-domain", FLAG_STRING, &s->company.cluster_domain, "DOMAIN",
			"[cluster.local]"},
		{"resolv-conf", FLAG_STRING, &s->company.resolv_conf, "FILE",
			"whom DNS asks for other names [/etc/resolv.conf]"},
		{"dns-upstream", FLAG_STRING, &s->company.dns_upstreams, "IP[:PORT],…",
			"whom it asks instead"},
		{"dns-stub-domain", FLAG_STRING, &s->company.dns_stub_domains, "DOMAIN=IP[:PORT],…",
			"whom it asks for the names of a domain"},
		{"healthz-port", FLAG_INT, &s->healthz_port, "PORT",
			"deprecated: --healthz-bind-address"},
		{"metrics-port", FLAG_INT, &s->metrics_port, "PORT",
			"deprecated: --metrics-bind-address"},
		{"cleanup-iptables", FLAG_RETIRED, NULL, NULL, "use --cleanup"},
		{"proxy-port-range", FLAG_RETIRED, NULL, NULL, "it belonged to mode userspace"},
		{"udp-timeout", FLAG_RETIRED, NULL, NULL, "it belonged to mode userspace"},
		{"resource-container", FLAG_RETIRED, NULL, NULL, "systemd has a unit for that"},
		{"conntrack-max", FLAG_RETIRED, NULL, NULL, "set nf_conntrack_max with sysctl"},
		{"conntrack-max-per-core", FLAG_RETIRED, NULL, NULL,
			"set nf_conntrack_max with sysctl"},
		{"conntrack-min", FLAG_RETIRED, NULL, NULL, "set nf_conntrack_max with sysctl"},
		{"conntrack-tcp-timeout-established", FLAG_RETIRED, NULL, NULL,
			"set nf_conntrack_tcp_timeout_established with sysctl"},
		{"conntrack-tcp-timeout-close-wait", FLAG_RETIRED, NULL, NULL,
			"set nf_conntrack_tcp_timeout_close_wait with sysctl"},
		{"config-sync-period", FLAG_RETIRED, NULL, NULL, "changes are watched"},
		{"kube-api-qps", FLAG_RETIRED, NULL, NULL, "there is no limit"},
		{"kube-api-burst", FLAG_RETIRED, NULL, NULL, "there is no limit"},
		{"kube-api-content-type", FLAG_RETIRED, NULL, NULL, "JSON is spoken"},
		{"oom-score-adj", FLAG_RETIRED, NULL, NULL, "set OOMScoreAdjust in the unit"},
		{"feature-gates", FLAG_RETIRED, NULL, NULL, "there are none"},
		FLAGS_HEADING("Log"),
		FLAGS_INCLUDE(flags_logging),
		FLAGS_INCLUDE(upstream_flags_kube_proxy),
		FLAGS_INCLUDE(flags_component),
		{NULL},
	};

	int r = flags_parse(flags, "kube-proxy", argc, argv, NULL);

	if (r == 0)
		s->flags_text = flags_text(flags, &s->arena);
	return r;
}

static int configure_locality(struct proxy_config *c, const struct settings *s, struct err *err)
{
	int r = 0;

	if (s->detect)
		r = proxy_config_set_detect(c, str_c(s->detect), err);
	if (r == 0 && s->cluster_cidr)
		r = proxy_config_set_cluster_cidr(c, str_c(s->cluster_cidr), err);
	if (c->detect == PROXY_DETECT_BRIDGE)
		c->interface = str_c(s->bridge);
	else if (c->detect == PROXY_DETECT_PREFIX)
		c->interface = str_c(s->prefix);
	return r;
}

static int configure(struct proxy_config *c, const struct settings *s, struct err *err)
{
	int r = proxy_config_set_mode(c, str_c(s->mode), err);

	if (r == 0)
		r = configure_locality(c, s, err);
	for (size_t i = 0; r == 0 && i < s->node_ports.n; i++)
		r = proxy_config_add_node_port_address(c, s->node_ports.v[i], err);
	c->kubeconfig = s->kubeconfig;
	c->bind_address = str_c(s->bind_address);
	if (s->healthz_address)
		c->healthz_address = str_c(s->healthz_address);
	else if (s->healthz_port >= 0)
		c->healthz_address = s->healthz_port
					     ? arena_fmt(&c->arena, "0.0.0.0:%d", s->healthz_port)
					     : (struct str){0};
	if (s->metrics_address)
		c->metrics_address = str_c(s->metrics_address);
	else if (s->metrics_port >= 0)
		c->metrics_address = s->metrics_port
					     ? arena_fmt(&c->arena, "127.0.0.1:%d", s->metrics_port)
					     : (struct str){0};
	c->bind_hard_fail = s->bind_hard_fail;
	c->masquerade_all = s->masquerade_all;
	c->masquerade_bit = s->masquerade_bit;
	c->localhost_node_ports = s->localhost_node_ports;
	c->sync_period_ms = s->sync_period_ms;
	return r;
}

static int settle(struct proxy_config *c, const struct settings *s, struct err *err)
{
	char host[254] = "";
	int r = s->config_file ? proxy_config_load(c, s->config_file, err) : configure(c, s, err);

	if (s->name)
		c->node_name = str_c(s->name);
	if (!c->node_name.n && gethostname(host, sizeof(host) - 1) == 0)
		c->node_name = arena_strc(&c->arena, host);
	c->master = s->master;
	c->flags_text = s->flags_text;
	c->ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
	if (r == 0)
		r = proxy_config_check(c, err);
	if (r == 0 && !c->kubeconfig && !c->master)
		return err_bad_request(err, "--kubeconfig or --master is needed");
	return r;
}

static void on_signal(uv_signal_t *h, int signum)
{
	loop_stop(h->data);
}

static void on_synced(void *user_data)
{
	const struct proxy_config *c = user_data;

	log_info("kube-proxy: rules are in place (%s)",
		c->mode == PROXY_IPTABLES ? "iptables" : "nftables");
	notify_supervisor("READY=1");
}

static int start(struct proxy_config *c, const struct settings *s, struct loop *loop,
	struct proxy **ret, struct err *err)
{
	struct client_http_opts client = {.kubeconfig = c->kubeconfig,
		.server = str_c(c->master),
		.user_agent = "kube-proxy/v1.36.2",
		.metrics = metrics_new()}; /* as long as the program */
	struct proxy_opts opts = {.metrics = client.metrics,
		.loop = loop,
		.config = c,
		.on_synced = on_synced,
		.user_data = c};
	int r = proxy_backend_new(c, &opts.backend, err);

	if (r == 0)
		r = client_http_new(loop, &client, &opts.client, err);
	if (r == 0 && s->join)
		r = s->join(&s->company, &opts, err);
	if (r < 0)
		return r;
	*ret = proxy_start(&opts, err);
	return *ret ? 0 : -EIO;
}

static int run(struct proxy_config *c, const struct settings *s)
{
	struct err err CLEANUP(err_release) = {0};
	struct loop *loop = loop_new_uv();
	struct proxy *proxy;
	uv_signal_t term, interrupt;

	if (start(c, s, loop, &proxy, &err) < 0) {
		fprintf(stderr, "kube-proxy: %s\n", err_text(&err));
		return 1;
	}
	uv_signal_init(loop_uv(loop), &term);
	uv_signal_init(loop_uv(loop), &interrupt);
	term.data = interrupt.data = loop;
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	loop_run(loop);
	proxy_stop(proxy);
	return 0;
}

int kube_proxy_program(int argc, char **argv,
	int (*join)(const struct proxy_company *c, struct proxy_opts *opts, struct err *err))
{
	struct settings s = {.healthz_port = -1,
		.metrics_port = -1,
		.masquerade_bit = 14,
		.localhost_node_ports = true,
		.sync_period_ms = 30000,
		.company = {.dns = true, .resolv_conf = "/etc/resolv.conf"},
		.join = join};
	struct err err CLEANUP(err_release) = {0};
	struct proxy_config config;
	int r = parse(&s, argc, argv);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	signal(SIGPIPE, SIG_IGN);
	if (s.cleanup) {
		proxy_nft_cleanup();
		proxy_iptables_cleanup();
		proxy_routes_cleanup();
		return 0;
	}
	proxy_config_init(&config);
	if (settle(&config, &s, &err) < 0) {
		fprintf(stderr, "kube-proxy: %s\n", err_text(&err));
		return 2;
	}
	return run(&config, &s);
}
