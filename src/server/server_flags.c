#include "server/server_flags.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "network/overlay.h"
#include "server/check/check.h"

#define DATA_DIR "/var/lib/sampan"

struct server_flags server_flags_default(void)
{
	return (struct server_flags){
		.data_dir = "/var/lib/sampan", .bind_address = "0.0.0.0", .secure_port = 6443};
}

void server_flags_table(struct server_flags *f, struct flag table[SERVER_FLAGS_MAX])
{
	const struct flag flags[] = {
		{"data-dir", FLAG_STRING, &f->data_dir, "DIR", "where everything is kept"},
		{"bind-address", FLAG_STRING, &f->bind_address, "IP",
			"address that the API is served on"},
		{"secure-port", FLAG_INT, &f->secure_port, "PORT", "its port"},
		{"node-name", FLAG_STRING, &f->node_name, "NAME",
			"this machine's name in the cluster; default: its host name"},
		{"node-ip", FLAG_STRING, &f->node_ip, "IP",
			"this machine's address; default: that of the default route"},
		{"service-cluster-ip-range", FLAG_STRING, &f->service_cidr, "CIDR",
			"addresses of services"},
		{"cluster-cidr", FLAG_STRING, &f->cluster_cidr, "CIDR", "addresses of pods"},
		{"node-cidr-mask-size", FLAG_STRING, &f->node_cidr_mask, "BITS",
			"of a machine's part of them [24]"},
		{"node-cidr-mask-size-ipv4", FLAG_STRING, &f->node_cidr_mask, "BITS", "the same"},
		{"node-cidr-mask-size-ipv6", FLAG_STRING, &f->node_cidr_mask_ipv6, "BITS",
			"of its IPv6 part [64]"},
		{"network-backend", FLAG_STRING, &f->network_backend, "NAME",
			"pods of other machines are reached by: bridge (not at all), host-gw, "
			"vxlan (default), ovs"},
		{"ovs-tunnel", FLAG_STRING, &f->ovs_tunnel, "TYPE",
			"between machines with ovs: gre (default), vxlan"},
		{"proxy-mode", FLAG_STRING, &f->proxy_mode, "MODE",
			"services by: nftables (default), iptables"},
		{"registry-mirror", FLAG_STRING, &f->registry_mirror, "HOST=URL,…",
			"where to pull a registry's images from"},
		{"container-runtime-endpoint", FLAG_STRING, &f->runtime_endpoint, "SOCKET",
			"a CRI runtime instead of the built-in one"},
		{"resolv-conf", FLAG_STRING, &f->resolv_conf, "FILE",
			"name servers and search domains of the machine [/etc/resolv.conf]"},
		{"dns-upstream", FLAG_STRING, &f->dns_upstream, "IP[:PORT],…",
			"where the cluster's DNS asks for other names [as --resolv-conf says]"},
		{"dns-stub-domain", FLAG_STRING, &f->dns_stub_domain, "DOMAIN=IP[:PORT],…",
			"where it asks for the names of a domain"},
		{"control-only", FLAG_BOOL, &f->control_only, NULL,
			"run no node agent on this machine"},
		{"verbosity", FLAG_STRING, &f->verbosity, "LEVEL", "how much control and node log"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= SERVER_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

int server_flags_check(const struct server_flags *f, const char *program)
{
	const struct overlay_opts network = {f->network_backend, f->ovs_tunnel};
	struct err err CLEANUP(err_release) = {0};
	int r = f->control_only || f->runtime_endpoint ? 0 : overlay_check(&network, &err);

	if (r < 0)
		fprintf(stderr, "%s: %s\n", program, err_text(&err));
	return r;
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
		.bind_address = f->bind_address,
		.secure_port = f->secure_port,
		.node_name = f->node_name,
		.service_cidr = f->service_cidr,
		.cluster_cidr = f->cluster_cidr,
		.network_backend = f->network_backend,
		.proxy_mode = f->proxy_mode,
		.runtime_endpoint = f->runtime_endpoint,
	};
}

const char *server_run_dir(const char *data_dir, struct arena *a)
{
	if (!strcmp(data_dir, DATA_DIR))
		return "/run/sampan";
	return arena_fmt(a, "/run/sampan-%08x", (unsigned)str_hash(str_c(data_dir))).p;
}
