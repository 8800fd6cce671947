/*
 * wire.h: protobuf messages from and to C structs, driven by tables (wire_type), for the messages
 * of CRI.
 *
 * A table says where in a C struct each field of a message lies. A nested message may lie in a
 * struct of its own or, as WIRE_INLINE, in members of the struct around it: cri.h is flatter than
 * CRI. As in proto3, zero values are not written and absent fields leave the struct as it was.
 * Unknown fields are passed over.
 */
#ifndef SAMPAN_CRI_WIRE_H
#define SAMPAN_CRI_WIRE_H

#include "base/base.h"

enum wire_kind {
	WIRE_STRING,  /* struct str: string, bytes */
	WIRE_BOOL,    /* bool; also an enum of two */
	WIRE_INT,     /* int32, enum: int */
	WIRE_UINT32,  /* uint32_t */
	WIRE_INT64,   /* int64_t, uint64_t */
	WIRE_STRINGS, /* repeated string: struct str_vec */
	WIRE_INT64S,  /* repeated int64: int64_t *, size_t */
	WIRE_PAIRS,   /* map<string,string>, repeated KeyValue: struct cri_key_values */
	WIRE_LIST,    /* repeated message: T *, size_t */
	WIRE_POINTER, /* message: T *, NULL = absent */
	WIRE_INLINE,  /* message: a struct inside this one, or (offset 0) members of this one */
	WIRE_BOXED,   /* Int64Value: int64_t *, NULL = absent */
	WIRE_VALUE,   /* UInt64Value, Int64Value: a 64-bit member; absent = 0 */
};

enum { WIRE_ITEMS_MAX = 65536 }; /* of a repeated field */

struct wire_field {
	uint8_t number;
	uint8_t kind;
	bool present; /* WIRE_INLINE: written even when all of it is zero */
	uint16_t offset;
	const struct wire_type *type; /* of LIST, POINTER, INLINE */
};

struct wire_type {
	size_t size; /* of the C struct */
	const struct wire_field *fields;
	size_t n_fields;
};

void wire_encode(const struct wire_type *t, const void *v, struct buf *out);
/* Into *v, which the caller has initialised; strings and lists are copied into the arena. -EPROTO:
 * no such message. */
int wire_decode(const struct wire_type *t, struct str message, struct arena *a, void *v);

#endif
