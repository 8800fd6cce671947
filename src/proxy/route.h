/* route.h: makes service addresses reachable for programs of this machine. */
#ifndef SAMPAN_PROXY_ROUTE_H
#define SAMPAN_PROXY_ROUTE_H

#include "base/base.h"

/*
 * A program on this machine that connects to a service address is routed before its packet is
 * rewritten; with no route for it (no default route either) connect(2) fails at once. Then a route
 * over the loopback device lets the packet be made; rewriting sends it the right way.
 *
 *     struct proxy_routes routes = {0};
 *     proxy_ensure_route(&routes, ip); …
 *     proxy_routes_release(&routes);       // closes what the first call opened
 */
struct proxy_routes {
	struct mnl_socket *socket;
	bool has_source;
	unsigned char source[4]; /* IPv4: where such packets come from */
};
void proxy_ensure_route(struct proxy_routes *r, struct str ip);
void proxy_routes_release(struct proxy_routes *r);
/* Removes all that were made so, by whatever run. */
void proxy_routes_cleanup(void);

/* Writes a kernel setting; a warning when that fails. */
void proxy_write_sysctl(const char *path, const char *value);

#endif
