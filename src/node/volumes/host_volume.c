/* host_volume.c: emptyDir and hostPath. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/resources.h"
#include "node/volumes/files.h"
#include "node/volumes/host_volume.h"

/* --- hostPath --- */

static int make_file(const char *path, struct err *err)
{
	char dir[4096];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = 0;
		if (access(dir, F_OK) < 0)
			return err_errno(err, errno, "open %s", path);
	}
	fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	close(fd);
	return 0;
}

int host_path_check(struct str path, struct str type, struct err *err)
{
	static const struct {
		const char *type;
		mode_t format;
		const char *what;
	} kinds[] = {
		{"Directory", S_IFDIR, "directory"},
		{"File", S_IFREG, "file"},
		{"Socket", S_IFSOCK, "socket"},
		{"CharDevice", S_IFCHR, "character device"},
		{"BlockDevice", S_IFBLK, "block device"},
	};
	bool make = str_ends(type, S("OrCreate"));
	struct str want = make ? str_sub(type, 0, type.n - 8) : type;
	char p[4096];
	struct stat st;
	bool there;

	if (str_empty(type))
		return 0;
	if (path.n >= sizeof(p))
		return err_bad_request(err, "hostPath is too long");
	snprintf(p, sizeof(p), STR_FMT, STR_ARG(path));
	there = stat(p, &st) == 0;
	if (!there && make && str_eq(want, S("Directory"))) {
		int r = files_make_dir(p, 0755);

		return r < 0 ? err_errno(err, -r, "mkdir %s", p) : 0;
	}
	if (!there && make)
		return make_file(p, err);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!str_eqc(want, kinds[i].type))
			continue;
		if (there && (st.st_mode & S_IFMT) == kinds[i].format)
			return 0;
		return err_bad_request(
			err, "hostPath type check failed: %s is not a %s", p, kinds[i].what);
	}
	return err_bad_request(err, "invalid hostPath type: " STR_FMT, STR_ARG(type));
}

/* --- emptyDir --- */

int memory_dir_make(const char *dir, int64_t size, struct err *err)
{
	char opts[64] = "mode=0777";
	int r = files_make_dir(dir, 0750);

	if (r < 0)
		return err_errno(err, -r, "mkdir %s", dir);
	if (files_is_tmpfs(dir))
		return 0;
	if (size > 0)
		snprintf(opts, sizeof(opts), "mode=0777,size=%lld", (long long)size);
	if (mount("tmpfs", dir, "tmpfs", 0, opts) < 0)
		return err_errno(err, errno, "mounting tmpfs on %s", dir);
	return 0;
}

int empty_dir_make(const char *dir, const struct v1_empty_dir_volume_source *e,
	int64_t memory_limit, int64_t fs_group, struct err *err)
{
	int64_t size = quantity_value_of(e->size_limit);
	bool fresh = access(dir, F_OK) < 0;
	int r;

	if (str_eq(e->medium, S("Memory"))) {
		if (memory_limit > 0 && (size == 0 || memory_limit < size))
			size = memory_limit;
		r = memory_dir_make(dir, size, err);
		if (r < 0)
			return r;
	} else if (!str_empty(e->medium)) {
		return err_bad_request(err,
			"emptyDir medium \"" STR_FMT "\" is not supported on this node",
			STR_ARG(e->medium));
	} else {
		r = files_make_dir(dir, 0755);
		if (r < 0)
			return err_errno(err, -r, "mkdir %s", dir);
	}
	if (!fresh)
		return 0;
	if (chmod(dir, 0777) < 0)
		return err_errno(err, errno, "chmod %s", dir);
	if (fs_group >= 0) {
		r = files_set_group(dir, fs_group, false);
		if (r < 0)
			return err_errno(err, -r, "applying fsGroup to %s", dir);
	}
	return 0;
}
