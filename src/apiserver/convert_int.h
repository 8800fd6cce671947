/* convert_int.h: the conversions that have a file of their own. Not for others than convert.c. */
#ifndef SAMPAN_APISERVER_CONVERT_INT_H
#define SAMPAN_APISERVER_CONVERT_INT_H

#include "types.gen.h"

/* Fills a zeroed struct; strings are shared. */
typedef void convert_fn(const void *from, void *to, struct arena *a);

convert_fn hpa_up;   /* autoscaling/v1 to v2 */
convert_fn hpa_down; /* and back */

#endif
