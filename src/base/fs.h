/*
 * fs.h: the file system. Everything blocks: for job threads and start-up
 * only.
 *
 * All return 0 or a negative errno. Files written here are state that a power cut may lose together
 * with the containers it speaks of, so nothing is synced but by fs_write_durably (images outlive a
 * power cut); they are never seen half-written by another process.
 */
#ifndef SAMPAN_BASE_FS_H
#define SAMPAN_BASE_FS_H

#include "base/base.h"

enum { FS_SMALL_MAX = 4 * 1024 * 1024 }; /* what fs_read takes where nothing else is said */

int fs_mkdirs(const char *path, mode_t mode); /* like mkdir -p; the mode is for what is made */
int fs_write(const char *path, struct str content, mode_t mode); /* temporary file and rename */
int fs_write_durably(
	const char *path, struct str content, mode_t mode); /* on the disk, under that name */
int fs_put(const char *path,
	struct str content);                 /* one write into an existing file (cgroup, sysctl) */
int fs_touch(const char *path, mode_t mode); /* an empty file, if there is none */
/* The whole file, also of proc and cgroup file systems whose files tell no size. -EFBIG above max.
 */
int fs_read(const char *path, size_t max, struct arena *a, struct str *ret);
/* Everything below and the path itself; follows no symlink and enters no other file system. 0 when
 * it is not there. */
int fs_remove_tree(const char *path);
int fs_remove_tree_at(int dirfd, const char *name);
/* Disk space and inodes below path, not following symlinks; counts at most inodes_max entries. */
void fs_usage(const char *path, uint64_t inodes_max, uint64_t *ret_bytes, uint64_t *ret_inodes);
bool fs_exists(const char *path);
void fd_close(int *fd); /* for CLEANUP; -1 is fine */

#endif
