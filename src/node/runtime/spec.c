#include "node/runtime/spec.h"

#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/jsonout.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const struct str default_masked[] = {S("/proc/asound"), S("/proc/acpi"),
	S("/proc/interrupts"), S("/proc/kcore"), S("/proc/keys"), S("/proc/latency_stats"),
	S("/proc/timer_list"), S("/proc/timer_stats"), S("/proc/sched_debug"), S("/proc/scsi"),
	S("/sys/firmware"), S("/sys/devices/virtual/powercap")};
static const struct str default_readonly[] = {
	S("/proc/bus"), S("/proc/fs"), S("/proc/irq"), S("/proc/sys"), S("/proc/sysrq-trigger")};

static void strs_of(const struct json_value *v, struct arena *a, struct str_vec *to)
{
	for (size_t i = 0; v && v->kind == JSON_ARRAY && i < v->items.n; i++)
		if (v->items.v[i]->kind == JSON_STRING)
			ARENA_PUSH(a, to, arena_str(a, v->items.v[i]->text));
}

int image_defaults_parse(
	struct str config, struct arena *a, struct image_defaults *ret, struct err *err)
{
	struct image_defaults d = {0};
	struct json_value *root, *c, *volumes;
	int r = json_parse(config, a, &root, err);

	if (r < 0)
		return r;
	c = json_getc(root, "config");
	strs_of(json_getc(c, "Entrypoint"), a, &d.entrypoint);
	strs_of(json_getc(c, "Cmd"), a, &d.cmd);
	strs_of(json_getc(c, "Env"), a, &d.env);
	volumes = json_getc(c, "Volumes");
	for (size_t i = 0; volumes && i < volumes->members.n; i++)
		ARENA_PUSH(a, &d.volumes, arena_str(a, volumes->members.v[i].key));
	d.user = json_get_str(c, "User");
	d.working_dir = json_get_str(c, "WorkingDir");
	d.stop_signal = json_get_str(c, "StopSignal");
	*ret = d;
	return 0;
}

static int write_args(const struct spec_input *in, struct jout *j, struct err *err)
{
	const struct str_vec *command = &in->cfg->command, *args = &in->cfg->args;

	if (!command->n) {
		command = &in->image->entrypoint;
		if (!args->n)
			args = &in->image->cmd;
	}
	if (!command->n && !args->n)
		return err_bad_request(err, "no command specified");
	jout_open(j, "args", '[');
	for (size_t i = 0; i < command->n; i++)
		jout_str(j, NULL, command->v[i]);
	for (size_t i = 0; i < args->n; i++)
		jout_str(j, NULL, args->v[i]);
	jout_close(j, ']');
	return 0;
}

static bool env_overridden(const struct spec_input *in, struct str entry)
{
	struct str key, value;

	str_cut(entry, '=', &key, &value);
	for (size_t i = 0; i < in->cfg->envs.n; i++)
		if (str_eq(in->cfg->envs.v[i].key, key))
			return true;
	return false;
}

static bool env_has(const struct str_vec *env, struct str prefix)
{
	for (size_t i = 0; i < env->n; i++)
		if (str_starts(env->v[i], prefix))
			return true;
	return false;
}

static void write_env(const struct spec_input *in, struct arena *a, struct jout *j)
{
	jout_open(j, "env", '[');
	if (!env_has(&in->image->env, S("PATH=")) && !env_overridden(in, S("PATH")))
		jout_c(j, NULL, DEFAULT_PATH);
	if (in->cfg->tty && !env_overridden(in, S("TERM")))
		jout_c(j, NULL, "TERM=xterm");
	jout_str(j, NULL, arena_fmt(a, "HOSTNAME=" STR_FMT, STR_ARG(in->hostname)));
	for (size_t i = 0; i < in->image->env.n; i++)
		if (!env_overridden(in, in->image->env.v[i]))
			jout_str(j, NULL, in->image->env.v[i]);
	for (size_t i = 0; i < in->cfg->envs.n; i++) {
		const struct str_pair *p = &in->cfg->envs.v[i];

		jout_str(j, NULL,
			arena_fmt(a, STR_FMT "=" STR_FMT, STR_ARG(p->key), STR_ARG(p->value)));
	}
	jout_close(j, ']');
}

static int resolve_caps(const struct spec_input *in, uint64_t *ret, struct err *err)
{
	const struct str_vec *add = &in->cfg->add_capabilities, *drop = &in->cfg->drop_capabilities;
	uint64_t caps = in->cfg->privileged ? ~0ULL : caps_default();

	for (size_t i = 0; i < add->n; i++)
		if (str_ieq(add->v[i], S("ALL")))
			caps = ~0ULL;
	for (size_t i = 0; i < drop->n; i++)
		if (str_ieq(drop->v[i], S("ALL")))
			caps = 0;
	for (size_t i = 0; i < add->n; i++) {
		int n = cap_number(add->v[i]);

		if (n < 0 && !str_ieq(add->v[i], S("ALL")))
			return err_bad_request(err, "unknown capability \"" STR_FMT "\" to add",
				STR_ARG(add->v[i]));
		if (n >= 0)
			caps |= 1ULL << n;
	}
	for (size_t i = 0; i < drop->n; i++) {
		int n = cap_number(drop->v[i]);

		if (n < 0 && !str_ieq(drop->v[i], S("ALL")))
			return err_bad_request(err, "unknown capability \"" STR_FMT "\" to drop",
				STR_ARG(drop->v[i]));
		if (n >= 0)
			caps &= ~(1ULL << n);
	}
	*ret = caps & in->capabilities;
	return 0;
}

static void write_caps(uint64_t caps, struct jout *j)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};

	jout_open(j, "capabilities", '{');
	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		jout_open(j, sets[s], '[');
		for (int i = 0; cap_name(i); i++)
			if (caps & (1ULL << i))
				jout_c(j, NULL, cap_name(i));
		jout_close(j, ']');
	}
	jout_close(j, '}');
}

static void write_apparmor(const struct spec_input *in, struct jout *j)
{
	if (in->apparmor && in->cfg->apparmor.kind == CRI_PROFILE_LOCALHOST && !in->cfg->privileged)
		jout_str(j, "apparmorProfile", in->cfg->apparmor.path);
}

static int write_process(
	const struct spec_input *in, struct arena *a, struct jout *j, struct err *err)
{
	struct str cwd = in->cfg->working_dir.n ? in->cfg->working_dir : in->image->working_dir;
	uint64_t caps = 0;
	int r = resolve_caps(in, &caps, err);

	if (r < 0)
		return r;
	jout_open(j, "process", '{');
	jout_bool(j, "terminal", in->cfg->tty);
	jout_open(j, "user", '{');
	jout_int(j, "uid", in->user.uid);
	jout_int(j, "gid", in->user.gid);
	jout_open(j, "additionalGids", '[');
	for (size_t i = 0; i < in->user.n_groups; i++)
		jout_int(j, NULL, in->user.groups[i]);
	jout_close(j, ']');
	jout_close(j, '}');
	r = write_args(in, j, err);
	if (r < 0)
		return r;
	write_env(in, a, j);
	jout_str(j, "cwd", cwd.n ? cwd : S("/"));
	write_caps(caps, j);
	jout_bool(j, "noNewPrivileges", in->cfg->no_new_privs);
	jout_int(j, "oomScoreAdj", MAX(in->cfg->resources.oom_score_adj, in->oom_score_adj_min));
	write_apparmor(in, j);
	jout_close(j, '}');
	return 0;
}

static void write_namespace(struct jout *j, const char *type, const char *path)
{
	jout_open(j, NULL, '{');
	jout_c(j, "type", type);
	if (path)
		jout_c(j, "path", path);
	jout_close(j, '}');
}

static void write_namespaces(const struct spec_input *in, struct jout *j)
{
	jout_open(j, "namespaces", '[');
	write_namespace(j, "mount", NULL);
	if (in->ipc_path)
		write_namespace(j, "ipc", in->ipc_path);
	if (in->net_path)
		write_namespace(j, "network", in->net_path);
	if (in->uts_path)
		write_namespace(j, "uts", in->uts_path);
	if (in->pid_private || in->pid_path)
		write_namespace(j, "pid", in->pid_path);
	if (in->cgroup2 && !in->cfg->privileged)
		write_namespace(j, "cgroup", NULL);
	jout_close(j, ']');
}

static void write_resources(const struct spec_input *in, struct arena *a, struct jout *j)
{
	const struct cri_resources *r = &in->cfg->resources;

	jout_open(j, "resources", '{');
	spec_device_rules(in, a, j);
	jout_open(j, "cpu", '{');
	if (r->cpu_shares)
		jout_int(j, "shares", r->cpu_shares);
	if (r->cpu_quota)
		jout_int(j, "quota", r->cpu_quota);
	if (r->cpu_period)
		jout_int(j, "period", r->cpu_period);
	if (r->cpuset_cpus.n)
		jout_str(j, "cpus", r->cpuset_cpus);
	if (r->cpuset_mems.n)
		jout_str(j, "mems", r->cpuset_mems);
	jout_close(j, '}');
	jout_open(j, "memory", '{');
	if (r->memory_limit)
		jout_int(j, "limit", r->memory_limit);
	if (r->memory_limit && r->memory_swap_limit && in->cgroup2)
		jout_int(j, "swap", r->memory_swap_limit);
	jout_close(j, '}');
	if (in->cgroup2 && r->unified.n)
		jout_pairs(j, "unified", r->unified.v, r->unified.n);
	jout_close(j, '}');
}

static void write_paths(const struct spec_input *in, struct jout *j)
{
	const struct cri_container_config *cfg = in->cfg;
	struct str_vec masked = cfg->masked_paths, readonly = cfg->readonly_paths;

	if (cfg->privileged || cfg->unmasked_proc)
		return;
	if (!masked.n)
		masked = (struct str_vec){(struct str *)default_masked, ARRAY_SIZE(default_masked)};
	if (!readonly.n)
		readonly = (struct str_vec){
			(struct str *)default_readonly, ARRAY_SIZE(default_readonly)};
	jout_strs(j, "maskedPaths", &masked);
	jout_strs(j, "readonlyPaths", &readonly);
}

/* Mounts that are to travel between host and container need the root to take part. */
static const char *root_propagation(const struct spec_input *in)
{
	const char *p = NULL;

	for (size_t i = 0; i < in->cfg->n_mounts; i++) {
		if (in->cfg->mounts[i].propagation == CRI_PROPAGATION_BIDIRECTIONAL)
			return "rshared";
		if (in->cfg->mounts[i].propagation == CRI_PROPAGATION_HOST_TO_CONTAINER)
			p = "rslave";
	}
	return p;
}

static int write_linux(
	const struct spec_input *in, struct arena *a, struct jout *j, struct err *err)
{
	const char *propagation = root_propagation(in);
	int r;

	jout_open(j, "linux", '{');
	jout_str(j, "cgroupsPath", in->cgroups_path);
	write_namespaces(in, j);
	write_resources(in, a, j);
	spec_devices(in, a, j);
	r = spec_seccomp(in, a, j, err);
	if (r < 0)
		return r;
	if (propagation)
		jout_c(j, "rootfsPropagation", propagation);
	write_paths(in, j);
	jout_close(j, '}');
	return 0;
}

int spec_write(const struct spec_input *in, struct arena *a, struct buf *out, struct err *err)
{
	struct jout j = {out};
	int r;

	jout_open(&j, NULL, '{');
	jout_c(&j, "ociVersion", "1.0.2");
	r = write_process(in, a, &j, err);
	if (r < 0)
		return r;
	jout_open(&j, "root", '{');
	jout_c(&j, "path", in->rootfs);
	jout_bool(&j, "readonly", in->cfg->readonly_rootfs);
	jout_close(&j, '}');
	r = spec_mounts(in, a, &j, err);
	if (r == 0)
		r = write_linux(in, a, &j, err);
	if (r < 0)
		return r;
	jout_close(&j, '}');
	return buf_failed(out) ? err_bad_request(err, "the container's configuration is too large")
			       : 0;
}

/* The size counts from the process's first instruction; told later, it could come too late. */
static void set_console_size(
	struct json_value *process, const struct cri_stream_opts *o, struct arena *a)
{
	struct json_value *size = json_new(a, JSON_OBJECT);

	if (!o->width || !o->height)
		return;
	json_set(a, size, S("height"), json_new_int(a, o->height));
	json_set(a, size, S("width"), json_new_int(a, o->width));
	json_set(a, process, S("consoleSize"), size);
}

int spec_write_exec(struct str config, const struct cri_stream_opts *o, struct arena *a,
	struct buf *out, struct err *err)
{
	struct json_value *root, *process, *args;
	int r = json_parse(config, a, &root, err);

	if (r < 0)
		return r;
	process = json_getc(root, "process");
	if (!process || process->kind != JSON_OBJECT)
		return err_fmt(err, 500, "InternalError",
			"the container's configuration names no process");
	args = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < o->command.n; i++)
		json_append(a, args, json_new_string(a, o->command.v[i]));
	json_set(a, process, S("args"), args);
	json_set(a, process, S("terminal"), json_new_bool(a, o->tty));
	if (o->tty) {
		struct json_value *env = json_getc(process, "env");

		set_console_size(process, o, a);
		if (env)
			json_append(a, env, json_new_string(a, S("TERM=xterm")));
	}
	json_write(process, out);
	return buf_failed(out) ? err_bad_request(err, "the command is too large") : 0;
}
