/*
 * join.h: a machine becomes a node: what `sampan node --server URL --token T` does before the
 * kubelet starts.
 *
 *     look at this machine      directory writable, port free, addresses do not clash (nothing is
 * changed) discover the cluster      cluster-info, anonymously; believed because it is signed with
 * the token's secret, or because the CA has the hash that was given look at the cluster       the
 * node's name is not another machine's that is alive get a certificate CertificateSigningRequest as
 * system:bootstrap:<id>, approved and signed by the controllers write it down
 * <cert_dir>/kubelet-client-current.pem, ca.crt, and a kubeconfig that names them
 *
 * When the kubeconfig is there and its certificate has not ended, nothing of all this happens: the
 * same command starts a machine that has joined. With a bootstrap kubeconfig (upstream's
 * --bootstrap-kubeconfig) discovery is left out. Every failure is one line that says what is wrong
 * and what to do.
 */
#ifndef SAMPAN_NODE_JOIN_H
#define SAMPAN_NODE_JOIN_H

#include "base/base.h"
#include "loop/loop.h"
#include "pki/x509.h"

struct join_opts {                  /* strings are borrowed */
	const char *server, *token; /* https://host:port; "id.secret" or "id.secret@sha256:…" */
	const char *ca_hash;        /* "sha256:…", may be NULL */
	const char *bootstrap_kubeconfig; /* instead of the three above */
	const char *kubeconfig;           /* where ours is, or will be */
	const char *cert_dir;
	const char *data_dir; /* must be writable */
	const char *node_name;
	struct str_vec node_ips;
	const char *bind_address; /* of the kubelet's API */
	int port;                 /* <= 0: none */
};

/* Runs the loop until it is done, or ended by loop_stop() (-EINTR). 0: the kubeconfig is there and
 * good. */
int join_cluster(struct loop *loop, const struct join_opts *opts, struct err *err);

/* Whether the token is a bootstrap token, with or without a CA hash behind it. */
bool join_token_split(struct str token, struct str *ret_token, struct str *ret_ca_hash);
/* "system:node:NAME" in system:nodes, for a client certificate. */
void join_node_names(struct arena *a, struct str node_name, struct x509_names *ret);

/* join_check.c: this machine, before anything is asked or changed. */
int join_check_machine(const struct join_opts *opts, struct err *err);
/* What the cluster gives to pods and services (CIDRs with commas) must not hold an address that
 * this machine has. */
int join_check_addresses(struct str pods, struct str services, struct err *err);
/* join_discovery.c: the cluster's CA. done once, on a later turn; ca_pem and ranges live during the
 * call. */
struct join_discovery;
struct join_discovered {
	struct str ca_pem, pods, services;
};
int join_discovery_start(struct loop *loop, const struct join_opts *opts,
	void (*done)(void *user_data, const struct join_discovered *d, struct err *err),
	void *user_data, struct join_discovery **ret, struct err *err);
void join_discovery_free(struct join_discovery *d);
/* Of the config map's JSON: 0, or one line about the token or the hash; code 404: the token is not known (yet). Pure. */
int join_verify(struct str config_map_json, struct str token, struct str ca_hash, struct arena *a,
	struct join_discovered *ret, struct err *err);

#endif
