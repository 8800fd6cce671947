/* tz.h: time zones by name, from the system's zone database, without the C library's global zone.
 */
#ifndef SAMPAN_CEL_TZ_H
#define SAMPAN_CEL_TZ_H

#include "base/base.h"

/* Seconds east of UTC at a time: names ("Europe/Berlin", "UTC", "") and offsets ("-08:00"). False:
 * *ret_error is Go's "unknown time zone x". */
bool cel_tz_offset(
	struct str zone, int64_t unix_sec, struct arena *a, int32_t *ret, struct str *ret_error);

#endif
