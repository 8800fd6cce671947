/* flags.h: the flags of `kubelet` and `sampan node`; `sampan server` hands those of
 * kubelet_flags_table on. */
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

/* All but those that say how to reach the API server. For as long as `c` and `table` stay where
 * they are. */
enum { KUBELET_FLAGS_MAX = 64 };
void kubelet_flags_table(struct kubelet_command *c, struct flag table[KUBELET_FLAGS_MAX]);

/* What of upstream's is not implemented, and why. */
extern const struct flag upstream_flags_kubelet[];

/* A KubeletConfiguration (kubelet.config.k8s.io/v1beta1), read strictly: what it says replaces what
 * `c` holds. What we cannot do as it asks is an error. */
int kubelet_config_read(
	const char *path, struct kubelet_command *c, struct arena *a, struct err *err);

#endif
