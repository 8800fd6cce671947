/* server_stats.c: what runs here and what it uses: /pods, /runningpods, /stats/summary. */
#include <time.h>

#include "json/write.h"
#include "node/machine.h"
#include "node/server.h"
#include "node/stats.h"

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

/* --- asking --- */

struct stats_request {
	struct kubelet *k;
	struct http_exchange *x; /* NULL: the client left */
	bool cpu_and_memory_only;
	void (*write)(const struct stats_request *q, const struct node_stats *st, struct buf *b);
	const char *content_type;
};

static void stats_left(struct http_exchange *x)
{
	struct stats_request *q = x->user_data;

	q->x = NULL;
}

static void got_stats(void *user_data, const struct node_stats *st, struct err *err)
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
			q->write(q, st, &b);
			if (buf_failed(&b))
				server_error(x, 500, "the answer is too large");
			else
				http_respond(x, 200, q->content_type, buf_str(&b));
		}
	}
	free(q);
}

/* --- /stats/summary (kubelet's stats/v1alpha1 Summary) --- */

static void write_time(struct buf *b, const char *key, int64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	char text[32];
	struct tm tm;

	gmtime_r(&sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_fmt(b, "\"%s\":\"%s\"", key, text);
}

static void write_u64(struct buf *b, const char *key, uint64_t v)
{
	buf_fmt(b, ",\"%s\":", key);
	buf_add_u64(b, v);
}

/* The window is ours: who computes with the rate knows what it covers. */
static void write_cpu(struct buf *b, int64_t now_ns, uint64_t cpu_ns, const struct usage_rate *rate)
{
	buf_add_c(b, "\"cpu\":{");
	write_time(b, "time", now_ns);
	if (rate->window_ns) {
		write_u64(b, "usageNanoCores", rate->nano_cores);
		write_u64(b, "windowNanoSeconds", rate->window_ns);
	}
	write_u64(b, "usageCoreNanoSeconds", cpu_ns);
	buf_add_char(b, '}');
}

static void write_usage(struct buf *b, int64_t now_ns, const struct cgroup_usage *u,
	const struct usage_rate *rate, uint64_t available)
{
	write_cpu(b, now_ns, u->cpu_ns, rate);
	buf_add_c(b, ",\"memory\":{");
	write_time(b, "time", now_ns);
	if (available)
		write_u64(b, "availableBytes", available);
	write_u64(b, "usageBytes", u->memory_usage);
	write_u64(b, "workingSetBytes", u->memory_working_set);
	write_u64(b, "rssBytes", u->memory_rss);
	write_u64(b, "pageFaults", u->page_faults);
	write_u64(b, "majorPageFaults", u->major_page_faults);
	buf_add_char(b, '}');
}

static void write_interface(struct buf *b, const struct interface_stats *i)
{
	buf_fmt(b, "\"name\":\"" STR_FMT "\"", STR_ARG(i->name));
	write_u64(b, "rxBytes", i->rx_bytes);
	write_u64(b, "rxErrors", i->rx_errors);
	write_u64(b, "txBytes", i->tx_bytes);
	write_u64(b, "txErrors", i->tx_errors);
}

static void write_network(struct buf *b, int64_t now_ns, const struct network_stats *n)
{
	if (!n->n)
		return;
	buf_add_c(b, ",\"network\":{");
	write_time(b, "time", now_ns);
	buf_add_char(b, ',');
	write_interface(b, &n->v[n->main]);
	buf_add_c(b, ",\"interfaces\":[");
	for (size_t i = 0; i < n->n; i++) {
		buf_add_c(b, i ? ",{" : "{");
		write_interface(b, &n->v[i]);
		buf_add_char(b, '}');
	}
	buf_add_c(b, "]}");
}

/* The file system that holds `path`; `used`: what of it, NULL = all that is used. */
static void write_fs(struct buf *b, const char *path, int64_t now_ns, const struct disk_use *used)
{
	uint64_t free_bytes = 0, inodes = 0, inodes_free = 0, size;

	size = machine_disk(path, &free_bytes, &inodes, &inodes_free);
	write_time(b, "time", used && used->time_ns ? used->time_ns : now_ns);
	write_u64(b, "availableBytes", free_bytes);
	write_u64(b, "capacityBytes", size);
	write_u64(b, "usedBytes", used ? used->bytes : size - free_bytes);
	write_u64(b, "inodesFree", inodes_free);
	write_u64(b, "inodes", inodes);
	write_u64(b, "inodesUsed", used ? used->inodes : inodes - inodes_free);
}

static void write_fs_key(struct buf *b, const char *key, const char *path, int64_t now_ns,
	const struct disk_use *used)
{
	buf_fmt(b, "\"%s\":{", key);
	write_fs(b, path, now_ns, used);
	buf_add_char(b, '}');
}

static void write_container(const struct stats_request *q, int64_t now_ns,
	const struct container_stats *c, struct buf *b)
{
	const struct cri_container_stats *s = &c->use;
	const struct cgroup_usage u = {s->cpu_usage_ns, s->memory_usage, s->memory_working_set,
		s->memory_rss, s->page_faults, s->major_page_faults};
	const struct disk_use root = {now_ns, s->fs_used_bytes, s->fs_inodes_used};

	buf_fmt(b, "{\"name\":\"" STR_FMT "\",", STR_ARG(c->status->name));
	write_time(b, "startTime", c->status->started_ns);
	buf_add_char(b, ',');
	write_usage(b, s->time_ns ? s->time_ns : now_ns, &u, &c->rate, 0);
	if (!q->cpu_and_memory_only) {
		buf_add_char(b, ',');
		write_fs_key(b, "rootfs", q->k->opts.data_dir, now_ns, &root);
		buf_add_char(b, ',');
		write_fs_key(b, "logs", q->k->opts.pod_log_dir, now_ns, &c->logs);
	}
	buf_add_char(b, '}');
}

static void write_volumes(const struct pod_stats *p, int64_t now_ns, struct buf *b)
{
	if (!p->n_volumes)
		return;
	buf_add_c(b, ",\"volume\":[");
	for (size_t i = 0; i < p->n_volumes; i++) {
		const struct volume_stats *v = &p->volumes[i];

		buf_add_c(b, i ? ",{" : "{");
		write_fs(b, v->path.p, now_ns, &v->used);
		buf_fmt(b, ",\"name\":\"" STR_FMT "\"", STR_ARG(v->name));
		if (v->claim.n)
			buf_fmt(b,
				",\"pvcRef\":{\"name\":\"" STR_FMT "\",\"namespace\":\"" STR_FMT
				"\"}",
				STR_ARG(v->claim), STR_ARG(p->pod->ns));
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

/* What counts against the pod's ephemeral storage. */
static struct disk_use ephemeral(const struct pod_stats *p)
{
	struct disk_use out = {0};

	for (size_t i = 0; i < p->n_containers; i++) {
		out.bytes += p->containers[i].use.fs_used_bytes + p->containers[i].logs.bytes;
		out.inodes += p->containers[i].use.fs_inodes_used + p->containers[i].logs.inodes;
	}
	for (size_t i = 0; i < p->n_volumes; i++) {
		if (p->volumes[i].claim.n)
			continue;
		out.bytes += p->volumes[i].used.bytes;
		out.inodes += p->volumes[i].used.inodes;
	}
	return out;
}

static void write_pod(const struct stats_request *q, const struct node_stats *st,
	const struct pod_stats *p, struct buf *b)
{
	struct disk_use use = ephemeral(p);

	buf_fmt(b,
		"{\"podRef\":{\"name\":\"" STR_FMT "\",\"namespace\":\"" STR_FMT
		"\",\"uid\":\"" STR_FMT "\"},",
		STR_ARG(p->pod->name), STR_ARG(p->pod->ns), STR_ARG(p->pod->uid));
	write_time(b, "startTime", p->pod->observed.sandboxes[0].created_ns);
	buf_add_c(b, ",\"containers\":[");
	for (size_t i = 0; i < p->n_containers; i++) {
		if (i)
			buf_add_char(b, ',');
		write_container(q, st->time_ns, &p->containers[i], b);
	}
	buf_add_c(b, "],");
	write_usage(b, st->time_ns, &p->use, &p->rate, 0);
	if (!q->cpu_and_memory_only) {
		write_network(b, st->time_ns, &p->network);
		write_volumes(p, st->time_ns, b);
		buf_add_char(b, ',');
		write_fs_key(b, "ephemeral-storage", q->k->opts.root_dir, st->time_ns, &use);
	}
	buf_add_char(b, '}');
}

static void write_system_containers(const struct node_stats *st, int64_t boot_ns, struct buf *b)
{
	buf_add_c(b, "\"systemContainers\":[{\"name\":\"pods\",");
	write_time(b, "startTime", boot_ns);
	buf_add_char(b, ',');
	write_usage(b, st->time_ns, &st->pods_use, &st->pods_rate, 0);
	buf_add_c(b, "}],");
}

static void write_rlimit(int64_t now_ns, struct buf *b)
{
	uint64_t max, now;

	if (!machine_processes(&max, &now))
		return;
	buf_add_c(b, ",\"rlimit\":{");
	write_time(b, "time", now_ns);
	write_u64(b, "maxpid", max);
	write_u64(b, "curproc", now);
	buf_add_char(b, '}');
}

static void write_summary(const struct stats_request *q, const struct node_stats *st, struct buf *b)
{
	struct kubelet *k = q->k;
	int64_t boot_ns = st->time_ns - (int64_t)loop_now_ms(k->loop) * 1000000;
	uint64_t memory = machine_memory();

	buf_fmt(b, "{\"node\":{\"nodeName\":\"" STR_FMT "\",", STR_ARG(k->node_name));
	write_system_containers(st, boot_ns, b);
	write_time(b, "startTime", boot_ns);
	buf_add_char(b, ',');
	write_usage(b, st->time_ns, &st->use, &st->rate,
		memory - MIN(memory, st->use.memory_working_set));
	if (!q->cpu_and_memory_only) {
		write_network(b, st->time_ns, &st->network);
		buf_add_char(b, ',');
		write_fs_key(b, "fs", k->opts.root_dir, st->time_ns, NULL);
		buf_add_c(b, ",\"runtime\":{");
		write_fs_key(b, "imageFs", k->opts.data_dir, st->time_ns, NULL);
		buf_add_char(b, ',');
		write_fs_key(b, "containerFs", k->opts.data_dir, st->time_ns, NULL);
		buf_add_char(b, '}');
		write_rlimit(st->time_ns, b);
	}
	buf_add_c(b, "},\"pods\":[");
	for (size_t i = 0; i < st->n_pods; i++) {
		if (i)
			buf_add_char(b, ',');
		write_pod(q, st, &st->pods[i], b);
	}
	buf_add_c(b, "]}\n");
}

void serve_stats_summary(struct route_args *r)
{
	struct stats_request *q;

	if (!str_eq(r->part[1], S("summary"))) {
		server_error(r->x, 404, "404 page not found\n");
		return;
	}
	q = xcalloc(1, sizeof(*q));
	q->k = r->s->k;
	q->x = r->x;
	q->write = write_summary;
	q->content_type = "application/json";
	q->cpu_and_memory_only = str_find(r->x->query, S("only_cpu_and_memory=true")) >= 0;
	r->x->user_data = q;
	r->x->on_close = stats_left;
	stats_ask(q->k->stats, STATS_RATES | (q->cpu_and_memory_only ? 0 : STATS_DISKS), got_stats,
		q);
}
