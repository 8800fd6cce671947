/*
 * list.h: which objects belong into a list, and the list's own metadata.
 */
#ifndef SAMPAN_APISERVER_LIST_H
#define SAMPAN_APISERVER_LIST_H

#include "apiserver/options.h"

struct object_list {
	struct snapshot *snapshot; /* a reference: holds the objects */
	const struct object **v;   /* in the request's arena */
	size_t n;
	uint64_t revision;
	struct str continue_; /* empty: complete */
	int64_t remaining;    /* -1: not told */
};

/* Reads one page. 400, 410, 504. Free with list_release. */
int list_read(
	struct request *r, const struct list_options *o, struct object_list *ret, struct err *err);
void list_release(struct object_list *l);
/* {"resourceVersion":"5","continue":"…","remainingItemCount":3} */
struct str list_meta_json(struct request *r, const struct object_list *l);
/* Answers 200 with it, in the form that the client wants. */
void list_respond(struct request *r, const struct object_list *l);

#endif
