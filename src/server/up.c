/* `sampan up`, `down`, `status`: the server of this machine in the background. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/flags.h"
#include "server/check/check.h"
#include "server/lockfile.h"
#include "server/server_flags.h"
#include "server/stop_pods.h"
#include "server/supervisor.h"

enum { READY_TIMEOUT_MS = 120000, STOP_TIMEOUT_MS = 90000 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int notify_socket(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(addr);
	char name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) < 0 ||
		getsockname(fd, (struct sockaddr *)&addr, &n) < 0)
		return -errno;
	snprintf(name, sizeof(name), "@%.*s", (int)(n - offsetof(struct sockaddr_un, sun_path) - 1),
		addr.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* The server, detached from this terminal, with its output in a log file. */
static pid_t launch(int argc, char **argv, const char *log_path)
{
	char **args = xcalloc(argc + 2, sizeof(*args));
	pid_t pid = fork();
	int in, out;

	if (pid) {
		free(args);
		return pid;
	}
	setsid();
	in = open("/dev/null", O_RDONLY);
	out = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	if (in < 0 || out < 0)
		_exit(126);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	args[0] = "sampan";
	args[1] = "server";
	memcpy(args + 2, argv + 1, argc * sizeof(*argv)); /* with the NULL at its end */
	execv("/proc/self/exe", args);
	_exit(127);
}

/* 0 when it said READY=1, -ETIMEDOUT, or -ECHILD when it ended. */
static int wait_ready(int notify_fd, pid_t pid)
{
	int pid_fd = syscall(SYS_pidfd_open, pid, 0);
	int64_t deadline = now_ms() + READY_TIMEOUT_MS;
	int r = -ETIMEDOUT;

	for (;;) {
		struct pollfd fds[] = {{notify_fd, POLLIN, 0}, {pid_fd, POLLIN, 0}};
		int64_t left = deadline - now_ms();
		char text[256];
		ssize_t n;

		if (left <= 0 || poll(fds, 2, left) <= 0)
			break;
		n = fds[0].revents ? recv(notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT) : 0;
		if (n > 0 && (text[n] = 0, strstr(text, "READY=1"))) {
			r = 0;
			break;
		}
		if (fds[1].revents) {
			r = -ECHILD;
			break;
		}
	}
	close(pid_fd);
	return r;
}

static void show_file(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (end < 0)
		return;
	lseek(fd, MAX(end - (off_t)sizeof(text), 0), SEEK_SET);
	n = read(fd, text, sizeof(text));
	if (n > 0)
		fwrite(text, 1, n, stderr);
	close(fd);
}

static void explain(const struct server_flags *f)
{
	printf("\n  export KUBECONFIG=%s/admin.kubeconfig\n  kubectl get nodes\n\nOther machines "
	       "join "
	       "with what `sampan token create --print-join-command` prints.\nLogs: %s/log. "
	       "Stop: sampan down%s%s\n",
		f->data_dir, f->data_dir,
		strcmp(f->data_dir, "/var/lib/sampan") ? " --data-dir " : "",
		strcmp(f->data_dir, "/var/lib/sampan") ? f->data_dir : "");
}

int up_main(int argc, char **argv)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct server_flags f;
	char *lock CLEANUP(free_ptr) = NULL, *log CLEANUP(free_ptr) = NULL;
	int64_t start = now_ms();
	struct check_opts check;
	int fd, r;
	pid_t pid;

	r = server_flags_parse(&f, "up", argc, argv, &a);
	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	lock = xasprintf("%s/server.lock", f.data_dir);
	log = xasprintf("%s/server.log", f.data_dir);
	pid = lockfile_holder(lock);
	if (pid) {
		printf("Sampan is already up (pid %d).\n", pid);
		explain(&f);
		return 0;
	}
	server_flags_check_opts(&f, &check);
	if (checks_run(&check, true))
		return 1;
	if (mkdir(f.data_dir, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "up: cannot make --data-dir %s: %s\n", f.data_dir, strerror(errno));
		return 1;
	}
	fd = notify_socket();
	pid = fd < 0 ? -1 : launch(argc, argv, log);
	if (pid < 0) {
		fprintf(stderr, "up: cannot start the server: %s\n", strerror(errno));
		return 1;
	}
	r = wait_ready(fd, pid);
	if (r < 0) {
		fprintf(stderr, "up: the server %s; its log %s ends with:\n",
			r == -ECHILD ? "ended" : "is not ready yet", log);
		show_file(log);
		return 1;
	}
	printf("Sampan is up after %.2f s (pid %d).\n", (now_ms() - start) / 1000.0, pid);
	explain(&f);
	return 0;
}

int down_main(int argc, char **argv)
{
	const char *data_dir = "/var/lib/sampan";
	bool keep_pods = false;
	const struct flag flags[] = {
		{"data-dir", FLAG_STRING, &data_dir, "DIR", "where everything is kept"},
		{"keep-pods", FLAG_BOOL, &keep_pods, NULL, "leave the pods' containers running"},
		{NULL}};
	char *lock CLEANUP(free_ptr) = NULL, *node_dir CLEANUP(free_ptr) = NULL;
	struct err err CLEANUP(err_release) = {0};
	struct arena a CLEANUP(arena_release) = {0};
	int r = flags_parse(flags, "down", argc, argv, NULL);
	pid_t pid;

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	lock = xasprintf("%s/server.lock", data_dir);
	pid = lockfile_holder(lock);
	if (!pid) {
		printf("Sampan is not up.\n");
	} else if (kill(pid, SIGTERM) < 0 || lockfile_wait_free(lock, STOP_TIMEOUT_MS) < 0) {
		fprintf(stderr, "down: the server (pid %d) does not stop\n", pid);
		return 1;
	}
	node_dir = xasprintf("%s/node", data_dir);
	if (access(node_dir, F_OK) == 0 && !keep_pods &&
		stop_pods(node_dir, server_run_dir(data_dir, &a), STOP_TIMEOUT_MS, &err) < 0) {
		fprintf(stderr, "down: %s\n", err_text(&err));
		return 1;
	}
	return 0;
}

int status_main(int argc, char **argv)
{
	const char *data_dir = "/var/lib/sampan";
	const struct flag flags[] = {
		{"data-dir", FLAG_STRING, &data_dir, "DIR", "where everything is kept"}, {NULL}};
	char *lock CLEANUP(free_ptr) = NULL, *state CLEANUP(free_ptr) = NULL;
	int r = flags_parse(flags, "status", argc, argv, NULL);
	struct stat st;
	pid_t pid;

	if (r)
		return r == FLAGS_HELP ? 0 : 2;
	lock = xasprintf("%s/server.lock", data_dir);
	state = xasprintf("%s/state.db", data_dir);
	pid = lockfile_holder(lock);
	if (pid)
		printf("server: running, pid %d\n", pid);
	else
		printf("server: not running\n");
	if (stat(state, &st) == 0)
		printf("state: %s, %lld bytes\n", state, (long long)st.st_size);
	else
		printf("state: none in %s\n", data_dir);
	return pid ? 0 : 3;
}
