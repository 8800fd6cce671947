/*
 * cni.h: runs CNI plugins (CNI specification 1.1.0 and those before: network configuration,
 * execution protocol, results). STATUS and GC are asked of networks whose cniVersion is 1.1.0 or
 * newer. Blocking.
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
/* The configuration that a pod was connected with is kept with the pod: whoever connected it also
 * takes it away, whatever is configured by then. cni_config_recall: -ENOENT when none is kept. */
int cni_config_keep(const struct cni_config *c, const char *path, struct err *err);
int cni_config_recall(const char *path, struct cni_config *ret, struct err *err);
/* command: ADD (ret_ips gets the addresses; the result is kept in state_dir) or DEL. */
int cni_run(const struct cni_config *c, const char *bin_dirs, const char *state_dir,
	const char *command, const struct pod_network_request *rq, struct arena *a,
	struct str_vec *ret_ips, struct err *err);
/* Whether the network says that it can take pods; 0 also where it cannot be asked. */
int cni_status(const struct cni_config *c, const char *bin_dirs, struct arena *a, struct err *err);
/* Frees what the network holds for sandboxes that are not in `live`. */
int cni_gc(const struct cni_config *c, const char *bin_dirs, const struct str_vec *live,
	struct arena *a, struct err *err);
/* The addresses ("10.0.0.2") of a plugin's result, in any version of the specification. */
int cni_result_ips(struct str json, struct arena *a, struct str_vec *ret, struct err *err);

#endif
