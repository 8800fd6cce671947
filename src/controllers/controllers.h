/*
 * controllers.h: the controllers as one part of a process: `kube-controller-manager` runs nothing
 * else, `control` starts them on a loop of their own beside the API server, the simulator on a
 * simulated one.
 *
 * One thread: the loop's. Nothing runs before the informers have synced; an idle cluster costs
 * nothing.
 */
#ifndef SAMPAN_CONTROLLERS_H
#define SAMPAN_CONTROLLERS_H

#include "client/client.h"

struct buf;
struct controllers;
struct metrics;

/* Who signs CertificateSigningRequests: kubernetes.io/kube-apiserver-client,
 * …/kube-apiserver-client-kubelet, …/kubelet-serving, …/legacy-unknown. */
enum signer {
	SIGNER_OF_CLIENTS,
	SIGNER_OF_KUBELET_CLIENTS,
	SIGNER_OF_KUBELETS,
	SIGNER_OF_UNKNOWN,
	SIGNERS,
};

struct controllers_opts {
	struct loop *loop;
	/* A client for `user`, owned by the controllers from then on. Called first for
	 * "system:kube-controller-manager": that client keeps all snapshots. Then once per
	 * controller for the user that it writes as
	 * ("system:serviceaccount:kube-system:replicaset-controller"): NULL = write with the first
	 * one. */
	struct client *(*client_for)(void *user_data, const char *user);
	void *user_data;
	const char *controllers; /* as --controllers: "*", "foo", "-foo" with commas; NULL = "*" */
	/* What root-ca-certificate-publisher publishes; empty: it does not run. */
	struct str root_ca_pem;
	/* The CA of each signer, and for how long it signs at most (0 = a year); empty: it does
	 * not. */
	struct {
		struct str cert_pem, key_pem;
	} signing[SIGNERS];
	int64_t signing_duration_ms;
	/* Pod addresses of the nodes, up to two ranges (dual stack); NULL = 10.244.0.0/16. */
	const char *cluster_cidr;
	const char *service_cidr; /* what no node may get of it; NULL: nothing */
	int node_cidr_mask_ipv4, node_cidr_mask_ipv6; /* 0 = 24, 64 */
	int64_t node_monitor_grace_ms;                /* 0 = 50 s as upstream */
	int64_t node_startup_grace_ms;                /* 0 = 60 s */
	int terminated_pod_gc_threshold;              /* 0 = 12500, negative: none */
	size_t writes_in_flight_max;                  /* 0 = 500 */
	struct metrics *metrics; /* counts what they do; outlives them; NULL: nothing does */
};

/* Whether controllers_start would find `controllers` or `cluster_cidr` wrong. */
int controllers_check(const struct controllers_opts *opts, struct err *err);
/* Copies what it needs of opts. -EINVAL when `controllers` or `cluster_cidr` do not parse. */
int controllers_start(
	const struct controllers_opts *opts, struct controllers **ret, struct err *err);
bool controllers_synced(const struct controllers *c);
/* The i-th of the controllers that run, by its name; NULL: there are no more. */
const char *controllers_running(const struct controllers *c, size_t i);
/* Metrics that are not counted but told when asked for: how much waits in the queues, zones of
 * nodes. */
void controllers_write_metrics(struct controllers *c, struct buf *out);
/* Frees its clients, too; no call of theirs comes back afterwards. */
void controllers_stop(struct controllers *c);

/* The program of that name; returns its exit code. */
int kube_controller_manager_main(int argc, char **argv);

#endif
