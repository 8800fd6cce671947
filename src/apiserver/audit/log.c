/*
 * log.c: the audit log's file. When it is full it gets its time into its name,
 * audit-2026-01-31T09-30-00.000.log, and a new one is begun; too old and too many of those are
 * removed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/audit/audit.h"

enum { MB = 1 << 20, SIZE_MB_DEFAULT = 100, DAY_S = 24 * 3600, STAMP_LEN = 23 };

struct audit_log {
	pthread_mutex_t lock;
	int fd;
	bool failing; /* said once, until it goes again */
	int64_t size, size_max;
	int max_age_days, max_backups;
	char *path, *dir, *stem; /* stem: of the file's name, without its suffix */
	const char *suffix;      /* ".log", "" */
};

static int open_file(struct audit_log *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return -errno;
	l->size = st.st_size;
	return 0;
}

static void split_path(struct audit_log *l)
{
	const char *slash = strrchr(l->path, '/'), *name = slash ? slash + 1 : l->path,
		   *dot = strrchr(name, '.');

	int dir_len = slash == l->path ? 1 : slash ? (int)(slash - l->path) : 0;

	l->dir = slash ? xasprintf("%.*s", dir_len, l->path) : xstrdup(".");
	l->stem = dot ? xasprintf("%.*s", (int)(dot - name), name) : xstrdup(name);
	l->suffix = dot ? dot : "";
}

int audit_log_open(const struct audit_log_opts *opts, struct audit_log **ret, struct err *err)
{
	struct audit_log *l = xcalloc(1, sizeof(*l));
	int r = 0;

	pthread_mutex_init(&l->lock, NULL);
	l->path = xstrdup(opts->path);
	l->max_age_days = opts->max_age_days;
	l->max_backups = opts->max_backups;
	l->size_max = (int64_t)MAX(opts->max_size_mb, 0) * MB;
	if (!l->size_max)
		l->size_max = (int64_t)SIZE_MB_DEFAULT * MB;
	split_path(l);
	l->fd = STDOUT_FILENO;
	if (strcmp(l->path, "-"))
		r = open_file(l);
	if (r < 0) {
		err_errno(err, -r, "cannot write the audit log %s (--audit-log-path)", l->path);
		audit_log_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void audit_log_close(struct audit_log *l)
{
	if (!l)
		return;
	if (l->fd > STDERR_FILENO)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l->path);
	free(l->dir);
	free(l->stem);
	free(l);
}

/* --- rotation --- */

/* The time in a rotated file's name, -1 when it is none of ours. */
static int64_t backup_time(const struct audit_log *l, const char *name)
{
	struct str s = str_c(name), stem = str_c(l->stem);
	struct tm tm = {0};
	char stamp[STAMP_LEN + 1];
	const char *end;

	if (!str_starts(s, stem) || !str_ends(s, str_c(l->suffix)) ||
		s.n != stem.n + 1 + STAMP_LEN + strlen(l->suffix) || s.p[stem.n] != '-')
		return -1;
	memcpy(stamp, s.p + stem.n + 1, STAMP_LEN);
	stamp[STAMP_LEN] = 0;
	end = strptime(stamp, "%Y-%m-%dT%H-%M-%S", &tm);
	return end && *end == '.' ? timegm(&tm) : -1;
}

static int newest_first(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a);
}

static void remove_file(const struct audit_log *l, const char *name)
{
	char *path = xasprintf("%s/%s", l->dir, name);

	unlink(path);
	free(path);
}

static void remove_old(const struct audit_log *l)
{
	DIR *d = opendir(l->dir);
	struct arena a = {0};
	struct {
		char **v;
		size_t n;
	} names = {0};
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (backup_time(l, e->d_name) >= 0)
			ARENA_PUSH(&a, &names, arena_cstr(&a, str_c(e->d_name)));
	if (d)
		closedir(d);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), newest_first);
	for (size_t i = 0; i < names.n; i++) {
		bool many = l->max_backups && i >= (size_t)l->max_backups;
		bool old = l->max_age_days && backup_time(l, names.v[i]) <
						      time(NULL) - (int64_t)l->max_age_days * DAY_S;

		if (many || old)
			remove_file(l, names.v[i]);
	}
	arena_release(&a);
}

static void rotate(struct audit_log *l)
{
	struct timespec now;
	struct tm tm;
	char stamp[32], *to;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H-%M-%S", &tm);
	to = xasprintf(
		"%s/%s-%s.%03ld%s", l->dir, l->stem, stamp, now.tv_nsec / 1000000, l->suffix);
	if (rename(l->path, to) == 0) {
		int old = l->fd;

		if (open_file(l) < 0)
			l->fd = old;
		else
			close(old);
		remove_old(l);
	}
	free(to);
}

void audit_log_write(struct audit_log *l, struct str line)
{
	struct iovec parts[] = {{(void *)line.p, line.n}, {"\n", 1}};
	ssize_t n;

	pthread_mutex_lock(&l->lock);
	if (l->fd != STDOUT_FILENO && l->size + (int64_t)line.n + 1 > l->size_max && l->size)
		rotate(l);
	n = writev(l->fd, parts, ARRAY_SIZE(parts));
	if (n > 0)
		l->size += n;
	if (n != (ssize_t)line.n + 1 && !l->failing)
		log_error("audit log %s: %s", l->path, n < 0 ? strerror(errno) : "disk full");
	l->failing = n != (ssize_t)line.n + 1;
	pthread_mutex_unlock(&l->lock);
}
