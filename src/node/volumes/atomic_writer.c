/* atomic_writer.c: swaps a directory of files under its readers. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/volumes/atomic_writer.h"
#include "node/volumes/files.h"

enum { PATH_LEN = 4096, FILE_MAX = 4 << 20 };

int payload_path_check(struct str path, struct err *err)
{
	struct str rest = path, head;
	bool more = true;

	if (str_empty(path))
		return err_bad_request(err, "invalid path: must not be empty: \"\"");
	if (path.n >= PATH_LEN)
		return err_bad_request(
			err, "invalid path: must be less than or equal to %d characters", PATH_LEN);
	if (path.p[0] == '/')
		return err_bad_request(
			err, "invalid path: must be relative path: " STR_FMT, STR_ARG(path));
	if (str_starts(path, S("..")) && (path.n == 2 || path.p[2] != '/'))
		return err_bad_request(
			err, "invalid path: must not start with '..': " STR_FMT, STR_ARG(path));
	while (more) {
		more = str_cut(rest, '/', &head, &rest);
		if (str_eq(head, S("..")))
			return err_bad_request(err, "invalid path: must not contain '..': " STR_FMT,
				STR_ARG(path));
	}
	return 0;
}

static int final_mode(const struct payload *p, const struct payload_file *f)
{
	return p->fs_group >= 0 ? f->mode | 0440 : f->mode;
}

/* --- is it there already? --- */

static bool same_file(const char *data, const struct payload *p, const struct payload_file *f)
{
	char path[PATH_LEN];
	struct stat st;
	bool same = false;
	char *got;
	int fd;

	if (snprintf(path, sizeof(path), "%s/" STR_FMT, data, STR_ARG(f->path)) >=
		(int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size == f->content.n &&
		(int)(st.st_mode & 07777) == final_mode(p, f) &&
		(f->uid < 0 || (int64_t)st.st_uid == f->uid)) {
		got = xmalloc(f->content.n + 1);
		same = read(fd, got, f->content.n + 1) == (ssize_t)f->content.n &&
		       memcmp(got, f->content.p ? f->content.p : "", f->content.n) == 0;
		free(got);
	}
	close(fd);
	return same;
}

static size_t files_seen; /* of one nftw; the loop's thread only */

static int count_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)st, (void)at;
	files_seen += type == FTW_F || type == FTW_SL;
	return 0;
}

static bool unchanged(const char *dir, const struct payload *p)
{
	char data[PATH_LEN], real[PATH_LEN];
	ssize_t n;

	snprintf(data, sizeof(data), "%s/..data", dir);
	n = readlink(data, real, sizeof(real) - 1);
	if (n <= 0)
		return false;
	real[n] = 0;
	if (snprintf(data, sizeof(data), "%s/%s", dir, real) >= (int)sizeof(data))
		return false;
	files_seen = 0;
	if (nftw(data, count_file, 8, FTW_PHYS) < 0 || files_seen != p->n)
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (!same_file(data, p, &p->v[i]))
			return false;
	return true;
}

/* --- writing --- */

static int own_dir(const char *path, const struct payload *p)
{
	if (p->fs_group < 0)
		return 0;
	if (chown(path, (uid_t)-1, (gid_t)p->fs_group) < 0)
		return -errno;
	return chmod(path, 02755) < 0 ? -errno : 0;
}

static int make_parents(const char *base, struct str path, const struct payload *p)
{
	char dir[PATH_LEN];

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] != '/')
			continue;
		if (snprintf(dir, sizeof(dir), "%s/%.*s", base, (int)i, path.p) >= (int)sizeof(dir))
			return -ENAMETOOLONG;
		if (mkdir(dir, 0755) < 0) {
			if (errno != EEXIST)
				return -errno;
			continue;
		}
		if (chmod(dir, 0755) < 0 || own_dir(dir, p) < 0)
			return -errno;
	}
	return 0;
}

static int write_one(const char *base, const struct payload *p, const struct payload_file *f)
{
	char path[PATH_LEN];
	int fd, r = make_parents(base, f->path, p);
	size_t done = 0;

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/" STR_FMT, base, STR_ARG(f->path)) >=
		(int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (done < f->content.n && r == 0) {
		ssize_t n = write(fd, f->content.p + done, f->content.n - done);

		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n > 0)
			done += (size_t)n;
	}
	if (r == 0 && (f->uid >= 0 || p->fs_group >= 0) &&
		fchown(fd, f->uid >= 0 ? (uid_t)f->uid : (uid_t)-1,
			p->fs_group >= 0 ? (gid_t)p->fs_group : (gid_t)-1) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, (mode_t)final_mode(p, f)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static struct str first_element(struct str path)
{
	struct str head, rest;

	str_cut(path, '/', &head, &rest);
	return head;
}

static bool in_payload(const struct payload *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eqc(first_element(p->v[i].path), name))
			return true;
	return false;
}

static int link_visible(const char *dir, const struct payload *p)
{
	char link[PATH_LEN], target[PATH_LEN], old[PATH_LEN];

	for (size_t i = 0; i < p->n; i++) {
		struct str head = first_element(p->v[i].path);
		ssize_t n;

		snprintf(link, sizeof(link), "%s/" STR_FMT, dir, STR_ARG(head));
		snprintf(target, sizeof(target), "..data/" STR_FMT, STR_ARG(head));
		n = readlink(link, old, sizeof(old) - 1);
		if (n > 0)
			continue;
		if (symlink(target, link) < 0)
			return -errno;
	}
	return 0;
}

static void unlink_stale(const char *dir, const struct payload *p)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[PATH_LEN];

		if (strncmp(e->d_name, "..", 2) == 0 || strcmp(e->d_name, ".") == 0 ||
			in_payload(p, e->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
}

/* Directories of earlier writes, also of one that was interrupted. */
static void remove_old(const char *dir, const char *keep)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[PATH_LEN];

		if (strncmp(e->d_name, "..", 2) != 0 || e->d_name[2] < '0' || e->d_name[2] > '9' ||
			strcmp(e->d_name, keep) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		files_remove_tree(path);
	}
	if (d)
		closedir(d);
}

int atomic_write(const char *dir, const struct payload *p, int64_t now_ns, struct err *err)
{
	char name[64], base[PATH_LEN], tmp[PATH_LEN], data[PATH_LEN];
	time_t sec = (time_t)(now_ns / 1000000000);
	struct tm tm;
	int r;

	for (size_t i = 0; i < p->n; i++) {
		r = payload_path_check(p->v[i].path, err);
		if (r < 0)
			return r;
	}
	if (unchanged(dir, p))
		return 0;
	gmtime_r(&sec, &tm);
	strftime(base, sizeof(base), "..%Y_%m_%d_%H_%M_%S", &tm);
	snprintf(name, sizeof(name), "%.40s.%09d", base, (int)(now_ns % 1000000000));
	snprintf(base, sizeof(base), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s/..data_tmp", dir);
	snprintf(data, sizeof(data), "%s/..data", dir);
	if (mkdir(base, 0755) < 0 || chmod(base, 0755) < 0)
		return err_errno(err, errno, "mkdir %s", base);
	r = own_dir(base, p);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		r = write_one(base, p, &p->v[i]);
	if (r < 0) {
		files_remove_tree(base);
		return err_errno(err, -r, "writing %s", base);
	}
	unlink(tmp);
	if (symlink(name, tmp) < 0 || rename(tmp, data) < 0)
		return err_errno(err, errno, "linking %s", data);
	r = link_visible(dir, p);
	if (r < 0)
		return err_errno(err, -r, "linking the files of %s", dir);
	unlink_stale(dir, p);
	remove_old(dir, name);
	return 0;
}
