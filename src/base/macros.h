/* macros.h: the compiler attributes and arithmetic helpers that every header uses. */
#ifndef SAMPAN_MACROS_H
#define SAMPAN_MACROS_H

#include <sys/param.h> /* MIN, MAX */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#endif
