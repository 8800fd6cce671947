/* main.c: the program kube-controller-manager. */
#include <stdio.h>

#include "base/file.h"
#include "client/account_client.h"
#include "client/client.h"
#include "serving/program.h"
#include "controllers/controllers.h"
#include "controllers/flags.h"
#include "controllers/metrics.h"
#include "controllers/root_ca_source.h"

enum { CA_FILE_MAX = 1 << 20 };

struct manager {
	struct controllers_opts opts;
	struct client *client; /* until the controllers have taken it */
	struct client *master; /* the same, theirs */
	struct client_program *program;
	bool credentials;             /* --use-service-account-credentials */
	struct controllers_face face; /* .controllers: those that run */
};

/* The first one is for the manager itself. The others write as it does, too, or each controller as
 * its own account. */
static struct client *client_for(void *user_data, const char *user)
{
	static const char prefix[] = "system:serviceaccount:kube-system:";
	struct manager *m = user_data;
	struct client *client = m->client, *inner;
	struct err err CLEANUP(err_release) = {0};

	m->client = NULL;
	if (client) {
		m->master = client;
		return client;
	}
	/* without a kubeconfig the manager itself is nobody, and may do what nobody may */
	if (!m->credentials || !m->program->kubeconfig || !str_starts(str_c(user), str_c(prefix)))
		return NULL;
	if (client_program_client(m->program, m->opts.loop, true, &inner, &err) < 0) {
		log_error("%s: %s", user, err_text(&err));
		return NULL;
	}
	return account_client_new(m->master, inner, str_c(user + strlen(prefix)));
}

static int start_controllers(struct manager *m, struct err *err)
{
	struct client *client = m->client;
	int r = controllers_start(&m->opts, &m->face.controllers, err);

	if (r < 0 && m->client)
		client_free(client);
	m->client = NULL;
	return r;
}

/* The controllers take a copy. */
static void got_root_ca(void *user_data, struct str pem)
{
	struct manager *m = user_data;
	struct err err CLEANUP(err_release) = {0};

	m->opts.root_ca_pem = pem;
	if (start_controllers(m, &err) < 0)
		log_error("%s", err_text(&err));
	m->opts.root_ca_pem = (struct str){0};
}

static int start(
	struct client_program *p, struct loop *loop, struct client *client, struct err *err)
{
	struct manager *m = p->user_data;

	m->client = client;
	m->program = p;
	m->opts.loop = loop;
	m->opts.client_for = client_for;
	m->opts.user_data = m;
	if (m->opts.root_ca_pem.n)
		return start_controllers(m, err);
	root_ca_ask(client, got_root_ca, m);
	return 0;
}

static void stop(struct client_program *p)
{
	struct manager *m = p->user_data;

	if (m->client) /* still asking for the CA */
		client_free(m->client);
	m->client = NULL;
	controllers_stop(m->face.controllers);
	m->face.controllers = NULL;
}

struct settings {
	struct signing_files signing;
	const char *root_ca_file;
	bool allocate_cidrs, credentials;
};

static int parse(struct client_program *p, struct controllers_opts *o, struct settings *s,
	struct arena *a, int argc, char **argv)
{
	struct flag election[LEADER_FLAGS_MAX], signing[SIGNING_FLAGS_MAX];
	struct flag controllers[CONTROLLERS_FLAGS_MAX], serving[SERVING_FLAGS_MAX];
	int r;
	const struct flag flags[] = {
		FLAGS_HEADING("API server"),
		{"kubeconfig", FLAG_STRING, &p->kubeconfig, "FILE", "how to reach the API server"},
		{"master", FLAG_STRING, &p->master, "URL",
			"the API server; overrides the kubeconfig's"},
		FLAGS_HEADING("Controllers"),
		FLAGS_INCLUDE(controllers),
		{"root-ca-file", FLAG_STRING, &s->root_ca_file, "FILE",
			"CA given to every namespace"},
		{"use-service-account-credentials", FLAG_BOOL, &s->credentials, NULL,
			"each controller writes as its own account of kube-system; default: true"},
		FLAGS_HEADING("Certificates"),
		FLAGS_INCLUDE(signing),
		FLAGS_HEADING("Addresses"),
		{"allocate-node-cidrs", FLAG_BOOL, &s->allocate_cidrs, NULL,
			"give nodes their pod addresses; default: true"},
		{"service-cluster-ip-range", FLAG_STRING, &o->service_cidr, "CIDR",
			"accepted: nodes' parts lie outside"},
		FLAGS_INCLUDE(election),
		FLAGS_INCLUDE(serving),
		FLAGS_HEADING("Log"),
		FLAGS_INCLUDE(flags_logging),
		FLAGS_INCLUDE(upstream_flags_controller_manager),
		FLAGS_INCLUDE(flags_client),
		FLAGS_INCLUDE(flags_component),
		{NULL},
	};

	leader_flags_table(&p->leader, election);
	signing_flags_table(&s->signing, o, signing);
	controllers_flags_table(o, controllers);
	serving_flags_table(&p->serving, serving);
	r = flags_parse(flags, p->name, argc, argv, NULL);
	if (r == 0)
		p->component->flags = flags_text(flags, a);
	return r;
}

/* What the port shows: from what the command line came to. */
static void show(struct manager *m, const struct client_program *p)
{
	struct controllers_face *f = &m->face;

	controllers_face_init(f);
	f->opts = &m->opts;
	f->election = &p->leader;
	f->kubeconfig = p->kubeconfig;
	f->bind_address = p->serving.bind_address;
	f->port = p->serving.port;
	m->opts.metrics = f->component.metrics;
}

int kube_controller_manager_main(int argc, char **argv)
{
	struct manager m = {0};
	struct client_program p = {.name = "kube-controller-manager",
		.leader = leader_flags_default("kube-controller-manager"),
		.serving = serving_flags_default(10257),
		.component = &m.face.component,
		.elected = &m.face.leader,
		.start = start,
		.stop = stop,
		.user_data = &m};
	struct controllers_opts *o = &m.opts;
	struct settings s = {.allocate_cidrs = true, .credentials = true};
	struct arena arena = {0};
	struct err err CLEANUP(err_release) = {0};
	int r = parse(&p, o, &s, &arena, argc, argv);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	show(&m, &p);
	p.master = client_program_url(p.master, &arena);
	if (s.root_ca_file &&
		file_read(s.root_ca_file, CA_FILE_MAX, &arena, &o->root_ca_pem, &err) < 0) {
		fprintf(stderr, "%s: --root-ca-file: %s\n", p.name, err_text(&err));
		return 1;
	}
	if (signing_files_read(&s.signing, o, &arena, &err) < 0 || controllers_check(o, &err) < 0) {
		fprintf(stderr, "%s: %s\n", p.name, err_text(&err));
		return 1;
	}
	if (!s.allocate_cidrs)
		o->controllers = arena_fmt(
			&arena, "-node-ipam-controller,%s", o->controllers ? o->controllers : "*")
					 .p;
	m.credentials = s.credentials;
	r = client_program_run(&p);
	arena_release(&arena);
	return r;
}
