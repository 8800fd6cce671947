#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct str content)
{
	while (content.n) {
		ssize_t n = write(fd, content.p, content.n);

		if (n < 0)
			return -errno;
		content = str_sub(content, n, content.n);
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int file_write(const char *path, struct str content, int mode, struct err *err)
{
	char *tmp CLEANUP(free_ptr) = xasprintf("%s.tmp.%d", path, getpid());
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", path);
	r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, content);
	close(fd);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return err_errno(err, -r, "cannot write %s", path);
	}
	return 0;
}

/* Files of the kernel (/proc, /sys) say that they have no bytes, and are read to their end. */
enum { KERNEL_FILE_MAX = 1 << 16 };

int file_read(const char *path, size_t max, struct arena *a, struct str *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	size_t n = 0, room;

	if (fd < 0)
		return err_errno(err, errno, "cannot read %s", path);
	if (fstat(fd, &st) < 0 || (size_t)st.st_size > max) {
		close(fd);
		return err_errno(err, EFBIG, "cannot read %s", path);
	}
	room = st.st_size ? (size_t)st.st_size : max < KERNEL_FILE_MAX ? max : KERNEL_FILE_MAX;
	text = arena_alloc(a, room + 1);
	while (n < room) {
		ssize_t got = read(fd, text + n, room - n);

		if (got <= 0)
			break;
		n += got;
	}
	close(fd);
	*ret = str_n(text, n);
	return 0;
}
