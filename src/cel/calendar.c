/* calendar.c: see calendar.h; eras of 400 years, years that begin in March. */
#include "cel/calendar.h"

enum { ERA_DAYS = 146097, ERA_TO_EPOCH = 719468, DAY = 86400 };

int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t in_era = y - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - ERA_TO_EPOCH;
}

void civil_from_unix(int64_t sec, struct civil *ret)
{
	int64_t days = sec / DAY - (sec % DAY < 0), rest = sec - days * DAY;
	int64_t z = days + ERA_TO_EPOCH, era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
	int64_t in_era = z - era * ERA_DAYS;
	int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * y + y / 4 - y / 100), mp = (5 * in_year + 2) / 153;

	ret->day = (int)(in_year - (153 * mp + 2) / 5 + 1);
	ret->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	ret->year = (int)(y + era * 400 + (ret->month <= 2));
	ret->hour = (int)(rest / 3600);
	ret->minute = (int)(rest / 60 % 60);
	ret->second = (int)(rest % 60);
	ret->weekday = (int)(((days + 4) % 7 + 7) % 7);
	ret->year_day = (int)(days - days_from_civil(ret->year, 1, 1));
}
