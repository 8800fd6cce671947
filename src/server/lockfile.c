#include "server/lockfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static pid_t read_pid(int fd)
{
	char text[32] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

int lockfile_take(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int pid = read_pid(fd);

		close(fd);
		return err_fmt(
			err, 409, "Conflict", "already running (pid %d holds %s)", pid, path);
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0) {
		int r = err_errno(err, errno, "cannot write %s", path);

		close(fd);
		return r;
	}
	return fd;
}

pid_t lockfile_holder(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;

	if (fd < 0)
		return 0;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		pid = read_pid(fd);
	close(fd);
	return pid;
}

int lockfile_wait_free(const char *path, int timeout_ms)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000000};

	/* flock(2) has no timeout */
	for (int waited = 0; lockfile_holder(path); waited += 20) {
		if (waited >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}
