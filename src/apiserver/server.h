/*
 * server.h: what the files of the API server share among themselves: the server, one request, and
 * the functions that answer it.
 *
 * A request has an arena of its own, because its commit may finish after the peer is gone: then
 * r->x is NULL and the answer goes nowhere. One that writes holds no view into its exchange.
 * Everything in a request runs on its exchange's loop.
 */
#ifndef SAMPAN_APISERVER_SERVER_H
#define SAMPAN_APISERVER_SERVER_H

#include <stdatomic.h>

#include "apiserver/admission.h"
#include "apiserver/apiserver.h"
#include "apiserver/audit/audit.h"
#include "apiserver/auth.h"
#include "apiserver/auth/outside.h"
#include "apiserver/request.h"
#include "apiserver/strategy.h"
#include "apiserver/metrics.h"
#include "serving/component.h"
#include "loop/loop.h"

struct audit_sink;
struct discovery;
struct openapi_documents;
struct retained;
struct server_metrics;
struct service_books;

struct apiserver {
	struct http_handler handler;
	struct apiserver_opts opts; /* strings in `arena` */
	struct arena arena;
	struct store *store;
	struct auth *auth;
	struct audit_sink *audit; /* NULL: no audit log */
	struct admission *admission;
	struct discovery *discovery;
	struct masters *masters;                   /* or NULL */
	struct node_port_repair *node_port_repair; /* likewise */
	struct cluster_ips *cluster_ips; /* from the end of the bootstrap on */
	struct openapi_documents *openapi;
	struct retained *retained; /* snapshots behind continue tokens */
	struct server_metrics *metrics;
	struct component pages;              /* /metrics, /healthz … */
	struct service_books *service_books; /* cluster IPs and node ports that are taken */
	_Atomic bool bootstrapped; /* apiserver_bootstrap is done, or was never asked for */
	void *kubelet_ssl_ctx;     /* towards kubelets, NULL = none */
};

/* --- what the client wants to see --- */

enum media_type { MEDIA_JSON, MEDIA_YAML, MEDIA_PROTO };
enum media_as { AS_OBJECT, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };

struct media {
	enum media_type type;
	enum media_as as;
	bool v1beta1; /* the Table or PartialObjectMetadata is to be meta.k8s.io/v1beta1 */
	bool pretty;
};

/* --- one request --- */

struct request {
	struct apiserver *s;
	struct http_exchange *x; /* NULL: the peer is gone */
	struct loop *loop;
	struct arena *arena;
	struct arena own;
	bool detached; /* holds no view into the exchange: may outlive it */
	unsigned refs;
	int64_t now_ns;

	struct request_info info;
	struct query query;
	struct str method, path, raw_query, body, content_type, accept, user_agent;
	struct str field_manager; /* who writes (metadata.managedFields) */
	struct user_info user;
	struct outside outside; /* what was asked elsewhere to find out who he is and what he may */
	enum { UNKNOWN_USER, KNOWN_USER, ACTING_USER } stage; /* of the pipeline */
	struct str_vec warnings;
	struct media out;

	const struct schema_resource *res;     /* as addressed */
	const struct schema_resource *storage; /* where it is stored */
	const struct schema_subresource *sub;  /* or NULL */
	const struct strategy *strategy;       /* of storage, or NULL */
	struct strategy_ctx ctx;
	void (*on_gone)(struct request *r); /* the peer left; may be NULL */
	void *state;                        /* of the verb's file */
	struct request_audit *audit;        /* audit/event.c's; NULL: nothing is written */
	int64_t asked_ns;                   /* when who it is, then what he may, began to be asked */
	struct str audit_id;                /* request_audit_id() */
};

struct request *request_ref(struct request *r);
void request_unref(struct request *r);
/* The client's Audit-ID, or one made for it; answered in Audit-Id. */
struct str request_audit_id(struct request *r);
void request_warn(struct request *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* --- negotiate.c --- */

/* Reads Accept (and pretty) into r->out. 406 NotAcceptable. */
int negotiate_output(struct request *r, struct err *err);
/* What an error is written in; false: nothing that the client accepts. */
bool negotiate_error(struct request *r, struct media *ret);
/* After negotiate_output: whether it can be streamed (watch). */
int negotiate_stream(struct request *r, struct err *err);
/* What the router refuses before any handler sees it: 406 and 415 in go-restful's words. */
int negotiate_route(struct request *r, struct err *err);
/* What a body is, after its Content-Type. 415. */
enum body_form { BODY_JSON, BODY_YAML, BODY_PROTO };
int negotiate_input(struct request *r, enum body_form *ret, struct err *err);

/* --- respond.c: every answer; does nothing when the peer is gone. Ends the exchange. --- */

void respond_error(struct request *r, struct err *err);
void respond_text(struct request *r, int code, const char *content_type, struct str body);
/* The body alone, compressed if it is large and the client likes it; the headers were set. */
void respond_body(struct request *r, int code, const char *content_type, struct str body);
/* JSON made by this program: as JSON, YAML or protobuf, as the client wants it. */
void respond_json(struct request *r, int code, struct str json);
void respond_protobuf(struct request *r, int code, struct str message);
/* One object of r->storage, in the version and form that the client wants. */
void respond_object(struct request *r, int code, const struct object *o);
/* The same from a struct of r->storage->type (a dry run). */
void respond_typed(struct request *r, int code, void *typed);
/* A struct of another type (Scale, TokenRequest …) that names its own kind. */
void respond_other(struct request *r, int code, const struct schema_type *type, const void *typed);
/* Status Success with the details of what was deleted. */
void respond_deleted(struct request *r, int code, struct str name, struct str uid);
/* Common headers (Audit-Id, Warning …); before http_start. */
void respond_headers(struct request *r);
void status_json(const struct err *err, struct buf *out);

/* --- pipeline.c, route.c --- */

void pipeline_init(struct apiserver *s);

void route(struct request *r);

/* --- verbs: each answers, now or later --- */

void handle_create(struct request *r);
void handle_get(struct request *r);
void handle_list(struct request *r);
void handle_watch(struct request *r);
void handle_update(struct request *r);
void handle_patch(struct request *r);
void handle_delete(struct request *r);
void handle_delete_collection(struct request *r);
void handle_non_resource(struct request *r);
/* 404 as plain text: of paths that no part of the server knows. */
void respond_no_page(struct request *r);
/* Whether there is a resource in the group. */
bool route_serves_group(struct str group);

/* --- common helpers --- */

/* metadata of a struct of res->type. */
struct meta_v1_object_meta *meta_of(const struct schema_resource *res, void *typed);
static inline const struct meta_v1_object_meta *meta_of_const(
	const struct schema_resource *res, const void *typed)
{
	return meta_of(res, (void *)typed);
}
struct str group_version(struct arena *a, const struct schema_resource *res); /* "apps/v1", "v1" */
/* Go's name of upstream's internal type, which some messages show: "core.ConfigMapList". */
struct str internal_type_name(struct arena *a, const struct schema_resource *res, const char *kind);
void set_type_meta(const struct schema_resource *res, void *typed, struct arena *a);
/* A key that may not be stored: 400 "Name parameter invalid: …". */
int check_key_name(struct str name, struct err *err);
/* RFC 3339 in UTC, seconds, in the arena. */
struct str time_text(struct arena *a, int64_t unix_s);
struct k8s_time time_from_ns(int64_t ns); /* whole seconds */
struct str uuid_new(struct arena *a, struct loop *loop);
bool write_is_dry_run(const struct str_vec *dry_run);
struct admission_attrs request_admission(
	struct request *r, enum admission_op op, void *obj, const void *old);

#endif
