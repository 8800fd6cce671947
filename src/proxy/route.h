/* route.h: makes service addresses reachable for programs of this machine. */
#ifndef SAMPAN_PROXY_ROUTE_H
#define SAMPAN_PROXY_ROUTE_H

#include "base/base.h"

/*
 * A program on this machine that connects to a service address is routed before its packet is
 * rewritten; with no route for it (no default route either) connect(2) fails at once. Then a route
 * over the loopback device lets the packet be made; rewriting sends it the right way.
 */
void proxy_ensure_route(struct str ip);

/* Writes a kernel setting; a warning when that fails. */
void proxy_write_sysctl(const char *path, const char *value);

#endif
