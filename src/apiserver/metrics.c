/* metrics.c: the numbers behind /metrics (Prometheus text format 0.0.4), under upstream's names. */
#include "apiserver/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/server.h"

enum { TEXT_MAX = 4 * 1024 * 1024, CODES = 600 };

static const char *const verbs[] = {
	"GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION", "other"};

struct server_metrics {
	_Atomic uint64_t requests[ARRAY_SIZE(verbs)][CODES];
	_Atomic int64_t in_flight;
	_Atomic int64_t watches;
	time_t started;
};

struct server_metrics *metrics_new(void)
{
	struct server_metrics *m = xcalloc(1, sizeof(*m));

	m->started = time(NULL);
	return m;
}

void metrics_free(struct server_metrics *m)
{
	free(m);
}

static const struct {
	const char *verb;
	size_t at;
} verb_of[] = {{"get", 0}, {"list", 1}, {"watch", 2}, {"create", 3}, {"update", 4}, {"patch", 5},
	{"delete", 6}, {"deletecollection", 7}};

void metrics_begin(struct server_metrics *m)
{
	m->in_flight++;
}

void metrics_end(struct server_metrics *m, struct str verb, int code)
{
	size_t at = ARRAY_SIZE(verbs) - 1;

	for (size_t i = 0; i < ARRAY_SIZE(verb_of); i++)
		if (str_eqc(verb, verb_of[i].verb))
			at = verb_of[i].at;
	m->requests[at][code > 0 && code < CODES ? code : 0]++;
	m->in_flight--;
}

void metrics_watch(struct server_metrics *m, int change)
{
	m->watches += change;
}

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_requests(const struct server_metrics *m, struct buf *b)
{
	head(b, "apiserver_request_total", "counter",
		"[STABLE] Counter of apiserver requests broken out for each verb and code.");
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++)
		for (int code = 0; code < CODES; code++)
			if (m->requests[v][code])
				buf_fmt(b,
					"apiserver_request_total{code=\"%d\",verb=\"%s\"} %llu\n",
					code, verbs[v], (unsigned long long)m->requests[v][code]);
	head(b, "apiserver_current_inflight_requests", "gauge",
		"[STABLE] Number of requests that are being answered.");
	buf_fmt(b, "apiserver_current_inflight_requests %lld\n", (long long)m->in_flight);
	head(b, "apiserver_longrunning_requests", "gauge",
		"[STABLE] Number of watches that are open.");
	buf_fmt(b, "apiserver_longrunning_requests{verb=\"WATCH\"} %lld\n", (long long)m->watches);
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
	write_requests(r->s->metrics, &b);
	write_objects(r->s, &b);
	write_process(r->s->metrics, &b);
	respond_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
	buf_release(&b);
}
