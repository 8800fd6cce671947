/*
 * write.h: JSON text as Go's json.Marshal writes it: no blanks; <, >, & and U+2028/9 escaped,
 * broken UTF-8 replaced. Appends to a buf; the caller places the commas.
 */
#ifndef SAMPAN_JSON_WRITE_H
#define SAMPAN_JSON_WRITE_H

#include "base/base.h"

void json_write_string(struct buf *b, struct str s); /* with the quotes */
void json_write_double(struct buf *b, double v);
/* A valid JSON text without the blanks between tokens, with <, > and & in its strings escaped, as
 * json.Marshal does with a RawMessage. */
void json_write_compact(struct buf *b, struct str text);
/* The same text indented by two blanks, as json.MarshalIndent (`pretty=true`), without a line end
 * behind it. */
void json_write_indent(struct buf *b, struct str text);

#endif
