/* resources.h: what pods ask for and nodes have. */
#ifndef SAMPAN_SCHEDULER_RESOURCES_H
#define SAMPAN_SCHEDULER_RESOURCES_H

#include "scheduler/framework.h"

void resource_names_init(struct resource_names *names);
/* The place of a resource, which it gets when it is new; -1 when there are too many. */
int resource_index(struct resource_names *names, struct str name);
void resources_from_map(
	struct resource_names *names, const struct str_map *m, struct resources *ret);
/* requests of the pod as a whole: containers, init containers, sidecars, overhead, pod level */
void pod_requests(
	struct resource_names *names, const struct v1_pod_spec *spec, struct pod_info *ret);

#endif
