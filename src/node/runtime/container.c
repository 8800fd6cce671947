/* container.c: containers: making their bundle, listing, removing. Their life is in lifecycle.c. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "node/runtime/copy.h"
#include "base/fs.h"
#include "node/runtime/monitor.h"
#include "node/runtime/record.h"
#include "node/runtime/rootfs.h"
#include "node/runtime/spec.h"

struct container *container_new(const char *id)
{
	struct container *c = xcalloc(1, sizeof(*c));

	arena_init(&c->arena);
	c->refs = 1;
	strcpy(c->id, id);
	c->st.id = str_c(c->id);
	c->stop_signal = SIGTERM;
	return c;
}

void container_unref(struct container *c)
{
	if (--c->refs > 0)
		return;
	arena_release(&c->arena);
	free(c);
}

struct container *container_find(struct runtime *rt, struct str id)
{
	for (struct container *c = rt->containers; c; c = c->next)
		if (str_eqc(id, c->id))
			return c;
	return NULL;
}

struct create_job {
	struct job job;
	struct runtime *rt;
	struct sandbox *sb;
	struct container *ct;
	struct container *target; /* whose pid namespace, or NULL */
	struct cri_container_config cfg;
	struct cri_mount *asked; /* the mounts as the kubelet gave them */
	struct arena arena;
	struct err err;
	cri_id_done *done;
	void *user_data;
};

static const char *data_dir(struct runtime *rt, const char *id, struct arena *a)
{
	return arena_fmt(a, "%s/%s", rt->containers_dir, id).p;
}

static const char *bundle_dir(struct runtime *rt, const char *id, struct arena *a)
{
	return arena_fmt(a, "%s/%s", rt->run_containers_dir, id).p;
}

/* Under a shared lock, so that the image's layers cannot go between our look and our record. */
static int claim_image(struct create_job *j, struct str *ret_config)
{
	int lock CLEANUP(fd_close) = image_store_lock(&j->rt->images, false);
	struct container *c = j->ct;
	struct image_index idx;
	struct image *m;
	int r;

	if (lock < 0)
		return err_errno(&j->err, -lock, "cannot lock the image store");
	r = image_index_load(&j->rt->images, &j->arena, &idx, &j->err);
	if (r < 0)
		return r;
	m = image_find(&idx, j->cfg.image, &j->arena);
	if (!m)
		return err_fmt(&j->err, 404, "NotFound", "image \"" STR_FMT "\" not found",
			STR_ARG(j->cfg.image));
	c->st.image_id = arena_str(&c->arena, m->id);
	c->st.image_ref = arena_str(&c->arena, m->digests.n ? m->digests.v[0] : m->id);
	copy_strs(&c->arena, &m->layers, &c->layers);
	r = image_config(&j->rt->images, m->id, &j->arena, ret_config, &j->err);
	if (r < 0)
		return r;
	r = fs_mkdirs(data_dir(j->rt, c->id, &j->arena), 0711);
	if (r == 0)
		r = container_save(j->rt, c);
	return r < 0 ? err_errno(&j->err, -r, "cannot save the container") : 0;
}

/* An image volume is mounted beside the root and from there bound into the container. */
static int mount_image_volumes(struct create_job *j)
{
	struct image_index idx = {0};
	int r = 0;

	for (size_t i = 0; i < j->cfg.n_mounts && r == 0; i++) {
		struct cri_mount *m = &j->cfg.mounts[i];
		const char *at = arena_fmt(
			&j->arena, "%s/volume%zu", bundle_dir(j->rt, j->ct->id, &j->arena), i)
					 .p;
		const char *empty =
			arena_fmt(&j->arena, "%s/empty", data_dir(j->rt, j->ct->id, &j->arena)).p;
		struct image *image;

		if (!m->image.n)
			continue;
		if (!idx.n)
			r = image_index_load(&j->rt->images, &j->arena, &idx, &j->err);
		image = r == 0 ? image_find(&idx, m->image, &j->arena) : NULL;
		if (!image)
			return r < 0 ? r
				     : err_fmt(&j->err, 404, "NotFound",
					       "image \"" STR_FMT "\" not found",
					       STR_ARG(m->image));
		r = rootfs_mount_readonly(
			&j->rt->images, &image->layers, empty, at, &j->arena, &j->err);
		for (size_t k = 0; k < image->layers.n; k++)
			ARENA_PUSH(&j->ct->arena, &j->ct->layers,
				arena_str(&j->ct->arena, image->layers.v[k]));
		m->host_path = arena_strc(&j->arena, at);
		if (m->image_sub_path.n) {
			if (str_find(m->image_sub_path, S("..")) >= 0)
				return err_bad_request(&j->err,
					"bad image sub path \"" STR_FMT "\"",
					STR_ARG(m->image_sub_path));
			m->host_path =
				arena_fmt(&j->arena, "%s/" STR_FMT, at, STR_ARG(m->image_sub_path));
			if (!fs_exists(m->host_path.p))
				return err_bad_request(&j->err,
					"failed to resolve image subpath \"" STR_FMT "\"",
					STR_ARG(m->image_sub_path));
		}
		m->readonly = true;
	}
	return r;
}

static int parse_signal(struct str s)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT}, {"QUIT", SIGQUIT},
		{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH},
		{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"PIPE", SIGPIPE}, {"STOP", SIGSTOP},
		{"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
		{"URG", SIGURG}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
		{"PROF", SIGPROF}, {"IO", SIGIO}, {"POLL", SIGPOLL}, {"PWR", SIGPWR},
		{"SYS", SIGSYS}, {"BUS", SIGBUS}, {"FPE", SIGFPE}, {"ILL", SIGILL},
		{"SEGV", SIGSEGV}, {"TRAP", SIGTRAP}, {"CHLD", SIGCHLD}, {"STKFLT", 16}};
	int64_t n;
	struct str offset;

	if (str_to_i64(s, &n) == 0)
		return n > 0 && n <= 64 ? n : -1;
	if (str_starts(s, S("SIG")))
		s = str_sub(s, 3, s.n);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(s, names[i].name))
			return names[i].number;
	if (!str_starts(s, S("RTM")) || s.n < 5)
		return -1;
	offset = s.n > 6 ? str_sub(s, 6, s.n) : S("0"); /* RTMIN+3, RTMAX-2 */
	if (str_to_i64(offset, &n) < 0)
		return -1;
	if (str_starts(s, S("RTMIN")) && s.n > 5 && s.p[5] == '+')
		return 34 + n;
	if (str_starts(s, S("RTMAX")) && s.n > 5 && s.p[5] == '-')
		return 64 - n;
	return str_eqc(s, "RTMIN") ? 34 : str_eqc(s, "RTMAX") ? 64 : -1;
}

static bool pure_v2(void)
{
	struct statfs st;

	return statfs("/sys/fs/cgroup", &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

static void set_namespaces(struct create_job *j, struct spec_input *in)
{
	struct sandbox *s = j->sb;
	struct arena *a = &j->arena;
	const char *run = arena_fmt(a, "%s/%s", j->rt->run_sandboxes_dir, s->id).p;
	const char *data = arena_fmt(a, "%s/%s", j->rt->sandboxes_dir, s->id).p;

	if (s->network == CRI_NS_POD) {
		in->net_path = arena_fmt(a, "%s/net", run).p;
		in->uts_path = arena_fmt(a, "%s/uts", run).p;
	}
	if (s->ipc == CRI_NS_POD) {
		in->ipc_path = arena_fmt(a, "%s/ipc", run).p;
		in->shm_path = arena_fmt(a, "%s/shm", run).p;
	} else {
		in->shm_path = "/dev/shm";
	}
	in->pid_private = j->cfg.pid == CRI_NS_CONTAINER ||
			  (j->cfg.pid == CRI_NS_POD && s->pid != CRI_NS_POD);
	if (j->cfg.pid == CRI_NS_POD && s->pid == CRI_NS_POD)
		in->pid_path = arena_fmt(a, "%s/pid", run).p;
	if (j->cfg.pid == CRI_NS_TARGET)
		in->pid_path = arena_fmt(a, "/proc/%d/ns/pid", j->target->pid).p;
	in->resolv_path = arena_fmt(a, "%s/resolv.conf", data).p;
	in->hostname_path = arena_fmt(a, "%s/hostname", data).p;
}

static int write_bundle(struct create_job *j, const struct image_defaults *image)
{
	struct container *c = j->ct;
	const char *bundle = bundle_dir(j->rt, c->id, &j->arena);
	struct buf b CLEANUP(buf_release) = {0};
	struct spec_input in = {
		.cfg = &j->cfg,
		.image = image,
		.rootfs = arena_fmt(&j->arena, "%s/rootfs", bundle).p,
		.hostname = j->sb->hostname,
		.cgroups_path = c->cgroup,
		.oom_score_adj_min = j->rt->oci.oom_score_adj_min,
		.seccomp = j->rt->oci.seccomp,
		.apparmor = j->rt->oci.apparmor,
		.cgroup2 = pure_v2(),
		.capabilities = caps_ours(),
	};
	int r = user_resolve(&j->cfg.user, image->user,
		rootfs_read(in.rootfs, "etc/passwd", &j->arena),
		rootfs_read(in.rootfs, "etc/group", &j->arena), &j->arena, &in.user, &j->err);

	if (r < 0)
		return r;
	set_namespaces(j, &in);
	c->st.uid = in.user.uid;
	c->st.gid = in.user.gid;
	c->st.n_supplemental_groups = in.user.n_groups;
	c->st.supplemental_groups =
		arena_memdup(&c->arena, in.user.groups, in.user.n_groups * sizeof(*in.user.groups));
	buf_init(&b, SPEC_BYTES_MAX);
	r = spec_write(&in, &j->arena, &b, &j->err);
	if (r < 0)
		return r;
	r = fs_write(arena_fmt(&j->arena, "%s/config.json", bundle).p, buf_str(&b), 0600);
	return r < 0 ? err_errno(&j->err, -r, "cannot write %s/config.json", bundle) : 0;
}

static int create(struct create_job *j)
{
	struct container *c = j->ct;
	struct image_defaults image;
	struct str config, signal;
	const char *bundle = bundle_dir(j->rt, c->id, &j->arena);
	int r = claim_image(j, &config);

	if (r == 0)
		r = image_defaults_parse(config, &j->arena, &image, &j->err);
	if (r < 0)
		return r;
	signal = j->cfg.stop_signal.n ? j->cfg.stop_signal : image.stop_signal;
	if (signal.n) {
		c->stop_signal = parse_signal(signal);
		if (c->stop_signal < 0)
			return err_bad_request(
				&j->err, "unknown stop signal \"" STR_FMT "\"", STR_ARG(signal));
	}
	r = rootfs_mount(&j->rt->images, &c->layers, data_dir(j->rt, c->id, &j->arena),
		arena_fmt(&j->arena, "%s/rootfs", bundle).p, &j->arena, &j->err);
	if (r == 0)
		r = mount_image_volumes(j);
	if (r == 0)
		r = write_bundle(j, &image);
	if (r < 0)
		return r;
	r = container_save_mutable(j->rt, c);
	if (r == 0)
		r = container_save(j->rt, c); /* again: user and groups are known now */
	return r < 0 ? err_errno(&j->err, -r, "cannot save the container") : 0;
}

/* Everything that create made. Whatever was mounted in the bundle goes first. */
static int discard(struct runtime *rt, const char *id, struct arena *a)
{
	const char *bundle = bundle_dir(rt, id, a);
	DIR *dir = opendir(bundle);
	struct dirent *e;
	int r;

	while (dir && (e = readdir(dir)))
		if (!strcmp(e->d_name, "rootfs") || !strncmp(e->d_name, "volume", 6))
			umount2(arena_fmt(a, "%s/%s", bundle, e->d_name).p, MNT_DETACH);
	if (dir)
		closedir(dir);
	r = fs_remove_tree(bundle);
	unlink(arena_fmt(a, "%s/%s", rt->exits_dir, id).p);
	return r < 0 ? r : fs_remove_tree(data_dir(rt, id, a));
}

static void create_run(struct job *job)
{
	struct create_job *j = container_of(job, struct create_job, job);

	if (create(j) < 0)
		discard(j->rt, j->ct->id, &j->arena);
}

static void create_done(struct job *job)
{
	struct create_job *j = container_of(job, struct create_job, job);

	if (err_set(&j->err)) {
		j->done(j->user_data, (struct str){0}, &j->err);
	} else {
		j->ct->refs++;
		j->ct->next = j->rt->containers;
		j->rt->containers = j->ct;
		j->done(j->user_data, j->ct->st.id, NULL);
	}
	if (j->target)
		container_unref(j->target);
	container_unref(j->ct);
	sandbox_unref(j->sb);
	err_release(&j->err);
	arena_release(&j->arena);
	free(j);
}

static void fill(
	struct container *c, const struct sandbox *s, const struct cri_container_config *cfg)
{
	struct arena *a = &c->arena;

	c->st.name = arena_str(a, cfg->name);
	c->st.sandbox_id = arena_strc(a, s->id);
	c->st.attempt = cfg->attempt;
	c->st.created_ns = wall_ns();
	c->st.image = arena_str(a, cfg->user_image.n ? cfg->user_image : cfg->image);
	c->st.log_path = cfg->log_path.n && s->log_directory.n
				 ? arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(s->log_directory),
					   STR_ARG(cfg->log_path))
				 : (struct str){0};
	copy_pairs(a, &cfg->labels, &c->st.labels);
	copy_pairs(a, &cfg->annotations, &c->st.annotations);
	c->st.mounts = copy_mounts(a, cfg->mounts, cfg->n_mounts);
	c->st.n_mounts = cfg->n_mounts;
	copy_resources(a, &cfg->resources, &c->st.resources);
	c->cgroup = arena_fmt(a, STR_FMT "/%s", STR_ARG(s->cgroup_parent), c->id);
	c->stdin_ = cfg->stdin_;
	c->stdin_once = cfg->stdin_once;
	c->tty = cfg->tty;
}

static void refuse(struct loop_task *t)
{
	struct create_job *j = container_of(t, struct create_job, job.task);

	create_done(&j->job);
}

void container_create(struct cri *cri, struct str sandbox_id,
	const struct cri_container_config *cfg, const struct cri_sandbox_config *sandbox_cfg,
	cri_id_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct sandbox *s = sandbox_find(rt, sandbox_id);
	struct create_job *j = xcalloc(1, sizeof(*j));
	char id[ID_LEN + 1];

	make_id(id);
	arena_init(&j->arena);
	j->rt = rt;
	j->done = done;
	j->user_data = user_data;
	j->ct = container_new(id);
	j->sb = s ?: sandbox_new(id);
	j->sb->refs += s != NULL;
	if (!s || !s->st.ready)
		err_fmt(&j->err, 404, "NotFound", "sandbox \"" STR_FMT "\" not found or not ready",
			STR_ARG(sandbox_id));
	if (cfg->pid == CRI_NS_TARGET) {
		j->target = container_find(rt, cfg->target_id);
		if (j->target)
			j->target->refs++;
		if (!j->target || !container_alive(j->target))
			err_fmt(&j->err, 400, "BadRequest",
				"target container \"" STR_FMT "\" does not run",
				STR_ARG(cfg->target_id));
	}
	if (err_set(&j->err)) {
		j->job.task.fn = refuse;
		loop_post(cri->loop, &j->job.task);
		return;
	}
	fill(j->ct, s, cfg);
	copy_container_config(&j->arena, cfg, &j->cfg);
	job_submit(rt->jobs, &j->job, create_run, create_done);
}

/* --- removing --- */

struct remove_job {
	struct job job;
	struct runtime *rt;
	struct container *ct;
	struct err err;
	cri_done *done;
	void *user_data;
};

static void remove_run(struct job *job)
{
	struct remove_job *j = container_of(job, struct remove_job, job);
	struct arena a CLEANUP(arena_release);
	int r;

	arena_init(&a);
	if (j->ct->st.state == CRI_RUNNING || container_alive(j->ct))
		oci_delete(j->rt, j->ct->id);
	r = discard(j->rt, j->ct->id, &a);
	if (r < 0)
		err_errno(&j->err, -r, "cannot remove container %s", j->ct->id);
}

static void remove_done(struct job *job)
{
	struct remove_job *j = container_of(job, struct remove_job, job);

	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	container_unref(j->ct);
	err_release(&j->err);
	free(j);
}

void container_remove(struct cri *cri, struct str id, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(cri);
	struct container *c = container_find(rt, id);
	struct remove_job *j;

	if (!c || c->starting || c->ending) {
		struct err err CLEANUP(err_release) = {0};

		if (c)
			err_fmt(&err, 409, "Conflict", "container %s is busy", c->id);
		later(rt, done, user_data, &err);
		return;
	}
	monitor_stop(c);
	for (struct container **at = &rt->containers; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	c->gone = true;
	stop_calls_end(rt, c);
	j = xcalloc(1, sizeof(*j));
	j->rt = rt;
	j->ct = c; /* with the table's reference */
	j->done = done;
	j->user_data = user_data;
	job_submit(rt->jobs, &j->job, remove_run, remove_done);
}

/* --- listing and finding again --- */

struct list_call {
	struct loop_task task;
	struct runtime *rt;
	char sandbox_id[ID_LEN + 1];
	cri_containers_done *done;
	void *user_data;
};

static void list_now(struct loop_task *t)
{
	struct list_call *l = container_of(t, struct list_call, task);
	struct arena a CLEANUP(arena_release);
	struct {
		struct cri_container_status *v;
		size_t n;
	} list = {0};

	arena_init(&a);
	for (struct container *c = l->rt->containers; c; c = c->next)
		if (!l->sandbox_id[0] || str_eqc(c->st.sandbox_id, l->sandbox_id))
			ARENA_PUSH(&a, &list, c->st);
	l->done(l->user_data, list.v, list.n, NULL);
	free(l);
}

void container_list(
	struct cri *c, struct str sandbox_id, cri_containers_done *done, void *user_data)
{
	struct list_call *l = xcalloc(1, sizeof(*l));

	*l = (struct list_call){{.fn = list_now}, runtime_of(c), "", done, user_data};
	snprintf(l->sandbox_id, sizeof(l->sandbox_id), STR_FMT, STR_ARG(sandbox_id));
	loop_post(c->loop, &l->task);
}

void containers_load(struct runtime *rt)
{
	DIR *dir = opendir(rt->containers_dir);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct container *c = e->d_name[0] == '.' ? NULL : container_read(rt, e->d_name);
		struct arena a CLEANUP(arena_release);

		arena_init(&a);
		if (!c && e->d_name[0] != '.')
			discard(rt, e->d_name, &a);
		if (!c)
			continue;
		c->next = rt->containers;
		rt->containers = c;
		if (c->st.state == CRI_RUNNING && !monitor_start(rt, c))
			container_ended_before(rt, c);
		else if (c->st.state == CRI_CREATED && !fs_exists(bundle_dir(rt, c->id, &a)))
			container_lost(rt, c); /* a reboot took its bundle */
	}
	if (dir)
		closedir(dir);
}
