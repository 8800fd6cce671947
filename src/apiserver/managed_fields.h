/*
 * managed_fields.h: metadata.managedFields of what a request writes: which manager it is, what its
 * subresource may touch, and the kind in the versions that managers speak. The rules themselves are
 * in fieldmanager/.
 */
#ifndef SAMPAN_APISERVER_MANAGED_FIELDS_H
#define SAMPAN_APISERVER_MANAGED_FIELDS_H

#include "apiserver/fieldmanager/field_manager.h"
#include "apiserver/server.h"

/* Who writes: the parameter fieldManager, or the name that the user agent begins with. */
struct str managed_fields_manager(struct request *r, struct str field_manager);

/* obj, a struct of r->storage as the client wants it, gets its managedFields; old is what is
 * stored, NULL when there is nothing. Before mutating admission. */
void managed_fields_update(struct request *r, const void *old, void *obj);
/* The same for what is only created, never stored (TokenRequest): typed and its metadata. */
void managed_fields_created(struct request *r, const struct schema_type *type,
	struct str api_version, const void *typed, struct meta_v1_object_meta *meta);
/* An update that changed nothing but times leaves these as they were. */
void managed_fields_keep_times(struct request *r, const void *old, void *obj);

/* Server-side apply of a configuration (a map) to old: *ret is the new object, a struct of
 * r->storage with defaults and managedFields. 400, 409, 500. */
int managed_fields_apply(struct request *r, const struct json_value *config, bool force,
	const void *old, void **ret, struct err *err);

/* The same for a Scale, a part of `parent` (a struct of r->storage): new_ was made of old, or
 * config is applied to it (then *new_ is what comes of it); meta, the parent's, gets the
 * managedFields. */
int managed_fields_scale(struct request *r, const struct autoscaling_v1_scale *old,
	const struct json_value *config, bool force, struct autoscaling_v1_scale **new_,
	struct meta_v1_object_meta *meta, struct err *err);

#endif
