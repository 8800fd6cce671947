/* stats.c: see stats.h. */
#include "node/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "node/machine.h"
#include "base/fs.h"

enum {
	SAMPLE_MS = 10000,
	FIRST_WAIT_MS = 1000,
	KEEP_SAMPLING_MS = 120000,
	DISK_MS = 60000,
	INODES_MAX = 200000, /* of one volume: what has more is told as that many */
	PROC_TEXT_MAX = 65536,
};

struct question {
	struct question *next;
	unsigned want;
	bool waited; /* for the second sample */
	void (*done)(void *user_data, const struct node_stats *st, struct err *err);
	void *user_data;
};

struct walk_item {
	struct str path;
	struct disk_use use;
};

/* A walk over everything whose size is to be known; on a worker thread. */
struct walk {
	uv_work_t work;
	struct stats *stats; /* NULL: nobody wants it any more */
	struct arena arena;
	struct {
		struct walk_item *v;
		size_t n;
	} items;
};

struct stats {
	struct kubelet *k;
	struct usage_history history;
	struct map disks; /* path -> struct disk_use */
	int64_t walked_ms;
	struct walk *walk;
	struct question *questions;
	bool asking;      /* the runtime */
	int64_t asked_ms; /* by anybody */
	struct loop_timer sampler, second;
};

static void ask_runtime(struct stats *s);

/* --- networks --- */

struct network_stats network_stats_parse(struct str text, struct arena *a)
{
	struct network_stats out = {0};
	struct str line, name, rest;

	while (text.n) {
		struct interface_stats i = {0};
		unsigned long long v[11];
		char buf[256] = "";

		str_cut(text, '\n', &line, &text);
		if (!str_cut(line, ':', &name, &rest))
			continue;
		i.name = arena_str(a, str_trim(name));
		memcpy(buf, rest.p, MIN(rest.n, sizeof(buf) - 1));
		if (str_eqc(i.name, "lo") ||
			sscanf(buf, "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0],
				&v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9],
				&v[10]) != 11)
			continue;
		i.rx_bytes = v[0];
		i.rx_errors = v[2];
		i.tx_bytes = v[8];
		i.tx_errors = v[10];
		ARENA_PUSH(a, &out, i);
	}
	return out;
}

/* Files of /proc do not say how long they are. */
static struct str read_proc(const char *path, struct arena *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = arena_alloc(a, PROC_TEXT_MAX);
	size_t all = 0;
	ssize_t n;

	if (fd < 0)
		return (struct str){0};
	while (all < PROC_TEXT_MAX && (n = read(fd, text + all, PROC_TEXT_MAX - all)) > 0)
		all += n;
	close(fd);
	return str_n(text, all);
}

/* Some process of the pod shows the pod's network, whoever made that. */
static struct network_stats pod_network_stats(struct stats *s, struct pod *p, struct arena *a)
{
	struct network_stats out = {0};
	struct arena scratch = {0};
	int pid = p->cgroup.p ? cgroup_any_process(&s->k->cgroups, p->cgroup.p) : 0;

	if (pid > 0)
		out = network_stats_parse(
			read_proc(arena_fmt(&scratch, "/proc/%d/net/dev", pid).p, &scratch), a);
	for (size_t i = 0; i < out.n; i++)
		if (str_eqc(out.v[i].name, "eth0"))
			out.main = i;
	arena_release(&scratch);
	return out;
}

static struct network_stats node_network_stats(struct arena *a)
{
	char name[32];
	struct network_stats out = network_stats_parse(read_proc("/proc/self/net/dev", a), a);

	machine_main_interface(name);
	for (size_t i = 0; i < out.n; i++)
		if (str_eqc(out.v[i].name, name))
			out.main = i;
	return out;
}

/* --- disks --- */

static struct disk_use disk_of(const struct stats *s, struct str path)
{
	const struct disk_use *d = map_get(&s->disks, path);

	return d ? *d : (struct disk_use){0};
}

static struct str log_dir(struct pod *p, struct str container, struct arena *a)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(pod_log_dir(p, a)), STR_ARG(container));
}

static void add_walk(struct walk *w, struct str path)
{
	if (path.p)
		ARENA_PUSH(&w->arena, &w->items, ((struct walk_item){.path = path}));
}

static void list_pod(struct walk *w, struct pod *p)
{
	const struct v1_pod *spec = p->object ? pod_decode(p, &w->arena) : NULL;

	for (size_t i = 0; i < p->observed.n_containers; i++)
		if (p->observed.containers[i].state == CRI_RUNNING)
			add_walk(w, log_dir(p, p->observed.containers[i].name, &w->arena));
	for (size_t i = 0; spec && p->volumes && i < spec->spec.volumes.n; i++)
		if (!spec->spec.volumes.v[i].host_path)
			add_walk(w, arena_str(&w->arena, volumes_path(p->volumes,
								 spec->spec.volumes.v[i].name)));
}

static void walk_work(uv_work_t *work)
{
	struct walk *w = container_of(work, struct walk, work);

	for (size_t i = 0; i < w->items.n; i++)
		fs_usage(w->items.v[i].path.p, INODES_MAX, &w->items.v[i].use.bytes,
			&w->items.v[i].use.inodes);
}

static void forget_disks(struct stats *s)
{
	for (struct map_entry *e = map_first(&s->disks); e; e = map_next(&s->disks, e))
		free(e->value);
	map_release(&s->disks);
}

static void walked(uv_work_t *work, int status)
{
	struct walk *w = container_of(work, struct walk, work);
	struct stats *s = w->stats;

	if (s) {
		forget_disks(s);
		for (size_t i = 0; i < w->items.n; i++) {
			struct disk_use *d = xmalloc(sizeof(*d));

			*d = w->items.v[i].use;
			d->time_ns = loop_wall_ns(s->k->loop);
			free(map_set(&s->disks, w->items.v[i].path, d));
		}
		s->walked_ms = loop_now_ms(s->k->loop);
		s->walk = NULL;
		ask_runtime(s);
	}
	arena_release(&w->arena);
	free(w);
}

static bool disks_are_fresh(const struct stats *s)
{
	return s->walked_ms && loop_now_ms(s->k->loop) - s->walked_ms < DISK_MS;
}

static void walk_disks(struct stats *s)
{
	struct walk *w;

	if (s->walk)
		return;
	s->walk = w = xcalloc(1, sizeof(*w));
	w->stats = s;
	for (struct pod *p = s->k->pods; p; p = p->next)
		list_pod(w, p);
	uv_queue_work(loop_uv(s->k->loop), &w->work, walk_work, walked);
}

/* --- one look --- */

struct look {
	struct stats *s;
	struct arena *arena;
	const struct cri_container_stats *v;
	size_t n;
	bool networks;
};

static void look_at_container(
	struct look *l, struct pod_stats *ps, const struct cri_container_status *c)
{
	struct container_stats out = {.status = c};

	for (size_t i = 0; i < l->n; i++) {
		if (!str_eq(l->v[i].id, c->id))
			continue;
		out.use = l->v[i];
		out.rate = usage_note(&l->s->history, c->id, out.use.time_ns, out.use.cpu_usage_ns);
		out.logs = disk_of(l->s, log_dir(ps->pod, c->name, l->arena));
		ps->containers[ps->n_containers++] = out;
		return;
	}
}

static void look_at_volumes(struct look *l, struct pod_stats *ps)
{
	const struct v1_pod *spec = ps->pod->object ? pod_decode(ps->pod, l->arena) : NULL;
	size_t n = spec && ps->pod->volumes ? spec->spec.volumes.n : 0;

	ps->volumes = ARENA_ARRAY(l->arena, struct volume_stats, n);
	for (size_t i = 0; i < n; i++) {
		const struct v1_volume *v = &spec->spec.volumes.v[i];
		struct str path = volumes_path(ps->pod->volumes, v->name);
		struct volume_stats out = {.name = v->name, .path = path};

		if (!path.p || v->host_path)
			continue;
		if (v->persistent_volume_claim)
			out.claim = v->persistent_volume_claim->claim_name;
		out.used = disk_of(l->s, path);
		ps->volumes[ps->n_volumes++] = out;
	}
}

static void look_at_pod(struct look *l, struct pod *p, struct pod_stats *ret)
{
	struct pod_stats ps = {.pod = p};

	ps.containers = ARENA_ARRAY(l->arena, struct container_stats, p->observed.n_containers);
	for (size_t i = 0; i < p->observed.n_containers; i++)
		if (p->observed.containers[i].state == CRI_RUNNING)
			look_at_container(l, &ps, &p->observed.containers[i]);
	if (p->cgroup.p)
		cgroup_usage(&l->s->k->cgroups, p->cgroup.p, &ps.use);
	ps.rate = usage_note(&l->s->history, p->uid, loop_wall_ns(l->s->k->loop), ps.use.cpu_ns);
	if (l->networks) {
		ps.network = pod_network_stats(l->s, p, l->arena);
		look_at_volumes(l, &ps);
	}
	*ret = ps;
}

static void look_at_node(struct look *l, struct node_stats *ret)
{
	struct kubelet *k = l->s->k;
	struct node_stats st = {.time_ns = loop_wall_ns(k->loop)};
	size_t n = 0;

	usage_begin(&l->s->history);
	cgroup_machine_usage(&k->cgroups, &st.use);
	st.rate = usage_note(&l->s->history, S("node"), st.time_ns, st.use.cpu_ns);
	cgroup_usage(
		&k->cgroups, arena_fmt(l->arena, "%s/kubepods", k->cgroups.root).p, &st.pods_use);
	st.pods_rate = usage_note(&l->s->history, S("pods"), st.time_ns, st.pods_use.cpu_ns);
	if (l->networks)
		st.network = node_network_stats(l->arena);
	for (struct pod *p = k->pods; p; p = p->next)
		n += observed_ready_sandbox(&p->observed) != NULL;
	st.pods = ARENA_ARRAY(l->arena, struct pod_stats, n);
	for (struct pod *p = k->pods; p; p = p->next)
		if (observed_ready_sandbox(&p->observed))
			look_at_pod(l, p, &st.pods[st.n_pods++]);
	usage_end(&l->s->history);
	*ret = st;
}

/* --- asking and answering --- */

/* Whether everything has a rate that could have one. */
static bool has_rates(const struct node_stats *st)
{
	if (!st->rate.window_ns)
		return false;
	for (size_t i = 0; i < st->n_pods; i++)
		for (size_t c = 0; c < st->pods[i].n_containers; c++)
			if (!st->pods[i].containers[c].rate.window_ns)
				return false;
	return true;
}

static void answer(struct stats *s, const struct node_stats *st, struct err *err)
{
	struct question *q = s->questions, *next;
	bool rates = st && has_rates(st);

	s->questions = NULL;
	for (; q; q = next) {
		next = q->next;
		if (st && (((q->want & STATS_RATES) && !rates && !q->waited) ||
				  ((q->want & STATS_DISKS) && !disks_are_fresh(s)))) {
			q->next = s->questions;
			s->questions = q;
			continue;
		}
		q->done(q->user_data, st, err);
		free(q);
	}
}

static void got_container_stats(
	void *user_data, const struct cri_container_stats *v, size_t n, struct err *err)
{
	struct stats *s = user_data;
	struct arena a = {0};
	struct look l = {.s = s, .arena = &a, .v = v, .n = n};
	struct node_stats st;

	s->asking = false;
	for (struct question *q = s->questions; q; q = q->next)
		l.networks |= (q->want & STATS_DISKS) != 0;
	if (err) {
		answer(s, NULL, err);
	} else {
		look_at_node(&l, &st);
		answer(s, &st, NULL);
	}
	arena_release(&a);
	if (s->questions && !loop_timer_armed(&s->second) && !s->walk)
		loop_timer_start(&s->second, FIRST_WAIT_MS);
}

static void ask_runtime(struct stats *s)
{
	if (s->asking)
		return;
	s->asking = true;
	s->k->cri->ops->container_stats(s->k->cri, got_container_stats, s);
}

static void on_second(struct loop_timer *t)
{
	struct stats *s = container_of(t, struct stats, second);

	for (struct question *q = s->questions; q; q = q->next)
		q->waited = true;
	ask_runtime(s);
}

static void on_sample(struct loop_timer *t)
{
	struct stats *s = container_of(t, struct stats, sampler);

	if (loop_now_ms(s->k->loop) - s->asked_ms > KEEP_SAMPLING_MS)
		return;
	ask_runtime(s);
	loop_timer_start(&s->sampler, SAMPLE_MS);
}

void stats_ask(struct stats *s, unsigned want,
	void (*done)(void *user_data, const struct node_stats *st, struct err *err),
	void *user_data)
{
	struct question *q = xcalloc(1, sizeof(*q));

	*q = (struct question){
		.next = s->questions, .want = want, .done = done, .user_data = user_data};
	s->questions = q;
	s->asked_ms = loop_now_ms(s->k->loop);
	if ((want & STATS_RATES) && !loop_timer_armed(&s->sampler))
		loop_timer_start(&s->sampler, SAMPLE_MS);
	if ((want & STATS_DISKS) && !disks_are_fresh(s))
		walk_disks(s);
	ask_runtime(s);
}

struct stats *stats_new(struct kubelet *k)
{
	struct stats *s = xcalloc(1, sizeof(*s));

	s->k = k;
	loop_timer_init(&s->sampler, k->loop, on_sample);
	loop_timer_init(&s->second, k->loop, on_second);
	return s;
}

void stats_free(struct stats *s)
{
	struct question *next;

	if (!s)
		return;
	if (s->walk)
		s->walk->stats = NULL;
	for (struct question *q = s->questions; q; q = next) {
		next = q->next;
		free(q);
	}
	loop_timer_stop(&s->sampler);
	loop_timer_stop(&s->second);
	forget_disks(s);
	usage_release(&s->history);
	free(s);
}
