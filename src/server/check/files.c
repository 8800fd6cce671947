/* files.c: the data directory, certificates, the clock. */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/x509.h"
#include "server/check/check.h"

#define CLOCK_MIN_S INT64_C(1735689600) /* 2025: this program is younger */
enum { PEM_MAX = 1 << 20, DAY_S = 24 * 3600, FREE_MIN_MB = 64, FREE_GOOD_MB = 1024 };

/* The directory, or the deepest one above it that is there. */
static const char *existing(struct arena *a, const char *dir)
{
	struct str path = str_c(dir);
	struct stat st;

	while (path.n > 1 && stat(arena_cstr(a, path), &st) < 0 && errno == ENOENT) {
		ssize_t slash = str_rchr(path, '/');

		path = slash > 0 ? str_sub(path, 0, slash) : slash == 0 ? S("/") : S(".");
	}
	return arena_cstr(a, path);
}

void check_data_dir(const struct check_opts *o, struct check_report *r)
{
	const char *dir = existing(&r->arena, o->data_dir);
	struct statvfs fs;
	struct stat st;
	uint64_t free_mb;

	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
		check_wrong(r, "%s is not a directory: give another --data-dir", dir);
		return;
	}
	if (access(dir, W_OK | X_OK) < 0) {
		check_wrong(r,
			"%s cannot be written to (%s): run as its owner or root, or give another "
			"--data-dir",
			dir, strerror(errno));
		return;
	}
	if (statvfs(dir, &fs) < 0)
		return;
	free_mb = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
	if (free_mb < FREE_MIN_MB)
		check_wrong(r, "%s has %llu MB left: make room, or give another --data-dir", dir,
			(unsigned long long)free_mb);
	else if (free_mb < FREE_GOOD_MB && o->node)
		check_doubt(r, "%s has %llu MB left: images will want more", dir,
			(unsigned long long)free_mb);
}

/* --- certificates --- */

static void check_certificate(struct check_report *r, const char *path, bool wanted)
{
	struct err err CLEANUP(err_release) = {0};
	struct x509_info info;
	int64_t now = time(NULL);
	struct str pem;

	if (file_read(path, PEM_MAX, &r->arena, &pem, &err) < 0) {
		if (wanted)
			check_wrong(r, "%s: name a certificate that can be read", err_text(&err));
		return;
	}
	if (x509_info_read(pem, &r->arena, &info, &err) < 0)
		check_wrong(r, "%s: %s: put a certificate there, or remove the file", path,
			err_text(&err));
	else if (info.not_after_s <= now)
		check_wrong(r, "%s ended %lld days ago: renew it, or remove it and what it signed",
			path, (long long)((now - info.not_after_s) / DAY_S));
	else if (info.not_before_s > now)
		check_wrong(r, "%s begins in %lld days: set the clock", path,
			(long long)((info.not_before_s - now) / DAY_S + 1));
}

void check_certificates(const struct check_opts *o, struct check_report *r)
{
	static const char *const ours[] = {
		"pki/ca.crt", "pki/kubelet-client.crt", "pki/kubelet-server.crt"};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		check_certificate(r, arena_fmt(&r->arena, "%s/%s", o->data_dir, ours[i]).p, false);
	for (size_t i = 0; i < o->certificates.n; i++)
		check_certificate(r, arena_cstr(&r->arena, o->certificates.v[i]), true);
}

/* --- clock --- */

void check_clock(const struct check_opts *o, struct check_report *r)
{
	int64_t now = time(NULL);
	struct stat st;

	if (now < CLOCK_MIN_S) {
		check_wrong(r, "it says a time before this program was made: set it, best by NTP");
		return;
	}
	if (stat(arena_fmt(&r->arena, "%s/state.db", o->data_dir).p, &st) == 0 &&
		st.st_mtime > now + DAY_S)
		check_wrong(r,
			"it is %lld days behind the last change of %s/state.db: set it, best by "
			"NTP",
			(long long)((st.st_mtime - now) / DAY_S), o->data_dir);
}
