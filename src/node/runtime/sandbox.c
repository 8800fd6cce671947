/*
 * sandbox.c: a pod's environment: namespaces pinned by bind mounts, /dev/shm, resolv.conf, its
 * network. No process, unless the pod shares its PID namespace.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/runtime/copy.h"
#include "base/fs.h"
#include "node/runtime/pause.h"
#include "node/runtime/record.h"

struct sandbox *sandbox_new(const char *id)
{
	struct sandbox *s = xcalloc(1, sizeof(*s));

	arena_init(&s->arena);
	s->refs = 1;
	strcpy(s->id, id);
	s->st.id = str_c(s->id);
	return s;
}

void sandbox_unref(struct sandbox *s)
{
	if (--s->refs > 0)
		return;
	arena_release(&s->arena);
	free(s);
}

struct sandbox *sandbox_find(struct runtime *rt, struct str id)
{
	for (struct sandbox *s = rt->sandboxes; s; s = s->next)
		if (str_eqc(id, s->id))
			return s;
	return NULL;
}

struct sandbox_job {
	struct job job;
	struct runtime *rt;
	struct sandbox *sb;
	struct cri_sandbox_config cfg;
	struct container **containers; /* remove: of this sandbox, referenced */
	size_t n_containers;
	struct arena arena;
	struct err err;
	cri_id_done *id_done;
	cri_done *done;
	void *user_data;
};

static const char *run_path(const struct sandbox_job *j, const char *name, struct arena *a)
{
	return arena_fmt(a, "%s/%s/%s", j->rt->run_sandboxes_dir, j->sb->id, name).p;
}

static const char *data_path(const struct sandbox_job *j, const char *name, struct arena *a)
{
	return arena_fmt(a, "%s/%s/%s", j->rt->sandboxes_dir, j->sb->id, name).p;
}

/* --- making one --- */

static void add_line(struct buf *b, const char *word, const struct str_vec *v)
{
	if (!v->n)
		return;
	buf_add_c(b, word);
	for (size_t i = 0; i < v->n; i++) {
		buf_add_char(b, ' ');
		buf_add_str(b, v->v[i]);
	}
	buf_add_char(b, '\n');
}

static int write_resolv_conf(struct sandbox_job *j)
{
	const struct cri_sandbox_config *cfg = &j->cfg;
	struct buf b CLEANUP(buf_release) = {0};
	struct str host = S("");

	buf_init(&b, 65536);
	add_line(&b, "search", &cfg->dns_searches);
	for (size_t i = 0; i < cfg->dns_servers.n; i++)
		buf_fmt(&b, "nameserver " STR_FMT "\n", STR_ARG(cfg->dns_servers.v[i]));
	add_line(&b, "options", &cfg->dns_options);
	if (!b.n && fs_read("/etc/resolv.conf", 65536, &j->arena, &host) == 0)
		buf_add_str(&b, host);
	return fs_write(data_path(j, "resolv.conf", &j->arena), b.n ? buf_str(&b) : S(""), 0644);
}

static int make_files(struct sandbox_job *j)
{
	const char *data = data_path(j, "", &j->arena), *run = run_path(j, "", &j->arena);
	int r = fs_mkdirs(data, 0711);

	if (r == 0)
		r = fs_mkdirs(run, 0711);
	if (r == 0)
		r = write_resolv_conf(j);
	if (r == 0)
		r = fs_write(data_path(j, "hostname", &j->arena),
			arena_fmt(&j->arena, STR_FMT "\n", STR_ARG(j->sb->hostname)), 0644);
	return r < 0 ? err_errno(&j->err, -r, "cannot make the sandbox's files") : 0;
}

static int pin(struct sandbox_job *j, const char *name)
{
	const char *from = arena_fmt(&j->arena, "/proc/thread-self/ns/%s", name).p;
	const char *to = run_path(j, name, &j->arena);
	int r = fs_touch(to, 0600);

	if (r == 0 && mount(from, to, NULL, MS_BIND, NULL) < 0)
		r = -errno;
	return r < 0 ? err_errno(&j->err, -r, "cannot pin the %s namespace", name) : 0;
}

static int set_sysctls(struct sandbox_job *j)
{
	for (size_t i = 0; i < j->cfg.sysctls.n; i++) {
		const struct str_pair *p = &j->cfg.sysctls.v[i];
		char *path = arena_cstr(
			&j->arena, arena_fmt(&j->arena, "/proc/sys/" STR_FMT, STR_ARG(p->key)));
		int r;

		if (str_find(p->key, S("..")) >= 0)
			return err_bad_request(
				&j->err, "bad sysctl \"" STR_FMT "\"", STR_ARG(p->key));
		for (char *c = path + strlen("/proc/sys/"); *c; c++)
			if (*c == '.')
				*c = '/';
		r = fs_put(path, p->value);
		if (r < 0)
			return err_errno(
				&j->err, -r, "cannot set sysctl \"" STR_FMT "\"", STR_ARG(p->key));
	}
	return 0;
}

/* This thread enters new namespaces; whoever comes later finds them by their pins. */
static int enter_and_pin(struct sandbox_job *j)
{
	struct sandbox *s = j->sb;
	bool net = s->network == CRI_NS_POD, ipc = s->ipc == CRI_NS_POD;
	int r = 0;

	if (unshare((net ? CLONE_NEWNET | CLONE_NEWUTS : 0) | (ipc ? CLONE_NEWIPC : 0)) < 0)
		return err_errno(&j->err, errno, "cannot make namespaces");
	if (net) {
		r = pin(j, "net");
		if (r == 0 && sethostname(s->hostname.p ? s->hostname.p : "", s->hostname.n) < 0)
			r = err_errno(&j->err, errno, "cannot set hostname \"" STR_FMT "\"",
				STR_ARG(s->hostname));
		if (r == 0)
			r = pin(j, "uts");
		if (r == 0)
			r = pod_network_loopback_up(&j->err);
	}
	if (r == 0 && ipc)
		r = pin(j, "ipc");
	return r < 0 ? r : set_sysctls(j);
}

static int make_namespaces(struct sandbox_job *j)
{
	int host CLEANUP(fd_close) = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int r = host < 0 ? err_errno(&j->err, errno, "cannot open our network namespace")
			 : enter_and_pin(j);

	if (host >= 0 && setns(host, CLONE_NEWNET) < 0 && r == 0)
		r = err_errno(&j->err, errno, "cannot go back to our network namespace");
	return r;
}

static int make_shm(struct sandbox_job *j)
{
	const char *shm = run_path(j, "shm", &j->arena);

	if (j->sb->ipc != CRI_NS_POD)
		return 0;
	if ((mkdir(shm, 0755) < 0 && errno != EEXIST) ||
		mount("shm", shm, "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV,
			"mode=1777,size=65536k") < 0)
		return err_errno(&j->err, errno, "cannot mount %s", shm);
	return 0;
}

static struct pod_network_request network_request(struct sandbox_job *j)
{
	struct sandbox *s = j->sb;
	struct pod_port *ports = ARENA_ARRAY(&j->arena, struct pod_port, s->n_ports);

	for (size_t i = 0; i < s->n_ports; i++)
		ports[i] = (struct pod_port){s->ports[i].protocol, s->ports[i].container_port,
			s->ports[i].host_port, s->ports[i].host_ip};
	return (struct pod_network_request){
		.id = s->st.id,
		.netns_path = str_c(run_path(j, "net", &j->arena)),
		.ns = s->st.ns,
		.name = s->st.name,
		.uid = s->st.uid,
		.ports = ports,
		.n_ports = s->n_ports,
	};
}

static int make_pause(struct sandbox_job *j)
{
	struct sandbox *s = j->sb;
	const char *path = run_path(j, "pid", &j->arena);
	int r;

	if (s->pid != CRI_NS_POD)
		return 0;
	r = fs_touch(path, 0600);
	if (r < 0)
		return err_errno(&j->err, -r, "cannot write %s", path);
	r = pause_start(s->cgroup_parent.p, path, &s->pause_pid, &j->err);
	if (r == 0)
		s->pause_start = process_start_time(s->pause_pid);
	return r;
}

static void unmake(struct sandbox_job *j, struct err *err)
{
	static const char *const pins[] = {"net", "uts", "ipc", "pid", "shm"};
	struct sandbox *s = j->sb;

	if (s->network == CRI_NS_POD) {
		struct pod_network_request rq = network_request(j);

		pod_network_del(j->rt->network, &rq, err);
	}
	if (s->pause_pid && process_start_time(s->pause_pid) == s->pause_start)
		kill(s->pause_pid, SIGKILL);
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		umount2(run_path(j, pins[i], &j->arena), MNT_DETACH);
	fs_remove_tree(run_path(j, "", &j->arena));
}

static void run_run(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);
	struct sandbox *s = j->sb;
	int r = make_files(j);

	if (r == 0)
		r = make_namespaces(j);
	if (r == 0)
		r = make_shm(j);
	if (r == 0 && s->network == CRI_NS_POD) {
		struct pod_network_request rq = network_request(j);

		r = pod_network_add(j->rt->network, &rq, &s->arena, &s->st.ips, &j->err);
	}
	if (r == 0)
		r = make_pause(j);
	if (r == 0) {
		s->st.ready = true;
		r = sandbox_save(j->rt, s);
		if (r < 0)
			err_errno(&j->err, -r, "cannot save the sandbox");
	}
	if (r < 0) {
		unmake(j, NULL);
		fs_remove_tree(data_path(j, "", &j->arena));
	}
}

static void job_end(struct sandbox_job *j)
{
	sandbox_unref(j->sb);
	err_release(&j->err);
	arena_release(&j->arena);
	free(j);
}

static void run_done(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);
	struct sandbox *s = j->sb;

	if (err_set(&j->err)) {
		j->id_done(j->user_data, (struct str){0}, &j->err);
	} else {
		s->refs++;
		s->next = j->rt->sandboxes;
		j->rt->sandboxes = s;
		j->id_done(j->user_data, s->st.id, NULL);
	}
	job_end(j);
}

static struct sandbox_job *job_new(struct runtime *rt, struct sandbox *s)
{
	struct sandbox_job *j = xcalloc(1, sizeof(*j));

	arena_init(&j->arena);
	j->rt = rt;
	j->sb = s;
	return j;
}

static void fill(struct runtime *rt, struct sandbox *s, const struct cri_sandbox_config *cfg)
{
	struct arena *a = &s->arena;

	s->st.name = arena_str(a, cfg->name);
	s->st.ns = arena_str(a, cfg->ns);
	s->st.uid = arena_str(a, cfg->uid);
	s->st.attempt = cfg->attempt;
	s->st.created_ns = wall_ns();
	copy_pairs(a, &cfg->labels, &s->st.labels);
	copy_pairs(a, &cfg->annotations, &s->st.annotations);
	s->network = cfg->network;
	s->pid = cfg->pid;
	s->ipc = cfg->ipc;
	s->privileged = cfg->privileged;
	s->cgroup_parent = arena_str(a, cfg->cgroup_parent);
	s->log_directory = arena_str(a, cfg->log_directory);
	s->ports = copy_ports(a, cfg->ports, cfg->n_ports);
	s->n_ports = cfg->n_ports;
	s->hostname = arena_str(a, cfg->hostname);
	if (s->network != CRI_NS_POD) {
		char host[256] = "";

		gethostname(host, sizeof(host) - 1);
		s->hostname = arena_strc(a, host);
	} else {
		s->st.netns_path = arena_fmt(a, "%s/%s/net", rt->run_sandboxes_dir, s->id);
	}
}

void sandbox_run(
	struct cri *c, const struct cri_sandbox_config *cfg, cri_id_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct sandbox_job *j;
	char id[ID_LEN + 1];

	make_id(id);
	j = job_new(rt, sandbox_new(id));
	fill(rt, j->sb, cfg);
	copy_sandbox_config(&j->arena, cfg, &j->cfg);
	j->id_done = done;
	j->user_data = user_data;
	job_submit(rt->jobs, &j->job, run_run, run_done);
}

/* --- stopping and removing --- */

static void stop_run(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);

	for (size_t i = 0; i < j->n_containers; i++)
		container_kill(j->containers[i], SIGKILL);
	unmake(j, &j->err);
}

static void stop_done(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);

	if (!err_set(&j->err)) {
		j->sb->st.ready = false;
		if (!j->sb->gone)
			sandbox_save(j->rt, j->sb);
	}
	for (size_t i = 0; i < j->n_containers; i++)
		container_unref(j->containers[i]);
	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	job_end(j);
}

static void take_containers(struct sandbox_job *j)
{
	struct {
		struct container **v;
		size_t n;
	} list = {0};

	for (struct container *c = j->rt->containers; c; c = c->next)
		if (str_eq(c->st.sandbox_id, j->sb->st.id)) {
			c->refs++;
			ARENA_PUSH(&j->arena, &list, c);
		}
	j->containers = list.v;
	j->n_containers = list.n;
}

void sandbox_stop(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct sandbox *s = sandbox_find(rt, id);
	struct sandbox_job *j;

	if (!s) { /* idempotent: it may have been removed */
		later(rt, done, user_data, NULL);
		return;
	}
	s->refs++;
	j = job_new(rt, s);
	j->done = done;
	j->user_data = user_data;
	take_containers(j);
	job_submit(rt->jobs, &j->job, stop_run, stop_done);
}

static void remove_run(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);

	unmake(j, &j->err);
	fs_remove_tree(data_path(j, "", &j->arena));
}

static void remove_done(struct job *job)
{
	struct sandbox_job *j = container_of(job, struct sandbox_job, job);

	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	job_end(j);
}

struct removal { /* the containers first, one after the other */
	struct runtime *rt;
	struct sandbox *sb;
	cri_done *done;
	void *user_data;
};

static void remove_next(void *user_data, struct err *err)
{
	struct removal *m = user_data;
	struct sandbox_job *j;

	if (err_set(err)) {
		m->done(m->user_data, err);
		sandbox_unref(m->sb);
		free(m);
		return;
	}
	for (struct container *c = m->rt->containers; c; c = c->next)
		if (str_eq(c->st.sandbox_id, m->sb->st.id)) {
			container_remove(&m->rt->cri, c->st.id, remove_next, m);
			return;
		}
	if (!m->sb->gone) {
		for (struct sandbox **at = &m->rt->sandboxes; *at; at = &(*at)->next)
			if (*at == m->sb) {
				*at = m->sb->next;
				break;
			}
		m->sb->gone = true;
		sandbox_unref(m->sb);
	}
	j = job_new(m->rt, m->sb);
	j->done = m->done;
	j->user_data = m->user_data;
	free(m);
	job_submit(j->rt->jobs, &j->job, remove_run, remove_done);
}

void sandbox_remove(struct cri *c, struct str id, cri_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct sandbox *s = sandbox_find(rt, id);
	struct removal *m;

	if (!s) {
		later(rt, done, user_data, NULL);
		return;
	}
	s->refs++;
	m = xcalloc(1, sizeof(*m));
	*m = (struct removal){rt, s, done, user_data};
	remove_next(m, NULL);
}

struct list_call {
	struct loop_task task;
	struct runtime *rt;
	cri_sandboxes_done *done;
	void *user_data;
};

static void list_now(struct loop_task *t)
{
	struct list_call *l = container_of(t, struct list_call, task);
	struct arena a CLEANUP(arena_release);
	struct {
		struct cri_sandbox_status *v;
		size_t n;
	} list = {0};

	arena_init(&a);
	for (struct sandbox *s = l->rt->sandboxes; s; s = s->next)
		ARENA_PUSH(&a, &list, s->st);
	l->done(l->user_data, list.v, list.n, NULL);
	free(l);
}

void sandbox_list(struct cri *c, cri_sandboxes_done *done, void *user_data)
{
	struct list_call *l = xcalloc(1, sizeof(*l));

	*l = (struct list_call){{.fn = list_now}, runtime_of(c), done, user_data};
	loop_post(c->loop, &l->task);
}

void sandboxes_load(struct runtime *rt)
{
	DIR *dir = opendir(rt->sandboxes_dir);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct sandbox *s = e->d_name[0] == '.' ? NULL : sandbox_read(rt, e->d_name);

		if (!s && e->d_name[0] != '.')
			fs_remove_tree_at(
				dirfd(dir), e->d_name); /* never finished, or lost to a power cut */
		if (!s)
			continue;
		if (s->network == CRI_NS_POD)
			s->st.netns_path =
				arena_fmt(&s->arena, "%s/%s/net", rt->run_sandboxes_dir, s->id);
		s->st.ready = s->st.ready && sandbox_still_up(rt, s);
		s->next = rt->sandboxes;
		rt->sandboxes = s;
	}
	if (dir)
		closedir(dir);
}
