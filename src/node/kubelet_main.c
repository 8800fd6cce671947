/* kubelet_main.c: the command line of `kubelet` and `sampan node`. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "serving/program.h"
#include "node/flags.h"
#include "schema/quantity.h"

void kubelet_flags_table(struct kubelet_command *c, struct flag table[KUBELET_FLAGS_MAX])
{
	struct kubelet_opts *o = &c->o;
	const struct flag flags[] = {
		FLAGS_HEADING("Node"),
		{"node-name", FLAG_STRING, &o->node_name, "NAME", "name of the Node [the host's]"},
		{"hostname-override", FLAG_STRING, &c->hostname_override, "NAME",
			"the same, upstream's flag"},
		{"node-ip", FLAG_STRING, &o->node_ip, "IP[,IP]",
			"address of the node [found by itself]"},
		FLAGS_HEADING("Places"),
		{"data-dir", FLAG_STRING, &o->data_dir, "DIR",
			"images and containers [/var/lib/sampan]"},
		{"root-dir", FLAG_STRING, &o->root_dir, "DIR",
			"volumes and files of pods [DATA-DIR/kubelet]"},
		{"run-dir", FLAG_STRING, &o->run_dir, "DIR",
			"state that a reboot may lose [/run/sampan]"},
		{"pod-logs-dir", FLAG_STRING, &o->pod_log_dir, "DIR",
			"logs of containers [/var/log/pods]"},
		FLAGS_HEADING("Pods"),
		{"container-runtime-endpoint", FLAG_STRING, &o->runtime_endpoint, "unix:///SOCKET",
			"a CRI runtime [built in]"},
		{"cni-conf-dir", FLAG_STRING, &o->cni_conf_dir, "DIR", "[/etc/cni/net.d]"},
		{"cni-bin-dir", FLAG_STRING, &o->cni_bin_dir, "DIR", "[/opt/cni/bin]"},
		{"registry-mirror", FLAG_STRING, &o->registry_mirrors, "HOST=URL,…",
			"ask these registries first for images of HOST"},
		{"oci-runtime", FLAG_STRING, &o->oci_runtime, "FILE",
			"crun or runc [found by itself]"},
		{"conmon", FLAG_STRING, &o->conmon, "FILE", "[found by itself]"},
		{"pod-manifest-path", FLAG_STRING, &o->static_pod_path, "DIR",
			"manifests of static pods"},
		{"cgroup-root", FLAG_STRING, &o->cgroup_root, "CGROUP",
			"where kubepods is made [/]"},
		{"pod-cidr", FLAG_STRING, &o->pod_cidr, "CIDR",
			"addresses of pods until the Node has some"},
		{"proxy-mode", FLAG_STRING, &o->proxy_mode, "MODE",
			"how `sampan node` serves services: nftables (default) or iptables"},
		{"network-backend", FLAG_STRING, &o->network_backend, "NAME",
			"pods of other machines are reached by: bridge (not at all), host-gw, "
			"vxlan, ovs [vxlan]"},
		{"ovs-tunnel", FLAG_STRING, &o->ovs_tunnel, "TYPE",
			"between machines with ovs: gre, vxlan [gre]"},
		{"cluster-dns", FLAG_LIST, &c->dns, "IP,…",
			"name servers of pods [the Service kube-system/kube-dns]"},
		{"dns-upstream", FLAG_LIST, &c->dns_upstreams, "IP[:PORT],…",
			"where this node's DNS asks for other names [as --resolv-conf says]"},
		{"dns-stub-domain", FLAG_LIST, &c->dns_stub_domains, "DOMAIN=IP[:PORT],…",
			"where it asks for the names of a domain"},
		{"cluster-domain", FLAG_STRING, &o->cluster_domain, "DOMAIN", "[cluster.local]"},
		{"resolv-conf", FLAG_STRING, &o->resolv_conf, "FILE", "[/etc/resolv.conf]"},
		{"register-node", FLAG_BOOL, &c->register_node, NULL,
			"make the Node object [true]"},
		{"node-labels", FLAG_LIST, &c->labels, "K=V,…", "labels to register with"},
		{"register-with-taints", FLAG_LIST, &c->taints, "K=V:EFFECT,…",
			"taints to register with"},
		{"provider-id", FLAG_STRING, &o->provider_id, "ID", "of the machine"},
		FLAGS_HEADING("Serving"),
		{"address", FLAG_STRING, &o->bind_address, "IP",
			"where the HTTPS API listens [0.0.0.0]"},
		{"port", FLAG_INT, &o->port, "PORT", "of the HTTPS API [10250]"},
		{"enable-server", FLAG_BOOL, &c->enable_server, NULL, "serve that API [true]"},
		{"tls-cert-file", FLAG_STRING, &o->tls_cert_file, "FILE",
			"serving certificate instead of our own"},
		{"tls-private-key-file", FLAG_STRING, &o->tls_key_file, "FILE", "its key"},
		{"client-ca-file", FLAG_STRING, &o->client_ca_file, "FILE",
			"CA of the certificates of those who may ask [the cluster's]"},
		{"healthz-bind-address", FLAG_STRING, &o->healthz_bind_address, "IP",
			"where /healthz is served without TLS [127.0.0.1]"},
		{"healthz-port", FLAG_INT, &o->healthz_port, "PORT", "its port; 0: none [10248]"},
		FLAGS_HEADING("Limits"),
		{"max-pods", FLAG_INT, &o->max_pods, "N", "[110]"},
		{"image-gc-high-threshold", FLAG_INT, &o->image_gc_high_percent, "PERCENT",
			"of the disk: unused images go [85]"},
		{"image-gc-low-threshold", FLAG_INT, &o->image_gc_low_percent, "PERCENT",
			"until [80]"},
		{"container-log-max-files", FLAG_INT, &o->log_files_max, "N", "[5]"},
		{"container-log-max-size", FLAG_STRING, &c->log_size_max, "SIZE", "[10Mi]"},
		FLAGS_HEADING("Configuration"),
		{"config", FLAG_STRING, &c->config, "FILE",
			"a KubeletConfiguration (kubelet.config.k8s.io/v1beta1); flags go before "
			"it"},
		FLAGS_HEADING("Log"),
		FLAGS_INCLUDE(flags_logging),
		FLAGS_INCLUDE(upstream_flags_kubelet),
		FLAGS_INCLUDE(flags_client),
		FLAGS_INCLUDE(flags_component),
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= KUBELET_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

static int parse(struct kubelet_command *c, int argc, char **argv, struct arena *a)
{
	int r;
	struct kubelet_opts *o = &c->o;
	struct flag joining[JOIN_FLAGS_MAX], others[KUBELET_FLAGS_MAX];
	const struct flag flags[] = {
		FLAGS_HEADING("API server"),
		{"kubeconfig", FLAG_STRING, &o->kubeconfig, "FILE", "how to reach the API server"},
		{"server", FLAG_STRING, &o->server, "URL",
			"the API server, instead of a kubeconfig"},
		{"token", FLAG_STRING, &o->token, "TOKEN",
			"to join the cluster of --server with: sampan token create prints it"},
		FLAGS_INCLUDE(joining),
		{"certificate-authority", FLAG_STRING, &o->ca_file, "FILE", "CA of --server"},
		{"api-servers", FLAG_LIST, &c->api_servers, "URL,…", "--kubeconfig, or --server",
			.retired = true},
		FLAGS_INCLUDE(others),
		{NULL},
	};

	kubelet_join_flags(&c->join, o, joining);
	kubelet_flags_table(c, others);
	r = flags_parse(flags, "kubelet", argc, argv, NULL);
	if (r == 0)
		o->flags_text = flags_text(flags, a);
	return r;
}

/* In 2016 --config was what --pod-manifest-path is today. */
static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Before the command line, which goes over it. */
static int read_config(struct kubelet_command *c, const char *path, struct arena *a)
{
	struct err err CLEANUP(err_release) = {0};

	if (is_directory(path)) {
		fprintf(stderr, "kubelet: warning: --config with a directory is retired; today: "
				"--pod-manifest-path\n");
		c->o.static_pod_path = path;
		return 0;
	}
	if (kubelet_config_read(path, c, a, &err) < 0) {
		fprintf(stderr, "kubelet: %s\n", err_text(&err));
		return -EINVAL;
	}
	return 0;
}

static int wrong(const char *why)
{
	fprintf(stderr, "kubelet: %s\n", why);
	return -EINVAL;
}

/* From what was said to what it means. */
static int finish(struct kubelet_command *c, struct arena *a)
{
	struct kubelet_opts *o = &c->o;
	struct err err CLEANUP(err_release) = {0};
	struct quantity size;

	if (c->hostname_override)
		o->node_name = c->hostname_override;
	if (c->api_servers.n > 1)
		fprintf(stderr, "kubelet: warning: --api-servers: the first one is used; several "
				"belong behind one name or address\n");
	if (c->api_servers.n && !o->server)
		o->server = client_program_url(arena_cstr(a, c->api_servers.v[0]), a);
	o->node_labels = flag_list_join(&c->labels, a);
	o->taints = flag_list_join(&c->taints, a);
	o->cluster_dns = flag_list_join(&c->dns, a);
	o->dns_upstreams = flag_list_join(&c->dns_upstreams, a);
	o->dns_stub_domains = flag_list_join(&c->dns_stub_domains, a);
	o->no_register = !c->register_node;
	if (!c->enable_server)
		o->port = -1;
	if (!o->healthz_port)
		o->healthz_port = -1;
	if (c->log_size_max) {
		if (quantity_parse(str_c(c->log_size_max), &size, &err) < 0)
			return wrong("--container-log-max-size is a size such as 10Mi");
		o->log_size_max = quantity_value(&size);
	}
	if (!o->tls_cert_file != !o->tls_key_file)
		return wrong("--tls-cert-file and --tls-private-key-file come together");
	if (o->bootstrap_kubeconfig && !o->kubeconfig)
		return wrong("--bootstrap-kubeconfig needs --kubeconfig: what is made of it");
	return 0;
}

static int read_command(struct kubelet_command *c, int argc, char **argv, struct arena *a)
{
	const char *config = flags_peek(argc, argv, "config");
	struct flag_list dns;
	int r;

	*c = (struct kubelet_command){
		.register_node = true, .enable_server = true, .o.healthz_port = 10248};
	r = config ? read_config(c, config, a) : 0;
	if (r < 0)
		return r;
	dns = c->dns;
	c->dns.n = 0; /* a list on the command line takes the place of the file's */
	r = parse(c, argc, argv, a);
	if (!c->dns.n)
		c->dns = dns;
	return r ? r : finish(c, a);
}

struct program {
	struct loop *loop;
	uv_signal_t signals[2];
};

static void on_signal(uv_signal_t *s, int number)
{
	struct program *p = s->data;

	log_info("signal %d: the node agent stops, containers go on", number);
	loop_stop(p->loop);
}

int kubelet_main(int argc, char **argv)
{
	return kubelet_program(argc, argv, NULL);
}

int kubelet_program(int argc, char **argv,
	int (*started)(struct kubelet *k, const struct kubelet_opts *opts, struct err *err))
{
	static const int numbers[] = {SIGINT, SIGTERM};
	struct kubelet_command c;
	struct err err CLEANUP(err_release) = {0};
	struct program p = {0};
	struct kubelet *k;
	struct arena a;
	int r;

	arena_init(&a);
	r = read_command(&c, argc, argv, &a);
	if (r != 0)
		return r == FLAGS_HELP ? 0 : 2;
	signal(SIGPIPE, SIG_IGN);
	p.loop = loop_new_uv();
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uv_signal_init(loop_uv(p.loop), &p.signals[i]);
		p.signals[i].data = &p;
		uv_signal_start(&p.signals[i], on_signal, numbers[i]);
	}
	r = kubelet_join(p.loop, &c.join, &c.o, &a, &err);
	if (r == -EINTR)
		return 0;
	if (r == 0)
		r = kubelet_start(p.loop, &c.o, &k, &err);
	if (r == 0 && started)
		r = started(k, &c.o, &err);
	if (r < 0) {
		fprintf(stderr, "kubelet: %s\n", err_text(&err));
		fflush(NULL);
		_exit(1); /* as below */
	}
	log_info("kubelet of node " STR_FMT " at " STR_FMT, STR_ARG(kubelet_node_name(k)),
		STR_ARG(kubelet_node_ip(k)));
	loop_run(p.loop);
	/* The process ends here and with it everything but the containers; taking it apart would
	 * only take time; and not by exit(3), whose handlers take OpenSSL from under the other
	 * threads. */
	fflush(NULL);
	_exit(0);
}
