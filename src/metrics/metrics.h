/*
 * metrics.h: counters, gauges and histograms of one component, and their text (Prometheus' format
 * 0.0.4). What a metric is stands in a constant table; its values belong to a `struct metrics`, so
 * two components of one process have each their own.
 *
 *     static const struct metric attempts = {"scheduler_schedule_attempts_total", METRIC_COUNTER,
 *             "[STABLE] Number of attempts …", {"profile", "result"}};
 *     struct metric_series *s = METRICS_GET(m, &attempts, "default-scheduler", "scheduled");   //
 * once metric_add(s, 1);                                                                       //
 * each time
 *
 * A series is found once and kept: observing allocates nothing, takes no lock and may be done by
 * any thread. What is known anyway (how many pods there are) is not kept but written when somebody
 * asks: metric_begin, METRIC_LINE.
 */
#ifndef SAMPAN_METRICS_H
#define SAMPAN_METRICS_H

#include <time.h>

#include "base/base.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum { METRIC_LABELS_MAX = 10 };

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metric_buckets {
	const double *limits; /* ascending, without +Inf */
	size_t n;
};
#define METRIC_BUCKETS(array)                                                                      \
	{                                                                                          \
		(array), ARRAY_SIZE(array)                                                         \
	}

struct metric {
	const char *name;
	enum metric_type type;
	const char *help;                          /* with upstream's stability: "[STABLE] …" */
	const char *labels[METRIC_LABELS_MAX + 1]; /* NULL-terminated */
	struct metric_buckets buckets;             /* of a histogram */
};

struct metrics;
struct metric_series; /* one set of label values; lives as long as the metrics */

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/* The series with these values, one for each label; made when it is new. NULL when there are too
 * many (8192): what is observed of NULL is lost; so it is when `m` is NULL. Any thread. */
struct metric_series *metrics_get(
	struct metrics *m, const struct metric *metric, const char *const *values);
#define METRICS_GET(m, metric, ...) metrics_get(m, metric, (const char *const[]){__VA_ARGS__})
static inline struct metric_series *metrics_get_plain(
	struct metrics *m, const struct metric *metric) /* without labels */
{
	return metrics_get(m, metric, NULL);
}

void metric_add(struct metric_series *s, double n);     /* counter, gauge */
void metric_set(struct metric_series *s, double v);     /* gauge */
void metric_observe(struct metric_series *s, double v); /* histogram */
/* The duration from `since_ns` (metric_now_ns) until now, in seconds. */
void metric_observe_since(struct metric_series *s, int64_t since_ns);
static inline int64_t metric_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- text --- */

/* All series, sorted by name and labels. Any thread. */
void metrics_write(struct metrics *m, struct buf *out);
/* HELP and TYPE of a metric whose lines follow; then a line each. `values` as for metrics_get. */
void metric_begin(struct buf *out, const struct metric *metric);
void metric_line(struct buf *out, const struct metric *metric, const char *const *values, double v);
#define METRIC_LINE(out, metric, v, ...)                                                           \
	metric_line(out, metric, (const char *const[]){__VA_ARGS__}, v)
/* Both, of one that has no labels. */
void metric_plain(struct buf *out, const struct metric *metric, double v);
void metric_number(
	struct buf *out, double v); /* as Go writes it: "0.005", "1.048576e+06", "+Inf" */

/* process_*: of this process; kubernetes_build_info and version_info. (process.c) */
void metrics_write_process(struct buf *out);
double metrics_process_start_s(void); /* Unix time */

#endif
