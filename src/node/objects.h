/*
 * objects.h: config maps and secrets that pods refer to: read one, and be told when a mounted one
 * changes.
 *
 * Watched objects are asked for again from time to time, the more rarely the longer they have not
 * changed (2 s … 10 s).
 */
#ifndef SAMPAN_NODE_OBJECTS_H
#define SAMPAN_NODE_OBJECTS_H

#include "client/client.h"

struct objects;

typedef void objects_changed_fn(
	void *user_data, const struct schema_resource *res, struct str ns, struct str name);
/* `typed` (of res->type) is valid during the call only; NULL with err. */
typedef void objects_got_fn(void *user_data, const void *typed, struct err *err);

struct objects *objects_new(struct client *client, objects_changed_fn *changed, void *user_data);
void objects_free(struct objects *s);
/* done comes on a later turn, exactly once. */
void objects_get(struct objects *s, const struct schema_resource *res, struct str ns,
	struct str name, objects_got_fn *done, void *user_data);
/* Counted: as many unwatch as watch. */
void objects_watch(
	struct objects *s, const struct schema_resource *res, struct str ns, struct str name);
void objects_unwatch(
	struct objects *s, const struct schema_resource *res, struct str ns, struct str name);

#endif
