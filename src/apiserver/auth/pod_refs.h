/* pod_refs.h: what a pod or a volume refers to (api/pod VisitPodSecretNames, volume/util
 * VisitPVSecretNames). */
#ifndef SAMPAN_POD_REFS_H
#define SAMPAN_POD_REFS_H

#include "types.gen.h"

enum pod_ref { REF_SECRET, REF_CONFIG_MAP, REF_CLAIM, REF_RESOURCE_CLAIM, REF_SERVICE_ACCOUNT };

/* Calls visit for each until one returns true, and returns whether one did. Names are in the pod's
 * namespace, and may come several times. */
bool pod_refs(const struct v1_pod *pod,
	bool (*visit)(void *state, enum pod_ref kind, struct str name), void *state);
bool pod_refers_to(const struct v1_pod *pod, enum pod_ref kind, struct str name);

/* Whether a kubelet that mounts the volume reads this secret. */
bool volume_refers_to_secret(const struct v1_persistent_volume *pv, struct str ns, struct str name);

#endif
