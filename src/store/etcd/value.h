/*
 * value.h: what stands in etcd for an object: JSON as we write it, or what upstream writes, which
 * is protobuf in an envelope ("k8s\0", then runtime.Unknown), or JSON when it was told so.
 */
#ifndef SAMPAN_STORE_ETCD_VALUE_H
#define SAMPAN_STORE_ETCD_VALUE_H

#include "api/object.h"

/* What only the API server knows about stored objects. Any member may be NULL. */
struct etcd_reader {
	/* See convert(): a struct of one version as one of another. */
	int (*convert)(const struct schema_resource *from, void *typed,
		const struct schema_resource *to, struct arena *a, void **ret, struct err *err);
	/* Of a kind of `res` in a version that is not served: `bytes` without envelope. */
	int (*decode_other)(const struct schema_resource *res, struct str api_version,
		struct str kind, bool proto, struct str bytes, struct arena *a, void **ret,
		struct err *err);
	/* Fills defaults: upstream does so whenever it reads. */
	void (*fill)(const struct schema_resource *res, void *typed, struct arena *a);
};

/* The bytes to be stored for a draft or an object: its JSON without the revision, which etcd knows
 * itself. Appended. */
void etcd_value(const struct object *o, struct buf *out);
/* An object of `res` from stored bytes of whatever form and version; `reader` may be NULL. The
 * name and namespace of the key count, if the bytes say something else. -EINVAL with err: what it
 * is that we cannot read. */
int etcd_value_parse(const struct schema_resource *res, struct str ns, struct str name,
	struct str value, const struct etcd_reader *reader, uint64_t revision, struct object **ret,
	struct err *err);

#endif
