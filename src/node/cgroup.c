/* cgroup.c: makes, limits and reads cgroups. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cgroup.h"

#define UNIFIED ""

/* --- small files --- */

static int write_value(const char *dir, const char *file, const char *value)
{
	char path[512];
	int fd, r = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_number(const char *dir, const char *file, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, v);
	return write_value(dir, file, text);
}

static ssize_t read_value(const char *dir, const char *file, char *out, size_t n)
{
	char path[512];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, out, n - 1);
	close(fd);
	if (got < 0)
		return -errno;
	out[got] = 0;
	return got;
}

/* --- which hierarchies there are --- */

static bool is_v1_controller(const char *name)
{
	static const char *const known[] = {"cpu", "cpuacct", "cpuset", "memory", "devices",
		"freezer", "blkio", "pids", "hugetlb"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i], name) == 0)
			return true;
	return false;
}

static void add_mount(struct cgroups *c, const char *controller, const char *path)
{
	struct cgroup_mount *m;

	if (c->n_mounts == CGROUP_CONTROLLERS_MAX)
		return;
	m = &c->mounts[c->n_mounts];
	if (strlen(controller) >= sizeof(m->controller) || strlen(path) >= sizeof(m->path))
		return;
	strcpy(m->controller, controller);
	strcpy(m->path, path);
	c->n_mounts++;
}

static void read_mounts(struct cgroups *c)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], path[256], type[32], opts[512], unified[256] = "";

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %255s %31s %511s", path, type, opts) != 3)
			continue;
		if (strcmp(type, "cgroup2") == 0 && !unified[0])
			snprintf(unified, sizeof(unified), "%s", path);
		if (strcmp(type, "cgroup") != 0)
			continue;
		for (char *save, *o = strtok_r(opts, ",", &save); o; o = strtok_r(NULL, ",", &save))
			if (is_v1_controller(o))
				add_mount(c, o, path);
	}
	if (f)
		fclose(f);
	if (c->n_mounts == 0 && unified[0]) {
		c->v2 = true;
		add_mount(c, UNIFIED, unified);
	} else if (strlen(unified) < sizeof(c->unified)) {
		strcpy(c->unified, unified);
	}
}

static const char *mount_of(const struct cgroups *c, const char *controller)
{
	for (size_t i = 0; i < c->n_mounts; i++)
		if (c->v2 || strcmp(c->mounts[i].controller, controller) == 0)
			return c->mounts[i].path;
	return NULL;
}

/* --- making groups --- */

/* A new v1 cpuset takes no process until it has CPUs and memory nodes. */
static void inherit_cpuset(const char *parent, const char *dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char value[1024];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (read_value(dir, files[i], value, sizeof(value)) >= 0 &&
			value[strspn(value, " \n")] == 0 &&
			read_value(parent, files[i], value, sizeof(value)) > 0)
			write_value(dir, files[i], value);
}

static void enable_controllers(const char *dir)
{
	static const char *const want[] = {"+cpu", "+memory", "+pids", "+cpuset", "+io"};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		write_value(dir, "cgroup.subtree_control", want[i]);
}

static int make_one(const struct cgroups *c, const struct cgroup_mount *m, const char *group)
{
	char dir[512], parent[512];
	char *slash;

	snprintf(dir, sizeof(dir), "%s%s", m->path, group);
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = 0;
	if (c->v2)
		enable_controllers(parent);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (strcmp(m->controller, "cpuset") == 0)
		inherit_cpuset(parent, dir);
	if (strcmp(m->controller, "memory") == 0)
		write_number(dir, "memory.use_hierarchy", 1);
	return 0;
}

static int make_group(const struct cgroups *c, const char *group, struct err *err)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		int r = make_one(c, &c->mounts[i], group);

		if (r < 0)
			return err_errno(err, -r, "making cgroup %s%s", c->mounts[i].path, group);
	}
	return 0;
}

int cgroups_init(struct cgroups *c, const char *root, struct err *err)
{
	static const char *const groups[] = {
		"/kubepods", "/kubepods/burstable", "/kubepods/besteffort"};
	char path[512], score[16];

	*c = (struct cgroups){0};
	if (root && strcmp(root, "/") != 0)
		snprintf(c->root, sizeof(c->root), "%s%s", root[0] == '/' ? "" : "/", root);
	if (read_value("/proc/self", "oom_score_adj", score, sizeof(score)) > 0)
		c->oom_score_min = atoi(score);
	read_mounts(c);
	if (c->n_mounts == 0)
		return err_internal(err, "no cgroup hierarchy is mounted");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		int r;

		snprintf(path, sizeof(path), "%s%s", c->root, groups[i]);
		r = make_group(c, path, err);
		if (r < 0)
			return r;
	}
	if (mount_of(c, "cpu") && !c->v2) {
		snprintf(path, sizeof(path), "%s%s/kubepods/besteffort", mount_of(c, "cpu"),
			c->root);
		write_number(path, "cpu.shares", 2);
	}
	return 0;
}

struct str cgroup_of_pod(const struct cgroups *c, struct arena *a, enum qos q, struct str uid)
{
	static const char *const dirs[] = {[QOS_BEST_EFFORT] = "/besteffort",
		[QOS_BURSTABLE] = "/burstable",
		[QOS_GUARANTEED] = ""};

	return arena_fmt(a, "%s/kubepods%s/pod" STR_FMT, c->root, dirs[q], STR_ARG(uid));
}

/* --- limits --- */

static void limit_v1(const struct cgroups *c, const char *group, const struct pod_sums *s)
{
	char dir[768];

	if (mount_of(c, "cpu")) {
		snprintf(dir, sizeof(dir), "%s%s", mount_of(c, "cpu"), group);
		write_number(dir, "cpu.shares", milli_to_shares(s->cpu_request_milli));
		write_number(dir, "cpu.cfs_period_us", CPU_PERIOD_US);
		write_number(dir, "cpu.cfs_quota_us",
			s->cpu_limit_milli ? milli_to_quota(s->cpu_limit_milli, CPU_PERIOD_US)
					   : -1);
	}
	if (mount_of(c, "memory")) {
		snprintf(dir, sizeof(dir), "%s%s", mount_of(c, "memory"), group);
		write_number(dir, "memory.limit_in_bytes", s->memory_limit ? s->memory_limit : -1);
	}
}

static void limit_v2(const struct cgroups *c, const char *group, const struct pod_sums *s)
{
	int64_t shares = milli_to_shares(s->cpu_request_milli);
	char dir[768], text[64];

	snprintf(dir, sizeof(dir), "%s%s", c->mounts[0].path, group);
	write_number(dir, "cpu.weight", 1 + (shares - 2) * 9999 / 262142);
	if (s->cpu_limit_milli)
		snprintf(text, sizeof(text), "%" PRId64 " %d",
			milli_to_quota(s->cpu_limit_milli, CPU_PERIOD_US), CPU_PERIOD_US);
	else
		snprintf(text, sizeof(text), "max %d", CPU_PERIOD_US);
	write_value(dir, "cpu.max", text);
	if (s->memory_limit)
		write_number(dir, "memory.max", s->memory_limit);
	else
		write_value(dir, "memory.max", "max");
}

int cgroup_pod_make(
	struct cgroups *c, struct str path, const struct pod_sums *sums, struct err *err)
{
	char group[384];
	int r;

	if (path.n >= sizeof(group))
		return err_internal(err, "the cgroup's path is too long");
	memcpy(group, path.p, path.n);
	group[path.n] = 0;
	r = make_group(c, group, err);
	if (r < 0)
		return r;
	if (c->v2)
		limit_v2(c, group, sums);
	else
		limit_v1(c, group, sums);
	return 0;
}

/* --- removing --- */

static void remove_tree(const char *dir, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && depth > 0 && (e = readdir(d))) {
		char child[1024];

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", dir, e->d_name);
		remove_tree(child, depth - 1);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void cgroup_pod_remove(struct cgroups *c, struct str path)
{
	char dir[512];

	for (size_t i = 0; i < c->n_mounts; i++) {
		snprintf(dir, sizeof(dir), "%s" STR_FMT, c->mounts[i].path, STR_ARG(path));
		remove_tree(dir, 4);
	}
	if (c->unified[0]) {
		snprintf(dir, sizeof(dir), "%s" STR_FMT, c->unified, STR_ARG(path));
		remove_tree(dir, 4);
	}
}


int oom_score_adj(enum qos q, int64_t memory_request, int64_t memory_capacity, int min)
{
	int64_t score = 1000;

	if (q == QOS_GUARANTEED) {
		score = -997;
	} else if (q == QOS_BURSTABLE && memory_capacity > 0) {
		score = 1000 - (int64_t)((__int128)1000 * memory_request / memory_capacity);
		score = MAX(score, 3);
		score = MIN(score, 999);
	}
	return (int)MAX(score, min);
}
