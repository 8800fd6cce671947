#include "client/rest_meter.h"

#include <stdio.h>

enum { KNOWN_MAX = 48, HOST_TEXT_MAX = 256 };

static const double seconds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};
static const struct metric requests = {"rest_client_requests_total", METRIC_COUNTER,
	"[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
	{"code", "host", "method"}};
static const struct metric durations = {"rest_client_request_duration_seconds", METRIC_HISTOGRAM,
	"[ALPHA] Request latency in seconds. Broken down by verb, and host.", {"host", "verb"},
	METRIC_BUCKETS(seconds)};

/* Series that were looked up before, by method and status. */
struct known {
	const char *method;
	int status;
	struct metric_series *count, *duration;
};

struct rest_meter {
	struct metrics *metrics;
	char host[HOST_TEXT_MAX];
	struct known known[KNOWN_MAX];
	size_t n;
};

struct rest_meter *rest_meter_new(struct metrics *metrics, struct str url)
{
	struct rest_meter *m = xcalloc(1, sizeof(*m));
	struct str scheme, rest, host;

	m->metrics = metrics;
	if (!str_cut(url, ':', &scheme, &rest) || !str_starts(rest, S("//")))
		rest = url;
	else
		rest = str_sub(rest, 2, rest.n);
	str_cut(rest, '/', &host, &rest);
	snprintf(m->host, sizeof(m->host), STR_FMT, STR_ARG(host));
	return m;
}

void rest_meter_free(struct rest_meter *m)
{
	free(m);
}

static struct known look_up(struct rest_meter *m, const char *method, int status)
{
	char code[16] = "<error>";
	struct known k = {.method = method, .status = status};

	if (status)
		snprintf(code, sizeof(code), "%d", status);
	k.count = METRICS_GET(m->metrics, &requests, code, m->host, method);
	k.duration = METRICS_GET(m->metrics, &durations, m->host, method);
	return k;
}

static struct known find(struct rest_meter *m, const char *method, int status)
{
	struct known k;

	for (size_t i = 0; i < m->n; i++)
		if (m->known[i].status == status && !strcmp(m->known[i].method, method))
			return m->known[i];
	k = look_up(m, method, status);
	if (m->n < KNOWN_MAX)
		m->known[m->n++] = k;
	return k;
}

void rest_meter_count(struct rest_meter *m, const char *method, int status, int64_t since_ns)
{
	struct known k;

	if (!m || !m->metrics)
		return;
	k = find(m, method, status);
	metric_add(k.count, 1);
	if (since_ns)
		metric_observe_since(k.duration, since_ns);
}
