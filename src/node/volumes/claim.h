/* claim.h: a persistentVolumeClaim's place on this machine: the hostPath or local volume that it is
 * bound to. */
#ifndef SAMPAN_CLAIM_H
#define SAMPAN_CLAIM_H

#include "node/kubelet_private.h"

/* done on a later turn, exactly once; path is valid during the call. */
void claim_resolve(struct kubelet *k, const struct v1_pod *pod, const struct v1_volume *v,
	void (*done)(void *user_data, struct str path, struct err *err), void *user_data);

#endif
