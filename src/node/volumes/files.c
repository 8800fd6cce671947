/* files.c: the kubelet's own files. */
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "node/volumes/files.h"

enum { PATH_LEN = 4096, NFTW_FDS = 16 };

int files_make_dir(const char *path, int mode)
{
	char p[PATH_LEN];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(p))
		return -ENAMETOOLONG;
	memcpy(p, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (p[i] != '/' && p[i] != 0)
			continue;
		p[i] = 0;
		if (mkdir(p, (mode_t)mode) == 0)
			chmod(p, (mode_t)mode);
		else if (errno != EEXIST)
			return -errno;
		if (i < n)
			p[i] = '/';
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)at;
	if (type == FTW_DP || type == FTW_DNR)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

void files_remove_tree(const char *path)
{
	nftw(path, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The mount points at and below a path, newest last; the number found. */
static size_t mounts_below(const char *path, char ***ret)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t n = 0, cap = 0, len = strlen(path), line_cap = 0;
	char *line = NULL, at[PATH_LEN];

	*ret = NULL;
	while (f && getline(&line, &line_cap, f) > 0) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1)
			continue;
		if (strncmp(at, path, len) != 0 || (at[len] != 0 && at[len] != '/'))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 8;
			*ret = xrealloc(*ret, cap * sizeof(**ret));
		}
		(*ret)[n++] = xstrdup(at);
	}
	free(line);
	if (f)
		fclose(f);
	return n;
}

int files_unmount_below(const char *path)
{
	char **at;
	size_t n = mounts_below(path, &at);
	int left = 0;

	for (size_t i = n; i-- > 0;) {
		if (umount2(at[i], MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			left++;
		free(at[i]);
	}
	free(at);
	return left;
}

bool files_is_tmpfs(const char *path)
{
	struct statfs s;
	struct stat here, up;
	char parent[PATH_LEN];

	if (statfs(path, &s) < 0 || s.f_type != TMPFS_MAGIC)
		return false;
	snprintf(parent, sizeof(parent), "%s/..", path);
	return stat(path, &here) == 0 && stat(parent, &up) == 0 && here.st_dev != up.st_dev;
}

static struct {
	gid_t gid;
	bool read_only;
	int error;
} grouping; /* of one nftw; the loop's thread only */

static int group_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	mode_t mask = grouping.read_only ? 0440 : 0660, mode = st->st_mode & 07777;

	(void)at;
	if (lchown(path, (uid_t)-1, grouping.gid) < 0 && errno != ENOENT)
		grouping.error = errno;
	if (type == FTW_SL)
		return 0;
	if (S_ISDIR(st->st_mode))
		mask |= S_ISGID | 0110;
	if ((mode & mask) != mask && chmod(path, mode | mask) < 0 && errno != ENOENT)
		grouping.error = errno;
	return 0;
}

int files_set_group(const char *path, int64_t gid, bool read_only)
{
	grouping.gid = (gid_t)gid;
	grouping.read_only = read_only;
	grouping.error = 0;
	if (nftw(path, group_one, NFTW_FDS, FTW_PHYS | FTW_MOUNT) < 0)
		return -errno;
	return -grouping.error;
}

static struct {
	uint64_t bytes, inodes;
} using; /* of one nftw; the loop's thread only */

static int use_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)type, (void)at;
	using.bytes += (uint64_t)st->st_blocks * 512;
	using.inodes++;
	return 0;
}

uint64_t files_used_bytes(const char *path, uint64_t *ret_inodes)
{
	using.bytes = using.inodes = 0;
	nftw(path, use_one, NFTW_FDS, FTW_PHYS | FTW_MOUNT);
	if (ret_inodes)
		*ret_inodes = using.inodes;
	return using.bytes;
}

/* --- below a volume, not around it --- */

static int open_in(int dir, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int make_beneath(int base, struct str sub)
{
	struct stat st;
	char path[PATH_LEN];
	int fd, r;

	if (sub.n >= sizeof(path) || fstat(base, &st) < 0)
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= sub.n; i++) {
		char parent[PATH_LEN];
		const char *leaf;

		if (i < sub.n && sub.p[i] != '/')
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)i, sub.p);
		fd = open_in(base, path, O_PATH | O_CLOEXEC);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (errno != ENOENT)
			return -errno;
		snprintf(parent, sizeof(parent), "%s", path);
		leaf = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
		parent[leaf - path] = 0;
		fd = open_in(base, parent[0] ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = mkdirat(fd, leaf, st.st_mode & 07777) < 0 && errno != EEXIST ? -errno : 0;
		if (r == 0)
			r = fchmodat(fd, leaf, st.st_mode & 07777, 0) < 0 ? -errno : 0;
		close(fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int files_open_beneath(const char *base, struct str sub, bool make)
{
	int dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, r;
	char path[PATH_LEN];

	if (dir < 0)
		return -errno;
	if (sub.n >= sizeof(path)) {
		close(dir);
		return -ENAMETOOLONG;
	}
	snprintf(path, sizeof(path), STR_FMT, STR_ARG(sub));
	fd = open_in(dir, path, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		r = make_beneath(dir, sub);
		if (r < 0) {
			close(dir);
			return r;
		}
		fd = open_in(dir, path, O_PATH | O_CLOEXEC);
	}
	r = fd < 0 ? -errno : fd;
	close(dir);
	return r;
}
