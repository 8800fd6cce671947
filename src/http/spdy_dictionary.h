/* spdy_dictionary.h: the text that SPDY's header compression starts from. Private to spdy.c. */
#ifndef SAMPAN_SPDY_DICTIONARY_H
#define SAMPAN_SPDY_DICTIONARY_H

#include "base/base.h"

enum { SPDY_DICTIONARY_SIZE = 1423 };

void spdy_dictionary_make(unsigned char *p); /* writes SPDY_DICTIONARY_SIZE bytes */

#endif
