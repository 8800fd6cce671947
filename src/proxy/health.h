/*
 * health.h: what the proxy tells over HTTP: its own health (/healthz, /livez), its metrics
 * (/metrics, /proxyMode), and for each load balancer service with policy Local, on the service's
 * health check node port, how many of its endpoints are on this node.
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_PROXY_HEALTH_H
#define SAMPAN_PROXY_HEALTH_H

#include "base/map.h"
#include "http/server.h"
#include "proxy/config.h"
#include "serving/component.h"

/* Numbers that /metrics shows, kept by the proxy. */
struct proxy_stats {
	const char *mode;              /* "nftables" */
	int64_t started_ms, queued_ms; /* loop time; queued: since when a change waits, 0 = none */
	int64_t synced_ns,
		queued_ns;       /* Unix time of the last sync, of the last change; 0 = never */
	struct metrics *metrics; /* what is counted besides */
	const struct proxy_config *config;
	uint64_t failures, service_changes, endpoint_changes;
	size_t n_services, n_items;
	bool node_known, node_leaving; /* the Node object, and whether it is about to go */
};
/* pages.c: a sync has taken so long; somebody has asked how it is. */
void proxy_stats_sync(struct proxy_stats *s, bool full, double duration_s);
void proxy_stats_asked(struct proxy_stats *s, bool live, int code);
/* What the metrics port shows; component_release at the end. */
void proxy_pages_init(struct component *c, struct proxy_stats *s);

struct proxy_health;

/* Listens where the config says. A port that is taken is an error when the config says so and a
 * warning otherwise. `stats` is the proxy's and outlives it. */
int proxy_health_new(struct loop *loop, const struct proxy_config *c, struct proxy_stats *stats,
	struct proxy_health **ret, struct err *err);
void proxy_health_free(struct proxy_health *h);

/* The service's health check port (0: none any more) and its endpoints here. */
void proxy_health_set(
	struct proxy_health *h, struct str ns, struct str name, int port, size_t n_local);

#endif
