/*
 * delete.h: the removal of one object: preconditions, finalizers, grace (apiserver
 * registry/generic/registry/store.go Delete, registry/rest BeforeDelete).
 */
#ifndef SAMPAN_APISERVER_DELETE_H
#define SAMPAN_APISERVER_DELETE_H

#include "apiserver/options.h"

struct deletion {
	struct request *r; /* a reference while it runs */
	struct delete_options o;
	struct str ns, name;
	/* Last call; frees nothing of the caller's. Either err is set, or the object was removed
	 * (gone) or marked. o: its last state; typed instead when nothing was written (a dry run).
	 */
	void (*done)(struct deletion *d, bool gone, const struct object *o, void *typed,
		struct err *err);
	void *user_data;

	/* private */
	struct strategy_ctx ctx;
	const struct object *existing;
	void *old, *obj;
	unsigned attempts;
	bool remove_next; /* the update under way is followed by the removal */
	bool marked;      /* its mark is stored: whoever takes it out now has done our work */
	struct admission_run run;
	struct store_write sw;
};

/* r, o, ns, name, done are filled in; d lives until done. */
void deletion_start(struct deletion *d);

/* Whether DELETE answers with the object instead of a Status. */
bool delete_returns_object(const struct schema_resource *res);

#endif
