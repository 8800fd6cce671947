/* strings.h: what the files of the string library share. */
#ifndef SAMPAN_CEL_STRINGS_H
#define SAMPAN_CEL_STRINGS_H

#include "cel/eval.h"

size_t cel_rune_offset(struct str s, size_t index); /* bytes; the end when there are fewer */

struct cel_value cel_string_index(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_string_index_from(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_string_last_index(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_string_last_index_from(struct cel_call *c, const struct cel_value *v);
struct cel_value cel_string_format(struct cel_call *c, const struct cel_value *v);

#endif
