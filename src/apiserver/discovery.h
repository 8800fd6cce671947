/*
 * discovery.h: what the server serves, told to clients: /api, /apis and below, plain and
 * aggregated. Built once from schema_resources; immutable after that.
 */
#ifndef SAMPAN_APISERVER_DISCOVERY_H
#define SAMPAN_APISERVER_DISCOVERY_H

#include <stdbool.h>

struct discovery;
struct request;

/* address: "10.0.0.1:6443", where clients are told to find the server. */
struct discovery *discovery_new(const char *address);
void discovery_free(struct discovery *d);
/* True when the path is one of discovery's, and the request is answered. */
bool handle_discovery(struct request *r);

#endif
