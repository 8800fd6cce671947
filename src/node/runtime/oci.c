/* oci.c: finds the OCI runtime and the monitor, and what this machine lets them do. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/runtime.h"
#include "base/spawn.h"

enum { VERSION_TIMEOUT_MS = 10000 };

static char *find_program(const char *name)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
		"/usr/bin", "/sbin", "/bin", "/usr/libexec/podman", "/usr/lib/podman"};

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char *path = xasprintf("%s/%s", dirs[i], name);

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* cgroup v1 controllers with the v2 tree beside them, where crun before 1.9 gives up. */
static bool hybrid_cgroups(void)
{
	struct statfs root, unified;

	return statfs("/sys/fs/cgroup", &root) == 0 && root.f_type == TMPFS_MAGIC &&
	       statfs("/sys/fs/cgroup/unified", &unified) == 0 &&
	       unified.f_type == CGROUP2_SUPER_MAGIC;
}

/* "runc version 1.1.5+ds1\n…libseccomp: 2.5.4" and "crun version 1.8.1\n…+SECCOMP +APPARMOR". */
static int probe_version(const char *path, struct oci_runtime *o)
{
	char *argv[] = {(char *)path, "--version", NULL};
	struct spawn_opts opts = {.path = path, .argv = argv};
	struct buf out CLEANUP(buf_release) = {0};
	char name[32] = "", version[64] = "";
	int r;

	buf_init(&out, 8192);
	r = spawn_run(&opts, S(""), &out, NULL, VERSION_TIMEOUT_MS);
	if (r != 0 || !out.n)
		return r < 0 ? r : -ENOEXEC;
	if (sscanf(out.p, "%31s version %63s", name, version) != 2)
		return -ENOEXEC;
	o->name = xstrdup(name);
	o->version = xstrdup(version);
	o->seccomp = strstr(out.p, "libseccomp:") || strstr(out.p, "+SECCOMP");
	return 0;
}

static bool usable(const char *path, struct oci_runtime *o)
{
	int major = 0, minor = 0;

	if (probe_version(path, o) < 0)
		return false;
	sscanf(o->version, "%d.%d", &major, &minor);
	if (!strcmp(o->name, "crun") && hybrid_cgroups() &&
		(major < 1 || (major == 1 && minor < 9))) {
		free(o->name);
		free(o->version);
		o->name = o->version = NULL;
		return false;
	}
	return true;
}

/* Without CAP_SYS_RESOURCE nobody below us can get a lower oom_score_adj than ours. */
static int lowest_oom_score_adj(void)
{
	struct arena a CLEANUP(arena_release);
	unsigned long long caps = 0;
	struct str text;
	const char *line;
	int64_t adj;

	arena_init(&a);
	if (fs_read("/proc/self/status", 65536, &a, &text) == 0 &&
		(line = strstr(text.p, "CapEff:")))
		sscanf(line, "CapEff: %llx", &caps);
	if (caps & (1ULL << CAP_SYS_RESOURCE))
		return -1000;
	if (fs_read("/proc/self/oom_score_adj", 64, &a, &text) < 0 ||
		str_to_i64(str_trim(text), &adj) < 0)
		return 0;
	return adj;
}

int oci_runtime_probe(const char *runtime, const char *conmon, const char *root,
	struct oci_runtime *ret, struct err *err)
{
	const char *const names[] = {runtime ?: "crun", runtime ? NULL : "runc"};
	struct oci_runtime o = {0};

	for (size_t i = 0; i < ARRAY_SIZE(names) && !o.path && names[i]; i++) {
		o.path = find_program(names[i]);
		if (o.path && !usable(o.path, &o)) {
			free(o.path);
			o.path = NULL;
		}
	}
	if (!o.path)
		return err_fmt(err, 500, "InternalError",
			"no OCI runtime works here: install runc or crun (looked for %s)",
			runtime ?: "crun and runc");
	o.conmon = find_program(conmon ?: "conmon");
	if (!o.conmon) {
		oci_runtime_release(&o);
		return err_fmt(err, 500, "InternalError", "conmon is not installed (looked for %s)",
			conmon ?: "conmon");
	}
	o.apparmor = fs_exists("/sys/kernel/security/apparmor");
	o.oom_score_adj_min = lowest_oom_score_adj();
	*ret = o;
	return 0;
}

void oci_runtime_release(struct oci_runtime *o)
{
	free(o->path);
	free(o->conmon);
	free(o->name);
	free(o->version);
	*o = (struct oci_runtime){0};
}
