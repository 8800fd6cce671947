/*
 * field.h: where something is in an object, and what is wrong with it (apimachinery util/validation/field).
 *
 *     struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "containers");
 *     struct field_path item = FIELD_INDEX(&list, i), name = FIELD(&item, "name");   // spec.containers[0].name
 *     field_required(errs, &name, "");
 * Paths live on the stack; text is made only when an error is added. Errors keep their order.
 */
#ifndef SAMPAN_FIELD_H
#define SAMPAN_FIELD_H

#include "base/base.h"

struct field_path {
	const struct field_path *parent;
	struct str name;     /* a child: .name; or with is_key: [name] */
	bool is_index, is_key;
	size_t index;
};
#define FIELD(parent_, name_) ((struct field_path){.parent = (parent_), .name = S(name_)})
#define FIELD_INDEX(parent_, i_) ((struct field_path){.parent = (parent_), .is_index = true, .index = (i_)})
#define FIELD_KEY(parent_, key_) ((struct field_path){.parent = (parent_), .is_key = true, .name = (key_)})
/* The same as arguments: field_required(e, AT(p, "name"), ""). They live until the end of the block. */
#define AT(parent_, name_) (&FIELD(parent_, name_))
#define AT_INDEX(parent_, i_) (&FIELD_INDEX(parent_, i_))
#define AT_KEY(parent_, key_) (&FIELD_KEY(parent_, key_))
struct str field_path_text(struct arena *a, const struct field_path *p);

enum field_error_type {
	FIELD_REQUIRED,      /* FieldValueRequired     "Required value" */
	FIELD_INVALID,       /* FieldValueInvalid      "Invalid value" */
	FIELD_NOT_SUPPORTED, /* FieldValueNotSupported "Unsupported value" */
	FIELD_DUPLICATE,     /* FieldValueDuplicate    "Duplicate value" */
	FIELD_FORBIDDEN,     /* FieldValueForbidden    "Forbidden" */
	FIELD_TOO_LONG,      /* FieldValueTooLong      "Too long" */
	FIELD_TOO_MANY,      /* FieldValueTooMany      "Too many" */
	FIELD_NOT_FOUND,     /* FieldValueNotFound     "Not found" */
	FIELD_INTERNAL,      /* InternalError          "Internal error" */
	FIELD_TYPE_INVALID,  /* FieldValueTypeInvalid  "Invalid value" */
	FIELD_TOO_FEW,       /* FieldValueTooFew       "Too few" */
	FIELD_TOO_SHORT,     /* FieldValueTooShort     "Too short" */
};

struct field_error {
	enum field_error_type type;
	struct str path;
	struct str value;  /* as the message shows it: quoted string, number, JSON; {NULL,0}: not shown */
	struct str detail;
};

struct field_errors {
	struct arena *arena;
	struct field_error *v;
	size_t n;
};

/* `value` forms: a string (quoted as Go's %q), an integer, anything else as its text (JSON of a struct). */
void field_required(struct field_errors *e, const struct field_path *p, const char *fmt, ...) PRINTF_LIKE(3, 4);
void field_invalid(struct field_errors *e, const struct field_path *p, struct str value, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void field_invalid_int(struct field_errors *e, const struct field_path *p, int64_t value, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void field_invalid_raw(struct field_errors *e, const struct field_path *p, struct str text, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void field_not_supported(struct field_errors *e, const struct field_path *p, struct str value,
	const char *const *supported); /* NULL-terminated, shown in this order: upstream's are sorted mostly */
void field_duplicate(struct field_errors *e, const struct field_path *p, struct str value);
void field_forbidden(struct field_errors *e, const struct field_path *p, const char *fmt, ...) PRINTF_LIKE(3, 4);
void field_too_long(struct field_errors *e, const struct field_path *p, size_t max_bytes);
void field_too_many(struct field_errors *e, const struct field_path *p, size_t count, size_t max);
void field_not_found(struct field_errors *e, const struct field_path *p, struct str value);
void field_duplicate_raw(struct field_errors *e, const struct field_path *p, struct str text);
void field_not_supported_vec(struct field_errors *e, const struct field_path *p, struct str value,
	struct str_vec supported);
/* Adds FIELD_NOT_SUPPORTED when v is not one of `supported`; true when it is. */
bool field_one_of(struct field_errors *e, const struct field_path *p, struct str v, const char *const *supported);
/* Any type, any text; `value` as in struct field_error: already quoted. */
void field_add(struct field_errors *e, enum field_error_type type, const struct field_path *p, struct str value,
	const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Drops what was added since `n` (errors->n then): a check that is tried and taken back. */
void field_errors_truncate(struct field_errors *e, size_t n);
/* "path: Invalid value: …: detail", as Go's Error() */
struct str field_error_text(struct arena *a, const struct field_error *e);
/* Go's %q */
struct str go_quote(struct arena *a, struct str s);

/* 422 Invalid: '<Kind>.<group> "<name>" is invalid: [<errors>]' with causes; -EINVAL. No errors: 0. */
int field_errors_status(const struct field_errors *e, struct str group, struct str kind, struct str name,
	struct err *err);

#endif
