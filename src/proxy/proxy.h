/*
 * proxy.h: the service proxy (kube-proxy): keeps the kernel's rules as the cluster's Services and
 * EndpointSlices say. Incremental: a change of one service rewrites that service's rules only.
 *
 * Runs on a loop of its own (one nft transaction blocks it for milliseconds). One thread: the
 * loop's.
 */
#ifndef SAMPAN_PROXY_H
#define SAMPAN_PROXY_H

#include "client/client.h"

struct proxy;

/* Where rules go: nftables, or a test's record of them. */
struct proxy_backend {
	/* Applies a batch of nft commands, all or nothing. Negative errno with err when the kernel
	 * refused. */
	int (*apply)(struct proxy_backend *b, struct str commands, struct err *err);
	/* Makes a service address reachable where the machine has no route at all. */
	void (*ensure_route)(struct proxy_backend *b, struct str ip);
	void (*free)(struct proxy_backend *b);
};

struct proxy_opts {
	struct loop *loop;
	struct client *client;         /* taken over; not started yet */
	struct proxy_backend *backend; /* taken over */
	struct str node_name;
	bool ipv6;                          /* serve IPv6, too */
	/* "namespace/name" of a service that this machine itself answers where the service has no
	 * endpoints (DNS): its packets are not refused then. May be empty. */
	struct str answered_here;
	void (*on_synced)(void *user_data); /* after the first full program; may be NULL */
	void *user_data;
};

struct proxy *proxy_start(const struct proxy_opts *opts);
void proxy_stop(struct proxy *p); /* the rules stay */

/* The kernel's nftables in this network namespace, through libnftables. */
int proxy_backend_nft_new(struct proxy_backend **ret, struct err *err);

/* The program of that name; returns its exit code. */
int kube_proxy_main(int argc, char **argv);

#endif
