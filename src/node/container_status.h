/* container_status.h: the container part of pod_status.c. */
#ifndef SAMPAN_CONTAINER_STATUS_H
#define SAMPAN_CONTAINER_STATUS_H

#include "node/pod_status.h"

/* The statuses of all containers of one kind. */
struct v1_container_status_vec container_statuses(
	const struct pod_status_input *in, enum container_kind kind, struct arena *a);
/* Sets `started` and `ready` of each. */
void container_statuses_probed(const struct pod_status_input *in, enum container_kind kind,
	struct v1_container_status_vec *v, struct arena *a);
/* What has not ended by now never will be seen to: marks it as lost. */
void container_statuses_end(struct v1_container_status_vec *v, bool initialized, struct arena *a);

#endif
