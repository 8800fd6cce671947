#include "apiserver/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "apiserver/server.h"

enum {
	KNOWN_SLOTS = 512, /* more are looked up each time */
	PROBES_MAX = 16,
	PLUGINS_MAX = 64,
};

static const double latency[] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4,
	5, 6, 8, 10, 15, 20, 30, 45, 60};
static const double sli_latency[] = {
	0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60};
static const double bytes[] = {1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
static const double from_1ms[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256,
	0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
static const double admission_latency[] = {0.005, 0.025, 0.1, 0.5, 1, 2.5};

static const struct metric request_total = {"apiserver_request_total", METRIC_COUNTER,
	"[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, "
	"version, resource, scope, component, and HTTP response code.",
	{"code", "component", "dry_run", "group", "resource", "scope", "subresource",
		"system_client", "verb", "version"}};
static const struct metric request_duration = {"apiserver_request_duration_seconds",
	METRIC_HISTOGRAM,
	"[STABLE] Response latency distribution in seconds for each verb, dry run value, group, "
	"version, resource, subresource, scope and component.",
	{"component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version"},
	METRIC_BUCKETS(latency)};
static const struct metric request_sli = {"apiserver_request_sli_duration_seconds",
	METRIC_HISTOGRAM,
	"[ALPHA] Response latency distribution (not counting webhook duration and priority & "
	"fairness queue wait times) in seconds for each verb, group, version, resource, "
	"subresource, scope and component.",
	{"component", "group", "resource", "scope", "subresource", "verb", "version"},
	METRIC_BUCKETS(sli_latency)};
static const struct metric response_sizes = {"apiserver_response_sizes", METRIC_HISTOGRAM,
	"[STABLE] Response size distribution in bytes for each group, version, verb, resource, "
	"subresource, scope and component.",
	{"component", "group", "resource", "scope", "subresource", "verb", "version"},
	METRIC_BUCKETS(bytes)};
static const struct metric longrunning = {"apiserver_longrunning_requests", METRIC_GAUGE,
	"[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, "
	"version, resource, scope and component. Not all requests are tracked this way.",
	{"component", "group", "resource", "scope", "subresource", "verb", "version"}};
static const struct metric watch_events = {"apiserver_watch_events_total", METRIC_COUNTER,
	"[ALPHA] Number of events sent in watch clients", {"group", "resource", "version"}};
static const struct metric inflight = {"apiserver_current_inflight_requests", METRIC_GAUGE,
	"[STABLE] Maximal number of currently used inflight request limit of this apiserver per "
	"request kind in last second.",
	{"request_kind"}};
static const struct metric authentications = {"authentication_attempts", METRIC_COUNTER,
	"[ALPHA] Counter of authenticated attempts.", {"result"}};
static const struct metric authentication_duration = {"authentication_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] Authentication duration in seconds broken out by result.",
	{"result"}, METRIC_BUCKETS(from_1ms)};
static const struct metric authorizations = {"authorization_attempts_total", METRIC_COUNTER,
	"[ALPHA] Counter of authorization attempts broken down by result. It can be either "
	"'allowed', 'denied', 'no-opinion' or 'error'.",
	{"result"}};
static const struct metric authorization_duration = {"authorization_duration_seconds",
	METRIC_HISTOGRAM, "[ALPHA] Authorization duration in seconds broken out by result.",
	{"result"}, METRIC_BUCKETS(from_1ms)};
static const struct metric audit_events = {"apiserver_audit_event_total", METRIC_COUNTER,
	"[ALPHA] Counter of audit events generated and sent to the audit backend."};
static const struct metric admission_duration = {
	"apiserver_admission_controller_admission_duration_seconds", METRIC_HISTOGRAM,
	"[STABLE] Admission controller latency histogram in seconds, identified by name and broken "
	"out for each operation and API resource and type (validate or admit).",
	{"name", "operation", "rejected", "type"}, METRIC_BUCKETS(admission_latency)};
static const struct metric admission_step = {"apiserver_admission_step_admission_duration_seconds",
	METRIC_HISTOGRAM,
	"[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation "
	"and API resource and step type (validate or admit).",
	{"operation", "rejected", "type"}, METRIC_BUCKETS(admission_latency)};

static const double webhook_latency[] = {0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25};
static const struct metric admission_webhook = {
	"apiserver_admission_webhook_admission_duration_seconds", METRIC_HISTOGRAM,
	"[STABLE] Admission webhook latency histogram in seconds, identified by name and broken "
	"out for each operation and API resource and type (validate or admit).",
	{"name", "operation", "rejected", "type"}, METRIC_BUCKETS(webhook_latency)};
static const char *const operations[] = {"CREATE", "UPDATE", "DELETE", "CONNECT"};

/* Series that were looked up before. A slot is filled under the lock, its key last. */
struct known {
	_Atomic uint64_t key; /* 0: free */
	struct metric_series *v[4];
};
enum { OF_DURATION, OF_SLI, OF_SIZE, OF_RUNNING }; /* of requests alike but for their code */

struct result_series {
	struct metric_series *count[2], *duration[2]; /* no, yes */
};

struct server_metrics {
	struct metrics *all;
	pthread_mutex_t lock;
	struct known totals[KNOWN_SLOTS], alike[KNOWN_SLOTS];
	struct result_series authentication, authorization;
	struct metric_series *audit;
	_Atomic(struct metric_series *) plugins[PLUGINS_MAX + 1][4][2]
					       [2]; /* operation, type, rejected;
						    the last: the step */
	_Atomic int64_t reading, writing;
};

static struct result_series result_series_new(struct metrics *all, const struct metric *count,
	const struct metric *duration, const char *no, const char *yes)
{
	return (struct result_series){{METRICS_GET(all, count, no), METRICS_GET(all, count, yes)},
		{METRICS_GET(all, duration, no), METRICS_GET(all, duration, yes)}};
}

struct server_metrics *server_metrics_new(void)
{
	struct server_metrics *m = xcalloc(1, sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	m->all = metrics_new();
	m->authentication = result_series_new(
		m->all, &authentications, &authentication_duration, "failure", "success");
	m->authorization = result_series_new(
		m->all, &authorizations, &authorization_duration, "denied", "allowed");
	m->audit = metrics_get_plain(m->all, &audit_events);
	return m;
}

void server_metrics_free(struct server_metrics *m)
{
	if (!m)
		return;
	metrics_free(m->all);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

struct metrics *server_metrics_all(struct server_metrics *m)
{
	return m->all;
}

/* --- what a request is --- */

static const char *const verb_names[] = {"GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "DELETE",
	"DELETECOLLECTION", "CONNECT", "APPLY", "other"};
enum { VERB_GET_, VERB_LIST_, VERB_WATCH_, VERB_CONNECT_ = 8, VERB_APPLY_, VERB_OTHER_ };
static const char *const scope_names[] = {"", "cluster", "namespace", "resource"};
static const char *const dry_run_names[] = {"", "All"};
static const char *const clients[] = {
	"", "kube-apiserver", "kube-controller-manager", "kube-scheduler"};
/* Of what is no resource; a client cannot make more of them. */
static const char *const paths[] = {"", "/healthz", "/livez", "/readyz", "/metrics",
	"/metrics/slis", "/version", "/statusz", "/flagz", "api", "apis", "openapi/v2",
	"openapi/v3", "/openid/v1/jwks", "/.well-known/openid-configuration"};

/* As upstream's CleanVerb: the method, but LIST, WATCH, APPLY, CONNECT. */
static unsigned verb_of(const struct request *r)
{
	static const char *const words[] = {"get", "list", "watch", "create", "update", "patch",
		"delete", "deletecollection", "", "post", "put"};
	static const unsigned as[] = {0, 1, 2, 3, 4, 5, 6, 7, VERB_OTHER_, 3, 4};
	static const char *const connects[] = {"log", "exec", "attach", "portforward", "proxy"};

	for (size_t i = 0; r->sub && i < ARRAY_SIZE(connects); i++)
		if (!strcmp(r->sub->name, connects[i]))
			return VERB_CONNECT_;
	if (str_eqc(r->info.verb, "patch") &&
		str_starts(r->content_type, S("application/apply-patch")))
		return VERB_APPLY_;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqc(r->info.verb, words[i]))
			return as[i];
	return VERB_OTHER_;
}

static unsigned scope_of(const struct request *r)
{
	if (!r->res)
		return 0;
	return r->info.parts.n > 1 || str_eqc(r->info.verb, "create") ? 3 : r->info.ns.n ? 2 : 1;
}

static unsigned client_of(const struct request *r)
{
	for (unsigned i = 1; i < ARRAY_SIZE(clients); i++) {
		size_t n = strlen(clients[i]);

		if (r->user_agent.n > n && r->user_agent.p[n] == '/' &&
			!memcmp(r->user_agent.p, clients[i], n))
			return i;
	}
	return 0;
}

static unsigned path_of(const struct request *r)
{
	for (unsigned i = 1; i < ARRAY_SIZE(paths); i++) {
		struct str known = str_c(paths[i]), path = r->info.path;

		if (paths[i][0] != '/' && path.n)
			path = str_sub(path, 1, path.n);
		if (str_starts(path, known) && (path.n == known.n || path.p[known.n] == '/'))
			return i;
	}
	return 0;
}

/* What is alike in a request's labels as a number, from the highest bit: resource, subresource (or
 * path), verb, scope, dry run; then a 1, so that it is never 0. */
struct kind {
	unsigned resource, sub, verb, scope, dry_run;
};

static struct kind kind_of(const struct request *r)
{
	struct kind k = {.verb = verb_of(r), .scope = scope_of(r), .dry_run = r->ctx.dry_run};

	k.resource = r->res ? r->res->index + 1u : 0;
	k.sub = !r->res ? path_of(r) : r->sub ? (unsigned)(r->sub - r->res->subresources) + 1 : 0;
	return k;
}

static uint64_t kind_number(const struct kind *k)
{
	return ((((((uint64_t)k->resource << 8 | k->sub) << 4 | k->verb) << 2 | k->scope) << 1 |
			k->dry_run)
		       << 1) |
	       1;
}

struct labels {
	const char *component, *dry_run, *group, *resource, *scope, *subresource, *verb, *version;
};

static struct labels labels_of(const struct request *r, const struct kind *k)
{
	const struct schema_resource *res = r->res;

	return (struct labels){
		.component = res || paths[k->sub][0] != '/' ? "apiserver" : "",
		.dry_run = dry_run_names[k->dry_run],
		.group = res ? res->group : "",
		.resource = res ? res->plural : "",
		.scope = scope_names[k->scope],
		.subresource = !res     ? paths[k->sub]
			       : r->sub ? r->sub->name
					: "",
		.verb = verb_names[k->verb],
		.version = res ? res->version : "",
	};
}

/* --- finding series again --- */

static struct known *slot_of(struct known *table, uint64_t key, size_t probe)
{
	return &table[((key * UINT64_C(0x9e3779b97f4a7c15) >> 40) + probe) % KNOWN_SLOTS];
}

static const struct known *known_find(struct known *table, uint64_t key)
{
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct known *s = slot_of(table, key, i);
		uint64_t found = atomic_load_explicit(&s->key, memory_order_acquire);

		if (found == key)
			return s;
		if (!found)
			return NULL;
	}
	return NULL;
}

static void known_keep(
	struct server_metrics *m, struct known *table, uint64_t key, const struct known *values)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct known *s = slot_of(table, key, i);

		if (s->key == key)
			break;
		if (s->key)
			continue;
		memcpy(s->v, values->v, sizeof(s->v));
		atomic_store_explicit(&s->key, key, memory_order_release);
		break;
	}
	pthread_mutex_unlock(&m->lock);
}

static struct known alike(struct server_metrics *m, const struct request *r, const struct kind *k)
{
	uint64_t key = kind_number(k);
	const struct known *found = known_find(m->alike, key);
	struct known n = {0};

	if (found) {
		memcpy(n.v, found->v, sizeof(n.v));
		return n;
	}
	struct labels l = labels_of(r, k);
	n.v[OF_DURATION] = METRICS_GET(m->all, &request_duration, l.component, l.dry_run, l.group,
		l.resource, l.scope, l.subresource, l.verb, l.version);
	if (k->verb != VERB_WATCH_)
		n.v[OF_SLI] = METRICS_GET(m->all, &request_sli, l.component, l.group, l.resource,
			l.scope, l.subresource, l.verb, l.version);
	if (k->verb == VERB_GET_ || k->verb == VERB_LIST_)
		n.v[OF_SIZE] = METRICS_GET(m->all, &response_sizes, l.component, l.group,
			l.resource, l.scope, l.subresource, l.verb, l.version);
	if (k->verb == VERB_WATCH_)
		n.v[OF_RUNNING] = METRICS_GET(m->all, &longrunning, l.component, l.group,
			l.resource, l.scope, l.subresource, l.verb, l.version);
	known_keep(m, m->alike, key, &n);
	return n;
}

static struct metric_series *total(
	struct server_metrics *m, const struct request *r, const struct kind *k, int code)
{
	unsigned client = client_of(r);
	uint64_t key = kind_number(k) << 12 | (uint64_t)client << 10 | ((unsigned)code & 1023);
	const struct known *found = known_find(m->totals, key);
	struct known n = {0};
	char text[16];

	if (found)
		return found->v[0];
	struct labels l = labels_of(r, k);
	snprintf(text, sizeof(text), "%d", code);
	n.v[0] = METRICS_GET(m->all, &request_total, text, l.component, l.dry_run, l.group,
		l.resource, l.scope, l.subresource, clients[client], l.verb, l.version);
	known_keep(m, m->totals, key, &n);
	return n.v[0];
}

/* --- counting --- */

static bool is_read(struct str method)
{
	return str_eqc(method, "GET") || str_eqc(method, "HEAD");
}

void metrics_begin(struct server_metrics *m, const struct request *r)
{
	atomic_fetch_add_explicit(
		is_read(r->method) ? &m->reading : &m->writing, 1, memory_order_relaxed);
}

void metrics_end(struct server_metrics *m, const struct request *r, int code)
{
	double seconds = (double)MAX(loop_wall_ns(r->loop) - r->now_ns, 0) / 1e9;
	struct kind k;
	struct known n;

	atomic_fetch_sub_explicit(
		is_read(r->method) ? &m->reading : &m->writing, 1, memory_order_relaxed);
	if (!code)
		return;
	k = kind_of(r);
	n = alike(m, r, &k);
	metric_add(total(m, r, &k, code), 1);
	metric_observe(n.v[OF_DURATION], seconds);
	metric_observe(n.v[OF_SLI], seconds);
	if (r->x)
		metric_observe(n.v[OF_SIZE], (double)r->x->sent);
}

void metrics_watch(struct server_metrics *m, const struct request *r, int change)
{
	struct kind k = kind_of(r);

	metric_add(alike(m, r, &k).v[OF_RUNNING], change);
}

struct metric_series *metrics_watch_events(struct server_metrics *m, const struct request *r)
{
	return METRICS_GET(m->all, &watch_events, r->res->group, r->res->plural, r->res->version);
}

static int64_t count_result(const struct result_series *s, bool ok, int64_t since_ns)
{
	int64_t now_ns = metric_now_ns();

	metric_add(s->count[ok], 1);
	metric_observe(s->duration[ok], (double)(now_ns - since_ns) / 1e9);
	return now_ns;
}

int64_t metrics_authenticated(struct server_metrics *m, bool ok, int64_t since_ns)
{
	return count_result(&m->authentication, ok, since_ns);
}

void metrics_authorized(struct server_metrics *m, bool ok, int64_t since_ns)
{
	count_result(&m->authorization, ok, since_ns);
}

void metrics_audit_event(struct server_metrics *m)
{
	metric_add(m->audit, 1);
}

/* --- admission --- */

static struct metric_series *admission_series(struct server_metrics *m, size_t plugin,
	enum admission_op op, bool validating, bool rejected)
{
	size_t at = (size_t)__builtin_ctz(op);
	_Atomic(struct metric_series *) *s =
		&m->plugins[MIN(plugin, (size_t)PLUGINS_MAX)][at][validating][rejected];
	struct metric_series *found = atomic_load_explicit(s, memory_order_acquire);
	const char *type = validating ? "validate" : "admit", *no = rejected ? "true" : "false";

	if (found)
		return found;
	if (plugin >= PLUGINS_MAX)
		found = METRICS_GET(m->all, &admission_step, operations[at], no, type);
	else
		found = METRICS_GET(m->all, &admission_duration, admission_plugins[plugin]->name,
			operations[at], no, type);
	atomic_store_explicit(s, found, memory_order_release);
	return found;
}

int64_t metrics_admission(struct server_metrics *m, size_t plugin, enum admission_op op,
	bool validating, bool rejected, int64_t since_ns)
{
	int64_t now_ns = metric_now_ns();

	if (plugin < PLUGINS_MAX)
		metric_observe(admission_series(m, plugin, op, validating, rejected),
			(double)(now_ns - since_ns) / 1e9);
	return now_ns;
}

void metrics_admission_step(struct server_metrics *m, enum admission_op op, bool validating,
	bool rejected, int64_t since_ns)
{
	metric_observe_since(admission_series(m, PLUGINS_MAX, op, validating, rejected), since_ns);
}

void metrics_webhook(struct server_metrics *m, const char *name, enum admission_op op,
	bool validating, bool rejected, int64_t since_ns)
{
	metric_observe_since(
		METRICS_GET(m->all, &admission_webhook, name, operations[__builtin_ctz(op)],
			rejected ? "true" : "false", validating ? "validate" : "admit"),
		since_ns);
}

/* --- telling --- */

static const struct metric storage_size = {"apiserver_storage_size_bytes", METRIC_GAUGE,
	"[STABLE] Size of the storage database file physically allocated in bytes.",
	{"storage_cluster_id"}};

static const struct metric storage_objects = {"apiserver_storage_objects", METRIC_GAUGE,
	"[STABLE] (Deprecated since 1.34.0) [DEPRECATED, consider using apiserver_resource_objects "
	"instead] Number of stored objects at the time of last check split by kind. In case of a "
	"fetching error, the value will be -1.",
	{"resource"}};
static const struct metric resource_objects = {"apiserver_resource_objects", METRIC_GAUGE,
	"[ALPHA] Number of stored objects at the time of last check split by kind. In case of a "
	"fetching error, the value will be -1.",
	{"group", "resource"}};

static bool is_stored(const struct schema_resource *res)
{
	return res->storage && (res->verbs & VERB_LIST);
}

static double count_objects(struct apiserver *s, const struct schema_resource *res)
{
	struct snapshot *snap = store_snapshot(s->store, res);
	size_t n = snapshot_count(snap);

	snapshot_unref(snap);
	return (double)n;
}

static void write_objects(struct apiserver *s, struct buf *out)
{
	char name[256];

	metric_begin(out, &resource_objects);
	for (size_t i = 0; i < schema_n_resources; i++)
		if (is_stored(schema_resources[i]))
			METRIC_LINE(out, &resource_objects, count_objects(s, schema_resources[i]),
				schema_resources[i]->group, schema_resources[i]->plural);
	metric_begin(out, &storage_objects);
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (!is_stored(res))
			continue;
		snprintf(name, sizeof(name), "%s%s%s", res->plural, *res->group ? "." : "",
			res->group);
		METRIC_LINE(out, &storage_objects, count_objects(s, res), name);
	}
}

static void collect(void *user_data, struct buf *out)
{
	struct apiserver *s = user_data;
	struct stat st;

	metric_begin(out, &inflight);
	METRIC_LINE(out, &inflight, (double)s->metrics->writing, "mutating");
	METRIC_LINE(out, &inflight, (double)s->metrics->reading, "readOnly");
	if (s->opts.storage_file && stat(s->opts.storage_file, &st) == 0) {
		metric_begin(out, &storage_size);
		METRIC_LINE(out, &storage_size, (double)st.st_blocks * 512, "sqlite");
	}
	write_objects(s, out);
}

/* "etcd" is what probes and people ask for: the store, whichever it is. */
static void checks(void *user_data, enum component_page page, component_check_fn *each, void *to)
{
	struct apiserver *s = user_data;

	each(to, "ping", true);
	each(to, "log", true);
	each(to, "etcd", store_healthy(s->store));
	each(to, "poststarthook/bootstrap-controller", atomic_load(&s->bootstrapped));
}

void metrics_pages_init(struct apiserver *s)
{
	s->pages = (struct component){.name = "apiserver",
		.metrics = s->metrics->all,
		.collect = collect,
		.pages = COMPONENT_HEALTHZ | COMPONENT_LIVEZ | COMPONENT_READYZ,
		.checks = checks,
		.flags = arena_str(&s->arena, s->opts.flags_text),
		.user_data = s};
	component_init(&s->pages);
}

bool handle_pages(struct request *r)
{
	if (!component_is_page(&r->s->pages, r->x->path))
		return false;
	respond_headers(r);
	return component_serve(&r->s->pages, r->x);
}
