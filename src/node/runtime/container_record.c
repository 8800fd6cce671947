/*
 * container_record.c: a container on disk: <data-dir>/runtime/containers/<id>/container.json (what
 * never changes) and state.json (the rest).
 */
#include <stdio.h>

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/record.h"

static char *path_of(struct runtime *rt, const char *id, const char *name)
{
	return xasprintf("%s/%s/%s", rt->containers_dir, id, name);
}

static void write_mounts(struct jout *j, const struct container *c)
{
	jout_open(j, "mounts", '[');
	for (size_t i = 0; i < c->st.n_mounts; i++) {
		const struct cri_mount *m = &c->st.mounts[i];

		jout_open(j, NULL, '{');
		jout_str(j, "to", m->container_path);
		jout_str(j, "from", m->host_path);
		jout_str(j, "image", m->image);
		jout_bool(j, "readonly", m->readonly);
		jout_bool(j, "recursiveReadonly", m->recursive_readonly);
		jout_int(j, "propagation", m->propagation);
		jout_close(j, '}');
	}
	jout_close(j, ']');
}

static void write_resources(struct jout *j, const struct cri_resources *r)
{
	jout_open(j, "resources", '{');
	jout_int(j, "cpuPeriod", r->cpu_period);
	jout_int(j, "cpuQuota", r->cpu_quota);
	jout_int(j, "cpuShares", r->cpu_shares);
	jout_int(j, "memoryLimit", r->memory_limit);
	jout_int(j, "memorySwapLimit", r->memory_swap_limit);
	jout_int(j, "oomScoreAdj", r->oom_score_adj);
	jout_str(j, "cpusetCpus", r->cpuset_cpus);
	jout_str(j, "cpusetMems", r->cpuset_mems);
	jout_pairs(j, "unified", r->unified.v, r->unified.n);
	jout_close(j, '}');
}

int container_save(struct runtime *rt, const struct container *c)
{
	char *path CLEANUP(free_ptr) = path_of(rt, c->id, "container.json");
	struct buf b CLEANUP(buf_release) = {0};
	struct jout j = {&b};

	buf_init(&b, FS_SMALL_MAX);
	jout_open(&j, NULL, '{');
	jout_str(&j, "name", c->st.name);
	jout_str(&j, "sandbox", c->st.sandbox_id);
	jout_int(&j, "attempt", c->st.attempt);
	jout_int(&j, "created", c->st.created_ns);
	jout_str(&j, "image", c->st.image);
	jout_str(&j, "imageID", c->st.image_id);
	jout_str(&j, "imageRef", c->st.image_ref);
	jout_str(&j, "logPath", c->st.log_path);
	jout_pairs(&j, "labels", c->st.labels.v, c->st.labels.n);
	jout_pairs(&j, "annotations", c->st.annotations.v, c->st.annotations.n);
	write_mounts(&j, c);
	jout_strs(&j, "layers", &c->layers);
	jout_str(&j, "cgroup", c->cgroup);
	jout_bool(&j, "stdin", c->stdin_);
	jout_bool(&j, "stdinOnce", c->stdin_once);
	jout_bool(&j, "tty", c->tty);
	jout_int(&j, "stopSignal", c->stop_signal);
	jout_int(&j, "uid", c->st.uid);
	jout_int(&j, "gid", c->st.gid);
	jout_open(&j, "groups", '[');
	for (size_t i = 0; i < c->st.n_supplemental_groups; i++)
		jout_int(&j, NULL, c->st.supplemental_groups[i]);
	jout_close(&j, ']');
	jout_close(&j, '}');
	return buf_failed(&b) ? -EFBIG : fs_write(path, buf_str(&b), 0600);
}

int container_save_mutable(struct runtime *rt, const struct container *c)
{
	char *path CLEANUP(free_ptr) = path_of(rt, c->id, "state.json");
	struct buf b CLEANUP(buf_release) = {0};
	struct jout j = {&b};

	buf_init(&b, FS_SMALL_MAX);
	jout_open(&j, NULL, '{');
	jout_int(&j, "state", c->st.state);
	jout_int(&j, "started", c->st.started_ns);
	jout_int(&j, "finished", c->st.finished_ns);
	jout_int(&j, "exitCode", c->st.exit_code);
	jout_str(&j, "reason", c->st.reason);
	jout_str(&j, "message", c->st.message);
	jout_int(&j, "pid", c->pid);
	jout_int(&j, "pidStart", c->pid_start);
	write_resources(&j, &c->st.resources);
	jout_close(&j, '}');
	return buf_failed(&b) ? -EFBIG : fs_write(path, buf_str(&b), 0600);
}

static void read_mounts(const struct json_value *list, struct container *c)
{
	struct {
		struct cri_mount *v;
		size_t n;
	} mounts = {0};

	for (size_t i = 0; list && i < list->items.n; i++) {
		const struct json_value *v = list->items.v[i];
		struct cri_mount m = {
			.container_path = record_str(v, "to", &c->arena),
			.host_path = record_str(v, "from", &c->arena),
			.image = record_str(v, "image", &c->arena),
			.readonly = record_bool(v, "readonly"),
			.recursive_readonly = record_bool(v, "recursiveReadonly"),
			.propagation = record_int(v, "propagation"),
		};

		ARENA_PUSH(&c->arena, &mounts, m);
	}
	c->st.mounts = mounts.v;
	c->st.n_mounts = mounts.n;
}

static void read_groups(const struct json_value *list, struct container *c)
{
	struct {
		int64_t *v;
		size_t n;
	} groups = {0};

	for (size_t i = 0; list && i < list->items.n; i++) {
		int64_t gid = 0;

		str_to_i64(list->items.v[i]->text, &gid);
		ARENA_PUSH(&c->arena, &groups, gid);
	}
	c->st.supplemental_groups = groups.v;
	c->st.n_supplemental_groups = groups.n;
}

static void read_fixed(const struct json_value *v, struct container *c)
{
	struct arena *a = &c->arena;

	c->st.name = record_str(v, "name", a);
	c->st.sandbox_id = record_str(v, "sandbox", a);
	c->st.attempt = record_int(v, "attempt");
	c->st.created_ns = record_int(v, "created");
	c->st.image = record_str(v, "image", a);
	c->st.image_id = record_str(v, "imageID", a);
	c->st.image_ref = record_str(v, "imageRef", a);
	c->st.log_path = record_str(v, "logPath", a);
	record_pairs(v, "labels", a, &c->st.labels);
	record_pairs(v, "annotations", a, &c->st.annotations);
	read_mounts(json_getc(v, "mounts"), c);
	record_strs(v, "layers", a, &c->layers);
	c->cgroup = record_str(v, "cgroup", a);
	c->stdin_ = record_bool(v, "stdin");
	c->stdin_once = record_bool(v, "stdinOnce");
	c->tty = record_bool(v, "tty");
	c->stop_signal = record_int(v, "stopSignal");
	c->st.uid = record_int(v, "uid");
	c->st.gid = record_int(v, "gid");
	read_groups(json_getc(v, "groups"), c);
}

static void read_mutable(const struct json_value *v, struct container *c)
{
	const struct json_value *res = json_getc(v, "resources");
	struct cri_resources *r = &c->st.resources;

	c->st.state = record_int(v, "state");
	c->st.started_ns = record_int(v, "started");
	c->st.finished_ns = record_int(v, "finished");
	c->st.exit_code = record_int(v, "exitCode");
	c->st.reason = record_str(v, "reason", &c->arena);
	c->st.message = record_str(v, "message", &c->arena);
	c->pid = record_int(v, "pid");
	c->pid_start = record_int(v, "pidStart");
	r->cpu_period = record_int(res, "cpuPeriod");
	r->cpu_quota = record_int(res, "cpuQuota");
	r->cpu_shares = record_int(res, "cpuShares");
	r->memory_limit = record_int(res, "memoryLimit");
	r->memory_swap_limit = record_int(res, "memorySwapLimit");
	r->oom_score_adj = record_int(res, "oomScoreAdj");
	r->cpuset_cpus = record_str(res, "cpusetCpus", &c->arena);
	r->cpuset_mems = record_str(res, "cpusetMems", &c->arena);
	record_pairs(res, "unified", &c->arena, &r->unified);
}

struct container *container_read(struct runtime *rt, const char *id)
{
	char *fixed CLEANUP(free_ptr) = path_of(rt, id, "container.json");
	char *mutable CLEANUP(free_ptr) = path_of(rt, id, "state.json");
	struct arena a CLEANUP(arena_release);
	struct json_value *v, *state;
	struct container *c;
	struct str text;

	arena_init(&a);
	if (strlen(id) != ID_LEN || fs_read(fixed, FS_SMALL_MAX, &a, &text) < 0 ||
		json_parse(text, &a, &v, NULL) < 0)
		return NULL;
	if (fs_read(mutable, FS_SMALL_MAX, &a, &text) < 0 || json_parse(text, &a, &state, NULL) < 0)
		return NULL;
	c = container_new(id);
	read_fixed(v, c);
	read_mutable(state, c);
	return c;
}
