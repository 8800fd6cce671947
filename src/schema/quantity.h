/*
 * quantity.h: resource quantities ("100m", "1.5Gi", "1e3") as apimachinery's resource.Quantity has
 * them.
 *
 * A value is a whole number of 10^-9; smaller parts are rounded away from zero, and what lies
 * beyond ±(2^63-1) is cut to that, as upstream does. So sums and comparisons are exact. The format
 * is that of the text it came from and decides how it is written again.
 */
#ifndef SAMPAN_SCHEMA_QUANTITY_H
#define SAMPAN_SCHEMA_QUANTITY_H

#include "base/base.h"

enum quantity_format { QUANTITY_DECIMAL_SI, QUANTITY_BINARY_SI, QUANTITY_DECIMAL_EXPONENT };

struct quantity {
	__int128 nano;
	enum quantity_format format;
};

/* 400 with upstream's words. */
int quantity_parse(struct str text, struct quantity *ret, struct err *err);
struct str quantity_text(const struct quantity *q, struct arena *a); /* canonical */
enum { QUANTITY_TEXT_MAX = 48 };
size_t quantity_format_text(
	const struct quantity *q, char out[QUANTITY_TEXT_MAX]); /* the same; its length */

int64_t quantity_value(
	const struct quantity *q); /* whole units, rounded away from zero, cut to int64 */
int64_t quantity_milli(const struct quantity *q); /* thousandths, likewise */
struct quantity quantity_from_value(int64_t units, enum quantity_format format);
struct quantity quantity_from_milli(int64_t thousandths, enum quantity_format format);
static inline int quantity_cmp(const struct quantity *a, const struct quantity *b)
{
	return a->nano < b->nano ? -1 : a->nano > b->nano;
}
/* Sum and difference; a zero takes the other's format, as upstream. */
void quantity_add(struct quantity *a, const struct quantity *b);
void quantity_sub(struct quantity *a, const struct quantity *b);

/* The text that upstream answers with for a text it was given: mostly the canonical form, but an
 * already "good enough" one is kept ("1.500" stays). The same view, or a copy in the arena. */
int quantity_normalize(struct str text, struct arena *a, struct str *ret, struct err *err);

/* For a decoded member, which always parses; absent or broken is zero. */
struct quantity quantity_of(struct str text);
static inline int64_t quantity_value_of(struct str text)
{
	struct quantity q = quantity_of(text);

	return quantity_value(&q);
}
static inline int64_t quantity_milli_of(struct str text)
{
	struct quantity q = quantity_of(text);

	return quantity_milli(&q);
}

#endif
