/*
 * informer.h: keeps a copy of one resource over HTTP: lists it, watches it from there on, and
 * starts over when the server no longer has what came between. Reconnects with a jittered back-off.
 * One thread: its loop.
 */
#ifndef SAMPAN_INFORMER_H
#define SAMPAN_INFORMER_H

#include "client/client_int.h"
#include "http/client.h"

struct informer;

struct informer_opts {
	struct loop *loop;
	struct http_client *http;
	const struct http_header *headers; /* with each request; live as long as the informer */
	size_t n_headers;
	struct rest_meter *meter; /* borrowed; may be NULL */
	const struct schema_resource *resource;
	const char *field_selector; /* may be empty */
	void (*on_synced)(
		void *user_data); /* once, after the first list was told to the subscribers */
	void *user_data;
};

struct informer *informer_new(const struct informer_opts *opts);
void informer_free(struct informer *in);
bool informer_is(
	const struct informer *in, const struct schema_resource *res, const char *field_selector);
void informer_subscribe(struct informer *in,
	void (*on_event)(void *user_data, const struct store_event *ev), void *user_data);
void informer_start(struct informer *in);
bool informer_synced(const struct informer *in);
struct snapshot *informer_snapshot(struct informer *in); /* a reference for the caller */

#endif
