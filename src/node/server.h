/* server.h: what the files of the kubelet's HTTPS API share. */
#ifndef SAMPAN_NODE_SERVER_H
#define SAMPAN_NODE_SERVER_H

#include "http/server.h"
#include "serving/component.h"
#include "node/pod.h"

struct log_stream;

struct kubelet_server {
	struct http_handler handler;
	struct kubelet *k;
	struct http_server *http;
	void *ssl_ctx;
	struct component pages;  /* /metrics, /healthz … */
	struct log_stream *logs; /* those that follow */
	bool knows_client_ca;
	struct loop_timer ca_timer; /* the client CA is not known: the API server is asked */
};

/* A request whose sender may do it; the path without query, split at '/'. */
struct route_args {
	struct kubelet_server *s;
	struct http_exchange *x;
	struct str part[6];
	size_t n;
};

void server_error(struct http_exchange *x, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The pod of /…/<ns>/<name>; answers 404 when there is none. */
struct pod *server_pod(struct route_args *r, const char *not_found);

/* server_auth.c: allows, or answers 401 or 403; go_on comes now or later, unless the client leaves.
 */
void server_authorize(struct kubelet_server *s, struct http_exchange *x,
	void (*go_on)(struct kubelet_server *s, struct http_exchange *x));
/* client_ca.c: asks the API server for the CA of client certificates, until it tells. */
void server_ask_client_ca(struct kubelet_server *s);
int server_certificate(
	struct kubelet *k, struct tls_server_opts *ret, struct arena *a, struct err *err);

/* server_logs.c */
void serve_container_logs(struct route_args *r);
void log_streams_look(struct kubelet_server *s, struct pod *p); /* its containers have changed */

/* server_streams.c */
void serve_exec(struct route_args *r);
void serve_attach(struct route_args *r);
void serve_port_forward(struct route_args *r);
void serve_run(struct route_args *r);

/* server_stats.c, server_metrics.c */
void serve_pods(struct route_args *r);
void serve_running_pods(struct route_args *r);
void serve_stats_summary(struct route_args *r);
/* pages.c: what the kubelet shows of itself (component.h). */
void kubelet_pages_init(struct kubelet_server *s);
void serve_metrics_resource(struct route_args *r);
void serve_metrics_cadvisor(struct route_args *r);
void serve_metrics_probes(struct route_args *r);

#endif
