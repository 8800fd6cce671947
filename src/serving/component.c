#include "serving/component.h"

#include <stdio.h>
#include <time.h>

#include "base/version.h"

enum { ANSWER_MAX = 16 << 20, HEALTH_MAX = 64 * 1024 };

#define PLAIN "text/plain; charset=utf-8"

static const struct metric healthcheck = {"kubernetes_healthcheck", METRIC_GAUGE,
	"[STABLE] This metric records the result of a single healthcheck.", {"name", "type"}};
static const struct metric healthchecks = {"kubernetes_healthchecks_total", METRIC_COUNTER,
	"[STABLE] This metric records the results of all healthcheck.", {"name", "status", "type"}};
static const struct metric started = {"process_start_time_seconds", METRIC_GAUGE,
	"[ALPHA] Start time of the process since unix epoch in seconds."};

static const struct {
	const char *path, *name;
	enum component_page page;
} health_pages[] = {{"/healthz", "healthz", COMPONENT_HEALTHZ},
	{"/livez", "livez", COMPONENT_LIVEZ}, {"/readyz", "readyz", COMPONENT_READYZ}};

void component_init(struct component *c)
{
	c->slis = metrics_new();
}

void component_release(struct component *c)
{
	metrics_free(c->slis);
	c->slis = NULL;
}

static void answer(struct http_exchange *x, int code, const char *type, const struct buf *b)
{
	if (buf_failed(b)) {
		http_respond(x, 500, PLAIN, S("the answer is too large\n"));
		return;
	}
	http_header(x, "X-Content-Type-Options", S("nosniff"));
	http_respond(x, code, type, buf_str(b));
}

static void answer_plain(struct http_exchange *x, int code, struct str text)
{
	http_header(x, "X-Content-Type-Options", S("nosniff"));
	http_respond(x, code, PLAIN, text);
}

void component_not_found(struct http_exchange *x)
{
	answer_plain(x, 404, S("404 page not found\n"));
}

/* --- health --- */

struct health {
	struct component *c;
	const char *page;
	struct str only; /* the one check that was asked for; empty: all */
	struct str_vec excluded;
	struct str_vec found;
	struct arena *arena;
	struct buf text;
	size_t n;
	bool failed;
};

/* What was found, for /metrics/slis; as upstream only what was looked at. */
static void count(struct health *h, const char *name, bool ok)
{
	metric_add(
		METRICS_GET(h->c->slis, &healthchecks, name, ok ? "success" : "error", h->page), 1);
	metric_set(METRICS_GET(h->c->slis, &healthcheck, name, h->page), ok);
}

static void check(void *to, const char *name, bool ok)
{
	struct health *h = to;

	if (h->only.n && !str_eqc(h->only, name))
		return;
	h->n++;
	ARENA_PUSH(h->arena, &h->found, arena_strc(h->arena, name));
	if (str_vec_has(&h->excluded, str_c(name))) {
		buf_fmt(&h->text, "[+]%s excluded: ok\n", name);
		return;
	}
	count(h, name, ok);
	buf_fmt(&h->text, ok ? "[+]%s ok\n" : "[-]%s failed: reason withheld\n", name);
	h->failed = h->failed || !ok;
}

static void warn_unknown(struct health *h)
{
	for (size_t i = 0; i < h->excluded.n; i++)
		if (!str_vec_has(&h->found, h->excluded.v[i]))
			buf_fmt(&h->text,
				"warn: some health checks cannot be excluded: no matches for "
				"\"" STR_FMT "\"\n",
				STR_ARG(h->excluded.v[i]));
}

static void serve_health(struct component *c, struct http_exchange *x, size_t page, struct str only)
{
	struct health h = {.c = c,
		.page = health_pages[page].name,
		.only = only,
		.excluded = http_query_all(x, "exclude"),
		.arena = &x->arena};

	buf_init(&h.text, HEALTH_MAX);
	if (c->checks)
		c->checks(c->user_data, health_pages[page].page, check, &h);
	if (h.n == 0 && !only.n)
		check(&h, "ping", true);
	if (only.n && h.n == 0) {
		component_not_found(x);
	} else if (only.n) {
		answer_plain(x, h.failed ? 500 : 200,
			h.failed ? S("internal server error: reason withheld\n") : S("ok"));
	} else if (!h.failed && !http_query(x, "verbose").p) {
		answer_plain(x, 200, S("ok"));
	} else {
		warn_unknown(&h);
		buf_fmt(&h.text, "%s check %s\n", h.page, h.failed ? "failed" : "passed");
		answer(x, h.failed ? 500 : 200, PLAIN, &h.text);
	}
	buf_release(&h.text);
}

/* Which health page a path is for, and which check of it; -1: none. */
static int health_page(const struct component *c, struct str path, struct str *ret_check)
{
	for (size_t i = 0; i < ARRAY_SIZE(health_pages); i++) {
		struct str rest;

		if (!(c->pages & health_pages[i].page) ||
			!str_starts(path, str_c(health_pages[i].path)))
			continue;
		rest = str_sub(path, strlen(health_pages[i].path), path.n);
		if (rest.n && rest.p[0] != '/')
			continue;
		*ret_check = rest.n ? str_sub(rest, 1, rest.n) : rest;
		return (int)i;
	}
	return -1;
}

/* --- metrics --- */

static void serve_metrics(struct component *c, struct http_exchange *x)
{
	struct buf b;

	buf_init(&b, ANSWER_MAX);
	if (c->metrics)
		metrics_write(c->metrics, &b);
	if (c->collect)
		c->collect(c->user_data, &b);
	metrics_write_process(&b);
	answer(x, 200, METRICS_CONTENT_TYPE, &b);
	buf_release(&b);
}

static void serve_slis(struct component *c, struct http_exchange *x)
{
	struct buf b;

	buf_init(&b, ANSWER_MAX);
	metrics_write(c->slis, &b);
	metric_plain(&b, &started, metrics_process_start_s());
	answer(x, 200, METRICS_CONTENT_TYPE, &b);
	buf_release(&b);
}

/* --- what it is --- */

static void heading(struct buf *b, const char *name, const char *page)
{
	buf_fmt(b,
		"\n%s %s\nWarning: This endpoint is not meant to be machine parseable, has no "
		"formatting compatibility guarantees and is for debugging purposes only.\n",
		name, page);
}

void component_paths(const struct component *c, struct buf *out)
{
	if (c->config)
		buf_add_c(out, " /configz");
	if (c->flags.p)
		buf_add_c(out, " /flagz");
	for (size_t i = 0; i < ARRAY_SIZE(health_pages); i++)
		if ((c->pages & health_pages[i].page) && health_pages[i].page != COMPONENT_READYZ)
			buf_fmt(out, " %s", health_pages[i].path);
	buf_add_c(out, " /metrics");
	if (c->pages & COMPONENT_READYZ)
		buf_add_c(out, " /readyz");
}

static void serve_status(struct component *c, struct http_exchange *x)
{
	double start = metrics_process_start_s();
	time_t start_s = (time_t)start;
	long up = time(NULL) - start_s;
	char text[64];
	struct tm tm;
	struct buf b;

	gmtime_r(&start_s, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S UTC %Y", &tm);
	buf_init(&b, HEALTH_MAX);
	heading(&b, c->name, "statusz");
	buf_fmt(&b,
		"\nStarted: %s\nUp: %ld hr %02ld min %02ld sec\nGo version: none\nBinary version: "
		"%s\n"
		"Emulation version: " SAMPAN_KUBERNETES_MAJOR "." SAMPAN_KUBERNETES_MINOR
		"\nPaths:",
		text, up / 3600, up / 60 % 60, up % 60, &SAMPAN_KUBERNETES_VERSION[1]);
	component_paths(c, &b);
	buf_add_char(&b, '\n');
	answer(x, 200, PLAIN, &b);
	buf_release(&b);
}

static void serve_flags(struct component *c, struct http_exchange *x)
{
	struct buf b;

	buf_init(&b, HEALTH_MAX);
	heading(&b, c->name, "flagz");
	buf_add_str(&b, c->flags);
	answer(x, 200, PLAIN, &b);
	buf_release(&b);
}

static void serve_config(struct component *c, struct http_exchange *x)
{
	struct buf b;

	buf_init(&b, ANSWER_MAX);
	c->config(c->user_data, &b);
	answer(x, 200, "application/json", &b);
	buf_release(&b);
}

static const struct {
	const char *path;
	void (*serve)(struct component *c, struct http_exchange *x);
} pages[] = {
	{"/metrics", serve_metrics},
	{"/metrics/slis", serve_slis},
	{"/statusz", serve_status},
	{"/flagz", serve_flags},
	{"/configz", serve_config},
};

static int other_page(const struct component *c, struct str path)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (str_eqc(path, pages[i].path))
			return (pages[i].serve == serve_flags && !c->flags.p) ||
					       (pages[i].serve == serve_config && !c->config)
				       ? -1
				       : (int)i;
	return -1;
}

bool component_is_page(const struct component *c, struct str path)
{
	struct str check_name;

	return health_page(c, path, &check_name) >= 0 || other_page(c, path) >= 0 ||
	       str_starts(path, S("/debug/pprof"));
}

bool component_serve(struct component *c, struct http_exchange *x)
{
	struct str check_name;
	int health = health_page(c, x->path, &check_name), other = other_page(c, x->path);

	if (health >= 0)
		serve_health(c, x, (size_t)health, check_name);
	else if (other >= 0)
		pages[other].serve(c, x);
	else if (str_starts(x->path, S("/debug/pprof")))
		answer_plain(x, 404, S(COMPONENT_NO_PPROF));
	else
		return false;
	return true;
}
