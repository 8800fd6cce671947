/*
 * pb.h: protobuf by hand, for messages that no schema describes (CRI): fields are written in any
 * order, read one by one.
 *
 *     size_t at = pb_open(&b, 2);            // field 2: a message
 *     pb_str(&b, 1, name);
 *     pb_close(&b, at);
 *
 *     struct pb_field f;
 *     while (pb_next(&text, &f))
 *             if (f.number == 1) name = f.bytes;
 *
 * Zero values and empty strings are not written, as proto3 has it.
 */
#ifndef SAMPAN_PB_H
#define SAMPAN_PB_H

#include "base/base.h"

void pb_varint(struct buf *b, uint64_t v);
void pb_int(struct buf *b, int field, int64_t v); /* int32, int64, uint64, bool, enum */
void pb_str(struct buf *b, int field, struct str v);
void pb_bytes(struct buf *b, int field, struct str v); /* also when empty: an item of a list */
void pb_strs(struct buf *b, int field, const struct str_vec *v);
void pb_pairs(
	struct buf *b, int field, const struct str_pair *v, size_t n); /* map<string, string> */
size_t pb_open(struct buf *b, int field);
void pb_close(struct buf *b, size_t at);

struct pb_field {
	int number;
	int64_t value;    /* of a number */
	struct str bytes; /* of a string or message */
};
/* Takes the next field off the front; false at the end, or where the bytes make no sense. */
bool pb_next(struct str *text, struct pb_field *f);
/* The first field with this number: 0 or empty when it is not there. */
int64_t pb_get_int(struct str text, int number);
struct str pb_get(struct str text, int number);

#endif
