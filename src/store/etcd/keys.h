/*
 * keys.h: where in etcd an object stands: <prefix>/<resource's place>/[<namespace>/]<name>. The
 * places are upstream's (pkg/kubeapiserver default_storage_factory_builder.go): the plural, but for
 * a few kinds that kept the names of Kubernetes' first days.
 */
#ifndef SAMPAN_STORE_ETCD_KEYS_H
#define SAMPAN_STORE_ETCD_KEYS_H

#include "schema/schema.h"

/* "minions", "services/specs", "deployments" … of a resource; appended. */
void etcd_place(const struct schema_resource *res, struct buf *out);
/* A whole key, appended. prefix: "/registry", without a slash at its end. */
void etcd_key(struct str prefix, const struct schema_resource *res, struct str ns, struct str name,
	struct buf *out);
/* The storage resource that a key belongs to, with views into it; NULL: of no kind that we know, or
 * none of an object. */
const struct schema_resource *etcd_key_parse(
	struct str prefix, struct str key, struct str *ret_ns, struct str *ret_name);

#endif
