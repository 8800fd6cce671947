/*
 * decode.h: a request's body as a struct, with the checks and words of apimachinery's codecs.
 */
#ifndef SAMPAN_APISERVER_DECODE_H
#define SAMPAN_APISERVER_DECODE_H

#include "apiserver/server.h"

enum field_validation { FIELDS_WARN, FIELDS_STRICT, FIELDS_IGNORE };

/* What a body must be. */
struct body_type {
	struct str group, version, kind;
	const struct schema_type *type;
	const char
		*go_group; /* of Go's internal type where it is not the group's first label; NULL */
};
struct body_type body_type_of(const struct schema_resource *res);

/* Reads r->body as JSON or YAML after its Content-Type. Unknown and duplicate fields become
 * warnings, or 400. *ret: a new struct of want->type in r->arena. 400, 415. */
int decode_body(struct request *r, const struct body_type *want, enum field_validation v,
	void **ret, struct err *err);
/* The same for JSON that is at hand; err->message is Go's alone, for callers with words of their
 * own. Unknown fields are appended to *ret_unknown unless v is FIELDS_IGNORE. */
int decode_json_as(struct request *r, const struct body_type *want, struct str json,
	enum field_validation v, struct str_vec *ret_unknown, void **ret, struct err *err);
/* DeleteOptions: any group-version's, unknown fields ignored. */
int decode_delete_options(struct request *r, struct meta_v1_delete_options *ret, struct err *err);

/* A kind's type: of a resource, of a list, of what subresources speak, of meta/v1; NULL: none. */
const struct schema_type *type_of_kind(
	struct arena *a, struct str group, struct str version, struct str kind);

/* "strict decoding error: a, b" */
struct str strict_error_text(struct arena *a, const struct str_vec *fields);

#endif
