/*
 * object.h: a stored API object: one immutable, reference-counted block.
 *
 * The block holds a small header (key, uid, revision, labels, owner, the selectable fields) and the
 * object's canonical JSON. The same bytes go to disk, sit in the cache and go out on GET, LIST and
 * WATCH. Nobody changes a published object; a change makes a new one. Safe to share between
 * threads.
 *
 * A write starts from a draft: the same thing before the store has given it its revision. The JSON
 * of a draft has
 * `"resourceVersion":""` in its metadata at `rv_at`; object_commit() makes the final block with the
 * digits filled in.
 */
#ifndef SAMPAN_OBJECT_H
#define SAMPAN_OBJECT_H

#include <stdatomic.h>

#include "base/base.h"
#include "schema/schema.h"

struct object {
	_Atomic uint32_t refs;
	const struct schema_resource *resource;
	uint64_t revision; /* resourceVersion; 0 in a draft */
	uint64_t created;  /* the revision that created this key: the store's row; set by the store,
			      else 0 */
	struct str ns, name, uid; /* ns is empty for a cluster-scoped object */
	struct str
		controller_uid; /* uid of the owner reference with controller: true; may be empty */
	struct str_map labels;
	struct str *fields;  /* values of resource->selectable[i]; metadata.name and namespace not
				among them */
	int64_t deletion_ms; /* metadata.deletionTimestamp as Unix ms, 0 = not being deleted */
	int64_t generation;  /* metadata.generation */
	bool has_finalizers, has_owners;
	uint32_t rv_at; /* offset in json of the first character inside resourceVersion's quotes */
	uint32_t item_at; /* offset in json of what follows `{"kind":…,"apiVersion":…,`: an item of
			     a list is
			     '{' + json + item_at */
	uint32_t size;    /* of the block */
	struct str json;
};

struct object *object_ref(const struct object *o);
struct object *object_unref(const struct object *o); /* NULL-safe; returns NULL */
void object_unref_ptr(struct object **o);            /* for CLEANUP */
/* For arenas: the reference goes when the arena goes. */
const struct object *object_ref_in(struct arena *a, const struct object *o);

/* A draft from a typed struct of resource->type (its TypeMeta and metadata.resourceVersion are
 * ignored and written as the resource's own). Errors: -E2BIG (413) above OBJECT_JSON_MAX. The
 * caller owns the reference. */
int object_draft(
	const struct schema_resource *res, const void *typed, struct object **ret, struct err *err);
/* From canonical JSON as stored (the store loading, an informer receiving): revision taken from the
 * JSON. */
int object_parse(
	const struct schema_resource *res, struct str json, struct object **ret, struct err *err);
/* The committed object: the draft's bytes with the revision filled in. Any thread. Also takes a
 * committed object, whose digits it replaces (the last state of a deleted object gets the
 * deletion's revision). */
struct object *object_commit(const struct object *draft, uint64_t revision);

/* Decodes into resource->type's struct in the arena. A stored object always decodes. */
void *object_decode(const struct object *o, struct arena *a);
/* Only the metadata: much cheaper than the whole. */
struct meta_v1_object_meta *object_meta(const struct object *o, struct arena *a);
/* A field by the name used in field selectors ("metadata.name", "spec.nodeName"); absent ->
 * {NULL,0}. */
struct str object_field(const struct object *o, struct str name);

enum { OBJECT_JSON_MAX = 3 * 1024 * 1024 };

#endif
