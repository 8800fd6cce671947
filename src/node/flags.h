/* flags.h: what kubelet_main.c shares with the tables of what it does not implement. Private. */
#ifndef SAMPAN_NODE_FLAGS_H
#define SAMPAN_NODE_FLAGS_H

#include "base/flags.h"
#include "node/kubelet.h"
#include "node/kubelet_join.h"

/* A kubelet's command line, or what of it stands in a configuration file. */
struct kubelet_command {
	struct kubelet_opts o;
	struct join_flags join;
	struct flag_list labels, taints, dns, dns_upstreams, dns_stub_domains, api_servers;
	const char *hostname_override, *config, *log_size_max;
	bool register_node, enable_server;
};

extern const struct flag upstream_flags_kubelet[];

/* A KubeletConfiguration (kubelet.config.k8s.io/v1beta1), read strictly: what it says replaces what `c` holds. What we cannot
 * do as it asks is an error. */
int kubelet_config_read(const char *path, struct kubelet_command *c, struct arena *a, struct err *err);

#endif
