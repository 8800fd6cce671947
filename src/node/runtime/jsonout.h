/*
 * jsonout.h: writing JSON member by member, with the commas placed.
 *
 *     struct jout j = {&buf};
 *     jout_open(&j, NULL, '{');
 *     jout_str(&j, "ociVersion", S("1.0.2"));
 *     jout_close(&j, '}');
 *
 * key is NULL for an array's items and for the outermost value.
 */
#ifndef SAMPAN_RUNTIME_JSONOUT_H
#define SAMPAN_RUNTIME_JSONOUT_H

#include "base/base.h"

struct jout {
	struct buf *b;
	bool comma; /* a value stands before the next one */
};

void jout_open(struct jout *j, const char *key, char bracket);
void jout_close(struct jout *j, char bracket);
void jout_str(struct jout *j, const char *key, struct str v);
void jout_c(struct jout *j, const char *key, const char *v);
void jout_int(struct jout *j, const char *key, int64_t v);
void jout_bool(struct jout *j, const char *key, bool v);
void jout_strs(struct jout *j, const char *key, const struct str_vec *v);
void jout_pairs(
	struct jout *j, const char *key, const struct str_pair *v, size_t n); /* as an object */
void jout_raw(struct jout *j, const char *key, struct str json);              /* valid JSON text */

#endif
