/* quote.h: a string as Go's %q (strconv.Quote) shows it in messages. */
#ifndef SAMPAN_JSON_QUOTE_H
#define SAMPAN_JSON_QUOTE_H

#include "base/base.h"

void quote_write(struct buf *b, struct str s);
struct str quote_text(struct arena *a, struct str s);

#endif
