#include "server/check/check.h"

#include <stdio.h>

#include "base/flags.h"
#include "server/server_flags.h"

static const struct check {
	const char *name;
	unsigned when; /* enum CHECK_* */
	void (*run)(const struct check_opts *o, struct check_report *r);
} checks[] = {
	{"privileges", CHECK_NODE | CHECK_QUICK, check_root},
	{"data directory", CHECK_CONTROL | CHECK_NODE | CHECK_QUICK, check_data_dir},
	{"ports", CHECK_CONTROL | CHECK_NODE | CHECK_QUICK, check_ports},
	{"clock", CHECK_CONTROL | CHECK_NODE | CHECK_QUICK, check_clock},
	{"certificates", CHECK_CONTROL | CHECK_NODE | CHECK_QUICK, check_certificates},
	{"address ranges", CHECK_CONTROL | CHECK_QUICK, check_ranges},
	{"etcd", CHECK_CONTROL, check_etcd},
	{"API server", CHECK_NODE, check_server},
	{"container runtime", CHECK_NODE | CHECK_QUICK, check_runtime},
	{"services", CHECK_NODE | CHECK_QUICK, check_services},
	{"pod network", CHECK_NODE | CHECK_QUICK, check_pod_network},
	{"control groups", CHECK_NODE | CHECK_QUICK, check_cgroups},
	{"kernel", CHECK_NODE | CHECK_QUICK, check_kernel},
	{"node name", CHECK_NODE, check_node_name},
};

static void say(struct check_report *r, const char *kind, const char *fmt, va_list ap)
{
	struct str text = arena_vfmt(&r->arena, fmt, ap);

	fprintf(stderr, "check: %s%s: " STR_FMT "\n", kind, r->check, STR_ARG(text));
}

void check_wrong(struct check_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(r, "", fmt, ap);
	va_end(ap);
	r->wrong++;
}

void check_doubt(struct check_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(r, "doubtful: ", fmt, ap);
	va_end(ap);
	r->doubtful++;
}

int checks_run(const struct check_opts *o, bool quick)
{
	unsigned here = (o->control ? CHECK_CONTROL : 0) | (o->node ? CHECK_NODE : 0);
	struct check_report r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (!(checks[i].when & here) || (quick && !(checks[i].when & CHECK_QUICK)))
			continue;
		r.check = checks[i].name;
		checks[i].run(o, &r);
	}
	arena_release(&r.arena);
	return r.wrong;
}

static void add_all(struct arena *a, struct str_vec *to, const struct flag_list *from)
{
	for (size_t i = 0; i < from->n; i++)
		ARENA_PUSH(a, to, arena_str(a, from->v[i]));
}

static int parse(struct check_opts *o, struct arena *a, int argc, char **argv)
{
	struct server_flags f = server_flags_default();
	struct server_flag_tables server;
	struct flag_list certificates = {0};
	const char *url = NULL;
	bool node_only = false;
	const struct flag flags[] = {
		FLAGS_HEADING("As sampan server takes them"),
		FLAGS_INCLUDE(server.own),
		FLAGS_HEADING("More"),
		{"node-only", FLAG_BOOL, &node_only, NULL, "for sampan node"},
		{"server", FLAG_STRING, &url, "URL", "the API server to join: can it be reached?"},
		{"certificate", FLAG_LIST, &certificates, "FILE,…",
			"more certificates whose time must not be over"},
		{NULL},
	};
	int r;

	server_flags_table(&f, &server);
	r = flags_parse(flags, "check", argc, argv, NULL);
	if (r)
		return r;
	server_flags_finish(&f, a);
	server_flags_check_opts(&f, o);
	o->control = !node_only;
	o->server = url;
	add_all(a, &o->etcd_servers, &f.control.etcd.servers);
	add_all(a, &o->certificates, &certificates);
	return 0;
}

int check_main(int argc, char **argv)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct check_opts o;
	int r = parse(&o, &a, argc, argv);

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	if (checks_run(&o, false))
		return 1;
	printf("Nothing stands in the way.\n");
	return 0;
}
