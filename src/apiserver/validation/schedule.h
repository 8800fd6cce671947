/* schedule.h: whether a CronJob's schedule and time zone can be understood (robfig/cron/v3's
 * standard parser). */
#ifndef SAMPAN_VALIDATION_SCHEDULE_H
#define SAMPAN_VALIDATION_SCHEDULE_H

#include "base/base.h"

/* What is wrong with it, as the parser words it; n == 0: valid. */
struct str schedule_error(struct str spec, struct arena *a);
/* What is wrong with a time zone's name; n == 0: known. */
struct str time_zone_error(struct str name, struct arena *a);

#endif
