#include "metrics/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { SERIES_MAX = 8192, SLOTS = 256, LABELS_TEXT_MAX = 4096 };

struct metric_series {
	const struct metric *metric;
	struct metric_series *next; /* in its slot */
	uint64_t hash;
	_Atomic double value; /* a histogram's: the sum */
	char *labels;         /* a="x",b="y"; behind `counts` */
	size_t labels_n;
	_Atomic uint64_t counts[]; /* of a histogram: what fell into each bucket, +Inf last */
};

struct metrics {
	pthread_mutex_t lock;
	struct metric_series *slots[SLOTS];
	size_t n;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		while (m->slots[i]) {
			struct metric_series *s = m->slots[i];

			m->slots[i] = s->next;
			free(s);
		}
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* --- series --- */

static void write_escaped(struct buf *b, const char *value)
{
	for (const char *p = value; *p; p++) {
		if (*p == '\n')
			buf_add_c(b, "\\n");
		else if (*p == '"' || *p == '\\')
			buf_fmt(b, "\\%c", *p);
		else
			buf_add_char(b, *p);
	}
}

static void write_labels(struct buf *b, const struct metric *metric, const char *const *values)
{
	for (size_t i = 0; metric->labels[i]; i++) {
		buf_fmt(b, "%s%s=\"", i ? "," : "", metric->labels[i]);
		write_escaped(b, values[i] ? values[i] : "");
		buf_add_char(b, '"');
	}
}

static size_t n_counts(const struct metric *metric)
{
	return metric->type == METRIC_HISTOGRAM ? metric->buckets.n + 1 : 0;
}

static struct metric_series *series_new(const struct metric *metric, struct str labels)
{
	size_t counts = n_counts(metric) * sizeof(_Atomic uint64_t);
	struct metric_series *s = xcalloc(1, sizeof(*s) + counts + labels.n + 1);

	s->metric = metric;
	s->labels = (char *)(s + 1) + counts;
	s->labels_n = labels.n;
	if (labels.n)
		memcpy(s->labels, labels.p, labels.n);
	return s;
}

static struct metric_series *find(const struct metric_series *s, uint64_t hash,
	const struct metric *metric, struct str labels)
{
	for (; s; s = s->next)
		if (s->hash == hash && s->metric == metric &&
			str_eq(str_n(s->labels, s->labels_n), labels))
			return (struct metric_series *)s;
	return NULL;
}

struct metric_series *metrics_get(
	struct metrics *m, const struct metric *metric, const char *const *values)
{
	struct metric_series *s, **slot;
	struct buf labels;
	uint64_t hash;

	if (!m)
		return NULL;
	buf_init(&labels, LABELS_TEXT_MAX);
	write_labels(&labels, metric, values);
	if (buf_failed(&labels)) {
		buf_release(&labels);
		return NULL;
	}
	hash = str_hash(buf_str(&labels)) * 31 + str_hash(str_c(metric->name));
	slot = &m->slots[hash % SLOTS];
	pthread_mutex_lock(&m->lock);
	s = find(*slot, hash, metric, buf_str(&labels));
	if (!s && m->n < SERIES_MAX) {
		s = series_new(metric, buf_str(&labels));
		s->hash = hash;
		s->next = *slot;
		*slot = s;
		m->n++;
	}
	pthread_mutex_unlock(&m->lock);
	buf_release(&labels);
	return s;
}

/* --- observing --- */

static void add(_Atomic double *to, double n)
{
	double old = atomic_load_explicit(to, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		to, &old, old + n, memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_add(struct metric_series *s, double n)
{
	if (s)
		add(&s->value, n);
}

void metric_set(struct metric_series *s, double v)
{
	if (s)
		atomic_store_explicit(&s->value, v, memory_order_relaxed);
}

void metric_observe(struct metric_series *s, double v)
{
	const struct metric_buckets *b;
	size_t i = 0;

	if (!s)
		return;
	b = &s->metric->buckets;
	while (i < b->n && v > b->limits[i])
		i++;
	atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
	add(&s->value, v);
}

void metric_observe_since(struct metric_series *s, int64_t since_ns)
{
	metric_observe(s, (double)(metric_now_ns() - since_ns) / 1e9);
}

/* --- text --- */

/* As Go's strconv.FormatFloat(v, 'g', -1, 64): as few digits as say the number. */
void metric_number(struct buf *out, double v)
{
	char text[40];
	int digits = 0, exponent;

	if (isinf(v)) {
		buf_add_c(out, v > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (isnan(v)) {
		buf_add_c(out, "NaN");
		return;
	}
	do
		snprintf(text, sizeof(text), "%.*e", digits, v);
	while (strtod(text, NULL) != v && ++digits < 17);
	exponent = atoi(strchr(text, 'e') + 1);
	if (exponent >= -4 && exponent < 6)
		snprintf(text, sizeof(text), "%.*f", MAX(digits - exponent, 0), v);
	buf_add_c(out, text);
}

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

void metric_begin(struct buf *out, const struct metric *metric)
{
	buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
		type_names[metric->type]);
}

void metric_line(struct buf *out, const struct metric *metric, const char *const *values, double v)
{
	buf_add_c(out, metric->name);
	if (metric->labels[0]) {
		buf_add_char(out, '{');
		write_labels(out, metric, values);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ' ');
	metric_number(out, v);
	buf_add_char(out, '\n');
}

void metric_plain(struct buf *out, const struct metric *metric, double v)
{
	metric_begin(out, metric);
	metric_line(out, metric, NULL, v);
}

/* "name_suffix{labels,le="x"} " */
static void sample(struct buf *out, const struct metric_series *s, const char *suffix)
{
	buf_fmt(out, "%s%s", s->metric->name, suffix);
	if (s->labels_n)
		buf_fmt(out, "{%s}", s->labels);
	buf_add_char(out, ' ');
}

static void bucket(struct buf *out, const struct metric_series *s, double limit, uint64_t n)
{
	buf_fmt(out, "%s_bucket{%s%sle=\"", s->metric->name, s->labels, s->labels_n ? "," : "");
	metric_number(out, limit);
	buf_add_c(out, "\"} ");
	buf_add_u64(out, n);
	buf_add_char(out, '\n');
}

static void write_histogram(struct buf *out, const struct metric_series *s)
{
	const struct metric_buckets *b = &s->metric->buckets;
	uint64_t n = 0;

	for (size_t i = 0; i <= b->n; i++) {
		n += atomic_load_explicit(&s->counts[i], memory_order_relaxed);
		bucket(out, s, i < b->n ? b->limits[i] : INFINITY, n);
	}
	sample(out, s, "_sum");
	metric_number(out, atomic_load_explicit(&s->value, memory_order_relaxed));
	buf_add_char(out, '\n');
	sample(out, s, "_count");
	buf_add_u64(out, n);
	buf_add_char(out, '\n');
}

static void write_series(struct buf *out, const struct metric_series *s)
{
	if (s->metric->type == METRIC_HISTOGRAM) {
		write_histogram(out, s);
		return;
	}
	sample(out, s, "");
	metric_number(out, atomic_load_explicit(&s->value, memory_order_relaxed));
	buf_add_char(out, '\n');
}

static int by_name(const void *va, const void *vb)
{
	const struct metric_series *a = *(struct metric_series *const *)va,
				   *b = *(struct metric_series *const *)vb;
	int c = strcmp(a->metric->name, b->metric->name);

	return c ? c : strcmp(a->labels, b->labels);
}

/* Series are never taken away: their pointers stay good without the lock. */
void metrics_write(struct metrics *m, struct buf *out)
{
	struct metric_series **all;
	size_t n = 0;

	pthread_mutex_lock(&m->lock);
	all = xcalloc(m->n + 1, sizeof(struct metric_series *));
	for (size_t i = 0; i < SLOTS; i++)
		for (struct metric_series *s = m->slots[i]; s; s = s->next)
			all[n++] = s;
	pthread_mutex_unlock(&m->lock);
	if (n)
		qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || all[i]->metric != all[i - 1]->metric)
			metric_begin(out, all[i]->metric);
		write_series(out, all[i]);
	}
	free(all);
}
