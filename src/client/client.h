/*
 * client.h: how controllers, the scheduler, the kubelet and the service proxy use the API: read
 * snapshots, be told of changes, write asynchronously. Two transports behind one interface:
 *   client_local  in process: shares the API server's snapshots, sees its own writes at once,
 * writes through the API server's request pipeline as a given user; also the simulator's transport
 *   client_http   HTTPS: an informer per watched resource keeps its own snapshot
 * A planner never plans on a snapshot older than its own last write of that key:
 * client_caught_up().
 *
 * One thread: the client's loop.
 */
#ifndef SAMPAN_CLIENT_H
#define SAMPAN_CLIENT_H

#include "client/user.h"
#include "http/exchange.h"
#include "store/store.h"

struct client;

/* --- reading --- */

/* Starts keeping `res` (all namespaces, restricted by a field selector such as "spec.nodeName=n1"
 * when not NULL) and calls on_event for each change, the initial objects as STORE_ADDED. Call
 * before client_start. The event is borrowed. Several subscriptions of one resource with the same
 * selector share the informer. */
void client_subscribe(struct client *c, const struct schema_resource *res,
	const char *field_selector, void (*on_event)(void *user_data, const struct store_event *ev),
	void *user_data);
/* Starts informers; on_synced once all subscribed resources have been read for the first time. */
void client_start(struct client *c, void (*on_synced)(void *user_data), void *user_data);
bool client_synced(const struct client *c);
/* The newest known state of a subscribed resource; the caller owns a reference. */
struct snapshot *client_snapshot(struct client *c, const struct schema_resource *res);
/* Whether snapshots of `res` contain everything up to that revision (always true in process). */
bool client_caught_up(struct client *c, const struct schema_resource *res, uint64_t revision);

/* --- writing (and reading what is not subscribed) --- */

struct client_call {
	/* request; all strings are copied */
	const char *verb; /* create get list update patch delete deletecollection */
	const struct schema_resource *resource;
	struct str ns, name, subresource;
	struct str query;   /* "fieldManager=x&dryRun=All", may be empty */
	const void *object; /* typed body of resource->type (or body_type), encoded by the call;
			       NULL = use body */
	const struct schema_type *body_type;
	struct str body;          /* raw JSON body */
	const char *content_type; /* for patch: "application/merge-patch+json" …; NULL =
				     application/json */

	/* answer, valid during done only */
	void (*done)(struct client_call *call);
	void *user_data;
	int result;        /* 0 or negative errno as err_fmt maps the Status */
	int status;        /* HTTP status, 0 = no answer */
	struct err err;    /* the Status when result < 0 */
	struct str answer; /* JSON body */
	uint64_t revision; /* metadata.resourceVersion of the answered object, 0 if none */

	struct arena arena; /* the call's; freed with it */
	void *transport;    /* private */
};

/* Allocates a call; fill it in and hand it to client_do, which frees it after done returned. done
 * is always called, exactly once, on a later turn of the loop; not after client_free. */
struct client_call *client_call_new(struct client *c);
void client_do(struct client *c, struct client_call *call);

struct loop *client_loop(struct client *c);
void client_free(struct client *c);

/* --- transports --- */

/* In process. `handler` is the API server's; `user` is copied. */
struct client *client_local_new(struct loop *loop, struct store *store,
	struct http_handler *handler, const struct user_info *user);

struct metrics;
struct client_http_opts {
	const char *kubeconfig; /* a path; or the parts: */
	struct str server, ca_pem, cert_pem, key_pem, token;
	const char *user_agent; /* "kubelet/v1.36.2 …" */
	bool anonymous;         /* of the kubeconfig take where the server is, but no credentials */
	struct metrics *metrics; /* counts the requests (rest_client_*); outlives the client; NULL:
				    nothing does */
};
int client_http_new(struct loop *loop, const struct client_http_opts *opts, struct client **ret,
	struct err *err);
/* The bearer token of all requests from now on. */
void client_http_set_token(struct client *c, struct str token);

/* What implements the above; transports fill it and embed struct client first. */
struct client_ops {
	void (*subscribe)(struct client *c, const struct schema_resource *res,
		const char *field_selector,
		void (*on_event)(void *user_data, const struct store_event *ev), void *user_data);
	void (*start)(struct client *c, void (*on_synced)(void *user_data), void *user_data);
	bool (*synced)(const struct client *c);
	struct snapshot *(*snapshot)(struct client *c, const struct schema_resource *res);
	bool (*caught_up)(struct client *c, const struct schema_resource *res, uint64_t revision);
	void (*do_call)(struct client *c, struct client_call *call);
	void (*free)(struct client *c);
};
struct client {
	const struct client_ops *ops;
	struct loop *loop;
};

#endif
