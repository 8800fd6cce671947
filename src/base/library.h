/*
 * library.h: shared libraries that are opened when they are first needed. A program that never
 * needs one (a control plane pulls no images) neither maps nor relocates it and what it drags in:
 * libcurl and libarchive alone bring thirty others, 5 MB of memory and a third of the start-up
 * time.
 *
 *     #define CURL_FUNCTIONS(F) F(curl, easy_init) F(curl, easy_perform)
 *     struct curl_library { CURL_FUNCTIONS(LIBRARY_MEMBER) };
 *     struct curl_library curl;
 *     static const struct library_symbol symbols[] = {CURL_FUNCTIONS(LIBRARY_SYMBOL)};
 *     library_open("libcurl.so.4", symbols, ARRAY_LEN(symbols), &curl, &err) … curl.easy_init()
 */
#ifndef SAMPAN_BASE_LIBRARY_H
#define SAMPAN_BASE_LIBRARY_H

#include <stddef.h>

#include "base/err.h"

/* A pointer of the function's own type, named without the library's prefix. */
#define LIBRARY_MEMBER(prefix, name) typeof(&prefix##_##name) name;
#define LIBRARY_SYMBOL(prefix, name) {#prefix "_" #name},

struct library_symbol {
	const char *name;
};

/* Fills the table, an array of n function pointers in the order of the symbols. 0; -ELIBACC with
 * err when the library is missing or too old: what it says names the file. The library stays open.
 * Thread-safe for tables of their own; the same table twice is harmless. */
int library_open(const char *file, const struct library_symbol *symbols, size_t n, void *ret_table,
	struct err *err);

#endif
