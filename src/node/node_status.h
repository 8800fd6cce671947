/* node_status.h: the Node object as this machine fills it in. */
#ifndef SAMPAN_NODE_STATUS_H
#define SAMPAN_NODE_STATUS_H

#include "node/kubelet_private.h"

/* What does not change while the kubelet runs. */
struct str_map node_capacity(struct kubelet *k, struct arena *a);
struct str_map node_allocatable_of(
	struct kubelet *k, const struct str_map *capacity, struct arena *a);
/* For registration: metadata, spec and status. */
struct v1_node *node_new(struct kubelet *k, struct arena *a);
struct str_map node_labels(struct kubelet *k, struct arena *a);
/* `old`: for the times of its conditions; may be NULL. */
void node_status_make(
	struct kubelet *k, const struct v1_node *old, struct arena *a, struct v1_node_status *ret);
/* Whether anything but heartbeat times differs. */
bool node_status_same(
	const struct v1_node_status *a, const struct v1_node_status *b, struct arena *scratch);

#endif
