/*
 * rootfs.h: a container's root: overlayfs over unpacked layers, mounted at
 * <run-dir>/containers/<id>/rootfs. Job threads only (the mount is made with the thread's own
 * working directory).
 */
#ifndef SAMPAN_RUNTIME_ROOTFS_H
#define SAMPAN_RUNTIME_ROOTFS_H

#include "node/runtime/runtime.h"

/* data: the container's directory for upper and work; at: where to mount. */
int rootfs_mount(const struct image_store *s, const struct str_vec *layers, const char *data,
	const char *at, struct arena *a, struct err *err);
/* The same layers read-only, for an image volume. */
int rootfs_mount_readonly(const struct image_store *s, const struct str_vec *layers,
	const char *empty, const char *at, struct arena *a, struct err *err);
/* A file of it, with symlinks kept inside; empty when there is none. */
struct str rootfs_read(const char *rootfs, const char *path, struct arena *a);

#endif
