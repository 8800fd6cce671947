/*
 * cluster_info.h: what a machine that wants to join is told of the cluster: a kubeconfig without a
 * user in the config map cluster-info of kube-public, which anybody may read, signed for each
 * bootstrap token (bootstrap_token.h). The form is kubeadm's; which addresses the cluster gives to
 * pods and services stands in an extension that others do not look at.
 */
#ifndef SAMPAN_PKI_CLUSTER_INFO_H
#define SAMPAN_PKI_CLUSTER_INFO_H

#include "base/base.h"

#define CLUSTER_INFO_EXTENSION "sampan.io/networks"

struct cluster_info {
	struct str address; /* of the API server: a name or an IP address */
	int port;
	struct str ca_pem;
	struct str pods, services; /* CIDRs, with commas between them; may be empty */
};

struct str cluster_info_kubeconfig(struct arena *a, const struct cluster_info *info);
/* From any kubeconfig of that form: ca_pem, and pods and services where they are told. 400 when
 * there is no CA. */
int cluster_info_read(
	struct str kubeconfig, struct arena *a, struct cluster_info *ret, struct err *err);
/* The signature for a token id among the data of the config map; empty when there is none. */
struct str cluster_info_signature(const struct str_map *data, struct str token_id);

#endif
