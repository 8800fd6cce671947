/* url.h: URLs as Go's net/url reads them. */
#ifndef SAMPAN_CEL_URL_H
#define SAMPAN_CEL_URL_H

#include "cel/opaque.h"

struct cel_url {
	struct str scheme, host, path, query; /* path as given, host unescaped */
	struct str text;                      /* as it was given, for comparing */
};

/* url.ParseRequestURI; the fragment is taken off then, as url.Parse does. False: *ret_error is Go's
 * 'parse "x": invalid URI for request'. */
bool cel_url_parse(struct str s, struct arena *a, struct cel_url *ret, struct str *ret_error);
/* Percent escapes decoded; with `plus`, + is a blank. False: *ret_bad is the broken one. */
bool cel_url_unescape(
	struct str s, bool plus, struct arena *a, struct str *ret, struct str *ret_bad);

#endif
