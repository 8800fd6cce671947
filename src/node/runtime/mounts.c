/* mounts.c: the mounts of a container's configuration. */
#include <linux/openat2.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/spec.h"

struct fixed_mount {
	const char *to, *type, *source;
	const char *options; /* comma-separated */
};

static const struct fixed_mount basics[] = {
	{"/proc", "proc", "proc", "nosuid,noexec,nodev"},
	{"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
	{"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
};

static void write_mount(
	struct jout *j, struct str to, const char *type, struct str source, struct str options)
{
	struct str head;
	bool more = true;

	jout_open(j, NULL, '{');
	jout_str(j, "destination", to);
	jout_c(j, "type", type);
	jout_str(j, "source", source);
	jout_open(j, "options", '[');
	while (more) {
		more = str_cut(options, ',', &head, &options);
		jout_str(j, NULL, head);
	}
	jout_close(j, ']');
	jout_close(j, '}');
}

static bool has_mount(const struct spec_input *in, const char *to)
{
	for (size_t i = 0; i < in->cfg->n_mounts; i++)
		if (str_eqc(in->cfg->mounts[i].container_path, to))
			return true;
	return false;
}

/* What the pod gives its containers, unless a volume stands there. */
static void write_sandbox_file(
	const struct spec_input *in, struct jout *j, const char *to, const char *from)
{
	if (from && !has_mount(in, to))
		write_mount(j, str_c(to), "bind", str_c(from),
			in->cfg->readonly_rootfs && strcmp(to, "/dev/shm")
				? S("rbind,rprivate,ro")
				: S("rbind,rprivate,rw"));
}

static const char *propagation(const struct cri_mount *m)
{
	switch (m->propagation) {
	case CRI_PROPAGATION_BIDIRECTIONAL:
		return "rshared";
	case CRI_PROPAGATION_HOST_TO_CONTAINER:
		return "rslave";
	default:
		return "rprivate";
	}
}

static int write_volume(const struct cri_mount *m, struct arena *a, struct jout *j, struct err *err)
{
	struct stat st;

	if (!m->container_path.n || m->container_path.p[0] != '/')
		return err_bad_request(err, "mount path \"" STR_FMT "\" is not absolute",
			STR_ARG(m->container_path));
	/* As containerd: a host path that is not there becomes a directory. */
	if (stat(arena_cstr(a, m->host_path), &st) < 0) {
		int r = errno == ENOENT ? fs_mkdirs(arena_cstr(a, m->host_path), 0755) : -errno;

		if (r < 0)
			return err_errno(
				err, -r, "failed to mount \"" STR_FMT "\"", STR_ARG(m->host_path));
	}
	write_mount(j, m->container_path, "bind", m->host_path,
		arena_fmt(a, "rbind,%s,%s", propagation(m),
			m->recursive_readonly ? "rro"
			: m->readonly         ? "ro"
					      : "rw"));
	return 0;
}

static size_t depth(struct str path)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < path.n; i++)
		n += path.p[i] == '/' && path.p[i + 1] != '/';
	return n;
}

/* A mount must come after those it stands in: by the number of parts, otherwise in the given order.
 */
static int write_volumes(
	const struct spec_input *in, struct arena *a, struct jout *j, struct err *err)
{
	size_t written = 0;

	for (size_t d = 0; written < in->cfg->n_mounts; d++)
		for (size_t i = 0; i < in->cfg->n_mounts; i++) {
			int r;

			if (depth(in->cfg->mounts[i].container_path) != d)
				continue;
			written++;
			r = write_volume(&in->cfg->mounts[i], a, j, err);
			if (r < 0)
				return r;
		}
	return 0;
}

int spec_mounts(const struct spec_input *in, struct arena *a, struct jout *j, struct err *err)
{
	int r;

	jout_open(j, "mounts", '[');
	for (size_t i = 0; i < ARRAY_SIZE(basics); i++)
		if (!has_mount(in, basics[i].to))
			write_mount(j, str_c(basics[i].to), basics[i].type, str_c(basics[i].source),
				str_c(basics[i].options));
	if (!has_mount(in, "/sys"))
		write_mount(j, S("/sys"), "sysfs", S("sysfs"),
			in->cfg->privileged ? S("nosuid,noexec,nodev,rw")
					    : S("nosuid,noexec,nodev,ro"));
	if (!has_mount(in, "/sys/fs/cgroup") && !has_mount(in, "/sys"))
		write_mount(j, S("/sys/fs/cgroup"), "cgroup", S("cgroup"),
			in->cfg->privileged ? S("nosuid,noexec,nodev,relatime,rw")
					    : S("nosuid,noexec,nodev,relatime,ro"));
	write_sandbox_file(in, j, "/dev/shm", in->shm_path);
	write_sandbox_file(in, j, "/etc/resolv.conf", in->resolv_path);
	write_sandbox_file(in, j, "/etc/hostname", in->hostname_path);
	r = write_volumes(in, a, j, err);
	jout_close(j, ']');
	return r;
}
