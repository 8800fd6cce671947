/* main.c: the program kube-scheduler. */
#include <stdio.h>

#include "serving/program.h"
#include "scheduler/config.h"
#include "scheduler/meter.h"

struct running {
	struct scheduler_config config;
	struct scheduler_face face; /* .scheduler: the one that runs */
};

static int start(
	struct client_program *p, struct loop *loop, struct client *client, struct err *err)
{
	struct running *r = p->user_data;
	struct scheduler_opts opts = scheduler_config_opts(&r->config);

	opts.loop = loop;
	opts.client = client;
	opts.metrics = r->face.component.metrics;
	return scheduler_start(&opts, &r->face.scheduler, err);
}

static void stop(struct client_program *p)
{
	struct running *r = p->user_data;

	scheduler_stop(r->face.scheduler);
	r->face.scheduler = NULL;
}

/* flags_upstream: what means nothing here or what we cannot honour. */
static const struct flag upstream_flags[] = {
	{"write-config-to", FLAG_REFUSED, NULL, NULL, "the configuration is what --config holds"},
	{"unsupported-kube-api-over-localhost", FLAG_UNUSED, NULL, NULL,
		"the API server is where --master and --kubeconfig say"},
	{"pod-max-in-unschedulable-pods-duration", FLAG_UNUSED, NULL, NULL,
		"what may help a pod wakes it, and 5 minutes"},
	{"algorithm-provider", FLAG_RETIRED, NULL, NULL, "the default plugins run"},
	{"policy-config-file", FLAG_REFUSED, NULL, NULL, "policies are gone: --config"},
	{"policy-configmap", FLAG_REFUSED, NULL, NULL, "policies are gone: --config"},
	{"hard-pod-affinity-symmetric-weight", FLAG_RETIRED, NULL, NULL, "it is 1"},
	{"failure-domains", FLAG_RETIRED, NULL, NULL, "pods say their topology keys"},
	{"bind-pods-qps", FLAG_RETIRED, NULL, NULL, "500 bindings may be under way"},
	{"bind-pods-burst", FLAG_RETIRED, NULL, NULL, "500 bindings may be under way"},
	{NULL},
};

static int parse(struct client_program *p, struct scheduler_config *c, int argc, char **argv)
{
	struct flag election[LEADER_FLAGS_MAX], serving[SERVING_FLAGS_MAX];
	int r;
	const char *config = NULL;
	const struct flag flags[] = {
		FLAGS_HEADING("API server"),
		{"kubeconfig", FLAG_STRING, &p->kubeconfig, "FILE", "how to reach the API server"},
		{"master", FLAG_STRING, &p->master, "URL",
			"the API server; overrides the kubeconfig's"},
		FLAGS_HEADING("Scheduling"),
		{"config", FLAG_STRING, &config, "FILE",
			"a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1); flags go "
			"before it"},
		{"scheduler-name", FLAG_STRING, &c->scheduler_name, "NAME",
			"profiles[].schedulerName of --config", .retired = true},
		FLAGS_INCLUDE(election),
		FLAGS_INCLUDE(serving),
		FLAGS_HEADING("Log"),
		FLAGS_INCLUDE(flags_logging),
		FLAGS_INCLUDE(upstream_flags),
		FLAGS_INCLUDE(flags_client),
		FLAGS_INCLUDE(flags_component),
		{NULL},
	};
	leader_flags_table(&p->leader, election);
	serving_flags_table(&p->serving, serving);
	r = flags_parse(flags, p->name, argc, argv, NULL);
	if (r == 0)
		p->component->flags = flags_text(flags, &c->arena);
	return r;
}

/* Before the command line, which goes over it. */
static int read_config(struct client_program *p, struct scheduler_config *c, const char *path)
{
	struct err err CLEANUP(err_release) = {0};

	c->leader = p->leader;
	if (scheduler_config_read(path, c, &err) < 0) {
		fprintf(stderr, "%s: %s\n", p->name, err_text(&err));
		return -EINVAL;
	}
	p->kubeconfig = c->kubeconfig;
	p->leader = c->leader;
	return 0;
}

/* What the port shows: from what command line and configuration came to. */
static void show(struct running *r, const struct client_program *p)
{
	struct scheduler_face *f = &r->face;

	scheduler_face_init(f);
	f->election = &p->leader;
	f->kubeconfig = p->kubeconfig;
	f->scheduler_name = r->config.scheduler_name;
	f->percentage_of_nodes_to_score = r->config.percentage_of_nodes_to_score;
}

int kube_scheduler_main(int argc, char **argv)
{
	struct running running = {0};
	struct client_program p = {.name = "kube-scheduler",
		.leader = leader_flags_default("kube-scheduler"),
		.serving = serving_flags_default(10259),
		.component = &running.face.component,
		.elected = &running.face.leader,
		.start = start,
		.stop = stop,
		.user_data = &running};
	const char *config = flags_peek(argc, argv, "config");
	int r = config ? read_config(&p, &running.config, config) : 0;

	if (r < 0)
		return 2;
	r = parse(&p, &running.config, argc, argv);
	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	show(&running, &p);
	p.master = client_program_url(p.master, &running.config.arena);
	r = client_program_run(&p);
	arena_release(&running.config.arena);
	return r;
}
