/* calendar.h: days and dates of the proleptic Gregorian calendar. */
#ifndef SAMPAN_CEL_CALENDAR_H
#define SAMPAN_CEL_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
	int year, month, day; /* 1 … */
	int hour, minute, second;
	int weekday;  /* 0: Sunday */
	int year_day; /* 0 … 365 */
};

static inline bool is_leap(int y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}
static inline int days_in_month(int y, int m)
{
	return m == 2 ? 28 + is_leap(y) : 30 + ((m + (m > 7)) & 1);
}
int64_t days_from_civil(int year, int month, int day); /* since 1970-01-01 */
void civil_from_unix(int64_t sec, struct civil *ret);

#endif
