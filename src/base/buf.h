/*
 * buf.h: growing bytes, born with a maximum.
 *
 * When an append would pass `max`, nothing is appended, `failed` stays true and every later append does nothing:
 * write a whole document and check buf_failed() once at the end. Always NUL-terminated after the first append.
 */
#ifndef SAMPAN_BUF_H
#define SAMPAN_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_reset(struct buf *b); /* empty again, memory kept */
void buf_add(struct buf *b, const void *p, size_t n);
static inline void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}
void buf_add_c(struct buf *b, const char *c);
void buf_add_char(struct buf *b, char c);
void buf_add_i64(struct buf *b, int64_t v);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vfmt(struct buf *b, const char *fmt, va_list ap);
char *buf_reserve(struct buf *b, size_t n); /* room for n more bytes, or NULL (then failed) */
void buf_consume(struct buf *b, size_t n);  /* drops n bytes at the front */
static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->p, b->n};
}

#endif
