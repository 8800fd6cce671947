/*
 * pause.c: the first process of a PID namespace that a pod's containers share: it reaps, and ends
 * when told. We are run again (`sampan pause`), so that it shares no memory with the node program
 * and outlives it.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/pause.h"
#include "base/spawn.h"

enum { READY_TIMEOUT_MS = 10000 };

static void ended(int signal)
{
	_exit(0);
}

static int init_process(int ready_fd)
{
	sigset_t none;
	char ok = '+';

	signal(SIGTERM, ended);
	signal(SIGINT, ended);
	prctl(PR_SET_NAME, "pause");
	if (write(ready_fd, &ok, 1) != 1)
		return 1;
	close(ready_fd);
	sigemptyset(&none);
	for (;;) {
		while (waitpid(-1, NULL, 0) > 0)
			;
		sigsuspend(&none);
	}
}

static void reap(int signal)
{
}

/* `sampan pause`: descriptor 3 gets the new process's number, then a '+' when it stands. */
int pause_main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = reap};
	pid_t pid;

	sigaction(SIGCHLD, &sa, NULL);
	if (unshare(CLONE_NEWPID) < 0)
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0)
		return init_process(3);
	return write(3, &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1;
}

/* Into the pod's cgroup, in every hierarchy that has it. */
static void join_cgroup(const char *parent, int pid)
{
	static const char *const controllers[] = {"", "/unified", "/cpu", "/cpuacct", "/cpuset",
		"/memory", "/devices", "/freezer", "/blkio", "/pids", "/systemd"};
	char text[16];

	if (!parent || !*parent)
		return;
	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		char *path CLEANUP(free_ptr) =
			xasprintf("/sys/fs/cgroup%s%s/pause/cgroup.procs", controllers[i], parent);
		char *dir CLEANUP(free_ptr) =
			xasprintf("/sys/fs/cgroup%s%s/pause", controllers[i], parent);
		char *above CLEANUP(free_ptr) =
			xasprintf("/sys/fs/cgroup%s%s", controllers[i], parent);

		if (fs_exists(above) && fs_mkdirs(dir, 0755) == 0)
			fs_put(path, str_c(text));
	}
}

static int wait_ready(int fd, pid_t *ret)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char bytes[sizeof(pid_t) + 1];
	size_t n = 0;

	while (n < sizeof(bytes)) {
		ssize_t got = poll(&p, 1, READY_TIMEOUT_MS) > 0
				      ? read(fd, bytes + n, sizeof(bytes) - n)
				      : 0;

		if (got <= 0)
			return -EPROTO;
		n += got;
	}
	/* The '+' may come before the number: both are small writes of two processes. */
	memcpy(ret, bytes[0] == '+' ? bytes + 1 : bytes, sizeof(*ret));
	return 0;
}

int pause_start(const char *cgroup_parent, const char *ns_path, int *ret_pid, struct err *err)
{
	char *argv[] = {"sampan", "pause", NULL};
	char *envp[] = {NULL};
	int sync[2], r;
	pid_t child, pid = 0;

	if (pipe2(sync, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	struct spawn_opts opts = {.path = "/proc/self/exe",
		.argv = argv,
		.envp = envp,
		.dir = "/",
		.fds = &sync[1],
		.n_fds = 1,
		.new_session = true};
	r = spawn_start(&opts, &child);
	fd_close(&sync[1]);
	if (r == 0) {
		r = wait_ready(sync[0], &pid);
		spawn_wait(child, READY_TIMEOUT_MS);
	}
	fd_close(&sync[0]);
	if (r == 0) {
		char *from CLEANUP(free_ptr) = xasprintf("/proc/%d/ns/pid", pid);

		join_cgroup(cgroup_parent, pid);
		if (mount(from, ns_path, NULL, MS_BIND, NULL) < 0)
			r = -errno;
	}
	if (r < 0) {
		if (pid > 0)
			kill(pid, SIGKILL);
		return err_errno(err, -r, "cannot start the pod's first process");
	}
	*ret_pid = pid;
	return 0;
}
