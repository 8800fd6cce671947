/*
 * arena.h: scratch memory that is dropped as a whole.
 *
 * Not thread-safe: an arena belongs to one request, reconcile or tick, and moves between threads only as a whole.
 * Never returns NULL. Memory from arena_alloc is zeroed.
 *
 *     struct arena a;
 *     arena_init(&a);
 *     struct v1_pod *pod = ARENA_NEW(&a, struct v1_pod);
 *     arena_ref(&a, (void (*)(void *))object_unref, object_ref(o));   // unref'd when the arena goes
 *     arena_release(&a);
 */
#ifndef SAMPAN_ARENA_H
#define SAMPAN_ARENA_H

#include <stdarg.h>

#include "base/str.h"

struct arena_chunk;
struct arena_hook;

struct arena {
	char *cur, *end;
	struct arena_chunk *chunks;
	struct arena_hook *hooks;
	size_t total; /* bytes handed out */
};

void arena_init(struct arena *a);
void arena_release(struct arena *a); /* runs hooks, newest first; leaves an empty, usable arena */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull)); /* 16-aligned, zeroed */
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
/* Room for n elements, rounded up to a power of two, which is what ARENA_PUSH relies on. */
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))
void *arena_array(struct arena *a, size_t n, size_t elem_size) __attribute__((returns_nonnull));
void *arena_memdup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
struct str arena_str(struct arena *a, struct str s);      /* a copy, NUL-terminated; absent stays absent */
struct str arena_strc(struct arena *a, const char *c);
struct str arena_fmt(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap);
char *arena_cstr(struct arena *a, struct str s);          /* the same as arena_str, as char *; never NULL */
/* Calls fn(p) when the arena is released. */
void arena_ref(struct arena *a, void (*fn)(void *), void *p);

/* Growing an array in an arena: doubles by copying; the old copy stays until the arena goes.
 *     ARENA_PUSH(a, vec, value)   vec is any struct {T *v; size_t n;} that is empty, or whose v came from
 *                                 ARENA_ARRAY, ARENA_PUSH or the decoder (capacity: the next power of two of n) */
#define ARENA_PUSH(a, vec, value)                                                                        \
	do {                                                                                             \
		(vec)->v = arena_grow((a), (vec)->v, (vec)->n, sizeof(*(vec)->v));                       \
		(vec)->v[(vec)->n++] = (value);                                                          \
	} while (0)
void *arena_grow(struct arena *a, void *v, size_t n, size_t elem_size);

#endif
