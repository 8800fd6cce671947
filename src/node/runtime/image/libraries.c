#include "node/runtime/image/libraries.h"

#include "base/base.h"

struct libcurl libcurl;
struct libarchive libarchive;

int libcurl_open(struct err *err)
{
	static const struct library_symbol symbols[] = {LIBCURL_FUNCTIONS(LIBRARY_SYMBOL)};

	return library_open("libcurl.so.4", symbols, ARRAY_SIZE(symbols), &libcurl, err);
}

int libarchive_open(struct err *err)
{
	static const struct library_symbol symbols[] = {LIBARCHIVE_FUNCTIONS(LIBRARY_SYMBOL)};

	return library_open("libarchive.so.13", symbols, ARRAY_SIZE(symbols), &libarchive, err);
}
