/* client_int.h: what the transports share. */
#ifndef SAMPAN_CLIENT_INT_H
#define SAMPAN_CLIENT_INT_H

#include "api/selector.h"
#include "client/client.h"

/* One client_subscribe(). */
struct subscription {
	struct subscription *next;
	void (*on_event)(void *user_data, const struct store_event *ev);
	void *user_data;
};

/* --- client.c --- */

/* "/api/v1/namespaces/ns/pods/name/status?query" of a call. */
void client_call_path(const struct client_call *call, struct buf *out);
/* Percent-encoded collection path of a resource in all namespaces. */
void client_collection_path(const struct schema_resource *res, struct str ns, struct buf *out);
const char *client_call_method(const struct client_call *call);
const char *client_call_content_type(const struct client_call *call);
/* The body to send: call->object encoded into `scratch`, or call->body. */
struct str client_call_body(struct client_call *call, struct buf *scratch);
/* Fills result, status, err, answer and revision from an HTTP answer; body must outlive done(). */
void client_call_answer(struct client_call *call, int status, struct str body);
/* The same when there was none. */
void client_call_failed(struct client_call *call, struct err *err);
/* done(), then the call is freed. */
void client_call_finish(struct client_call *call);
/* Status JSON -> err; returns the negative errno. `code` is used when the body is no Status. */
int client_status_err(int code, struct str body, struct err *err);

#endif
