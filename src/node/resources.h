/* resources.h: quantities of CPU and memory as numbers, what a pod asks for in sum, its QoS class.
 */
#ifndef SAMPAN_NODE_RESOURCES_H
#define SAMPAN_NODE_RESOURCES_H

#include "base/base.h"
#include "schema/quantity.h"
#include "types.gen.h"

/* Of a list by resource name; 0 when absent. */
int64_t resource_milli(const struct str_map *m, const char *name);
int64_t resource_units(const struct str_map *m, const char *name);

enum qos { QOS_BEST_EFFORT, QOS_BURSTABLE, QOS_GUARANTEED };
enum qos pod_qos(const struct v1_pod *pod);
struct str qos_name(enum qos q);

struct pod_sums {
	int64_t cpu_request_milli, memory_request;
	int64_t cpu_limit_milli, memory_limit; /* 0: some container has none */
	int64_t ephemeral_storage_request;
};
/* Of what runs at the same time: containers and sidecars together, or the largest init container;
 * plus overhead. */
struct pod_sums pod_resource_sums(const struct v1_pod *pod);
/* A container's request of a resource name; its limit stands in for a missing request. */
struct str container_request(const struct v1_container *c, const char *name);

/* cgroup arithmetic, as upstream's. */
int64_t milli_to_shares(int64_t milli);                   /* 2 … 262144 */
int64_t milli_to_quota(int64_t milli, int64_t period_us); /* 0 = none; at least 1000 */
#define CPU_PERIOD_US 100000

#endif
