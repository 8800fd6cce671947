/* metrics.h: what the API server counts (apiserver_*, authentication_*, authorization_*), and
 * /metrics. Any thread.
 *
 * A request is counted in series that were looked up before, under a number that says its resource,
 * verb, scope and code: nothing is formatted, allocated or locked on its way. */
#ifndef SAMPAN_APISERVER_METRICS_H
#define SAMPAN_APISERVER_METRICS_H

#include "apiserver/admission.h"
#include "metrics/metrics.h"

struct request;
struct server_metrics;

struct server_metrics *server_metrics_new(void);
void server_metrics_free(struct server_metrics *m);
struct metrics *server_metrics_all(struct server_metrics *m);

/* Every request once each; code: of the answer, 0 when there was none. */
void metrics_begin(struct server_metrics *m, const struct request *r);
void metrics_end(struct server_metrics *m, const struct request *r, int code);
/* One more or one less watch, and its events. */
void metrics_watch(struct server_metrics *m, const struct request *r, int change);
struct metric_series *metrics_watch_events(struct server_metrics *m, const struct request *r);
/* since_ns: when it began, as metric_now_ns; returns when it ended. */
int64_t metrics_authenticated(struct server_metrics *m, bool ok, int64_t since_ns);
void metrics_authorized(struct server_metrics *m, bool ok, int64_t since_ns);
void metrics_audit_event(struct server_metrics *m);

/* Admission: `plugin` of the chain (its place in admission_plugins), or the whole step. Returns the
 * time now. */
int64_t metrics_admission(struct server_metrics *m, size_t plugin, enum admission_op op,
	bool validating, bool rejected, int64_t since_ns);
void metrics_admission_step(struct server_metrics *m, enum admission_op op, bool validating,
	bool rejected, int64_t since_ns);

/* A webhook has answered, or has not. */
void metrics_webhook(struct server_metrics *m, const char *name, enum admission_op op,
	bool validating, bool rejected, int64_t since_ns);

/* The pages of component.h. */
void metrics_pages_init(struct apiserver *s);
bool handle_pages(struct request *r); /* false: it is for none of them */

#endif
