/* etcd_process.h: an etcd of the test's own, on a socket below /tmp: found in PATH, and as many
 * more as SAMPAN_ETCD names, separated by colons. */
#ifndef SAMPAN_TEST_ETCD_PROCESS_H
#define SAMPAN_TEST_ETCD_PROCESS_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "store/etcd.h"

enum { ETCD_PROGRAMS_MAX = 4 };

struct etcd_process {
	pid_t pid;
	char dir[64], url[96];
	const char *program;
};

static struct etcd_process the_etcd;

static inline const char *etcd_process_url(const struct etcd_process *e)
{
	return e->url;
}

static inline size_t etcd_programs(const char *programs[ETCD_PROGRAMS_MAX])
{
	static char found[ETCD_PROGRAMS_MAX][256];
	const char *lists[] = {getenv("SAMPAN_ETCD"), getenv("PATH")};
	size_t n = 0;

	for (int l = 0; l < 2; l++) {
		struct str one, rest = str_c(lists[l] ? lists[l] : "");
		bool more = rest.n > 0, from_path = l == 1, done = false;

		while (more && !done && n < ETCD_PROGRAMS_MAX) {
			more = str_cut(rest, ':', &one, &rest);
			snprintf(found[n], sizeof(found[n]), STR_FMT "%s", STR_ARG(one),
				from_path ? "/etcd" : "");
			if (access(found[n], X_OK) < 0)
				continue;
			programs[n] = found[n];
			n++;
			done = from_path; /* the first in PATH is what runs */
		}
	}
	return n;
}

static inline void etcd_process_start(struct etcd_process *e)
{
	char data[512];

	snprintf(data, sizeof(data), "%.60s/data", e->dir);
	e->pid = fork();
	if (e->pid == 0) {
		int fd = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 1);
		dup2(fd, 2);
		if (chdir(e->dir) < 0)
			_exit(1);
		execl(e->program, "etcd", "--name=t", "--data-dir", data, "--log-level=error",
			"--unsafe-no-fsync", "--listen-client-urls", "unix://localhost:2",
			"--advertise-client-urls", "unix://localhost:2", "--listen-peer-urls",
			"unix://localhost:1", "--initial-advertise-peer-urls", "unix://localhost:1",
			"--initial-cluster=t=unix://localhost:1", NULL);
		_exit(127);
	}
}

/* One at a time; the same until it is stopped. */
static inline struct etcd_process *etcd_process(const char *program)
{
	struct etcd_process *e = &the_etcd;

	if (e->pid)
		return e;
	e->program = program;
	snprintf(e->dir, sizeof(e->dir), "%s", "/tmp/sampan-etcd.XXXXXX");
	if (!mkdtemp(e->dir))
		abort();
	/* etcd makes the socket in its working directory, and calls it host:port */
	snprintf(e->url, sizeof(e->url), "unix://%.60s/localhost:2", e->dir);
	etcd_process_start(e);
	return e;
}

static inline void etcd_process_stop(void)
{
	struct etcd_process *e = &the_etcd;
	char command[512];

	if (!e->pid)
		return;
	kill(e->pid, SIGKILL);
	waitpid(e->pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %.60s", e->dir);
	if (system(command))
		fprintf(stderr, "cannot remove %s\n", e->dir);
	*e = (struct etcd_process){0};
}

#endif
