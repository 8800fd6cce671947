/* main.c: the program kube-controller-manager. */
#include <stdio.h>

#include "base/file.h"
#include "base/flags.h"
#include "client/program.h"
#include "controllers/controllers.h"

enum { CA_FILE_MAX = 1 << 20 };

struct manager {
	struct controllers_opts opts;
	struct client *client; /* until the controllers have taken it */
	struct controllers *controllers;
};

/* One connection for all: who writes what is told apart only inside `control`. */
static struct client *client_for(void *user_data, const char *user)
{
	struct manager *m = user_data;
	struct client *client = m->client;

	m->client = NULL;
	return client;
}

static int start(
	struct client_program *p, struct loop *loop, struct client *client, struct err *err)
{
	struct manager *m = p->user_data;

	m->client = client;
	m->opts.loop = loop;
	m->opts.client_for = client_for;
	m->opts.user_data = m;
	int r = controllers_start(&m->opts, &m->controllers, err);

	if (r < 0 && m->client)
		client_free(m->client);
	return r;
}

static void stop(struct client_program *p)
{
	controllers_stop(((struct manager *)p->user_data)->controllers);
}

int kube_controller_manager_main(int argc, char **argv)
{
	struct manager m = {0};
	struct client_program p = {
		.name = "kube-controller-manager", .start = start, .stop = stop, .user_data = &m};
	struct controllers_opts *o = &m.opts;
	const char *root_ca_file = NULL, *service_cidr = NULL;
	bool leader_elect = false, allocate_cidrs = true, credentials = false;
	struct arena arena;
	struct err err CLEANUP(err_release) = {0};
	const struct flag flags[] = {
		{"kubeconfig", FLAG_STRING, &p.kubeconfig, "FILE", "how to reach the API server"},
		{"master", FLAG_STRING, &p.master, "URL",
			"the API server; overrides the kubeconfig's"},
		{"controllers", FLAG_STRING, &o->controllers, "LIST", "*, foo, -foo with commas"},
		{"allocate-node-cidrs", FLAG_BOOL, &allocate_cidrs, "",
			"give nodes their pod addresses"},
		{"cluster-cidr", FLAG_STRING, &o->cluster_cidr, "CIDR", "addresses of pods"},
		{"node-cidr-mask-size", FLAG_INT, &o->node_cidr_mask_ipv4, "BITS",
			"of a node's part, IPv4"},
		{"node-cidr-mask-size-ipv4", FLAG_INT, &o->node_cidr_mask_ipv4, "BITS", "the same"},
		{"node-cidr-mask-size-ipv6", FLAG_INT, &o->node_cidr_mask_ipv6, "BITS",
			"of a node's part, IPv6"},
		{"node-monitor-grace-period", FLAG_DURATION, &o->node_monitor_grace_ms, "T",
			"how long a node may be silent"},
		{"node-startup-grace-period", FLAG_DURATION, &o->node_startup_grace_ms, "T",
			"how long a new node may be silent"},
		{"terminated-pod-gc-threshold", FLAG_INT, &o->terminated_pod_gc_threshold, "N",
			"finished pods that are kept"},
		{"root-ca-file", FLAG_STRING, &root_ca_file, "FILE", "CA given to every namespace"},
		{"service-cluster-ip-range", FLAG_STRING, &service_cidr, "CIDR",
			"accepted: nodes' parts lie outside"},
		{"leader-elect", FLAG_BOOL, &leader_elect, "",
			"accepted: one manager runs beside the embedded store"},
		{"use-service-account-credentials", FLAG_BOOL, &credentials, "", "accepted"},
		{"service-account-private-key-file", FLAG_RETIRED, NULL, "",
			"tokens come from the API server"},
		{"cluster-signing-cert-file", FLAG_RETIRED, NULL, "", "no certificates are signed"},
		{"cluster-signing-key-file", FLAG_RETIRED, NULL, "", "no certificates are signed"},
		{"authentication-kubeconfig", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"authorization-kubeconfig", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"bind-address", FLAG_RETIRED, NULL, "", "nothing is served"},
		{"secure-port", FLAG_RETIRED, NULL, "", "nothing is served"},
		{NULL},
	};
	int r = flags_parse(flags, p.name, argc, argv, NULL);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	arena_init(&arena);
	if (root_ca_file &&
		file_read(root_ca_file, CA_FILE_MAX, &arena, &o->root_ca_pem, &err) < 0) {
		fprintf(stderr, "%s: --root-ca-file: %s\n", p.name, err_text(&err));
		return 1;
	}
	if (!allocate_cidrs)
		o->controllers = arena_fmt(
			&arena, "-node-ipam-controller,%s", o->controllers ? o->controllers : "*")
					 .p;
	r = client_program_run(&p);
	arena_release(&arena);
	return r;
}
