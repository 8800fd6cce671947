#include "base/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

extern char **environ;

/* Where the descriptors to pass on wait until the low numbers are free. */
enum { FD_PARKED = 64, FDS_MAX = 8 };

static void add_std(posix_spawn_file_actions_t *fa, int fd, int to, int flags)
{
	if (fd > 0)
		posix_spawn_file_actions_adddup2(fa, fd, to);
	else
		posix_spawn_file_actions_addopen(fa, to, "/dev/null", flags, 0);
}

int spawn_start(const struct spawn_opts *o, pid_t *ret_pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	int parked[FDS_MAX], r = 0;

	assert(o->n_fds <= FDS_MAX);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	if (o->new_session)
		flags |= POSIX_SPAWN_SETSID;
	posix_spawnattr_setflags(&attr, flags);
	for (size_t i = 0; i < o->n_fds; i++) {
		parked[i] = fcntl(o->fds[i], F_DUPFD_CLOEXEC, FD_PARKED);
		if (parked[i] < 0)
			r = -errno;
	}
	add_std(&fa, o->stdin_fd, 0, O_RDONLY);
	add_std(&fa, o->stdout_fd, 1, O_WRONLY);
	add_std(&fa, o->stderr_fd, 2, O_WRONLY);
	for (size_t i = 0; i < o->n_fds; i++)
		posix_spawn_file_actions_adddup2(&fa, parked[i], 3 + i);
	posix_spawn_file_actions_addclosefrom_np(&fa, 3 + o->n_fds);
	if (o->dir)
		posix_spawn_file_actions_addchdir_np(&fa, o->dir);
	if (r == 0)
		r = -posix_spawn(
			ret_pid, o->path, &fa, &attr, o->argv, o->envp ? o->envp : environ);
	for (size_t i = 0; i < o->n_fds; i++)
		fd_close(&parked[i]);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return r;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int spawn_wait(pid_t pid, int timeout_ms)
{
	int fd CLEANUP(fd_close) = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fd >= 0 && timeout_ms >= 0 && poll(&p, 1, timeout_ms) == 0) {
		kill(pid, SIGKILL);
		reap(pid);
		return -ETIMEDOUT;
	}
	return reap(pid);
}

struct pump {
	int in, out, err; /* our ends; -1 when done */
	struct str input;
	struct buf *out_buf, *err_buf;
};

static void pump_read(int *fd, struct buf *to)
{
	char chunk[8192];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n <= 0 && !(n < 0 && (errno == EINTR || errno == EAGAIN)))
		fd_close(fd);
	else if (n > 0 && to && to->n < to->max)
		buf_add(to, chunk, MIN((size_t)n, to->max - to->n));
}

static void pump_write(struct pump *p)
{
	ssize_t n = p->input.n ? write(p->in, p->input.p, p->input.n) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		p->input.n = 0;
	if (n > 0)
		p->input = str_sub(p->input, n, p->input.n);
	if (!p->input.n)
		fd_close(&p->in);
}

/* False when the time is over. */
static bool pump_run(struct pump *p, int64_t deadline_ms)
{
	while (p->in >= 0 || p->out >= 0 || p->err >= 0) {
		struct pollfd v[3] = {
			{p->in, POLLOUT, 0}, {p->out, POLLIN, 0}, {p->err, POLLIN, 0}};
		int64_t left = deadline_ms < 0 ? -1 : MAX(deadline_ms - now_ms(), 0);
		int r = poll(v, 3, left);

		if (r == 0)
			return false;
		if (r < 0 && errno != EINTR)
			return false;
		if (r < 0)
			continue;
		if (v[0].revents)
			pump_write(p);
		if (v[1].revents)
			pump_read(&p->out, p->out_buf);
		if (v[2].revents)
			pump_read(&p->err, p->err_buf);
	}
	return true;
}

int spawn_run(const struct spawn_opts *o, struct str input, struct buf *out, struct buf *errout,
	int timeout_ms)
{
	int in[2] = {-1, -1}, ou[2] = {-1, -1}, er[2] = {-1, -1};
	int64_t deadline_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	struct spawn_opts opts = *o;
	struct pump p;
	pid_t pid;
	int r;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(ou, O_CLOEXEC) < 0 || pipe2(er, O_CLOEXEC) < 0)
		r = -errno;
	else {
		opts.stdin_fd = in[0];
		opts.stdout_fd = ou[1];
		opts.stderr_fd = er[1];
		r = spawn_start(&opts, &pid);
	}
	fd_close(&in[0]);
	fd_close(&ou[1]);
	fd_close(&er[1]);
	p = (struct pump){in[1], ou[0], er[0], input, out, errout};
	if (r == 0) {
		fcntl(p.in, F_SETFL, O_NONBLOCK);
		if (pump_run(&p, deadline_ms)) {
			r = spawn_wait(pid, deadline_ms < 0 ? -1 : MAX(deadline_ms - now_ms(), 0));
		} else {
			kill(pid, SIGKILL);
			reap(pid);
			r = -ETIMEDOUT;
		}
	}
	fd_close(&p.in);
	fd_close(&p.out);
	fd_close(&p.err);
	return r;
}
