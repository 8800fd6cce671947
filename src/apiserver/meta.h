/*
 * meta.h: ObjectMeta as the server keeps it: what a client may not set, and what it may not be
 * (apiserver registry/rest, apimachinery api/validation/objectmeta).
 */
#ifndef SAMPAN_APISERVER_META_H
#define SAMPAN_APISERVER_META_H

#include "apiserver/server.h"

typedef struct str_vec name_errors_fn(struct arena *a, struct str name, bool prefix);

/* Erases what a client cannot set on create. */
void meta_wipe(struct meta_v1_object_meta *m);
/* uid and creationTimestamp. */
void meta_fill(struct meta_v1_object_meta *m, struct request *r);
/* The namespace of the request, or 400 when the object says another. */
int meta_ensure_namespace(struct meta_v1_object_meta *m, struct str ns, struct err *err);
/* The name of the request: 400 when the object says another or none. */
int meta_check_name(const struct meta_v1_object_meta *m, struct request *r, struct err *err);
/* generateName with five random letters behind it. */
void meta_generate_name(struct meta_v1_object_meta *m, struct request *r);
/* Drops owner references that stand twice, with a warning. */
void meta_dedup_owners(struct meta_v1_object_meta *m, struct request *r);

void meta_validate(const struct meta_v1_object_meta *m, bool namespaced,
	name_errors_fn *name_errors, struct field_errors *errs);
void meta_validate_update(const struct meta_v1_object_meta *m,
	const struct meta_v1_object_meta *old, struct field_errors *errs);
/* Names without a domain are Kubernetes' own: only three exist. In upstream part of the kinds' own
 * validation. */
void meta_validate_finalizers(const struct meta_v1_object_meta *m, struct field_errors *errs);

#endif
