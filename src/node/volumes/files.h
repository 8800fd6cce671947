/* files.h: directories of pods: making, owning, mounting, removing. Local file systems only; they
 * block. */
#ifndef SAMPAN_NODE_FILES_H
#define SAMPAN_NODE_FILES_H

#include "base/base.h"

/* mkdir -p, each new directory with this mode whatever the umask. 0 or negative errno. */
int files_make_dir(const char *path, int mode);
/* rm -rf that never leaves the file system it starts on. */
void files_remove_tree(const char *path);
/* Unmounts everything at and below a path, last mounted first. Returns how many mounts are left. */
int files_unmount_below(const char *path);
bool files_is_tmpfs(const char *path);
/* Gives a volume to a group, as upstream's fsGroup: files g+rw (read_only: g+r), directories setgid
 * and g+x. */
int files_set_group(const char *path, int64_t gid, bool read_only);
uint64_t files_used_bytes(const char *path, uint64_t *ret_inodes);

/* Opens `sub` below `base` and makes sure that no symbolic link leads out: an O_PATH descriptor, or
 * -errno. Makes the missing directories with the mode of `base` when `make`. */
int files_open_beneath(const char *base, struct str sub, bool make);

#endif
