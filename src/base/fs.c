#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool fs_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int fs_mkdirs(const char *path, mode_t mode)
{
	char *p CLEANUP(free_ptr) = xstrdup(path);

	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s = str_sub(s, n, s.n);
	}
	return 0;
}

static int write_file(const char *path, struct str content, mode_t mode, bool durably)
{
	char *tmp CLEANUP(free_ptr) = xasprintf("%s.%d.tmp", path, gettid());
	int fd CLEANUP(fd_close) = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, content);
	if (r == 0 && durably && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

int fs_write(const char *path, struct str content, mode_t mode)
{
	return write_file(path, content, mode, false);
}

int fs_write_durably(const char *path, struct str content, mode_t mode)
{
	char *dir CLEANUP(free_ptr) = xstrdup(path), *slash = strrchr(dir, '/');
	int fd CLEANUP(fd_close) = -1, r = write_file(path, content, mode, true);

	if (r < 0)
		return r;
	if (slash)
		*slash = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int fs_put(const char *path, struct str content)
{
	int fd CLEANUP(fd_close) = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, content.p, content.n);
	if (n < 0)
		return -errno;
	return (size_t)n == content.n ? 0 : -EIO;
}

int fs_touch(const char *path, mode_t mode)
{
	int fd CLEANUP(fd_close) = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, mode);

	return fd < 0 ? -errno : 0;
}

int fs_read(const char *path, size_t max, struct arena *a, struct str *ret)
{
	int fd CLEANUP(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b CLEANUP(buf_release) = {0};

	if (fd < 0)
		return -errno;
	buf_init(&b, max + 1);
	for (;;) {
		char chunk[16384];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buf_add(&b, chunk, n);
		if (buf_failed(&b) || b.n > max)
			return -EFBIG;
	}
	*ret = arena_str(a, b.n ? buf_str(&b) : S(""));
	return 0;
}

static int remove_below(int dirfd, dev_t dev)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		r = -errno;
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(dir))) {
		struct stat st;
		int sub CLEANUP(fd_close) = -1;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			r = -errno;
			break;
		}
		sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || fstat(sub, &st) < 0) {
			r = -errno;
			break;
		}
		r = st.st_dev == dev ? remove_below(sub, dev) : -EBUSY;
		if (r == 0 && unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0)
			r = -errno;
	}
	closedir(dir);
	return r;
}

int fs_remove_tree_at(int dirfd, const char *name)
{
	int fd CLEANUP(fd_close) = -1;
	struct stat st;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = remove_below(fd, st.st_dev);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int fs_remove_tree(const char *path)
{
	return fs_remove_tree_at(AT_FDCWD, path);
}

static void usage_below(int dirfd, uint64_t inodes_max, uint64_t *bytes, uint64_t *inodes)
{
	DIR *dir = fdopendir(dirfd);
	struct dirent *e;

	if (!dir) {
		close(dirfd);
		return;
	}
	while (*inodes < inodes_max && (e = readdir(dir))) {
		struct stat st;
		int sub;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*inodes += 1;
		*bytes += st.st_blocks * 512;
		if (!S_ISDIR(st.st_mode))
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			usage_below(sub, inodes_max, bytes, inodes);
	}
	closedir(dir);
}

void fs_usage(const char *path, uint64_t inodes_max, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_bytes = 0;
	*ret_inodes = 0;
	if (fd >= 0)
		usage_below(fd, inodes_max, ret_bytes, ret_inodes);
}
