/* server_metrics.c: /metrics/resource, /metrics/cadvisor, /metrics/probes, in Prometheus'
 * text format. */
#include <stdio.h>

#include "node/machine.h"
#include "node/handler.h"
#include "node/server.h"
#include "node/stats.h"

enum { ANSWER_MAX = 16 << 20 };

#define TEXT_FORMAT "text/plain; version=0.0.4; charset=utf-8"

struct metrics_request {
	struct kubelet *k;
	struct http_exchange *x; /* NULL: the client left */
	void (*write)(struct kubelet *k, const struct node_stats *st, struct buf *b);
};

static void metrics_left(struct http_exchange *x)
{
	((struct metrics_request *)x->user_data)->x = NULL;
}

static void got_stats(void *user_data, const struct node_stats *st, struct err *err)
{
	struct metrics_request *q = user_data;
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, ANSWER_MAX);
	if (q->x) {
		q->x->on_close = NULL;
		if (st)
			q->write(q->k, st, &b);
		if (err)
			server_error(q->x, 500, "%s", err_text(err));
		else if (buf_failed(&b))
			server_error(q->x, 500, "the answer is too large");
		else
			http_respond(q->x, 200, TEXT_FORMAT, buf_str(&b));
	}
	free(q);
}

static void ask(struct route_args *r, unsigned want,
	void (*write)(struct kubelet *k, const struct node_stats *st, struct buf *b))
{
	struct metrics_request *q = xcalloc(1, sizeof(*q));

	*q = (struct metrics_request){r->s->k, r->x, write};
	r->x->user_data = q;
	r->x->on_close = metrics_left;
	stats_ask(q->k->stats, want, got_stats, q);
}

static void heading(struct buf *b, const char *name, const char *type, const char *what)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, what, name, type);
}

static long long ms(int64_t ns)
{
	return ns / 1000000;
}

/* --- /metrics/resource (kubelet's pkg/kubelet/metrics/collectors/resource_metrics.go) --- */

enum value {
	CPU_SECONDS,
	WORKING_SET,
	USAGE,
	RSS,
	STARTED,
	FS_BYTES,
	FS_INODES,
	FAULTS,
	PERIODS, /* the last three: of containers with a limit */
	THROTTLED,
	THROTTLED_SECONDS,
};

static void write_value(struct buf *b, const struct container_stats *c, enum value v)
{
	const struct cri_container_stats *s = &c->use;
	const uint64_t plain[] = {[WORKING_SET] = s->memory_working_set,
		[USAGE] = s->memory_usage,
		[RSS] = s->memory_rss,
		[FS_BYTES] = s->fs_used_bytes,
		[FS_INODES] = s->fs_inodes_used,
		[FAULTS] = s->major_page_faults,
		[PERIODS] = s->cpu_periods,
		[THROTTLED] = s->cpu_throttled_periods};

	if (v == CPU_SECONDS)
		buf_fmt(b, "%.9f %lld\n", (double)s->cpu_usage_ns / 1e9, ms(s->time_ns));
	else if (v == THROTTLED_SECONDS)
		buf_fmt(b, "%.9f %lld\n", (double)s->cpu_throttled_ns / 1e9, ms(s->time_ns));
	else if (v == STARTED)
		buf_fmt(b, "%.9f\n", (double)c->status->started_ns / 1e9);
	else
		buf_fmt(b, "%llu %lld\n", (unsigned long long)plain[v], ms(s->time_ns));
}

static void each_container(
	struct buf *b, const struct node_stats *st, const char *metric, enum value v)
{
	for (size_t i = 0; i < st->n_pods; i++) {
		for (size_t c = 0; c < st->pods[i].n_containers; c++) {
			const struct container_stats *cs = &st->pods[i].containers[c];

			if (v >= PERIODS && !cs->use.cpu_periods)
				continue;
			buf_fmt(b,
				"%s{container=\"" STR_FMT "\",namespace=\"" STR_FMT
				"\",pod=\"" STR_FMT "\"} ",
				metric, STR_ARG(cs->status->name), STR_ARG(st->pods[i].pod->ns),
				STR_ARG(st->pods[i].pod->name));
			write_value(b, cs, v);
		}
	}
}

static void pod_label(struct buf *b, const char *metric, const struct pod *p)
{
	buf_fmt(b, "%s{namespace=\"" STR_FMT "\",pod=\"" STR_FMT "\"} ", metric, STR_ARG(p->ns),
		STR_ARG(p->name));
}

static void write_resource(struct kubelet *k, const struct node_stats *st, struct buf *b)
{
	heading(b, "container_cpu_usage_seconds_total", "counter",
		"[STABLE] Cumulative cpu time consumed by the container in core-seconds");
	each_container(b, st, "container_cpu_usage_seconds_total", CPU_SECONDS);
	heading(b, "container_memory_working_set_bytes", "gauge",
		"[STABLE] Current working set of the container in bytes");
	each_container(b, st, "container_memory_working_set_bytes", WORKING_SET);
	heading(b, "container_start_time_seconds", "gauge",
		"[STABLE] Start time of the container since unix epoch in seconds");
	each_container(b, st, "container_start_time_seconds", STARTED);
	heading(b, "node_cpu_usage_seconds_total", "counter",
		"[STABLE] Cumulative cpu time consumed by the node in core-seconds");
	buf_fmt(b, "node_cpu_usage_seconds_total %.9f %lld\n", (double)st->use.cpu_ns / 1e9,
		ms(st->time_ns));
	heading(b, "node_memory_working_set_bytes", "gauge",
		"[STABLE] Current working set of the node in bytes");
	buf_fmt(b, "node_memory_working_set_bytes %llu %lld\n",
		(unsigned long long)st->use.memory_working_set, ms(st->time_ns));
	heading(b, "pod_cpu_usage_seconds_total", "counter",
		"[STABLE] Cumulative cpu time consumed by the pod in core-seconds");
	for (size_t i = 0; i < st->n_pods; i++) {
		pod_label(b, "pod_cpu_usage_seconds_total", st->pods[i].pod);
		buf_fmt(b, "%.9f %lld\n", (double)st->pods[i].use.cpu_ns / 1e9, ms(st->time_ns));
	}
	heading(b, "pod_memory_working_set_bytes", "gauge",
		"[STABLE] Current working set of the pod in bytes");
	for (size_t i = 0; i < st->n_pods; i++) {
		pod_label(b, "pod_memory_working_set_bytes", st->pods[i].pod);
		buf_fmt(b, "%llu %lld\n", (unsigned long long)st->pods[i].use.memory_working_set,
			ms(st->time_ns));
	}
	heading(b, "resource_scrape_error", "gauge",
		"[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
	buf_add_c(b, "resource_scrape_error 0\n");
}

void serve_metrics_resource(struct route_args *r)
{
	ask(r, 0, write_resource);
}

/* --- /metrics/cadvisor --- */

static void each_interface(
	struct buf *b, const struct node_stats *st, const char *metric, size_t member)
{
	for (size_t i = 0; i < st->n_pods; i++) {
		const struct network_stats *n = &st->pods[i].network;

		for (size_t j = 0; j < n->n; j++)
			buf_fmt(b,
				"%s{interface=\"" STR_FMT "\",namespace=\"" STR_FMT
				"\",pod=\"" STR_FMT "\"} %llu %lld\n",
				metric, STR_ARG(n->v[j].name), STR_ARG(st->pods[i].pod->ns),
				STR_ARG(st->pods[i].pod->name),
				(unsigned long long)*(
					const uint64_t *)((const char *)&n->v[j] + member),
				ms(st->time_ns));
	}
}

static const struct {
	const char *name, *type, *help;
	enum value value;
} container_metrics[] = {
	{"container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.",
		CPU_SECONDS},
	{"container_cpu_cfs_periods_total", "counter",
		"Number of elapsed enforcement period intervals.", PERIODS},
	{"container_cpu_cfs_throttled_periods_total", "counter",
		"Number of throttled period intervals.", THROTTLED},
	{"container_cpu_cfs_throttled_seconds_total", "counter",
		"Total time duration the container has been throttled.", THROTTLED_SECONDS},
	{"container_memory_usage_bytes", "gauge",
		"Current memory usage in bytes, including all memory regardless of when it was "
		"accessed",
		USAGE},
	{"container_memory_working_set_bytes", "gauge", "Current working set in bytes.",
		WORKING_SET},
	{"container_memory_rss", "gauge", "Size of RSS in bytes.", RSS},
	{"container_fs_usage_bytes", "gauge",
		"Number of bytes that are consumed by the container on this filesystem.", FS_BYTES},
	{"container_start_time_seconds", "gauge",
		"Start time of the container since unix epoch in seconds.", STARTED},
};

static const struct {
	const char *name, *help;
	size_t member;
} network_metrics[] = {
	{"container_network_receive_bytes_total", "Cumulative count of bytes received",
		offsetof(struct interface_stats, rx_bytes)},
	{"container_network_receive_errors_total",
		"Cumulative count of errors encountered while receiving",
		offsetof(struct interface_stats, rx_errors)},
	{"container_network_transmit_bytes_total", "Cumulative count of bytes transmitted",
		offsetof(struct interface_stats, tx_bytes)},
	{"container_network_transmit_errors_total",
		"Cumulative count of errors encountered while transmitting",
		offsetof(struct interface_stats, tx_errors)},
};

static void write_cadvisor(struct kubelet *k, const struct node_stats *st, struct buf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(container_metrics); i++) {
		heading(b, container_metrics[i].name, container_metrics[i].type,
			container_metrics[i].help);
		each_container(b, st, container_metrics[i].name, container_metrics[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(network_metrics); i++) {
		heading(b, network_metrics[i].name, "counter", network_metrics[i].help);
		each_interface(b, st, network_metrics[i].name, network_metrics[i].member);
	}
	heading(b, "machine_cpu_cores", "gauge", "Number of logical CPU cores.");
	buf_fmt(b, "machine_cpu_cores %d\n", machine_cpus());
	heading(b, "machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
	buf_fmt(b, "machine_memory_bytes %lld\n", (long long)node_memory_capacity());
}

void serve_metrics_cadvisor(struct route_args *r)
{
	ask(r, STATS_DISKS, write_cadvisor);
}

/* --- /metrics/probes --- */

static void write_probe(struct buf *b, const struct pod *p, const struct container_memory *m,
	size_t type, size_t result)
{
	static const char *const types[] = {"Liveness", "Readiness", "Startup"};
	static const char *const results[] = {[HANDLER_OK] = "successful",
		[HANDLER_FAILED] = "failed",
		[HANDLER_ERROR] = "unknown"};

	if (m->probe_totals[type][result])
		buf_fmt(b,
			"prober_probe_total{container=\"%s\",namespace=\"" STR_FMT
			"\",pod=\"" STR_FMT "\",pod_uid=\"" STR_FMT
			"\",probe_type=\"%s\",result=\"%s\"} %u\n",
			m->name, STR_ARG(p->ns), STR_ARG(p->name), STR_ARG(p->uid), types[type],
			results[result], m->probe_totals[type][result]);
}

void serve_metrics_probes(struct route_args *r)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, ANSWER_MAX);
	heading(&b, "prober_probe_total", "counter",
		"[BETA] Cumulative number of a liveness, readiness or startup probe for a "
		"container by result.");
	for (struct pod *p = r->s->k->pods; p; p = p->next)
		for (struct container_memory *m = p->containers; m; m = m->next)
			for (size_t i = 0; i < 9; i++)
				write_probe(&b, p, m, i / 3, i % 3);
	if (buf_failed(&b))
		server_error(r->x, 500, "the answer is too large");
	else
		http_respond(r->x, 200, TEXT_FORMAT, buf_str(&b));
}
