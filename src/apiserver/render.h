/*
 * render.h: objects as clients want to see them: bytes as stored, another version's view, metadata
 * alone, rows of a Table.
 */
#ifndef SAMPAN_APISERVER_RENDER_H
#define SAMPAN_APISERVER_RENDER_H

#include "apiserver/convert.h"
#include "apiserver/server.h"
#include "apiserver/table.h"

enum include_object { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE };

/* A Table being written. */
struct table {
	const struct schema_resource *res, *storage;
	const struct strategy *strategy;
	enum include_object include;
	int64_t now_ns;
	bool v1beta1;
	size_t n_rows;
};

/* Reads includeObject. 400. */
int table_init(struct table *t, struct request *r, struct err *err);
/* list_meta: JSON of the ListMeta. Without headers: the second event of a watch. */
void table_begin(struct table *t, struct buf *out, struct str list_meta, bool headers);
void table_row(struct table *t, struct arena *a, const void *typed, struct str object,
	struct str metadata, struct buf *out);
void table_end(struct table *t, struct buf *out);

/* {"kind":"PartialObjectMetadata",…} around a metadata object's JSON. */
void partial_write(struct buf *out, bool v1beta1, struct str metadata);
/* The JSON of an object's metadata, a view into the object's JSON. */
struct str metadata_json(struct str json, struct arena *a);

/* Whether an object's stored bytes are what the client wants to see. */
static inline bool render_is_plain(const struct request *r)
{
	return r->out.as == AS_OBJECT && r->res == r->storage;
}
/* One object's JSON as r->res, in r->out.as other than a Table; stored bytes where possible. */
struct str render_object(struct request *r, const struct object *o, struct arena *a);
/* The same from a struct of r->storage. */
struct str render_typed(struct request *r, void *typed, struct arena *a);
/* Pieces of these: a struct of r->storage as JSON of r->res; metadata alone. */
struct str render_view(struct request *r, void *typed, struct arena *a);
struct str render_partial(struct request *r, struct str json, struct arena *a);
/* A whole Table with one row. */
int render_table_of(struct request *r, void *typed, struct buf *out, struct err *err);
/* One row of an object. */
void render_row(struct request *r, struct table *t, const struct object *o, struct buf *out);

#endif
