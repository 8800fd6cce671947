/* `sampan node`: the kubelet on the main loop; the service proxy and what the pod network does
 * between machines on loops of their own (a transaction of nftables blocks them). */
#include "server/node.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "base/file.h"
#include "base/flags.h"
#include "dns/dns.h"
#include "loop/thread.h"
#include "network/agent.h"
#include "network/policy_agent.h"
#include "node/kubelet.h"
#include "proxy/proxy.h"
#include "server/check/check.h"

/* DNS in company of the service proxy: the cluster's names come from what that watches. */
struct company {
	struct dns *dns;
	void (*on_synced)(void *user_data); /* the proxy's own; may be NULL */
	void *user_data;
};

static void on_services_known(void *user_data)
{
	struct company *c = user_data;

	dns_set_synced(c->dns);
	if (c->on_synced)
		c->on_synced(c->user_data);
}

static int start_dns(const struct dns_opts *opts, struct proxy_opts *proxy, struct err *err)
{
	static struct company company; /* lives as long as the program */
	struct dns_opts o = *opts;
	int r;

	o.client = proxy->client;
	r = dns_start(&o, &company.dns, err);
	if (r < 0)
		return r;
	company.on_synced = proxy->on_synced;
	company.user_data = proxy->user_data;
	proxy->answered_here = S(DNS_SERVICE_NAMESPACE "/" DNS_SERVICE_NAME);
	proxy->on_synced = on_services_known;
	proxy->user_data = &company;
	return 0;
}

static int new_client(struct loop *loop, const struct kubelet_opts *opts, const char *user_agent,
	struct metrics *metrics, struct client **ret, struct err *err)
{
	struct client_http_opts client = {
		.kubeconfig = opts->kubeconfig, .user_agent = user_agent, .metrics = metrics};
	struct arena a = {0};
	int r = 0;

	if (!opts->kubeconfig) {
		client.server = str_c(opts->server);
		client.token = str_c(opts->token);
		if (opts->ca_file)
			r = file_read(opts->ca_file, 1 << 20, &a, &client.ca_pem, err);
	}
	if (r == 0)
		r = client_http_new(loop, &client, ret, err);
	arena_release(&a);
	return r;
}

static int start_proxy(struct kubelet *k, const struct kubelet_opts *opts, struct err *err)
{
	/* both live as long as the program */
	static struct loop_thread thread;
	static struct proxy_config config;
	struct proxy_opts proxy = {.config = &config, .metrics = metrics_new()};
	const struct dns_opts dns = {
		.cluster_domain = opts->cluster_domain,
		.addresses = opts->cluster_dns,
		.resolv_conf = opts->resolv_conf ? opts->resolv_conf : "/etc/resolv.conf",
		.upstreams = opts->dns_upstreams,
		.stub_domains = opts->dns_stub_domains,
	};
	int r = loop_thread_init(&thread, err);

	proxy_config_init(&config);
	config.node_name = arena_str(&config.arena, kubelet_node_name(k));
	config.ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
	proxy.loop = thread.loop;
	if (r == 0)
		r = proxy_config_set_mode(&config, str_c(opts->proxy_mode), err);
	if (r == 0)
		r = proxy_backend_new(&config, &proxy.backend, err);
	if (r == 0)
		r = new_client(
			thread.loop, opts, "kube-proxy/v1.36.2", proxy.metrics, &proxy.client, err);
	if (r < 0)
		return r;
	r = start_dns(&dns, &proxy, err);
	if (r < 0)
		return r;
	if (!proxy_start(&proxy, err))
		return -EIO;
	return loop_thread_start(&thread, "proxy", err);
}

static int start_network(struct kubelet *k, const struct kubelet_opts *opts, struct err *err)
{
	static struct loop_thread thread; /* lives as long as the program */
	struct network_agent_opts o = {.node_name = kubelet_node_name(k),
		.overlay = {opts->network_backend, opts->ovs_tunnel},
		.network = kubelet_pod_network(k)};
	struct policy_agent_opts policies = {.node_name = o.node_name, .network = o.network};
	int r;

	if (!o.network) /* another runtime connects its pods itself */
		return 0;
	r = loop_thread_init(&thread, err);
	o.loop = policies.loop = thread.loop;
	if (r == 0)
		r = new_client(
			thread.loop, opts, "sampan-network/" SAMPAN_VERSION, NULL, &o.client, err);
	if (r == 0)
		r = new_client(thread.loop, opts, "sampan-network-policy/" SAMPAN_VERSION, NULL,
			&policies.policy_client, err);
	if (r == 0)
		r = new_client(thread.loop, opts, "sampan-network-policy/" SAMPAN_VERSION, NULL,
			&policies.pod_client, err);
	if (r == 0)
		r = network_agent_start(&o, err);
	if (r == 0)
		r = policy_agent_start(&policies, err);
	return r < 0 ? r : loop_thread_start(&thread, "network", err);
}

static int start_all(struct kubelet *k, const struct kubelet_opts *opts, struct err *err)
{
	int r = start_network(k, opts, err);

	return r == 0 ? start_proxy(k, opts, err) : r;
}

/* Before anything is changed: what a machine that becomes a node has to have. */
static bool may_start(int argc, char **argv)
{
	const char *dir = flags_peek(argc, argv, "data-dir"),
		   *port = flags_peek(argc, argv, "port");
	const struct check_opts o = {
		.node = true,
		.data_dir = dir ? dir : "/var/lib/sampan",
		.kubelet_port = port ? atoi(port) : 0,
		.network_backend = flags_peek(argc, argv, "network-backend"),
		.proxy_mode = flags_peek(argc, argv, "proxy-mode"),
		.runtime_endpoint = flags_peek(argc, argv, "container-runtime-endpoint"),
	};

	for (int i = 1; i < argc; i++) /* asks about the program, starts nothing */
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") ||
			!strcmp(argv[i], "--version"))
			return true;
	return checks_run(&o, true) == 0;
}

/* An agent that idles holds what it needs and no more: large blocks go back as soon as they are
 * free, which glibc would keep after the first of them. */
static void settle_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

int node_main(int argc, char **argv)
{
	if (!may_start(argc, argv))
		return 1;
	settle_memory();
	return kubelet_program(argc, argv, start_all);
}

int node_kubelet_main(int argc, char **argv)
{
	settle_memory();
	return kubelet_program(argc, argv, start_network);
}

static int join_proxy(const struct proxy_company *c, struct proxy_opts *proxy, struct err *err)
{
	const struct dns_opts dns = {
		.cluster_domain = c->cluster_domain,
		.resolv_conf = c->resolv_conf,
		.upstreams = c->dns_upstreams,
		.stub_domains = c->dns_stub_domains,
	};

	return c->dns ? start_dns(&dns, proxy, err) : 0;
}

int kube_proxy_main(int argc, char **argv)
{
	return kube_proxy_program(argc, argv, join_proxy);
}
