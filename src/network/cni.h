/*
 * cni.h: runs CNI plugins (CNI specification 1.0.0: network configuration, execution protocol,
 * results). Blocking.
 */
#ifndef SAMPAN_CNI_H
#define SAMPAN_CNI_H

#include "network/pod_network.h"

struct cni_config {
	const char *name, *version; /* of the network; cniVersion */
	struct str_vec plugins;     /* each plugin's JSON */
	struct arena arena;
};
void cni_config_release(struct cni_config *c);
/* The first configuration of the directory by name. -ENOENT (err untouched) when it has none. */
int cni_config_load(const char *dir, struct cni_config *ret, struct err *err);
bool cni_config_exists(const char *dir);
/* command: ADD (ret_ips gets the addresses; the result is kept in state_dir) or DEL. */
int cni_run(const struct cni_config *c, const char *bin_dirs, const char *state_dir,
	const char *command, const struct pod_network_request *rq, struct arena *a,
	struct str_vec *ret_ips, struct err *err);
/* The addresses ("10.0.0.2") of a plugin's result, in any version of the specification. */
int cni_result_ips(struct str json, struct arena *a, struct str_vec *ret, struct err *err);

#endif
