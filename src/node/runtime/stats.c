/* stats.c: what containers use, straight from their cgroups (v1 and v2); changing their limits. */
#include <stdio.h>

#include "node/runtime/copy.h"
#include "base/fs.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/runtime.h"
#include "base/spawn.h"

enum { CGROUP_FILE_MAX = 65536, INODES_MAX = 200000, UPDATE_TIMEOUT_MS = 30000, WALK_S = 60 };

struct stats_item {
	struct cri_container_stats st;
	struct str cgroup, upper;
	struct container *walked; /* a reference: its layer is to be looked at anew */
};

struct stats_job {
	struct job job;
	struct arena arena;
	struct stats_item *v;
	size_t n;
	cri_stats_done *done;
	void *user_data;
};

static uint64_t field(struct str text, const char *word)
{
	size_t n = strlen(word);
	const char *p = text.p;

	while (p && *p) {
		if (!strncmp(p, word, n) && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return 0;
}

static bool read_cgroup(struct arena *a, const char *controller, struct str cgroup,
	const char *file, struct str *ret)
{
	return fs_read(arena_fmt(a, "/sys/fs/cgroup%s" STR_FMT "/%s", controller, STR_ARG(cgroup),
			       file)
			       .p,
		       CGROUP_FILE_MAX, a, ret) == 0;
}

static void set_memory(
	struct cri_container_stats *st, uint64_t usage, uint64_t inactive, uint64_t rss)
{
	st->memory_usage = usage;
	st->memory_working_set = usage > inactive ? usage - inactive : 0;
	st->memory_rss = rss;
}

/* cpu.stat, whose fields for time differ. */
static void set_throttling(struct cri_container_stats *st, struct str cpu, uint64_t throttled_ns)
{
	st->cpu_periods = field(cpu, "nr_periods");
	st->cpu_throttled_periods = field(cpu, "nr_throttled");
	st->cpu_throttled_ns = throttled_ns;
}

static void read_v1(struct stats_item *s, struct arena *a)
{
	struct str usage, stat, cpu;

	if (read_cgroup(a, "/cpuacct", s->cgroup, "cpuacct.usage", &cpu))
		s->st.cpu_usage_ns = strtoull(cpu.p, NULL, 10);
	if (read_cgroup(a, "/cpu", s->cgroup, "cpu.stat", &cpu))
		set_throttling(&s->st, cpu, field(cpu, "throttled_time"));
	if (!read_cgroup(a, "/memory", s->cgroup, "memory.usage_in_bytes", &usage) ||
		!read_cgroup(a, "/memory", s->cgroup, "memory.stat", &stat))
		return;
	set_memory(&s->st, strtoull(usage.p, NULL, 10), field(stat, "total_inactive_file"),
		field(stat, "total_rss"));
	s->st.page_faults = field(stat, "total_pgfault");
	s->st.major_page_faults = field(stat, "total_pgmajfault");
}

static void read_v2(struct stats_item *s, struct arena *a)
{
	struct str usage, stat, cpu;

	if (read_cgroup(a, "", s->cgroup, "cpu.stat", &cpu)) {
		s->st.cpu_usage_ns = field(cpu, "usage_usec") * 1000;
		set_throttling(&s->st, cpu, field(cpu, "throttled_usec") * 1000);
	}
	if (!read_cgroup(a, "", s->cgroup, "memory.current", &usage) ||
		!read_cgroup(a, "", s->cgroup, "memory.stat", &stat))
		return;
	set_memory(&s->st, strtoull(usage.p, NULL, 10), field(stat, "inactive_file"),
		field(stat, "anon"));
	s->st.page_faults = field(stat, "pgfault");
	s->st.major_page_faults = field(stat, "pgmajfault");
}

static void stats_run(struct job *job)
{
	struct stats_job *j = container_of(job, struct stats_job, job);
	bool v2 = fs_exists("/sys/fs/cgroup/cgroup.controllers");

	for (size_t i = 0; i < j->n; i++) {
		struct arena a CLEANUP(arena_release);

		arena_init(&a);
		j->v[i].st.time_ns = wall_ns();
		if (v2)
			read_v2(&j->v[i], &a);
		else
			read_v1(&j->v[i], &a);
		if (j->v[i].walked)
			fs_usage(j->v[i].upper.p, INODES_MAX, &j->v[i].st.fs_used_bytes,
				&j->v[i].st.fs_inodes_used);
	}
}

/* Walking a large layer takes time: once a minute is enough. */
static void keep_walk(struct stats_item *s)
{
	struct container *ct = s->walked;

	ct->fs_bytes = s->st.fs_used_bytes;
	ct->fs_inodes = s->st.fs_inodes_used;
	ct->fs_walked_ns = s->st.time_ns;
	container_unref(ct);
}

static void stats_done(struct job *job)
{
	struct stats_job *j = container_of(job, struct stats_job, job);
	struct cri_container_stats *v = ARENA_ARRAY(&j->arena, struct cri_container_stats, j->n);

	for (size_t i = 0; i < j->n; i++) {
		v[i] = j->v[i].st;
		if (j->v[i].walked)
			keep_walk(&j->v[i]);
	}
	j->done(j->user_data, v, j->n, NULL);
	arena_release(&j->arena);
	free(j);
}

void container_stats(struct cri *c, cri_stats_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct stats_job *j = xcalloc(1, sizeof(*j));
	struct {
		struct stats_item *v;
		size_t n;
	} list = {0};

	arena_init(&j->arena);
	for (struct container *ct = rt->containers; ct; ct = ct->next) {
		struct stats_item s = {0};

		if (ct->st.state != CRI_RUNNING)
			continue;
		s.st.id = arena_str(&j->arena, ct->st.id);
		s.st.name = arena_str(&j->arena, ct->st.name);
		s.cgroup = arena_str(&j->arena, ct->cgroup);
		s.upper = arena_fmt(&j->arena, "%s/%s/upper", rt->containers_dir, ct->id);
		s.st.fs_used_bytes = ct->fs_bytes;
		s.st.fs_inodes_used = ct->fs_inodes;
		if (!ct->fs_walked_ns || wall_ns() - ct->fs_walked_ns > WALK_S * 1000000000ll) {
			ct->refs++;
			s.walked = ct;
		}
		ARENA_PUSH(&j->arena, &list, s);
	}
	j->v = list.v;
	j->n = list.n;
	j->done = done;
	j->user_data = user_data;
	job_submit(rt->jobs, &j->job, stats_run, stats_done);
}

/* --- limits --- */

struct update_job {
	struct job job;
	struct runtime *rt;
	struct container *ct;
	struct cri_resources r;
	struct arena arena;
	struct err err;
	cri_done *done;
	void *user_data;
};

static void write_limits(const struct cri_resources *r, struct buf *b)
{
	struct jout j = {b};

	jout_open(&j, NULL, '{');
	jout_open(&j, "memory", '{');
	if (r->memory_limit)
		jout_int(&j, "limit", r->memory_limit);
	jout_close(&j, '}');
	jout_open(&j, "cpu", '{');
	if (r->cpu_shares)
		jout_int(&j, "shares", r->cpu_shares);
	if (r->cpu_quota)
		jout_int(&j, "quota", r->cpu_quota);
	if (r->cpu_period)
		jout_int(&j, "period", r->cpu_period);
	if (r->cpuset_cpus.n)
		jout_str(&j, "cpus", r->cpuset_cpus);
	if (r->cpuset_mems.n)
		jout_str(&j, "mems", r->cpuset_mems);
	jout_close(&j, '}');
	jout_close(&j, '}');
}

static void update_run(struct job *job)
{
	struct update_job *j = container_of(job, struct update_job, job);
	char *argv[] = {j->rt->oci.path, "--root", j->rt->oci_dir, "update", "--resources", "-",
		j->ct->id, NULL};
	struct spawn_opts opts = {.path = j->rt->oci.path, .argv = argv};
	struct buf in CLEANUP(buf_release) = {0}, out CLEANUP(buf_release) = {0};
	int r;

	buf_init(&in, 65536);
	buf_init(&out, 8192);
	write_limits(&j->r, &in);
	r = spawn_run(&opts, buf_str(&in), NULL, &out, UPDATE_TIMEOUT_MS);
	if (r < 0)
		err_errno(&j->err, -r, "cannot update the container's limits");
	else if (r > 0)
		err_fmt(&j->err, 500, "InternalError",
			"cannot update the container's limits: " STR_FMT,
			STR_ARG(out.n ? str_trim(buf_str(&out)) : S("no reason given")));
}

/* What was not given stays as it was. */
static void merge(struct container *c, const struct cri_resources *r)
{
	struct cri_resources *to = &c->st.resources, given;

	copy_resources(&c->arena, r, &given);
	if (given.cpu_period)
		to->cpu_period = given.cpu_period;
	if (given.cpu_quota)
		to->cpu_quota = given.cpu_quota;
	if (given.cpu_shares)
		to->cpu_shares = given.cpu_shares;
	if (given.memory_limit)
		to->memory_limit = given.memory_limit;
	if (given.cpuset_cpus.n)
		to->cpuset_cpus = given.cpuset_cpus;
	if (given.cpuset_mems.n)
		to->cpuset_mems = given.cpuset_mems;
}

static void update_done(struct job *job)
{
	struct update_job *j = container_of(job, struct update_job, job);

	if (!err_set(&j->err)) {
		merge(j->ct, &j->r);
		container_save_state(j->rt, j->ct);
	}
	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	container_unref(j->ct);
	err_release(&j->err);
	arena_release(&j->arena);
	free(j);
}

void container_update_resources(struct cri *cri, struct str id, const struct cri_resources *r,
	cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);
	struct update_job *j;

	if (!c || c->st.state != CRI_RUNNING) {
		struct err err CLEANUP(err_release) = {0};

		if (!c)
			no_container(id, &err);
		else
			err_fmt(&err, 400, "BadRequest", "container %s does not run", c->id);
		later(rt, done, user_data, &err);
		return;
	}
	j = xcalloc(1, sizeof(*j));
	arena_init(&j->arena);
	j->rt = rt;
	j->ct = c;
	c->refs++;
	copy_resources(&j->arena, r, &j->r);
	j->done = done;
	j->user_data = user_data;
	job_submit(rt->jobs, &j->job, update_run, update_done);
}
