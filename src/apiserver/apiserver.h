/*
 * apiserver.h: the Kubernetes API over one store, as an HTTP handler. Knows no socket: a transport (http/server.h, or an
 * in-process client) calls apiserver_handler()->handle on any loop; answers come on that loop.
 *
 * Pipeline (pipeline.c): request info -> authenticate -> limit -> authorize -> route -> decode -> default -> mutating
 * admission -> validate -> validating admission -> commit -> respond.
 */
#ifndef SAMPAN_APISERVER_H
#define SAMPAN_APISERVER_H

#include "apiserver/admission.h"
#include "apiserver/audit/audit.h"
#include "apiserver/auth_opts.h"
#include "client/user.h"
#include "http/exchange.h"
#include "store/store.h"

struct apiserver;
struct authenticator; /* authn.h */
struct authorizer;    /* authz.h */

struct apiserver_opts {
	struct store *store;
	struct loop *clock;                    /* whose clock gives the time (a simulated loop in the simulator) */
	const char *service_cluster_ip_range;  /* "10.254.0.0/16", may be two with a comma */
	int node_port_min, node_port_max;      /* 0 = 30000, 32767 */
	const char *cluster_cidr;              /* pods' addresses, told to joining machines; NULL = not told */
	const char *advertise_address;         /* of the kubernetes endpoints; NULL = none are made */
	int advertise_port;
	const char *service_account_issuer;    /* NULL = https://kubernetes.default.svc */
	struct str service_account_key_pem;    /* signs and verifies service account tokens */
	struct str ca_pem;                     /* cluster CA: goes into kube-root-ca.crt by its controller */
	struct str client_ca_pem;              /* of client certificates: told to whom it may concern; may be empty */
	struct str token_auth_csv;             /* --token-auth-file's content; may be empty */
	bool enable_bootstrap_token_auth;
	bool bootstrapped_later;               /* /readyz says no until apiserver_bootstrap() is done */
	bool allow_privileged;
	struct str kubelet_ca_pem;             /* of kubelets' serving certificates; empty: they are not verified */
	struct str kubelet_client_cert_pem, kubelet_client_key_pem; /* towards kubelets (logs, exec, proxy) */
	struct admission_opts admission;       /* used during apiserver_new only */
	struct audit_opts audit;               /* used during apiserver_new only */
	struct auth_opts auth;                 /* used during apiserver_new only; what stands elsewhere here too, is taken
						* from there */
	bool node_agents;                      /* nodes run `sampan node`, which is more than a kubelet: policy.h */
	bool components_inside;                /* scheduler and controllers run in this process */
	int kubelet_port;                      /* of nodes that do not tell theirs; 0 = 10250 */
	const char *storage_file;              /* the embedded store's, for its size in /metrics; NULL = there is none */
	struct str flags_text;                 /* "name: value" lines for /flagz; NULL: there is no such page */
	int watch_timeout_s;                   /* 0 = 30–60 min as upstream */
};

int apiserver_new(const struct apiserver_opts *opts, struct apiserver **ret, struct err *err);
void apiserver_free(struct apiserver *s); /* after every loop that used it has stopped */
struct http_handler *apiserver_handler(struct apiserver *s);
/* Creates what must exist: namespaces default, kube-system, kube-public, kube-node-lease, the service and endpoints
 * `kubernetes`, priority classes … Repeats itself as long as it fails; done when all is there. On `loop`. */
void apiserver_bootstrap(struct apiserver *s, struct loop *loop, void (*done)(void *), void *user_data);

#endif
