/* cgroup_usage.c: what a group uses, read from its files. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "node/cgroup.h"

enum { PATH_LEN = 512, TEXT_LEN = 8192 };

/* Nothing when it cannot be read. */
static void read_text(const char *dir, const char *file, char *out, size_t size)
{
	char path[PATH_LEN + 64];
	ssize_t n;
	int fd;

	out[0] = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, out, size - 1);
	out[MAX(n, 0)] = 0;
	close(fd);
}

static uint64_t read_number(const char *dir, const char *file)
{
	char text[32];

	read_text(dir, file, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static uint64_t stat_field(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == ':'))
			return strtoull(p + n + 1, NULL, 10);
	return 0;
}

static const char *mount_of(const struct cgroups *c, const char *controller)
{
	for (size_t i = 0; i < c->n_mounts; i++)
		if (c->v2 || strcmp(c->mounts[i].controller, controller) == 0)
			return c->mounts[i].path;
	return NULL;
}

static bool group_dir(
	const struct cgroups *c, const char *controller, const char *path, char out[PATH_LEN])
{
	const char *mount = mount_of(c, controller);

	return mount && snprintf(out, PATH_LEN, "%s%s", mount, path) < PATH_LEN;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void memory_usage(const char *dir, bool v2, struct cgroup_usage *u)
{
	char text[TEXT_LEN];

	read_text(dir, "memory.stat", text, sizeof(text));
	u->memory_usage = read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes");
	u->memory_working_set = less(
		u->memory_usage, stat_field(text, v2 ? "inactive_file" : "total_inactive_file"));
	u->memory_rss = stat_field(text, v2 ? "anon" : "total_rss");
	u->page_faults = stat_field(text, v2 ? "pgfault" : "total_pgfault");
	u->major_page_faults = stat_field(text, v2 ? "pgmajfault" : "total_pgmajfault");
}

void cgroup_usage(const struct cgroups *c, const char *path, struct cgroup_usage *ret)
{
	char dir[PATH_LEN], text[1024];

	*ret = (struct cgroup_usage){0};
	if (group_dir(c, "cpuacct", path, dir)) {
		read_text(dir, "cpu.stat", text, sizeof(text));
		ret->cpu_ns = c->v2 ? stat_field(text, "usage_usec") * 1000
				    : read_number(dir, "cpuacct.usage");
	}
	if (group_dir(c, "memory", path, dir))
		memory_usage(dir, c->v2, ret);
}

static uint64_t busy_ns(void)
{
	unsigned long long v[8] = {0}, ticks = 0;
	char text[512];

	read_text("/proc", "stat", text, sizeof(text));
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		    &v[4], &v[5], &v[6], &v[7]) != 8)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		ticks += i == 3 || i == 4 ? 0 : v[i]; /* idle, waiting for the disk */
	return ticks * (1000000000ull / sysconf(_SC_CLK_TCK));
}

void cgroup_machine_usage(const struct cgroups *c, struct cgroup_usage *ret)
{
	char text[TEXT_LEN];

	cgroup_usage(c, "", ret);
	if (!ret->cpu_ns)
		ret->cpu_ns = busy_ns();
	if (ret->memory_usage)
		return;
	read_text("/proc", "meminfo", text, sizeof(text));
	ret->memory_usage = less(stat_field(text, "MemTotal"), stat_field(text, "MemFree")) * 1024;
	ret->memory_working_set =
		less(ret->memory_usage, stat_field(text, "Inactive(file)") * 1024);
	ret->memory_rss = stat_field(text, "AnonPages") * 1024;
	read_text("/proc", "vmstat", text, sizeof(text));
	ret->page_faults = stat_field(text, "pgfault");
	ret->major_page_faults = stat_field(text, "pgmajfault");
}

int cgroup_any_process(const struct cgroups *c, const char *path)
{
	char dir[PATH_LEN], below[PATH_LEN + 256];
	struct dirent *e;
	int pid = 0;
	DIR *d;

	if (!group_dir(c, "memory", path, dir) || !(d = opendir(dir)))
		return 0;
	while (!pid && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", dir, e->d_name);
		pid = (int)read_number(below, "cgroup.procs");
	}
	closedir(d);
	return pid;
}
