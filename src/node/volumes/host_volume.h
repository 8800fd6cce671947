/* host_volume.h: volumes that are directories or files of this machine: emptyDir, hostPath. They
 * block briefly. */
#ifndef SAMPAN_HOST_VOLUME_H
#define SAMPAN_HOST_VOLUME_H

#include "base/base.h"
#include "types.gen.h"

/* hostPath: checks or makes what `type` asks for. */
int host_path_check(struct str path, struct str type, struct err *err);
/* emptyDir at `dir`; memory_limit: of the pod, 0 = none. */
int empty_dir_make(const char *dir, const struct v1_empty_dir_volume_source *e,
	int64_t memory_limit, int64_t fs_group, struct err *err);
/* A tmpfs for what must not reach a disk. Idempotent. */
int memory_dir_make(const char *dir, int64_t size, struct err *err);

#endif
