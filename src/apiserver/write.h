/*
 * write.h: how every change gets into the store (apiserver registry/generic/registry/store.go):
 * create and guaranteed update, as a small state machine around store_submit.
 *
 *     struct write *w = write_new(r);
 *     w->obj = decoded;  write_create(w);                 // answers by w->answer
 *     w->make = patched; write_update(w);  // reads, makes, checks, commits; after a conflict again
 *
 * A write holds a reference to its request until it has answered, and frees itself then. While an
 * admission plugin waits for somebody (a webhook, a quota), the write is parked and goes on from
 * there; its arena and what it has taken stay.
 */
#ifndef SAMPAN_APISERVER_WRITE_H
#define SAMPAN_APISERVER_WRITE_H

#include "apiserver/server.h"

struct write {
	struct request *r;
	struct str ns, name; /* of the key */
	bool dry_run;
	bool allow_create; /* an update of something that is not there creates it */
	bool plain;        /* a subresource that touches one field: no strategy, no validation, no
			      admission */
	struct str uid, version; /* preconditions; empty: none */

	/* Updates: the object that shall be, in r->arena, from the stored one (a private copy; NULL
	 * when there is none, then only with allow_create). Called again after a conflict. */
	int (*make)(struct write *w, const void *old, void **ret_obj, struct err *err);
	/* Last call. Either o (committed, or found unchanged), or typed (a dry run, or an update
	 * that removed the object). NULL: respond_object and respond_typed. */
	void (*answer)(struct write *w, int code, const struct object *o, void *typed);
	void (*failed)(struct write *w, struct err *err); /* NULL: respond_error */
	void *user_data;

	/* private */
	const struct object *existing; /* a reference, or NULL */
	void *old, *obj;
	const void *unallocated; /* a new object before its kind allocated for it */
	bool creating, generated, allocated;
	unsigned attempts;
	struct admission_run run; /* under way, or the last one */
	struct store_write sw;
};

struct write *write_new(struct request *r); /* ns and name as in r->ctx */
/* w->obj holds the decoded object, its metadata cleaned (meta_wipe); admission comes here. */
void write_create(struct write *w);
void write_update(struct write *w);

/* The default rules of a kind: schema constants, then its own. */
void write_default(struct request *r, void *obj);
/* Adds "create" to what the user must be allowed, for an update that creates. */
int write_authorize_create(struct request *r, struct err *err);

/* A result of store_submit as an API error. */
int write_store_error(
	struct request *r, struct str name, const struct store_write *sw, struct err *err);

/* What the change brings along (store.h). */
void write_along(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct store_write *sw);

int write_exists_error(struct write *w, const struct object *there, struct err *err);
/* `what` ("UID") has to be `wanted` (empty: anything) and is `there`. */
int write_precondition(
	struct write *w, const char *what, struct str wanted, struct str there, struct err *err);
#define WRITE_CONFLICT                                                                             \
	"the object has been modified; please apply your changes to the latest version and try "   \
	"again"

#endif
