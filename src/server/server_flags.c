#include "server/server_flags.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "network/overlay.h"
#include "server/check/check.h"

#define DATA_DIR "/var/lib/sampan"

struct server_flags server_flags_default(void)
{
	return (struct server_flags){.data_dir = DATA_DIR, .control = control_flags_default(true)};
}

void server_flags_table(struct server_flags *f, struct server_flag_tables *t)
{
	const struct flag own[] = {
		{"data-dir", FLAG_STRING, &f->data_dir, "DIR", "where everything is kept"},
		{"node-name", FLAG_STRING, &f->node_name, "NAME",
			"this machine's name in the cluster; default: its host name"},
		{"node-ip", FLAG_STRING, &f->node_ip, "IP",
			"this machine's address; default: that of the default route"},
		{"control-only", FLAG_BOOL, &f->control_only, NULL,
			"run no node agent on this machine"},
		{"registry-mirror", FLAG_STRING, &f->registry_mirror, "HOST=URL,…",
			"where to pull a registry's images from"},
		{"verbosity", FLAG_STRING, &f->verbosity, "LEVEL", "how much control and node log"},
		FLAGS_HEADING("Control plane, as sampan control"),
		FLAGS_INCLUDE(t->control.all),
		FLAGS_HEADING("Node, as sampan node"),
		FLAGS_INCLUDE(t->node),
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(own) <= ARRAY_SIZE(t->own), "too many flags");
	memcpy(t->own, own, sizeof(own));
	control_flags_table(&f->control, true, &t->control);
	kubelet_flags_table(&f->node, t->node);
}

static int check(const struct server_flags *f, const char *program)
{
	const struct overlay_opts network = {f->node.o.network_backend, f->node.o.ovs_tunnel};
	struct err err CLEANUP(err_release) = {0};
	int r = f->control_only || f->node.o.runtime_endpoint ? 0 : overlay_check(&network, &err);

	if (r < 0)
		fprintf(stderr, "%s: %s\n", program, err_text(&err));
	return r;
}

int server_flags_parse(
	struct server_flags *f, const char *program, int argc, char **argv, struct arena *a)
{
	struct server_flag_tables t;
	int r;

	*f = server_flags_default();
	server_flags_table(f, &t);
	r = flags_parse(t.own, program, argc, argv, NULL);
	if (r == 0)
		r = check(f, program);
	if (r)
		return r;
	flags_pick(t.own, t.control.all, argc, argv, a, &f->control_args);
	flags_pick(t.own, t.node, argc, argv, a, &f->node_args);
	if (!f->verbosity)
		f->verbosity = flags_peek(argc, argv, "v");
	return 0;
}

void server_flags_finish(struct server_flags *f, struct arena *a)
{
	char host[254] = "";

	if (f->node_name)
		return;
	if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
		strcpy(host, "localhost");
	for (char *p = host; *p; p++) /* node names are DNS names */
		*p = *p == '_' ? '-' : tolower((unsigned char)*p);
	f->node_name = arena_cstr(a, str_c(host));
}

void server_flags_check_opts(const struct server_flags *f, struct check_opts *ret)
{
	*ret = (struct check_opts){
		.control = true,
		.node = !f->control_only,
		.data_dir = f->data_dir,
		.bind_address = f->control.bind_address,
		.secure_port = f->control.secure_port,
		.kubelet_port = f->node.o.port > 0 ? f->node.o.port : 0,
		.node_name = f->node_name,
		.service_cidr = f->control.service_cidr,
		.cluster_cidr = f->control.controllers.cluster_cidr,
		.network_backend = f->node.o.network_backend,
		.proxy_mode = f->node.o.proxy_mode,
		.runtime_endpoint = f->node.o.runtime_endpoint,
	};
}

const char *server_run_dir(const char *data_dir, struct arena *a)
{
	if (!strcmp(data_dir, DATA_DIR))
		return "/run/sampan";
	return arena_fmt(a, "/run/sampan-%08x", (unsigned)str_hash(str_c(data_dir))).p;
}
