/* decoder.h: what decode.c (containers, paths, errors) and decode_scalar.c share. Private to
 * src/schema. */
#ifndef SAMPAN_SCHEMA_DECODER_H
#define SAMPAN_SCHEMA_DECODER_H

#include "json/reader.h"
#include "schema/schema.h"

/* Where the decoder stands: one frame per open container, on the C stack. */
struct decode_frame {
	const struct decode_frame *up;
	const struct schema_type *type;   /* of an object; NULL: a list or map */
	const struct schema_field *field; /* of an object: the field at hand */
	struct str key;                   /* of a map: the key at hand */
	size_t index;                     /* of a list */
	bool is_map;
};

struct decoder {
	struct json_reader r;
	struct arena *a;
	const struct decode_frame *top;
	struct schema_decode_opts *opts;
	bool strict;
	bool stopped;       /* an error that ends the decoding at once */
	struct str message; /* the first error; empty: none */
};

/* Go collects type errors and goes on, the first one counts; errors of a type's own parser stop at
 * once and count more than a collected one. */
void decode_stop(struct decoder *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void decode_note(struct decoder *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "json: cannot unmarshal <value> into Go struct field <where> of type <go_type>". */
void decode_mismatch(struct decoder *d, bool stop, struct str value, const char *go_type);
/* "object", "array", "string", "bool", "number" by the first character of a value. */
struct str decode_value_name(char c);
/* Go's name of the field's item type, or of the whole. */
const char *decode_go_type(struct decoder *d, const struct schema_field *f, bool item);

/* A scalar of the field's kind into *dst; c is what json_peek() said and is not 'n'. */
void decode_scalar(struct decoder *d, const struct schema_field *f, char c, void *dst);
/* A null for a scalar that is not optional: mostly nothing. */
void decode_scalar_null(const struct schema_field *f, void *dst);

/* A constant of the schema (a default) into the field's member. */
void schema_decode_constant(
	const struct schema_field *f, const char *json, struct arena *a, void *at);

#endif
