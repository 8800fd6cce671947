#include "proxy/iptables_run.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PROGRAM_MAX = 64, SAID_MAX = 2048 };

/* Where Debian puts them, and where others do. */
static bool find_program(bool ipv6, const char *suffix, char *ret)
{
	static const char *const places[] = {"/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(ret, PROGRAM_MAX, "%s/%s%s", places[i], ipv6 ? "ip6tables" : "iptables",
			suffix);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

bool iptables_installed(bool ipv6)
{
	char path[PROGRAM_MAX];

	return find_program(ipv6, "-restore", path) && find_program(ipv6, "-save", path);
}

/* Files in memory instead of pipes: neither side ever waits for the other. */
static int memory_file(struct str content)
{
	int fd = memfd_create("iptables", MFD_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < content.n) {
		ssize_t n = write(fd, content.p + at, content.n - at);

		if (n <= 0) {
			close(fd);
			return -1;
		}
		at += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static void read_back(int fd, size_t max, struct buf *ret)
{
	char piece[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, piece, sizeof(piece), at)) > 0 && ret->n < max) {
		buf_add(ret, piece, (size_t)n);
		at += n;
	}
}

struct program {
	char *const *argv;
	int in, out, said;
};

/* Its exit code, or negative errno. */
static int spawn_and_wait(const struct program *p)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int status = 0, r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, p->in, 0);
	posix_spawn_file_actions_adddup2(&files, p->out, 1);
	posix_spawn_file_actions_adddup2(&files, p->said, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&pid, p->argv[0], &files, &attr, p->argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(char *const *argv, struct str input, struct buf *output, struct err *err)
{
	struct program p = {argv, memory_file(input), memory_file((struct str){0}),
		memory_file((struct str){0})};
	struct buf said;
	int r = -ENOMEM;

	if (p.in >= 0 && p.out >= 0 && p.said >= 0)
		r = spawn_and_wait(&p);
	buf_init(&said, SAID_MAX * 64);
	if (p.said >= 0)
		read_back(p.said, SAID_MAX, &said);
	if (r < 0) {
		r = err_errno(err, -r, "cannot run %s", argv[0]);
	} else if (r > 0) {
		struct str text = str_trim(buf_str(&said));

		for (size_t i = 0; i < text.n; i++) /* an error is one line */
			if (text.p[i] == '\n')
				said.p[text.p - said.p + i] = ' ';
		r = err_fmt(err, 500, "InternalError", "%s: exit code %d: " STR_FMT, argv[0], r,
			(int)(text.n < 500 ? text.n : 500), text.p ? text.p : "");
	} else if (output) {
		read_back(p.out, SIZE_MAX, output);
	}
	buf_release(&said);
	close(p.in);
	close(p.out);
	close(p.said);
	return r;
}

static int not_installed(bool ipv6, struct err *err)
{
	return err_fmt(err, 500, "InternalError",
		"%s-restore is not installed: install the package iptables, or use "
		"--proxy-mode=nftables",
		ipv6 ? "ip6tables" : "iptables");
}

/* "iptables-restore v1.8.9 (nf_tables)" */
int iptables_variant(bool *ret_nft, struct err *err)
{
	char path[PROGRAM_MAX];
	char *argv[] = {path, "--version", NULL};
	struct buf said;
	int r;

	if (!find_program(false, "-restore", path))
		return not_installed(false, err);
	buf_init(&said, SAID_MAX);
	r = run(argv, (struct str){0}, &said, err);
	if (r == 0)
		*ret_nft = str_find(buf_str(&said), S("nf_tables")) >= 0;
	buf_release(&said);
	return r;
}

int iptables_restore(bool ipv6, struct str input, struct err *err)
{
	char path[PROGRAM_MAX];
	char *argv[] = {path, "--wait", "5", "--noflush", NULL};

	return find_program(ipv6, "-restore", path) ? run(argv, input, NULL, err)
						    : not_installed(ipv6, err);
}

int iptables_save(bool ipv6, struct buf *ret, struct err *err)
{
	char path[PROGRAM_MAX];
	char *argv[] = {path, NULL};

	return find_program(ipv6, "-save", path) ? run(argv, (struct str){0}, ret, err)
						 : not_installed(ipv6, err);
}

bool iptables_has_chain(bool ipv6, const char *table, const char *chain)
{
	char path[PROGRAM_MAX];
	char *argv[] = {path, "--wait", "5", "-t", (char *)table, "-S", (char *)chain, "1", NULL};

	return !find_program(ipv6, "", path) || run(argv, (struct str){0}, NULL, NULL) == 0;
}
