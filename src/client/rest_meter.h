/*
 * rest_meter.h: rest_client_*: the requests that a component sends to the API server. One thread:
 * the loop's of the client.
 */
#ifndef SAMPAN_REST_METER_H
#define SAMPAN_REST_METER_H

#include "metrics/metrics.h"

struct rest_meter;

/* `metrics` must outlive it; NULL: nothing is counted. */
struct rest_meter *rest_meter_new(struct metrics *metrics, struct str url);
void rest_meter_free(struct rest_meter *m);
/* An answer (status 0: there was none) to a request sent at since_ns (metric_now_ns; 0: a stream,
 * which is not timed). method: a literal. */
void rest_meter_count(struct rest_meter *m, const char *method, int status, int64_t since_ns);

#endif
