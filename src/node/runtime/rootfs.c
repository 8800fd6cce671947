#include "node/runtime/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"

enum { MOUNT_OPTIONS_MAX = 4096, FILE_MAX = 1024 * 1024 };

/* Names relative to the layers' directory, uppermost first: mount(2) takes one page of options. */
static int lower_dirs(const struct image_store *s, const struct str_vec *layers, struct arena *a,
	struct buf *b, struct err *err)
{
	for (size_t i = layers->n; i-- > 0;) {
		const char *dir = image_layer_dir(s, layers->v[i], a);

		if (!fs_exists(dir))
			return err_fmt(err, 404, "NotFound",
				"a layer of the image is missing: " STR_FMT, STR_ARG(layers->v[i]));
		buf_fmt(b, "%s%s/fs", b->n ? ":" : "", strrchr(dir, '/') + 1);
	}
	return 0;
}

static int mount_overlay(const struct image_store *s, struct buf *lower, const char *rest,
	const char *at, struct arena *a, struct err *err)
{
	const char *volatile_rest = arena_fmt(a, ",%s,volatile", rest).p;
	size_t n = lower->n;

	if (chdir(arena_fmt(a, "%s/layers", s->dir).p) < 0)
		return err_errno(err, errno, "cannot enter %s/layers", s->dir);
	/* volatile: an unmount needs not wait for the disk; what a container wrote dies with it
	 * anyway. */
	buf_add_c(lower, volatile_rest);
	if (buf_failed(lower))
		return err_bad_request(err, "the image has too many layers");
	if (mount("overlay", at, "overlay", 0, lower->p) == 0)
		return 0;
	if (errno == EINVAL) { /* before Linux 5.10 */
		lower->p[n] = '\0';
		lower->n = n;
		buf_fmt(lower, ",%s", rest);
		if (mount("overlay", at, "overlay", 0, lower->p) == 0)
			return 0;
	}
	return err_errno(err, errno, "cannot mount the root file system");
}

int rootfs_mount(const struct image_store *s, const struct str_vec *layers, const char *data,
	const char *at, struct arena *a, struct err *err)
{
	struct buf b CLEANUP(buf_release) = {0};
	const char *upper = arena_fmt(a, "%s/upper", data).p,
		   *work = arena_fmt(a, "%s/work", data).p;
	struct stat st = {.st_mode = 0755};
	int r;

	buf_init(&b, MOUNT_OPTIONS_MAX - 1);
	buf_add_c(&b, "lowerdir=");
	{
		struct buf dirs CLEANUP(buf_release) = {0};

		buf_init(&dirs, MOUNT_OPTIONS_MAX - 1);
		r = lower_dirs(s, layers, a, &dirs, err);
		if (r < 0)
			return r;
		if (dirs.n)
			buf_add_str(&b, buf_str(&dirs));
	}
	if (layers->n) /* the root directory's own mode and owner come from the image */
		stat(arena_fmt(a, "%s/fs", image_layer_dir(s, layers->v[layers->n - 1], a)).p, &st);
	if (mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0 ||
		chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
		return err_errno(err, errno, "cannot make %s", upper);
	r = fs_mkdirs(at, 0755);
	if (r < 0)
		return err_errno(err, -r, "cannot make %s", at);
	if (!layers->n) { /* an empty image */
		if (mount(upper, at, NULL, MS_BIND, NULL) < 0)
			return err_errno(err, errno, "cannot mount the root file system");
		return 0;
	}
	return mount_overlay(
		s, &b, arena_fmt(a, "upperdir=%s,workdir=%s", upper, work).p, at, a, err);
}

int rootfs_mount_readonly(const struct image_store *s, const struct str_vec *layers,
	const char *empty, const char *at, struct arena *a, struct err *err)
{
	struct buf b CLEANUP(buf_release) = {0}, dirs CLEANUP(buf_release) = {0};
	int r;

	buf_init(&b, MOUNT_OPTIONS_MAX - 1);
	buf_init(&dirs, MOUNT_OPTIONS_MAX - 1);
	r = lower_dirs(s, layers, a, &dirs, err);
	if (r == 0)
		r = fs_mkdirs(at, 0755);
	if (r == 0)
		r = fs_mkdirs(empty, 0755);
	if (r < 0)
		return err_set(err) ? r : err_errno(err, -r, "cannot make %s", at);
	buf_fmt(&b, "lowerdir=");
	if (dirs.n)
		buf_add_str(&b, buf_str(&dirs));
	buf_fmt(&b, ":%s", empty); /* overlayfs wants two */
	if (buf_failed(&b) || chdir(arena_fmt(a, "%s/layers", s->dir).p) < 0 ||
		mount("overlay", at, "overlay", MS_RDONLY, b.p) < 0)
		return err_errno(err, errno, "cannot mount an image volume");
	return 0;
}

struct str rootfs_read(const char *rootfs, const char *path, struct arena *a)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int root CLEANUP(fd_close) = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd CLEANUP(fd_close) =
		root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	struct stat st;
	struct str text;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		fs_read(arena_fmt(a, "/proc/self/fd/%d", fd).p, FILE_MAX, a, &text) < 0)
		return S("");
	return text;
}
