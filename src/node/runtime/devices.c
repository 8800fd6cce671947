/* devices.c: the devices of a container and the rules of its devices cgroup. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "node/runtime/jsonout.h"
#include "node/runtime/spec.h"

enum { DEVICES_MAX = 4096, DEPTH_MAX = 8 };

static void write_device(struct jout *j, struct str path, const struct stat *st)
{
	jout_open(j, NULL, '{');
	jout_str(j, "path", path);
	jout_c(j, "type", S_ISBLK(st->st_mode) ? "b" : "c");
	jout_int(j, "major", major(st->st_rdev));
	jout_int(j, "minor", minor(st->st_rdev));
	jout_int(j, "fileMode", st->st_mode & 0777);
	jout_int(j, "uid", st->st_uid);
	jout_int(j, "gid", st->st_gid);
	jout_close(j, '}');
}

/* The mounts and terminals that a container has of its own. */
static bool skipped(const char *name)
{
	static const char *const names[] = {
		"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return name[0] == '.';
}

static void host_devices(const char *path, struct arena *a, struct jout *j, int depth, int *left)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && *left > 0 && (e = readdir(dir))) {
		const char *full;
		struct stat st;

		if (skipped(e->d_name))
			continue;
		full = arena_fmt(a, "%s/%s", path, e->d_name).p;
		if (lstat(full, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			host_devices(full, a, j, depth + 1, left);
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			continue;
		write_device(j, str_c(full), &st);
		*left -= 1;
	}
	if (dir)
		closedir(dir);
}

void spec_devices(const struct spec_input *in, struct arena *a, struct jout *j)
{
	int left = DEVICES_MAX;

	jout_open(j, "devices", '[');
	if (in->cfg->privileged)
		host_devices("/dev", a, j, 0, &left);
	for (size_t i = 0; i < in->cfg->n_devices; i++) {
		struct stat st;

		if (stat(arena_cstr(a, in->cfg->devices[i].host_path), &st) == 0 &&
			(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
			write_device(j, in->cfg->devices[i].container_path, &st);
	}
	jout_close(j, ']');
}

void spec_device_rules(const struct spec_input *in, struct arena *a, struct jout *j)
{
	jout_open(j, "devices", '[');
	jout_open(j, NULL, '{');
	jout_bool(j, "allow", in->cfg->privileged);
	jout_c(j, "access", "rwm");
	jout_close(j, '}');
	for (size_t i = 0; i < in->cfg->n_devices && !in->cfg->privileged; i++) {
		struct stat st;

		if (stat(arena_cstr(a, in->cfg->devices[i].host_path), &st) < 0)
			continue;
		jout_open(j, NULL, '{');
		jout_bool(j, "allow", true);
		jout_c(j, "type", S_ISBLK(st.st_mode) ? "b" : "c");
		jout_int(j, "major", major(st.st_rdev));
		jout_int(j, "minor", minor(st.st_rdev));
		jout_str(j, "access",
			in->cfg->devices[i].permissions.n ? in->cfg->devices[i].permissions
							  : S("rwm"));
		jout_close(j, '}');
	}
	jout_close(j, ']');
}
