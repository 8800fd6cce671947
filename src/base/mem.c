#include "base/base.h"

#include <stdio.h>

static void *checked(void *p, size_t size)
{
	if (p || size == 0)
		return p ? p : checked(malloc(1), 1);
	fprintf(stderr, "out of memory: could not allocate %zu bytes\n", size);
	abort();
}

void *xmalloc(size_t size)
{
	return checked(malloc(size), size);
}

void *xcalloc(size_t n, size_t size)
{
	return checked(calloc(n, size), n * size);
}

void *xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1), size);
}

char *xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(xmalloc(n), s, n);
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *out = NULL;

	va_start(ap, fmt);
	if (vasprintf(&out, fmt, ap) < 0)
		out = checked(NULL, 1);
	va_end(ap);
	return out;
}

void free_ptr(void *pp)
{
	free(*(void **)pp);
}
