/*
 * pod_network.h: how a pod gets its network: CNI when a configuration is installed, else the bridge
 * of network.h.
 *
 * Everything but pod_network_ready blocks and belongs on a job thread, or before the loop runs; any
 * thread. The network namespaces are files that ns(7) can enter.
 */
#ifndef SAMPAN_POD_NETWORK_H
#define SAMPAN_POD_NETWORK_H

#include "network/network.h"

struct pod_network;

struct pod_network_opts {
	const char *state_dir;    /* addresses in use, results of CNI */
	const char *cni_conf_dir; /* /etc/cni/net.d */
	const char *cni_bin_dir;  /* /opt/cni/bin[:…] */
	const char *bridge;       /* NULL: sampan0 */
	int mtu;                  /* 0: 1500 */
};

struct pod_port {
	const char *protocol; /* TCP UDP SCTP */
	int container_port, host_port;
	struct str host_ip;
};

struct pod_network_request {
	struct str id; /* of the sandbox */
	struct str netns_path;
	struct str ns, name, uid; /* of the pod */
	const struct pod_port *ports;
	size_t n_ports;
};

/* Asked before a pod that got these addresses may go on; on the thread of pod_network_add, may
 * block. < 0 refuses it. Not asked with CNI. */
typedef int pod_network_guard_fn(void *user_data, const struct pod_network_request *rq,
	const struct str_vec *ips, struct err *err);

int pod_network_new(const struct pod_network_opts *opts, struct pod_network **ret, struct err *err);
void pod_network_free(struct pod_network *n);
/* "10.244.1.0/24", or one of each family with a comma. Empty: none yet. Pods that run keep their
 * addresses. */
int pod_network_set_cidr(struct pod_network *n, struct str cidr, struct err *err);
/* As network.h; nothing happens to what CNI has made. */
void pod_network_set_mtu(struct pod_network *n, int mtu);
int pod_network_set_cluster(
	struct pod_network *n, const struct network_cluster *c, struct err *err);
void pod_network_set_guard(struct pod_network *n, pod_network_guard_fn *fn, void *user_data);
bool pod_network_is_cni(struct pod_network *n); /* a CNI configuration is installed */
/* Whether pods can be connected; *ret_why (static text) says why not. Cheap. */
bool pod_network_ready(struct pod_network *n, const char **ret_why);

/* Connects the namespace: addresses, routes, host ports. On failure nothing stays. The addresses go
 * to the arena. */
int pod_network_add(struct pod_network *n, const struct pod_network_request *rq, struct arena *a,
	struct str_vec *ret_ips, struct err *err);
/* Idempotent; the namespace may be gone. */
int pod_network_del(struct pod_network *n, const struct pod_network_request *rq, struct err *err);
/* Frees what belongs to no id in `live` (sandboxes that went while we did not run). */
void pod_network_gc(struct pod_network *n, const struct str_vec *live);
/* Brings the loopback device of the calling thread's network namespace up. */
int pod_network_loopback_up(struct err *err);

#endif
