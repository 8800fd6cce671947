/*
 * volumes.h: the volumes of one pod: set up before its containers start, kept fresh while they run,
 * taken down after.
 *
 *     <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>    where they live
 *     <root>/pods/<uid>/volume-subpaths/<volume>/<container>/<n> what a subPath is bound to
 *
 * One thread: the loop's.
 */
#ifndef SAMPAN_VOLUMES_H
#define SAMPAN_VOLUMES_H

#include "node/env.h"
#include "node/kubelet_private.h"

struct volumes;

struct volumes_owner {
	struct kubelet *k;
	void *user_data;
	struct str uid, ns, name; /* of the pod; borrowed */
	void (*changed)(
		void *user_data); /* look again: something was mounted, or may be tried again */
	void (*failed)(void *user_data, struct str message); /* for a FailedMount event */
};

struct volumes *volumes_new(const struct volumes_owner *o);
/* Starts what is not set up, and renews what is stale. True when everything is set up. */
bool volumes_sync(struct volumes *v, const struct pod_facts *facts);
/* A config map or secret has changed. */
void volumes_object_changed(struct volumes *v, const struct schema_resource *res, struct str name);
/* Labels or annotations have changed. */
void volumes_pod_changed(struct volumes *v);
/* Where a volume is on the host; {NULL,0}: it has no such place (image volumes). */
struct str volumes_path(const struct volumes *v, struct str name);
bool volume_is_read_only(const struct v1_volume *v); /* the API writes it, not the containers */
/* For a status message: the first volume that is not set up; {NULL,0}: none. */
struct str volumes_waiting_for(const struct volumes *v);
/* Unmounts and removes everything but the pod's directory itself; `done` on a later turn. Then
 * free. */
void volumes_teardown(struct volumes *v, void (*done)(void *user_data, struct err *err));
void volumes_free(struct volumes *v); /* leaves everything as it is */

/* Binds <volume>/<sub> for a container and returns the path to mount. Upstream's words on failure.
 */
int volumes_subpath(struct volumes *v, struct arena *a, struct str volume, struct str sub,
	struct str container, size_t mount_index, bool read_only, struct str *ret, struct err *err);

#endif
