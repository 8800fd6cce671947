/* container_config.c: mounts, user, capabilities, limits. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/container_config.h"
#include "node/resources.h"
#include "node/volumes/files.h"

struct making {
	const struct container_config_input *in;
	struct arena *a;
	struct cri_container_config *cfg;
	struct {
		struct cri_mount *v;
		size_t n;
	} mounts;
};

/* --- mounts --- */

static const struct v1_volume *volume_of(const struct v1_pod *spec, struct str name)
{
	for (size_t i = 0; i < spec->spec.volumes.n; i++)
		if (str_eq(spec->spec.volumes.v[i].name, name))
			return &spec->spec.volumes.v[i];
	return NULL;
}

static int sub_path(
	struct making *m, const struct v1_volume_mount *vm, struct str *ret, struct err *err)
{
	struct str rest, head;
	bool more = true;
	int r;

	*ret = vm->sub_path;
	if (!str_empty(vm->sub_path_expr)) {
		r = env_expand(vm->sub_path_expr, &m->in->env, true, m->a, ret, err);
		if (r < 0)
			return r;
	}
	if (str_empty(*ret))
		return 0;
	if (ret->p[0] == '/')
		return err_bad_request(err,
			"error SubPath `" STR_FMT "` must not be an absolute path", STR_ARG(*ret));
	for (rest = *ret; more;) {
		more = str_cut(rest, '/', &head, &rest);
		if (str_eq(head, S("..")))
			return err_bad_request(err,
				"unable to provision SubPath `" STR_FMT "`: must not contain '..'",
				STR_ARG(*ret));
	}
	return 0;
}

static int add_volume_mount(struct making *m, size_t index, struct err *err)
{
	const struct v1_volume_mount *vm = &m->in->container->volume_mounts.v[index];
	const struct v1_volume *v = volume_of(m->in->spec, vm->name);
	struct cri_mount mount = {.container_path = vm->mount_path, .readonly = vm->read_only};
	struct str sub;
	int r = sub_path(m, vm, &sub, err);

	if (r < 0)
		return r;
	if (!v)
		return err_bad_request(err,
			"cannot find volume \"" STR_FMT "\" to mount into container \"" STR_FMT
			"\"",
			STR_ARG(vm->name), STR_ARG(m->in->container->name));
	if (str_eq(vm->mount_propagation, S("Bidirectional")))
		mount.propagation = CRI_PROPAGATION_BIDIRECTIONAL;
	else if (str_eq(vm->mount_propagation, S("HostToContainer")))
		mount.propagation = CRI_PROPAGATION_HOST_TO_CONTAINER;
	mount.recursive_readonly =
		mount.readonly && (str_eq(vm->recursive_read_only, S("Enabled")) ||
					  str_eq(vm->recursive_read_only, S("IfPossible")));
	/* What the API keeps fresh is not for the container to write. */
	mount.readonly |= volume_is_read_only(v) || v->image;
	if (mount.container_path.n && mount.container_path.p[0] != '/')
		mount.container_path = arena_fmt(m->a, "/" STR_FMT, STR_ARG(mount.container_path));
	if (v->image) {
		mount.image = v->image->reference;
		mount.image_sub_path = sub;
	} else if (!str_empty(sub)) {
		r = volumes_subpath(m->in->pod->volumes, m->a, vm->name, sub,
			m->in->container->name, index, volume_is_read_only(v), &mount.host_path,
			err);
		if (r < 0)
			return r;
	} else {
		mount.host_path = volumes_path(m->in->pod->volumes, vm->name);
	}
	ARENA_PUSH(m->a, &m->mounts, mount);
	return 0;
}

static bool mounts_at(const struct v1_container *c, struct str path)
{
	for (size_t i = 0; i < c->volume_mounts.n; i++)
		if (str_eq(c->volume_mounts.v[i].mount_path, path))
			return true;
	return false;
}

static int add_message_file(struct making *m, struct err *err)
{
	const struct v1_container *c = m->in->container;
	struct cri_mount mount = {.container_path = c->termination_message_path};
	struct pod *p = m->in->pod;
	struct str dir;
	int fd, r;

	if (str_empty(c->termination_message_path))
		return 0;
	dir = arena_fmt(m->a, "%s/pods/" STR_FMT "/containers/" STR_FMT, p->k->opts.root_dir,
		STR_ARG(p->uid), STR_ARG(c->name));
	r = files_make_dir(dir.p, 0750);
	if (r < 0)
		return err_errno(err, -r, "%s", dir.p);
	mount.host_path =
		arena_fmt(m->a, "%s/%08" PRIx32, dir.p, (uint32_t)loop_random(p->k->loop));
	fd = open(mount.host_path.p, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_errno(err, errno, "%s", mount.host_path.p);
	r = fchmod(fd, 0666); /* whoever the container runs as may write it */
	close(fd);
	if (r < 0)
		return err_errno(err, errno, "%s", mount.host_path.p);
	ARENA_PUSH(m->a, &m->mounts, mount);
	return 0;
}

static int add_mounts(struct making *m, struct err *err)
{
	struct cri_mount hosts = {.container_path = S("/etc/hosts")};
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->in->container->volume_mounts.n; i++)
		r = add_volume_mount(m, i, err);
	if (r < 0)
		return r;
	if (!mounts_at(m->in->container, hosts.container_path)) {
		r = hosts_file_write(m->in->pod, m->in->spec, m->a, &hosts.host_path);
		if (r < 0)
			return err_errno(err, -r, "writing the hosts file");
		ARENA_PUSH(m->a, &m->mounts, hosts);
	}
	r = add_message_file(m, err);
	m->cfg->mounts = m->mounts.v;
	m->cfg->n_mounts = m->mounts.n;
	return r;
}

/* --- user and privileges --- */

static const struct v1_security_context no_context;
static const struct v1_pod_security_context no_pod_context;

static int check_non_root(
	struct making *m, const int64_t *user, const bool *non_root, struct err *err)
{
	const struct cri_image *image = m->in->image;
	struct str pod = pod_text(m->in->pod, m->a), name = m->in->container->name;

	if (!non_root || !*non_root)
		return 0;
	if (user && *user == 0)
		return err_bad_request(err,
			"container's runAsUser breaks non-root policy (pod: \"" STR_FMT
			"\", container: " STR_FMT ")",
			STR_ARG(pod), STR_ARG(name));
	if (user)
		return 0;
	if (image->uid == 0 || (image->uid < 0 && str_empty(image->username)))
		return err_bad_request(err,
			"container has runAsNonRoot and image will run as root (pod: \"" STR_FMT
			"\", container: " STR_FMT ")",
			STR_ARG(pod), STR_ARG(name));
	if (image->uid < 0)
		return err_bad_request(err,
			"container has runAsNonRoot and image has non-numeric user (" STR_FMT
			"), cannot verify user is non-root (pod: \"" STR_FMT
			"\", container: " STR_FMT ")",
			STR_ARG(image->username), STR_ARG(pod), STR_ARG(name));
	return 0;
}

static struct cri_seccomp seccomp_of(const struct v1_seccomp_profile *p)
{
	struct cri_seccomp s = {.kind = CRI_PROFILE_UNCONFINED};

	if (p && str_eq(p->type, S("RuntimeDefault")))
		s.kind = CRI_PROFILE_RUNTIME_DEFAULT;
	if (p && str_eq(p->type, S("Localhost"))) {
		s.kind = CRI_PROFILE_LOCALHOST;
		s.path = p->localhost_profile;
	}
	return s;
}

static void set_groups(struct making *m, const struct v1_pod_security_context *psc)
{
	struct {
		int64_t *v;
		size_t n;
	} groups = {0};

	for (size_t i = 0; i < psc->supplemental_groups.n; i++)
		ARENA_PUSH(m->a, &groups, psc->supplemental_groups.v[i]);
	if (psc->fs_group)
		ARENA_PUSH(m->a, &groups, *psc->fs_group);
	m->cfg->user.supplemental_groups = groups.v;
	m->cfg->user.n_supplemental_groups = groups.n;
	m->cfg->user.supplemental_groups_strict =
		str_eq(psc->supplemental_groups_policy, S("Strict"));
}

static void set_paths(struct making *m)
{
	static const char *const masked[] = {"/proc/asound", "/proc/acpi", "/proc/interrupts",
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap"};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

	if (m->cfg->privileged || m->cfg->unmasked_proc)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
		ARENA_PUSH(m->a, &m->cfg->masked_paths, str_c(masked[i]));
	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++)
		ARENA_PUSH(m->a, &m->cfg->readonly_paths, str_c(readonly[i]));
}

static int set_security(struct making *m, struct err *err)
{
	const struct v1_security_context *sc = m->in->container->security_context;
	const struct v1_pod_security_context *psc = m->in->spec->spec.security_context;
	struct cri_container_config *cfg = m->cfg;
	int r;

	sc = sc ? sc : &no_context;
	psc = psc ? psc : &no_pod_context;
	cfg->user.run_as_user = sc->run_as_user ? sc->run_as_user : psc->run_as_user;
	cfg->user.run_as_group = sc->run_as_group ? sc->run_as_group : psc->run_as_group;
	r = check_non_root(m, cfg->user.run_as_user,
		sc->run_as_non_root ? sc->run_as_non_root : psc->run_as_non_root, err);
	if (r < 0)
		return r;
	if (!cfg->user.run_as_user && m->in->image->uid >= 0)
		cfg->user.run_as_user = arena_memdup(m->a, &m->in->image->uid, sizeof(int64_t));
	else if (!cfg->user.run_as_user)
		cfg->user.run_as_username = arena_str(m->a, m->in->image->username);
	set_groups(m, psc);
	cfg->privileged = sc->privileged && *sc->privileged;
	cfg->readonly_rootfs = sc->read_only_root_filesystem && *sc->read_only_root_filesystem;
	cfg->no_new_privs = sc->allow_privilege_escalation && !*sc->allow_privilege_escalation;
	cfg->unmasked_proc = str_eq(sc->proc_mount, S("Unmasked"));
	if (sc->capabilities) {
		cfg->add_capabilities = sc->capabilities->add;
		cfg->drop_capabilities = sc->capabilities->drop;
	}
	cfg->seccomp = seccomp_of(sc->seccomp_profile ? sc->seccomp_profile : psc->seccomp_profile);
	if (cfg->privileged)
		cfg->seccomp.kind = CRI_PROFILE_UNCONFINED;
	set_paths(m);
	return 0;
}

/* --- the rest --- */

struct cri_resources container_resources(
	struct pod *p, const struct v1_pod *spec, const struct v1_container *c)
{
	int64_t cpu = quantity_milli_of(container_request(c, "cpu"));
	int64_t limit = resource_milli(&c->resources.limits, "cpu");
	int64_t memory = quantity_value_of(container_request(c, "memory"));
	struct cri_resources r = {
		.cpu_period = CPU_PERIOD_US,
		.cpu_quota = limit ? milli_to_quota(limit, CPU_PERIOD_US) : -1,
		.cpu_shares = milli_to_shares(cpu),
		.memory_limit = resource_units(&c->resources.limits, "memory"),
	};

	r.oom_score_adj = oom_score_adj(
		pod_qos(spec), memory, node_memory_capacity(), p->k->cgroups.oom_score_min);
	return r;
}

static void add_pair(struct making *m, struct cri_key_values *to, const char *key, struct str value)
{
	struct str_pair p = {str_c(key), value};

	ARENA_PUSH(m->a, to, p);
}

static void set_labels(struct making *m)
{
	const struct v1_container *c = m->in->container;
	struct cri_container_config *cfg = m->cfg;
	const int64_t *grace = m->in->spec->spec.termination_grace_period_seconds;

	add_pair(m, &cfg->labels, LABEL_POD_NAME, m->in->pod->name);
	add_pair(m, &cfg->labels, LABEL_POD_NAMESPACE, m->in->pod->ns);
	add_pair(m, &cfg->labels, LABEL_POD_UID, m->in->pod->uid);
	add_pair(m, &cfg->labels, LABEL_CONTAINER_NAME, c->name);
	add_pair(m, &cfg->annotations, ANNOTATION_HASH,
		arena_fmt(m->a, "%" PRIx64, container_hash(c)));
	add_pair(m, &cfg->annotations, ANNOTATION_RESTART_COUNT,
		arena_fmt(m->a, "%d", m->in->restart_count));
	add_pair(m, &cfg->annotations, ANNOTATION_MESSAGE_PATH, c->termination_message_path);
	add_pair(m, &cfg->annotations, ANNOTATION_MESSAGE_POLICY, c->termination_message_policy);
	if (grace)
		add_pair(m, &cfg->annotations, ANNOTATION_GRACE,
			arena_fmt(m->a, "%lld", (long long)*grace));
}

static int expand_all(
	struct making *m, const struct str_vec *from, struct str_vec *to, struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		struct str s;
		int r = env_expand(from->v[i], &m->in->env, false, m->a, &s, err);

		if (r < 0)
			return r;
		ARENA_PUSH(m->a, to, s);
	}
	return 0;
}

static void set_pid_namespace(struct making *m)
{
	const struct v1_pod_spec *s = &m->in->spec->spec;

	m->cfg->pid = CRI_NS_CONTAINER;
	if (s->host_pid)
		m->cfg->pid = CRI_NS_NODE;
	else if (s->share_process_namespace && *s->share_process_namespace)
		m->cfg->pid = CRI_NS_POD;
	else if (!str_empty(m->in->target_id))
		m->cfg->pid = CRI_NS_TARGET;
	m->cfg->target_id = m->in->target_id;
}

int container_config(const struct container_config_input *in, struct arena *a,
	struct cri_container_config *ret, struct err *err)
{
	const struct v1_container *c = in->container;
	struct making m = {.in = in, .a = a, .cfg = ret};
	int r;

	*ret = (struct cri_container_config){
		.name = c->name,
		.attempt = (uint32_t)in->restart_count,
		.image = arena_str(a, in->image->id),
		.user_image = c->image,
		.working_dir = c->working_dir,
		.envs = in->env,
		.log_path = arena_fmt(a, STR_FMT "/%d.log", STR_ARG(c->name), in->restart_count),
		.stdin_ = c->stdin_,
		.stdin_once = c->stdin_once,
		.tty = c->tty,
		.resources = container_resources(in->pod, in->spec, c),
	};
	if (c->lifecycle)
		ret->stop_signal = c->lifecycle->stop_signal;
	r = set_security(&m, err);
	if (r == 0)
		r = expand_all(&m, &c->command, &ret->command, err);
	if (r == 0)
		r = expand_all(&m, &c->args, &ret->args, err);
	if (r == 0)
		r = add_mounts(&m, err);
	if (r < 0)
		return r;
	set_labels(&m);
	set_pid_namespace(&m);
	return 0;
}
