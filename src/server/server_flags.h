/* server_flags.h: the flags that `sampan server` and `sampan up` share. */
#ifndef SAMPAN_SERVER_FLAGS_H
#define SAMPAN_SERVER_FLAGS_H

#include "base/flags.h"

struct server_flags {
	const char *data_dir, *bind_address, *node_name, *node_ip, *service_cidr, *cluster_cidr,
		*registry_mirror;
	const char *runtime_endpoint, *verbosity, *network_backend, *proxy_mode, *ovs_tunnel,
		*node_cidr_mask, *node_cidr_mask_ipv6;
	const char *resolv_conf, *dns_upstream, *dns_stub_domain; /* the node agent's */
	int secure_port;
	bool control_only;
};

enum { SERVER_FLAGS_MAX = 32 };

struct server_flags server_flags_default(void);
void server_flags_table(struct server_flags *f, struct flag table[SERVER_FLAGS_MAX]);
/* What can be said before anything is started; one line on standard error when it is negative. */
int server_flags_check(const struct server_flags *f, const char *program);
/* Fills what was not given and depends on the machine: the node's name. */
void server_flags_finish(struct server_flags *f, struct arena *a);
/* What the server would run, for `sampan check`: finished flags. Borrows. */
struct check_opts;
void server_flags_check_opts(const struct server_flags *f, struct check_opts *ret);
/* What a reboot may lose of the cluster in this data directory: /run/sampan, with a suffix when it is not the default
 * one, so that two clusters of one machine do not meet. */
const char *server_run_dir(const char *data_dir, struct arena *a);

#endif
