/* metrics.h: counters of the API server, and /metrics. Any thread. */
#ifndef SAMPAN_APISERVER_METRICS_H
#define SAMPAN_APISERVER_METRICS_H

#include "base/base.h"

struct request;
struct server_metrics;

struct server_metrics *server_metrics_new(void);
void server_metrics_free(struct server_metrics *m);
/* Every request once each; code: of the answer, 0 when there was none. */
void metrics_begin(struct server_metrics *m, const struct request *r);
void metrics_end(struct server_metrics *m, const struct request *r, int code);
void metrics_watch(struct server_metrics *m, int change); /* one more or one less */
void handle_metrics(struct request *r);

#endif
