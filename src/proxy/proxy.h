/*
 * proxy.h: the service proxy (kube-proxy): keeps the kernel's rules as the cluster's Services and
 * EndpointSlices say. Incremental: a change of one service rewrites that service's rules only.
 *
 * Runs on a loop of its own (one transaction of rules blocks it for milliseconds). One thread: the
 * loop's.
 */
#ifndef SAMPAN_PROXY_H
#define SAMPAN_PROXY_H

#include "client/client.h"
#include "proxy/backend.h"

struct proxy;

struct proxy_opts {
	struct loop *loop;
	struct client *client;         /* taken over; not started yet */
	struct proxy_config *config;   /* must outlive the proxy, which may change it */
	struct proxy_backend *backend; /* taken over */
	/* "namespace/name" of a service that this machine itself answers where the service has no
	 * endpoints (DNS): its packets are not refused then. May be empty. */
	struct str answered_here;
	struct metrics *metrics;            /* counts what it does; outlives it; NULL: its own */
	void (*on_synced)(void *user_data); /* after the first full program; may be NULL */
	void *user_data;
};

/* Starts the health and metrics servers, too. NULL with err when one cannot listen and that is an
 * error (bind_hard_fail); the client and the backend are gone then. */
struct proxy *proxy_start(const struct proxy_opts *opts, struct err *err);
void proxy_stop(struct proxy *p); /* the rules stay */

/* What else the command line of kube-proxy can say: of the DNS that comes with it. */
struct proxy_company {
	bool dns;
	const char *cluster_domain, *resolv_conf, *dns_upstreams, *dns_stub_domains;
};

/* The program kube-proxy; returns its exit code. `join` (may be NULL) is called before the proxy
 * starts: it may subscribe with opts->client and change opts; a negative errno with err ends the
 * program. */
int kube_proxy_program(int argc, char **argv,
	int (*join)(const struct proxy_company *c, struct proxy_opts *opts, struct err *err));

#endif
