/*
 * str.h: a string that does not own its bytes.
 *
 * `p` points at `n` bytes (UTF-8, may hold NUL bytes) that live in an arena, a shared object or the program.
 * Strings made by this code base's allocators are also NUL-terminated (p[n] == 0), so `p` may be handed to libc;
 * a sub-string (str_sub, a parser's view) is not: copy it first. {NULL, 0} is "absent", and equals "".
 */
#ifndef SAMPAN_STR_H
#define SAMPAN_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/macros.h"

struct str {
	const char *p;
	size_t n;
};

struct str_vec {
	struct str *v;
	size_t n;
};

struct str_pair {
	struct str key, value;
};

/* Sorted by key (bytewise), no key twice. */
struct str_map {
	struct str_pair *v;
	size_t n;
};

#define S(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_c(const char *c)
{
	return (struct str){c, c ? strlen(c) : 0};
}
static inline struct str str_n(const char *p, size_t n)
{
	return (struct str){p, n};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_eqc(struct str a, const char *c)
{
	return str_eq(a, str_c(c));
}
static inline bool str_empty(struct str a)
{
	return a.n == 0;
}
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ieq(struct str a, struct str b);           /* ASCII case-insensitive */
ssize_t str_chr(struct str s, char c);              /* index or -1 */
ssize_t str_rchr(struct str s, char c);
ssize_t str_find(struct str s, struct str needle);  /* index or -1 */
static inline struct str str_sub(struct str s, size_t from, size_t to)
{
	return (struct str){from ? s.p + from : s.p, to - from}; /* NULL + 0 is undefined in C */
}
/* Splits `s` at the first `sep`: *head gets what stands before, *rest what stands after. False when there is no
 * sep (then *head = s, *rest is empty). */
bool str_cut(struct str s, char sep, struct str *head, struct str *rest);
struct str str_trim(struct str s);
/* Whole string as a decimal number; 0 or -EINVAL / -ERANGE. */
int str_to_i64(struct str s, int64_t *ret);
int str_to_u64(struct str s, uint64_t *ret);
uint64_t str_hash(struct str s);                    /* FNV-1a, for tables in memory, not against attackers */

const struct str *str_map_get(const struct str_map *m, struct str key); /* NULL when absent */
static inline bool str_vec_has(const struct str_vec *v, struct str s)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i], s))
			return true;
	return false;
}

#endif
