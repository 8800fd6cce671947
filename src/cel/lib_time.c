/* lib_time.c: getFullYear … getMilliseconds of timestamps, in UTC or a zone, and of durations. */
#include "cel/calendar.h"
#include "cel/eval.h"
#include "cel/tz.h"

enum { NS = 1000000000 };

/* args[0] in UTC, or in the zone args[1] when `zoned`; false: *ret_error. */
static bool civil(struct cel_call *c, const struct cel_value *v, bool zoned, struct civil *ret,
	struct cel_value *ret_error)
{
	int32_t offset = 0;
	struct str error;

	if (zoned && !cel_tz_offset(v[1].s, v[0].i, c->a, &offset, &error)) {
		*ret_error = cel_error(error);
		return false;
	}
	civil_from_unix(v[0].i + offset, ret);
	return true;
}

#define GETTER(name, expression)                                                                   \
	static struct cel_value name##_of(                                                         \
		struct cel_call *c, const struct cel_value *v, bool zoned)                         \
	{                                                                                          \
		struct cel_value error;                                                            \
		struct civil t;                                                                    \
                                                                                                   \
		return civil(c, v, zoned, &t, &error) ? cel_int(expression) : error;               \
	}                                                                                          \
	static struct cel_value name(struct cel_call *c, const struct cel_value *v)                \
	{                                                                                          \
		return name##_of(c, v, false);                                                     \
	}                                                                                          \
	static struct cel_value name##_in(struct cel_call *c, const struct cel_value *v)           \
	{                                                                                          \
		return name##_of(c, v, true);                                                      \
	}

GETTER(year, t.year)
GETTER(month, t.month - 1)
GETTER(year_day, t.year_day)
GETTER(month_day, t.day - 1)
GETTER(date, t.day)
GETTER(week_day, t.weekday)
GETTER(hours, t.hour)
GETTER(minutes, t.minute)
GETTER(seconds, t.second)
GETTER(milliseconds, v->nsec / 1000000)

static struct cel_value duration_hours(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(v->i / (3600LL * NS));
}

static struct cel_value duration_minutes(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(v->i / (60LL * NS));
}

static struct cel_value duration_seconds(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(v->i / NS);
}

static struct cel_value duration_milliseconds(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(v->i / 1000000);
}

#define T(name) &cel_type_##name
#define GET(fn_)                                                                                   \
	{.args = {T(timestamp)}, .n_args = 1, .member = true, .result = T(int), .fn = (fn_)},      \
	{                                                                                          \
		.args = {T(timestamp), T(string)}, .n_args = 2, .member = true, .result = T(int),  \
		.fn = fn_##_in                                                                     \
	}
#define OF_DURATION(fn_)                                                                           \
	{                                                                                          \
		.args = {T(duration)}, .n_args = 1, .member = true, .result = T(int), .fn = (fn_)  \
	}

static const struct cel_overload year_overloads[] = {GET(year)};
static const struct cel_overload month_overloads[] = {GET(month)};
static const struct cel_overload year_day_overloads[] = {GET(year_day)};
static const struct cel_overload month_day_overloads[] = {GET(month_day)};
static const struct cel_overload date_overloads[] = {GET(date)};
static const struct cel_overload week_day_overloads[] = {GET(week_day)};
static const struct cel_overload hours_overloads[] = {GET(hours), OF_DURATION(duration_hours)};
static const struct cel_overload minutes_overloads[] = {
	GET(minutes), OF_DURATION(duration_minutes)};
static const struct cel_overload seconds_overloads[] = {
	GET(seconds), OF_DURATION(duration_seconds)};
static const struct cel_overload milliseconds_overloads[] = {
	GET(milliseconds), OF_DURATION(duration_milliseconds)};

static const struct cel_function functions[] = {
	{"getFullYear", CEL_OVERLOADS(year_overloads)},
	{"getMonth", CEL_OVERLOADS(month_overloads)},
	{"getDayOfYear", CEL_OVERLOADS(year_day_overloads)},
	{"getDayOfMonth", CEL_OVERLOADS(month_day_overloads)},
	{"getDate", CEL_OVERLOADS(date_overloads)},
	{"getDayOfWeek", CEL_OVERLOADS(week_day_overloads)},
	{"getHours", CEL_OVERLOADS(hours_overloads)},
	{"getMinutes", CEL_OVERLOADS(minutes_overloads)},
	{"getSeconds", CEL_OVERLOADS(seconds_overloads)},
	{"getMilliseconds", CEL_OVERLOADS(milliseconds_overloads)},
};
const struct cel_library cel_lib_time = {functions, ARRAY_SIZE(functions)};
