/* metrics.c: the numbers behind /metrics (Prometheus text format 0.0.4), under upstream's names. */
#include "apiserver/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/server.h"
#include "base/map.h"

enum {
	TEXT_MAX = 16 * 1024 * 1024,
	SERIES_MAX = 8192, /* of resources, verbs and codes together; what comes after is not told
			      apart */
	LABELS_MAX = 1024,
	BUCKETS = 23,
};

/* Upstream's, in seconds. */
static const double buckets[BUCKETS] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5,
	2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60};

struct durations {
	uint64_t n[BUCKETS + 1];
	double sum_s;
};

struct server_metrics {
	pthread_mutex_t lock;
	struct map requests;  /* labels -> uint64_t * */
	struct map durations; /* labels without the code -> struct durations * */
	_Atomic int64_t reading, writing;
	_Atomic int64_t watches;
	time_t started;
};

struct server_metrics *server_metrics_new(void)
{
	struct server_metrics *m = xcalloc(1, sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	m->started = time(NULL);
	return m;
}

static void free_values(struct map *map)
{
	for (struct map_entry *e = map_first(map); e; e = map_next(map, e))
		free(e->value);
	map_release(map);
}

void server_metrics_free(struct server_metrics *m)
{
	if (!m)
		return;
	free_values(&m->requests);
	free_values(&m->durations);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* --- counting --- */

static bool is_read(struct str method)
{
	return str_eqc(method, "GET") || str_eqc(method, "HEAD");
}

void metrics_begin(struct server_metrics *m, const struct request *r)
{
	if (is_read(r->method))
		m->reading++;
	else
		m->writing++;
}

/* As upstream's CleanVerb: the method, but LIST, WATCH, APPLY, CONNECT. */
static const char *verb_of(const struct request *r)
{
	static const struct {
		const char *verb, *name;
	} names[] = {{"get", "GET"}, {"list", "LIST"}, {"watch", "WATCH"}, {"create", "POST"},
		{"update", "PUT"}, {"patch", "PATCH"}, {"delete", "DELETE"},
		{"deletecollection", "DELETECOLLECTION"}, {"post", "POST"}, {"put", "PUT"}};

	if (r->sub && (!strcmp(r->sub->name, "exec") || !strcmp(r->sub->name, "attach") ||
			      !strcmp(r->sub->name, "portforward") ||
			      !strcmp(r->sub->name, "proxy") || !strcmp(r->sub->name, "log")))
		return "CONNECT";
	if (str_eqc(r->info.verb, "patch") &&
		str_starts(r->content_type, S("application/apply-patch")))
		return "APPLY";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(r->info.verb, names[i].verb))
			return names[i].name;
	return "other";
}

static const char *scope_of(const struct request *r)
{
	if (!r->res)
		return "";
	return r->info.parts.n > 1 ? "resource" : r->info.ns.n ? "namespace" : "cluster";
}

/* Only what the server knows becomes a label: a client cannot make series. */
static struct str labels_of(const struct request *r, char text[LABELS_MAX])
{
	int n = snprintf(text, LABELS_MAX,
		"component=\"apiserver\",dry_run=\"%s\",group=\"%s\",resource=\"%s\",scope=\"%s\","
		"subresource=\"%s\",verb=\"%s\",version=\"%s\"",
		r->ctx.dry_run ? "All" : "", r->res ? r->res->group : "",
		r->res ? r->res->plural : "", scope_of(r), r->sub ? r->sub->name : "", verb_of(r),
		r->res ? r->res->version : "");

	return str_n(text, MIN((size_t)n, (size_t)LABELS_MAX - 1));
}

static void *series(struct map *map, struct str labels, size_t size)
{
	void *v = map_get(map, labels);

	if (v || map->n >= SERIES_MAX)
		return v;
	v = xcalloc(1, size);
	map_set(map, labels, v);
	return v;
}

static void count(struct server_metrics *m, struct str labels, int code, double seconds)
{
	char with_code[LABELS_MAX + 16];
	int n = snprintf(
		with_code, sizeof(with_code), "code=\"%d\"," STR_FMT, code, STR_ARG(labels));
	struct durations *d;
	uint64_t *total;
	size_t i = 0;

	pthread_mutex_lock(&m->lock);
	total = series(&m->requests, str_n(with_code, n), sizeof(*total));
	if (total)
		++*total;
	d = series(&m->durations, labels, sizeof(*d));
	while (i < BUCKETS && seconds > buckets[i])
		i++;
	if (d) {
		d->n[i]++;
		d->sum_s += seconds;
	}
	pthread_mutex_unlock(&m->lock);
}

void metrics_end(struct server_metrics *m, const struct request *r, int code)
{
	char text[LABELS_MAX];
	int64_t ns = loop_wall_ns(r->loop) - r->now_ns;

	if (is_read(r->method))
		m->reading--;
	else
		m->writing--;
	count(m, labels_of(r, text), code, (double)MAX(ns, 0) / 1e9);
}

void metrics_watch(struct server_metrics *m, int change)
{
	m->watches += change;
}

/* --- telling --- */

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static int by_labels(const void *a, const void *b)
{
	return strcmp((*(const struct map_entry *const *)a)->key,
		(*(const struct map_entry *const *)b)->key);
}

/* A map's entries by name, so that two answers can be compared. */
static struct map_entry **sorted(const struct map *map, struct arena *a)
{
	struct map_entry **v = ARENA_ARRAY(a, struct map_entry *, map->n + 1);
	size_t n = 0;

	for (struct map_entry *e = map_first(map); e; e = map_next(map, e))
		v[n++] = e;
	if (n)
		qsort(v, n, sizeof(*v), by_labels);
	return v;
}

static void write_durations(const struct map_entry *e, struct buf *b)
{
	static const char name[] = "apiserver_request_duration_seconds";
	const struct durations *d = e->value;
	uint64_t n = 0;

	for (size_t i = 0; i <= BUCKETS; i++) {
		n += d->n[i];
		if (i < BUCKETS)
			buf_fmt(b, "%s_bucket{%s,le=\"%g\"} %llu\n", name, e->key, buckets[i],
				(unsigned long long)n);
	}
	buf_fmt(b, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name,
		e->key, (unsigned long long)n, name, e->key, d->sum_s, name, e->key,
		(unsigned long long)n);
}

static void write_requests(struct server_metrics *m, struct arena *a, struct buf *b)
{
	struct map_entry **v;

	pthread_mutex_lock(&m->lock);
	head(b, "apiserver_request_total", "counter",
		"[STABLE] Counter of apiserver requests broken out for each verb, dry run value, "
		"group, version, resource, scope, component, and HTTP response code.");
	v = sorted(&m->requests, a);
	for (size_t i = 0; i < m->requests.n; i++)
		buf_fmt(b, "apiserver_request_total{%s} %llu\n", v[i]->key,
			(unsigned long long)*(const uint64_t *)v[i]->value);
	head(b, "apiserver_request_duration_seconds", "histogram",
		"[STABLE] Response latency distribution in seconds for each verb, dry run value, "
		"group, version, resource, subresource, scope and component.");
	v = sorted(&m->durations, a);
	for (size_t i = 0; i < m->durations.n; i++)
		write_durations(v[i], b);
	pthread_mutex_unlock(&m->lock);
	head(b, "apiserver_current_inflight_requests", "gauge",
		"[STABLE] Maximal number of currently used inflight request limit of this "
		"apiserver "
		"per request kind in last second.");
	buf_fmt(b,
		"apiserver_current_inflight_requests{request_kind=\"mutating\"} %lld\n"
		"apiserver_current_inflight_requests{request_kind=\"readOnly\"} %lld\n",
		(long long)m->writing, (long long)m->reading);
	head(b, "apiserver_longrunning_requests", "gauge",
		"[STABLE] Gauge of all active long-running apiserver requests broken out by verb, "
		"group, version, resource, scope and component. Not all requests are tracked this "
		"way.");
	buf_fmt(b, "apiserver_longrunning_requests{component=\"apiserver\",verb=\"WATCH\"} %lld\n",
		(long long)m->watches);
}

static void write_objects(struct apiserver *s, struct buf *b)
{
	head(b, "apiserver_storage_objects", "gauge", "[STABLE] Number of stored objects by kind.");
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];
		struct snapshot *snap;

		if (!res->storage || !(res->verbs & VERB_LIST))
			continue;
		snap = store_snapshot(s->store, res);
		buf_fmt(b, "apiserver_storage_objects{resource=\"%s%s%s\"} %zu\n", res->plural,
			*res->group ? "." : "", res->group, snapshot_count(snap));
		snapshot_unref(snap);
	}
}

static void write_process(const struct server_metrics *m, struct buf *b)
{
	struct timespec cpu;
	long resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%*d %ld", &resident) != 1)
		resident = 0;
	if (f)
		fclose(f);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	head(b, "process_cpu_seconds_total", "counter",
		"Total user and system CPU time spent in seconds.");
	buf_fmt(b, "process_cpu_seconds_total %lld.%02ld\n", (long long)cpu.tv_sec,
		cpu.tv_nsec / 10000000);
	head(b, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
	buf_fmt(b, "process_resident_memory_bytes %ld\n", resident * sysconf(_SC_PAGESIZE));
	head(b, "process_start_time_seconds", "gauge",
		"Start time of the process since unix epoch in seconds.");
	buf_fmt(b, "process_start_time_seconds %lld\n", (long long)m->started);
}

void handle_metrics(struct request *r)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	write_requests(r->s->metrics, r->arena, &b);
	write_objects(r->s, &b);
	write_process(r->s->metrics, &b);
	respond_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
	buf_release(&b);
}
