#include "node/runtime/image/unpack.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/image/libraries.h"

enum { PATH_BYTES_MAX = 4096 };

struct dir_time {
	struct str path;
	struct timespec mtime;
};

struct unpack {
	const struct unpack_opts *o;
	struct inflate *in;
	ssize_t in_error;
	struct archive *archive;
	struct arena arena; /* directories whose times are set at the end */
	struct {
		struct dir_time *v;
		size_t n;
	} dirs;
	char parent[PATH_BYTES_MAX]; /* of parent_fd */
	int parent_fd;
};

static int open_in(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	int fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Removes "/", "./" and empty parts; refuses "..". The result is at most PATH_BYTES_MAX - 1 long.
 */
static int clean_path(const char *from, char to[PATH_BYTES_MAX])
{
	size_t n = 0;

	while (*from) {
		size_t len = strcspn(from, "/");

		if (len == 2 && !memcmp(from, "..", 2))
			return -EPERM;
		if (len && !(len == 1 && *from == '.')) {
			if (n + len + 2 > PATH_BYTES_MAX)
				return -ENAMETOOLONG;
			if (n)
				to[n++] = '/';
			memcpy(to + n, from, len);
			n += len;
		}
		from += len + (from[len] == '/');
	}
	to[n] = '\0';
	return 0;
}

/* A directory the layer does not carry: as it looks in the layers below. */
static int make_parent(struct unpack *u, int at, const char *name, const char *path)
{
	struct stat st = {.st_mode = 0755};

	for (size_t i = 0; i < u->o->n_lower; i++) {
		int fd CLEANUP(fd_close) = open_in(u->o->lower_fds[i], path, O_PATH);
		struct stat lower;

		if (fd < 0 || fstat(fd, &lower) < 0)
			continue;
		if (S_ISDIR(lower.st_mode))
			st = lower;
		break;
	}
	if (mkdirat(at, name, 0700) < 0)
		return -errno;
	if (fchownat(at, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		fchmodat(at, name, st.st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

/* Opens the directory, making what is missing. path is "" for the root. */
static int open_dir(struct unpack *u, char *path)
{
	int fd = open_in(u->o->root_fd, path, O_PATH | O_DIRECTORY), r;
	char *slash;

	if (fd != -ENOENT)
		return fd;
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	fd = slash ? open_dir(u, path) : open_in(u->o->root_fd, "", O_PATH | O_DIRECTORY);
	if (slash)
		*slash = '/';
	if (fd < 0)
		return fd;
	r = make_parent(u, fd, slash ? slash + 1 : path, path);
	close(fd);
	return r < 0 && r != -EEXIST ? r : open_in(u->o->root_fd, path, O_PATH | O_DIRECTORY);
}

/* The parent's descriptor (kept for the next entry, which is mostly in the same directory) and the
 * last name. */
static int open_parent(struct unpack *u, char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	const char *parent = slash ? path : "";
	int fd;

	if (slash)
		*slash = '\0';
	*ret_name = slash ? slash + 1 : path;
	if (u->parent_fd >= 0 && !strcmp(parent, u->parent))
		return 0;
	fd_close(&u->parent_fd);
	strcpy(u->parent, parent);
	fd = open_dir(u, u->parent);
	if (fd < 0)
		return fd;
	u->parent_fd = fd;
	return 0;
}

/* mknodat, symlinkat … with a real descriptor: O_PATH is enough for all *at calls. */
static int make_node(struct unpack *u, struct archive_entry *e, const char *name)
{
	mode_t type = libarchive.entry_filetype(e);
	int at = u->parent_fd, fd;

	switch (type) {
	case AE_IFREG:
		fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		return fd < 0 ? -errno : fd;
	case AE_IFDIR:
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		return 0;
	case AE_IFLNK:
		return symlinkat(libarchive.entry_symlink(e) ?: "", at, name) < 0 ? -errno : 0;
	case AE_IFIFO:
		return mkfifoat(at, name, 0600) < 0 ? -errno : 0;
	case AE_IFCHR:
	case AE_IFBLK:
		if (libarchive.entry_rdev(e) == 0)
			return -EPERM; /* would be a whiteout */
		return mknodat(at, name, (type == AE_IFCHR ? S_IFCHR : S_IFBLK) | 0600,
			       libarchive.entry_rdev(e)) < 0
			       ? -errno
			       : 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* What stands in the way goes, unless both are directories. */
static int make_room(struct unpack *u, struct archive_entry *e, const char *name)
{
	struct stat st;

	if (fstatat(u->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) && libarchive.entry_filetype(e) == AE_IFDIR &&
		!libarchive.entry_hardlink(e))
		return 0;
	strcpy(u->parent,
		"//"); /* what goes may be above the parent of a later entry: look that up again */
	return fs_remove_tree_at(u->parent_fd, name);
}

static int write_content(struct unpack *u, int fd)
{
	const void *p;
	size_t n;
	la_int64_t at;
	int r;

	while ((r = libarchive.read_data_block(u->archive, &p, &n, &at)) == ARCHIVE_OK ||
		r == ARCHIVE_WARN) {
		while (n) {
			ssize_t done = pwrite(fd, p, n, at);

			if (done < 0)
				return -errno;
			p = (const char *)p + done;
			n -= done;
			at += done;
		}
	}
	if (r != ARCHIVE_EOF)
		return u->in_error < 0 ? u->in_error : -EBADMSG;
	return 0;
}

static bool xattr_wanted(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability");
}

static int set_xattrs(struct unpack *u, struct archive_entry *e, const char *name)
{
	const char *key;
	const void *value;
	size_t n;
	int fd CLEANUP(fd_close) = -1;
	mode_t type = libarchive.entry_filetype(e);

	if ((type != AE_IFREG && type != AE_IFDIR) || libarchive.entry_xattr_reset(e) == 0)
		return 0;
	fd = openat(u->parent_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (libarchive.entry_xattr_next(e, &key, &value, &n) == ARCHIVE_OK)
		if (xattr_wanted(key) && fsetxattr(fd, key, value, n, 0) < 0 && errno != EOPNOTSUPP)
			return -errno;
	return 0;
}

/* Owner before mode (chown clears setuid), xattrs after (chown clears capabilities), times last. */
static int set_meta(struct unpack *u, struct archive_entry *e, const char *name, const char *path)
{
	struct timespec mtime = {libarchive.entry_mtime(e), libarchive.entry_mtime_nsec(e)};
	struct timespec times[2] = {mtime, mtime};
	int at = u->parent_fd, r;

	if (fchownat(at, name, libarchive.entry_uid(e), libarchive.entry_gid(e),
		    AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (libarchive.entry_filetype(e) != AE_IFLNK &&
		fchmodat(at, name, libarchive.entry_perm(e), 0) < 0)
		return -errno;
	r = set_xattrs(u, e, name);
	if (r < 0)
		return r;
	if (libarchive.entry_filetype(e) == AE_IFDIR) {
		struct dir_time t = {arena_strc(&u->arena, path), mtime};

		ARENA_PUSH(&u->arena, &u->dirs, t);
		return 0;
	}
	return utimensat(at, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int whiteout(struct unpack *u, const char *name)
{
	struct stat st;

	if (!strcmp(name, ".wh..wh..opq")) {
		int fd CLEANUP(fd_close) =
			openat(u->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return -errno;
		return 0;
	}
	if (!strncmp(name, ".wh..wh.", 8))
		return 0; /* aufs' own bookkeeping */
	name += 4;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EPERM;
	if (fstatat(u->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* the layer's own file: it hides the lower one anyway */
	return mknodat(u->parent_fd, name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

static int hard_link(struct unpack *u, const char *target, const char *name)
{
	char path[PATH_BYTES_MAX], *slash;
	int fd CLEANUP(fd_close) = -1, r = clean_path(target, path);

	if (r < 0 || !*path)
		return r < 0 ? r : -EPERM;
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	fd = open_in(u->o->root_fd, slash ? path : "", O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd;
	return linkat(fd, slash ? slash + 1 : path, u->parent_fd, name, 0) < 0 ? -errno : 0;
}

static int root_entry(struct unpack *u, struct archive_entry *e)
{
	if (libarchive.entry_filetype(e) != AE_IFDIR)
		return -EPERM;
	if (fchown(u->o->root_fd, libarchive.entry_uid(e), libarchive.entry_gid(e)) < 0 ||
		fchmod(u->o->root_fd, libarchive.entry_perm(e)) < 0)
		return -errno;
	return 0;
}

static int unpack_entry(struct unpack *u, struct archive_entry *e)
{
	const char *from = libarchive.entry_pathname(e), *name;
	char path[PATH_BYTES_MAX], full[PATH_BYTES_MAX];
	int fd CLEANUP(fd_close) = -1, r;

	if (!from)
		return -EBADMSG;
	r = clean_path(from, path);
	if (r < 0)
		return r;
	if (!*path)
		return root_entry(u, e);
	strcpy(full, path);
	r = open_parent(u, path, &name);
	if (r < 0)
		return r;
	if (!strncmp(name, ".wh.", 4))
		return whiteout(u, name);
	r = make_room(u, e, name);
	if (r < 0)
		return r;
	if (libarchive.entry_hardlink(e))
		return hard_link(u, libarchive.entry_hardlink(e), name);
	fd = make_node(u, e, name);
	if (fd < 0)
		return fd;
	if (fd == 0)
		fd = -1;
	r = fd >= 0 ? write_content(u, fd) : 0;
	return r < 0 ? r : set_meta(u, e, name, full);
}

static la_ssize_t read_cb(struct archive *archive, void *user_data, const void **ret)
{
	struct unpack *u = user_data;
	ssize_t n = inflate_next(u->in, ret);

	if (n < 0) {
		u->in_error = n;
		libarchive.set_error(archive, -n, "broken stream");
		return -1;
	}
	return n;
}

static void set_dir_times(struct unpack *u)
{
	for (size_t i = u->dirs.n; i-- > 0;) {
		struct timespec times[2] = {u->dirs.v[i].mtime, u->dirs.v[i].mtime};
		int fd CLEANUP(fd_close) =
			open_in(u->o->root_fd, u->dirs.v[i].path.p, O_RDONLY | O_DIRECTORY);

		if (fd >= 0)
			futimens(fd, times);
	}
}

static int unpack_all(struct unpack *u, struct err *err)
{
	struct archive_entry *e;
	int r;

	for (int n = 0; (r = libarchive.read_next_header(u->archive, &e)) == ARCHIVE_OK ||
			r == ARCHIVE_WARN;
		n++) {
		int failed = n < UNPACK_ENTRIES_MAX ? unpack_entry(u, e) : -EFBIG;

		if (failed < 0)
			return err_errno(err, -failed, "layer entry \"%s\"",
				libarchive.entry_pathname(e) ?: "?");
	}
	if (r != ARCHIVE_EOF)
		return err_bad_request(err, "broken layer: %s",
			u->in_error == -EFBIG ? "too large" :
						libarchive.error_string(u->archive) ?: "not a tar archive");
	set_dir_times(u);
	return 0;
}

int unpack_layer(struct inflate *in, const struct unpack_opts *o, struct err *err)
{
	struct unpack u = {.o = o, .in = in, .parent_fd = -1};
	int r = libarchive_open(err);

	if (r < 0)
		return r;
	u.archive = libarchive.read_new();
	arena_init(&u.arena);
	libarchive.read_support_format_tar(u.archive);
	libarchive.read_support_format_empty(u.archive);
	if (libarchive.read_open(u.archive, &u, NULL, read_cb, NULL) != ARCHIVE_OK)
		r = err_bad_request(err, "broken layer: %s", libarchive.error_string(u.archive));
	else
		r = unpack_all(&u, err);
	libarchive.read_free(u.archive);
	arena_release(&u.arena);
	fd_close(&u.parent_fd);
	return r;
}
