/* server_stats.c: what runs here and what it uses: /pods, /runningpods, /stats/summary, /metrics*.
 */
#include <stdio.h>
#include <time.h>

#include "json/write.h"
#include "node/machine.h"
#include "node/server.h"
#include "node/volumes/files.h"

enum { ANSWER_MAX = 16 << 20 };

/* --- pods --- */

static void respond_json(struct http_exchange *x, struct buf *b)
{
	if (buf_failed(b))
		server_error(x, 500, "the answer is too large");
	else
		http_respond(x, 200, "application/json", buf_str(b));
}

static void write_pods(struct kubelet *k, struct buf *b, bool running_only)
{
	size_t n = 0;

	buf_add_c(b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	for (struct pod *p = k->pods; p; p = p->next) {
		if (!p->object || (running_only && !observed_ready_sandbox(&p->observed)))
			continue;
		buf_add_c(b, n++ ? ",{" : "{");
		buf_add_str(b, str_sub(p->object->json, p->object->item_at, p->object->json.n));
	}
	buf_add_c(b, "]}");
}

void serve_pods(struct route_args *r)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, ANSWER_MAX);
	write_pods(r->s->k, &b, false);
	respond_json(r->x, &b);
}

void serve_running_pods(struct route_args *r)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, ANSWER_MAX);
	write_pods(r->s->k, &b, true);
	respond_json(r->x, &b);
}

/* --- statistics of containers --- */

struct stats_request {
	struct kubelet *k;
	struct http_exchange *x; /* NULL: the client left */
	void (*write)(
		struct kubelet *k, const struct cri_container_stats *v, size_t n, struct buf *b);
	const char *content_type;
};

static void stats_left(struct http_exchange *x)
{
	struct stats_request *q = x->user_data;

	q->x = NULL;
}

static void got_stats(
	void *user_data, const struct cri_container_stats *v, size_t n, struct err *err)
{
	struct stats_request *q = user_data;
	struct http_exchange *x = q->x;
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, ANSWER_MAX);
	if (x) {
		x->on_close = NULL;
		if (err) {
			server_error(x, 500, "%s", err_text(err));
		} else {
			q->write(q->k, v, n, &b);
			if (buf_failed(&b))
				server_error(x, 500, "the answer is too large");
			else
				http_respond(x, 200, q->content_type, buf_str(&b));
		}
	}
	free(q);
}

static void ask_stats(struct route_args *r, const char *content_type,
	void (*write)(
		struct kubelet *k, const struct cri_container_stats *v, size_t n, struct buf *b))
{
	struct stats_request *q = xcalloc(1, sizeof(*q));

	q->k = r->s->k;
	q->x = r->x;
	q->write = write;
	q->content_type = content_type;
	r->x->user_data = q;
	r->x->on_close = stats_left;
	q->k->cri->ops->container_stats(q->k->cri, got_stats, q);
}

static const struct cri_container_stats *stats_of(
	const struct cri_container_stats *v, size_t n, const struct cri_container_status *c)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].id, c->id))
			return &v[i];
	return NULL;
}

/* --- /stats/summary --- */

static void write_time(struct buf *b, const char *key, int64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	char text[32];
	struct tm tm;

	gmtime_r(&sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_fmt(b, "\"%s\":\"%s\"", key, text);
}

static void write_usage(struct buf *b, int64_t now_ns, uint64_t cpu_ns, uint64_t usage,
	uint64_t working_set, uint64_t rss, uint64_t faults, uint64_t major)
{
	buf_add_c(b, "\"cpu\":{");
	write_time(b, "time", now_ns);
	buf_fmt(b, ",\"usageCoreNanoSeconds\":%llu},\"memory\":{", (unsigned long long)cpu_ns);
	write_time(b, "time", now_ns);
	buf_fmt(b,
		",\"usageBytes\":%llu,\"workingSetBytes\":%llu,\"rssBytes\":%llu,\"pageFaults\":%"
		"llu,"
		"\"majorPageFaults\":%llu}",
		(unsigned long long)usage, (unsigned long long)working_set, (unsigned long long)rss,
		(unsigned long long)faults, (unsigned long long)major);
}

static void write_fs(struct buf *b, const char *key, const char *path, int64_t now_ns)
{
	uint64_t free_bytes = 0, inodes = 0, inodes_free = 0, size;

	size = machine_disk(path, &free_bytes, &inodes, &inodes_free);
	buf_fmt(b, "\"%s\":{", key);
	write_time(b, "time", now_ns);
	buf_fmt(b,
		",\"availableBytes\":%llu,\"capacityBytes\":%llu,\"usedBytes\":%llu,\"inodesFree\":"
		"%llu,\"inodes\":%llu,"
		"\"inodesUsed\":%llu}",
		(unsigned long long)free_bytes, (unsigned long long)size,
		(unsigned long long)(size - free_bytes), (unsigned long long)inodes_free,
		(unsigned long long)inodes, (unsigned long long)(inodes - inodes_free));
}

static void write_pod_stats(struct kubelet *k, struct pod *p, const struct cri_container_stats *v,
	size_t n, struct buf *b)
{
	int64_t now = loop_wall_ns(k->loop);
	struct cgroup_usage u = {0};
	size_t count = 0;

	buf_fmt(b,
		"{\"podRef\":{\"name\":\"" STR_FMT "\",\"namespace\":\"" STR_FMT
		"\",\"uid\":\"" STR_FMT "\"},",
		STR_ARG(p->name), STR_ARG(p->ns), STR_ARG(p->uid));
	write_time(b, "startTime", p->observed.sandboxes[0].created_ns);
	buf_add_c(b, ",\"containers\":[");
	for (size_t i = 0; i < p->observed.n_containers; i++) {
		const struct cri_container_status *c = &p->observed.containers[i];
		const struct cri_container_stats *s =
			c->state == CRI_RUNNING ? stats_of(v, n, c) : NULL;

		if (!s)
			continue;
		buf_fmt(b, "%s{\"name\":\"" STR_FMT "\",", count++ ? "," : "", STR_ARG(c->name));
		write_time(b, "startTime", c->started_ns);
		buf_add_char(b, ',');
		write_usage(b, now, s->cpu_usage_ns, s->memory_usage, s->memory_working_set,
			s->memory_rss, s->page_faults, s->major_page_faults);
		buf_fmt(b, ",\"rootfs\":{\"usedBytes\":%llu,\"inodesUsed\":%llu}}",
			(unsigned long long)s->fs_used_bytes,
			(unsigned long long)s->fs_inodes_used);
	}
	buf_add_c(b, "],");
	if (p->cgroup.p)
		cgroup_usage(&k->cgroups, p->cgroup.p, &u);
	write_usage(b, now, u.cpu_ns, u.memory_usage, u.memory_working_set, u.memory_rss,
		u.page_faults, u.major_page_faults);
	buf_add_char(b, '}');
}

static void write_summary(
	struct kubelet *k, const struct cri_container_stats *v, size_t n, struct buf *b)
{
	int64_t now = loop_wall_ns(k->loop);
	struct cgroup_usage u;
	size_t count = 0;

	cgroup_usage(&k->cgroups, "", &u);
	buf_fmt(b, "{\"node\":{\"nodeName\":\"" STR_FMT "\",", STR_ARG(k->node_name));
	write_time(b, "startTime", now - (int64_t)loop_now_ms(k->loop) * 1000000);
	buf_add_char(b, ',');
	write_usage(b, now, u.cpu_ns, u.memory_usage, u.memory_working_set, u.memory_rss,
		u.page_faults, u.major_page_faults);
	buf_add_char(b, ',');
	write_fs(b, "fs", k->opts.root_dir, now);
	buf_add_c(b, ",\"runtime\":{");
	write_fs(b, "imageFs", k->opts.data_dir, now);
	buf_add_c(b, "}},\"pods\":[");
	for (struct pod *p = k->pods; p; p = p->next) {
		if (!observed_ready_sandbox(&p->observed))
			continue;
		if (count++)
			buf_add_char(b, ',');
		write_pod_stats(k, p, v, n, b);
	}
	buf_add_c(b, "]}\n");
}

void serve_stats_summary(struct route_args *r)
{
	if (!str_eq(r->part[1], S("summary"))) {
		server_error(r->x, 404, "404 page not found\n");
		return;
	}
	ask_stats(r, "application/json", write_summary);
}

/* --- /metrics --- */

#define TEXT_FORMAT "text/plain; version=0.0.4; charset=utf-8"

static void each_container(struct kubelet *k, const struct cri_container_stats *v, size_t n,
	struct buf *b,
	void (*fn)(struct buf *b, struct pod *p, const struct cri_container_status *c,
		const struct cri_container_stats *s))
{
	for (struct pod *p = k->pods; p; p = p->next) {
		for (size_t i = 0; i < p->observed.n_containers; i++) {
			const struct cri_container_status *c = &p->observed.containers[i];
			const struct cri_container_stats *s =
				c->state == CRI_RUNNING ? stats_of(v, n, c) : NULL;

			if (s)
				fn(b, p, c, s);
		}
	}
}

static void labels(
	struct buf *b, const char *metric, struct pod *p, const struct cri_container_status *c)
{
	buf_fmt(b, "%s{container=\"" STR_FMT "\",namespace=\"" STR_FMT "\",pod=\"" STR_FMT "\"} ",
		metric, STR_ARG(c->name), STR_ARG(p->ns), STR_ARG(p->name));
}

static void cpu_seconds(struct buf *b, struct pod *p, const struct cri_container_status *c,
	const struct cri_container_stats *s)
{
	labels(b, "container_cpu_usage_seconds_total", p, c);
	buf_fmt(b, "%.9g %lld\n", (double)s->cpu_usage_ns / 1e9, (long long)(s->time_ns / 1000000));
}

static void working_set(struct buf *b, struct pod *p, const struct cri_container_status *c,
	const struct cri_container_stats *s)
{
	labels(b, "container_memory_working_set_bytes", p, c);
	buf_fmt(b, "%llu %lld\n", (unsigned long long)s->memory_working_set,
		(long long)(s->time_ns / 1000000));
}

static void start_time(struct buf *b, struct pod *p, const struct cri_container_status *c,
	const struct cri_container_stats *s)
{
	(void)s;
	labels(b, "container_start_time_seconds", p, c);
	buf_fmt(b, "%.9g\n", (double)c->started_ns / 1e9);
}

static void usage_bytes(struct buf *b, struct pod *p, const struct cri_container_status *c,
	const struct cri_container_stats *s)
{
	labels(b, "container_memory_usage_bytes", p, c);
	buf_fmt(b, "%llu %lld\n", (unsigned long long)s->memory_usage,
		(long long)(s->time_ns / 1000000));
}

static void rss_bytes(struct buf *b, struct pod *p, const struct cri_container_status *c,
	const struct cri_container_stats *s)
{
	labels(b, "container_memory_rss", p, c);
	buf_fmt(b, "%llu %lld\n", (unsigned long long)s->memory_rss,
		(long long)(s->time_ns / 1000000));
}

static void heading(struct buf *b, const char *name, const char *type, const char *what)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, what, name, type);
}

static void write_resource(
	struct kubelet *k, const struct cri_container_stats *v, size_t n, struct buf *b)
{
	struct cgroup_usage u;

	cgroup_usage(&k->cgroups, "", &u);
	heading(b, "container_cpu_usage_seconds_total", "counter",
		"[STABLE] Cumulative cpu time consumed by the container in core-seconds");
	each_container(k, v, n, b, cpu_seconds);
	heading(b, "container_memory_working_set_bytes", "gauge",
		"[STABLE] Current working set of the container in bytes");
	each_container(k, v, n, b, working_set);
	heading(b, "container_start_time_seconds", "gauge",
		"[STABLE] Start time of the container since unix epoch in seconds");
	each_container(k, v, n, b, start_time);
	heading(b, "node_cpu_usage_seconds_total", "counter",
		"[STABLE] Cumulative cpu time consumed by the node in core-seconds");
	buf_fmt(b, "node_cpu_usage_seconds_total %.9g\n", (double)u.cpu_ns / 1e9);
	heading(b, "node_memory_working_set_bytes", "gauge",
		"[STABLE] Current working set of the node in bytes");
	buf_fmt(b, "node_memory_working_set_bytes %llu\n",
		(unsigned long long)u.memory_working_set);
	heading(b, "resource_scrape_error", "gauge",
		"[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
	buf_add_c(b, "resource_scrape_error 0\n");
}

static void write_cadvisor(
	struct kubelet *k, const struct cri_container_stats *v, size_t n, struct buf *b)
{
	heading(b, "container_cpu_usage_seconds_total", "counter",
		"Cumulative cpu time consumed in seconds.");
	each_container(k, v, n, b, cpu_seconds);
	heading(b, "container_memory_usage_bytes", "gauge",
		"Current memory usage in bytes, including all memory regardless of when it was "
		"accessed");
	each_container(k, v, n, b, usage_bytes);
	heading(b, "container_memory_working_set_bytes", "gauge", "Current working set in bytes.");
	each_container(k, v, n, b, working_set);
	heading(b, "container_memory_rss", "gauge", "Size of RSS in bytes.");
	each_container(k, v, n, b, rss_bytes);
	heading(b, "container_start_time_seconds", "gauge",
		"Start time of the container since unix epoch in seconds.");
	each_container(k, v, n, b, start_time);
	heading(b, "machine_cpu_cores", "gauge", "Number of logical CPU cores.");
	buf_fmt(b, "machine_cpu_cores %d\n", machine_cpus());
	heading(b, "machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
	buf_fmt(b, "machine_memory_bytes %lld\n", (long long)node_memory_capacity());
}

void serve_metrics_resource(struct route_args *r)
{
	ask_stats(r, TEXT_FORMAT, write_resource);
}

void serve_metrics_cadvisor(struct route_args *r)
{
	ask_stats(r, TEXT_FORMAT, write_cadvisor);
}

void serve_metrics(struct route_args *r)
{
	struct kubelet *k = r->s->k;
	struct buf b CLEANUP(buf_release) = {0};
	size_t pods = 0, states[4] = {0};

	buf_init(&b, ANSWER_MAX);
	for (struct pod *p = k->pods; p; p = p->next) {
		pods += observed_ready_sandbox(&p->observed) != NULL;
		for (size_t i = 0; i < p->observed.n_containers; i++)
			states[p->observed.containers[i].state]++;
	}
	heading(&b, "kubelet_node_name", "gauge",
		"[ALPHA] The node's name. The count is always 1.");
	buf_fmt(&b, "kubelet_node_name{node=\"" STR_FMT "\"} 1\n", STR_ARG(k->node_name));
	heading(&b, "kubelet_running_pods", "gauge",
		"[ALPHA] Number of pods that have a running pod sandbox");
	buf_fmt(&b, "kubelet_running_pods %zu\n", pods);
	heading(&b, "kubelet_running_containers", "gauge",
		"[ALPHA] Number of containers currently running");
	buf_fmt(&b,
		"kubelet_running_containers{container_state=\"created\"} %zu\n"
		"kubelet_running_containers{container_state=\"exited\"} %zu\n"
		"kubelet_running_containers{container_state=\"running\"} %zu\n"
		"kubelet_running_containers{container_state=\"unknown\"} %zu\n",
		states[CRI_CREATED], states[CRI_EXITED], states[CRI_RUNNING], states[CRI_UNKNOWN]);
	http_respond(r->x, 200, TEXT_FORMAT, buf_str(&b));
}
