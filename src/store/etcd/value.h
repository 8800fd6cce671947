/*
 * value.h: what stands in etcd for an object: JSON as we write it, or what upstream writes, which
 * is protobuf in an envelope ("k8s\0", then runtime.Unknown), or JSON when it was told so.
 */
#ifndef SAMPAN_STORE_ETCD_VALUE_H
#define SAMPAN_STORE_ETCD_VALUE_H

#include "api/object.h"

/* See convert() of the API server: a struct of one version as one of another. */
typedef int etcd_convert_fn(const struct schema_resource *from, void *typed,
	const struct schema_resource *to, struct arena *a, void **ret, struct err *err);

/* The bytes to be stored for a draft or an object: its JSON without the revision, which etcd knows
 * itself. Appended. */
void etcd_value(const struct object *o, struct buf *out);
/* An object of `res` from stored bytes of whatever form and version; `convert` may be NULL. The
 * name and namespace of the key count, if the bytes say something else. -EINVAL with err: what it
 * is that we cannot read. */
int etcd_value_parse(const struct schema_resource *res, struct str ns, struct str name,
	struct str value, etcd_convert_fn *convert, uint64_t revision, struct object **ret,
	struct err *err);

#endif
