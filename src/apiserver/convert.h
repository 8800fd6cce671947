/*
 * convert.h: one stored object seen as two resources: events.k8s.io/v1 Event is core/v1 Event,
 * autoscaling/v1 HorizontalPodAutoscaler is autoscaling/v2's.
 */
#ifndef SAMPAN_APISERVER_CONVERT_H
#define SAMPAN_APISERVER_CONVERT_H

#include "schema/schema.h"

/* A struct of from->type as one of to->type; strings are shared. The same pointer when both are one
 * resource. 500 when nobody knows how. */
int convert(const struct schema_resource *from, void *typed, const struct schema_resource *to,
	struct arena *a, void **ret, struct err *err);
/* Whether convert() knows the way. */
bool convert_exists(const struct schema_resource *from, const struct schema_resource *to);

#endif
