/*
 * masters.h: the endpoints of the Service default/kubernetes: where API servers are reached. Where
 * several share a store, each keeps them as the servers are that are alive.
 */
#ifndef SAMPAN_APISERVER_MASTERS_H
#define SAMPAN_APISERVER_MASTERS_H

#include "apiserver/server.h"

struct masters;

/* What stands in the store for these addresses; all serve on `port`. */
struct v1_endpoints *masters_endpoints(
	struct arena *a, const struct str_vec *addresses, int32_t port);
struct discovery_v1_endpoint_slice *masters_slice(
	struct arena *a, const struct str_vec *addresses, int32_t port);

/* On `loop`, from now on. */
struct masters *masters_start(struct apiserver *s, struct loop *loop);
void masters_free(struct masters *m); /* the loop has stopped */

#endif
