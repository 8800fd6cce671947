/*
 * cluster_ips.h: keeps the objects that tell where cluster IPs come from and who has them, whatever
 * anybody does to them: the ServiceCIDR "kubernetes" of the ranges that the server was started
 * with, and an IPAddress for each cluster IP of a Service
 * (pkg/controlplane/controller/defaultservicecidr, core/service/ipallocator/controller). Services
 * bring their IPAddresses along themselves (resources/service_along.c): there is work here only
 * when one was changed by hand, or when the store was written by somebody who made none.
 *
 * It follows the store's events: a cluster at rest costs nothing.
 */
#ifndef SAMPAN_APISERVER_CLUSTER_IPS_H
#define SAMPAN_APISERVER_CLUSTER_IPS_H

#include "apiserver/server.h"

struct cluster_ips;

/* The ServiceCIDR as it is made, in the arena. */
struct networking_v1_service_cidr *cluster_ips_default(struct arena *a, const struct apiserver *s);

/* On `loop`, from now on. */
struct cluster_ips *cluster_ips_start(struct apiserver *s, struct loop *loop);
void cluster_ips_free(struct cluster_ips *c); /* the loop has stopped */

#endif
