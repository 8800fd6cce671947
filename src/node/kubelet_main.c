/* kubelet_main.c: the command line of `kubelet` and `sampan node`. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/flags.h"
#include "node/kubelet.h"

static struct str join(struct arena *a, const struct flag_list *l)
{
	struct str out = S("");

	for (size_t i = 0; i < l->n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "", STR_ARG(l->v[i]));
	return out;
}

struct command {
	struct kubelet_opts o;
	struct flag_list labels, taints, dns, dns_upstreams, dns_stub_domains;
	const char *hostname_override;
	bool register_node;
	bool retired;
};

static int parse(struct command *c, int argc, char **argv, struct arena *a)
{
	struct kubelet_opts *o = &c->o;
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &o->kubeconfig, "FILE", "how to reach the API server"},
		{"server", FLAG_STRING, &o->server, "URL",
			"the API server, instead of a kubeconfig"},
		{"token", FLAG_STRING, &o->token, "TOKEN", "bearer token for --server"},
		{"certificate-authority", FLAG_STRING, &o->ca_file, "FILE", "CA of --server"},
		{"node-name", FLAG_STRING, &o->node_name, "NAME", "name of the Node [the host's]"},
		{"hostname-override", FLAG_STRING, &c->hostname_override, "NAME",
			"the same, upstream's flag"},
		{"node-ip", FLAG_STRING, &o->node_ip, "IP[,IP]",
			"address of the node [found by itself]"},
		{"data-dir", FLAG_STRING, &o->data_dir, "DIR",
			"images and containers [/var/lib/sampan]"},
		{"root-dir", FLAG_STRING, &o->root_dir, "DIR",
			"volumes and files of pods [DATA-DIR/kubelet]"},
		{"run-dir", FLAG_STRING, &o->run_dir, "DIR",
			"state that a reboot may lose [/run/sampan]"},
		{"pod-logs-dir", FLAG_STRING, &o->pod_log_dir, "DIR",
			"logs of containers [/var/log/pods]"},
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
		{"address", FLAG_STRING, &o->bind_address, "IP",
			"where the HTTPS API listens [0.0.0.0]"},
		{"port", FLAG_INT, &o->port, "PORT", "of the HTTPS API [10250]"},
		{"max-pods", FLAG_INT, &o->max_pods, "N", "[110]"},
		{"image-gc-high-threshold", FLAG_INT, &o->image_gc_high_percent, "PERCENT",
			"of the disk: unused images go [85]"},
		{"image-gc-low-threshold", FLAG_INT, &o->image_gc_low_percent, "PERCENT",
			"until [80]"},
		{"container-log-max-files", FLAG_INT, &o->log_files_max, "N", "[5]"},
		{"bootstrap-kubeconfig", FLAG_RETIRED, NULL, NULL, "give --kubeconfig"},
		{"config", FLAG_RETIRED, NULL, NULL, "give flags"},
		{"cgroup-driver", FLAG_RETIRED, NULL, NULL, "it is found by itself"},
		{"network-plugin", FLAG_RETIRED, NULL, NULL, "CNI is always used"},
		{"allow-privileged", FLAG_RETIRED, NULL, NULL, "it is always allowed"},
		{"api-servers", FLAG_RETIRED, NULL, NULL, "give --server or --kubeconfig"},
		{NULL},
	};
	int r = flags_parse(flags, "kubelet", argc, argv, NULL);

	if (r != 0)
		return r;
	if (c->hostname_override)
		o->node_name = c->hostname_override;
	o->node_labels = join(a, &c->labels).p;
	o->taints = join(a, &c->taints).p;
	o->cluster_dns = join(a, &c->dns).p;
	o->dns_upstreams = join(a, &c->dns_upstreams).p;
	o->dns_stub_domains = join(a, &c->dns_stub_domains).p;
	o->no_register = !c->register_node;
	return 0;
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
	struct command c = {.register_node = true};
	struct err err CLEANUP(err_release) = {0};
	struct program p = {0};
	struct kubelet *k;
	struct arena a;
	int r;

	arena_init(&a);
	r = parse(&c, argc, argv, &a);
	if (r != 0)
		return r == FLAGS_HELP ? 0 : 2;
	if (!c.o.kubeconfig && !c.o.server) {
		fprintf(stderr, "kubelet: --kubeconfig or --server is needed\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	p.loop = loop_new_uv();
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uv_signal_init(loop_uv(p.loop), &p.signals[i]);
		p.signals[i].data = &p;
		uv_signal_start(&p.signals[i], on_signal, numbers[i]);
	}
	r = kubelet_start(p.loop, &c.o, &k, &err);
	if (r == 0 && started)
		r = started(k, &c.o, &err);
	if (r < 0) {
		fprintf(stderr, "kubelet: %s\n", err_text(&err));
		return 1;
	}
	log_info("kubelet of node " STR_FMT " at " STR_FMT, STR_ARG(kubelet_node_name(k)),
		STR_ARG(kubelet_node_ip(k)));
	loop_run(p.loop);
	/* The process ends here and with it everything but the containers; taking it apart would
	 * only take time. */
	return 0;
}
