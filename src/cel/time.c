/* time.c: durations and timestamps as text, as Go's time package reads and writes them. */
#include "cel/calendar.h"
#include "cel/eval.h"

#include <ctype.h>
#include <stdio.h>

enum { NS = 1000000000 };

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\u00b5s", 1000},
	{"\u03bcs", 1000},
	{"ms", 1000000},
	{"s", NS},
	{"m", 60LL * NS},
	{"h", 3600LL * NS},
};

/* One "1.5h" at *p; false when it is none or too large. */
static bool add_part(const char **p, const char *end, uint64_t *sum)
{
	uint64_t whole = 0, frac = 0, scale = 1, ns;
	bool any = false;
	struct str rest;

	for (; *p < end && isdigit((unsigned char)**p); (*p)++, any = true)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, **p - '0', &whole))
			return false;
	if (*p < end && **p == '.') {
		for ((*p)++; *p < end && isdigit((unsigned char)**p); (*p)++, any = true) {
			if (scale < 1000000000000000000ull) {
				frac = frac * 10 + (**p - '0');
				scale *= 10;
			}
		}
	}
	if (!any)
		return false;
	rest = str_n(*p, end - *p);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		/* "m" must not take the m of "ms" */
		if (!str_starts(rest, str_c(units[i].name)) ||
			(rest.n > n && !isdigit((unsigned char)rest.p[n]) && rest.p[n] != '.'))
			continue;
		*p += n;
		if (__builtin_mul_overflow(whole, (uint64_t)units[i].ns, &ns))
			return false;
		ns += (uint64_t)((double)frac * ((double)units[i].ns / (double)scale));
		return !__builtin_add_overflow(*sum, ns, sum);
	}
	return false;
}

struct cel_value cel_duration_parse(struct str s, struct arena *a)
{
	const char *p = s.p, *end = p + s.n;
	uint64_t sum = 0;
	bool negative = s.n && *p == '-', ok;

	if (s.n && (*p == '-' || *p == '+'))
		p++;
	if (end - p == 1 && *p == '0')
		return cel_duration(0);
	ok = p < end;
	while (ok && p < end)
		ok = add_part(&p, end, &sum);
	if (!ok || sum > (uint64_t)INT64_MAX + negative)
		return cel_error(
			S("type conversion error from 'string' to 'google.protobuf.Duration'"));
	return cel_duration(negative ? (int64_t)(0 - sum) : (int64_t)sum);
}

struct str cel_duration_text(struct cel_value d, struct arena *a)
{
	/* as Go's Seconds(): whole seconds and the rest, each a double */
	double sec = (double)(d.i / NS) + (double)(d.i % NS) / 1e9;
	struct str s = cel_double_text(sec, 'f', a);

	return arena_fmt(a, STR_FMT "s", STR_ARG(s));
}

/* --- timestamps --- */

static bool number(const char **p, const char *end, int n, int *ret)
{
	*ret = 0;
	if (end - *p < n)
		return false;
	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		*ret = *ret * 10 + (**p - '0');
	}
	return true;
}

static bool sign(const char **p, const char *end, char ch)
{
	if (*p == end || **p != ch)
		return false;
	(*p)++;
	return true;
}

static void fraction(const char **p, const char *end, int32_t *ret)
{
	int32_t unit = NS / 10;

	if (end - *p < 2 || (**p != '.' && **p != ',') || !isdigit((unsigned char)(*p)[1]))
		return;
	for ((*p)++; *p < end && isdigit((unsigned char)**p); (*p)++, unit /= 10)
		*ret += (**p - '0') * unit;
}

static bool zone(const char **p, const char *end, int16_t *ret)
{
	int hour, minute, west;

	if (sign(p, end, 'Z'))
		return *p == end;
	west = sign(p, end, '-');
	if (!west && !sign(p, end, '+'))
		return false;
	if (!number(p, end, 2, &hour) || !sign(p, end, ':') || !number(p, end, 2, &minute) ||
		*p != end || hour > 24 || minute > 59)
		return false;
	*ret = (int16_t)((hour * 60 + minute) * (west ? -1 : 1));
	return true;
}

static bool read_time(const char *p, const char *end, struct civil *c, struct cel_value *t)
{
	if (!number(&p, end, 4, &c->year) || !sign(&p, end, '-') ||
		!number(&p, end, 2, &c->month) || !sign(&p, end, '-') ||
		!number(&p, end, 2, &c->day) || !sign(&p, end, 'T'))
		return false;
	if (!number(&p, end, 2, &c->hour) || !sign(&p, end, ':') ||
		!number(&p, end, 2, &c->minute) || !sign(&p, end, ':') ||
		!number(&p, end, 2, &c->second))
		return false;
	fraction(&p, end, &t->nsec);
	if (!zone(&p, end, &t->zone_min))
		return false;
	return c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= days_in_month(c->year, c->month) && c->hour < 24 && c->minute < 60 &&
	       c->second < 60;
}

struct cel_value cel_timestamp_parse(struct str s, struct arena *a)
{
	struct cel_value t = cel_timestamp(0, 0);
	struct civil c;

	if (!read_time(s.p, s.p + s.n, &c, &t))
		return cel_error(
			S("type conversion error from 'string' to 'google.protobuf.Timestamp'"));
	t.i = days_from_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 +
	      c.second - t.zone_min * 60;
	if (t.i < -62135596800 || t.i > 253402300799)
		return cel_error(S("timestamp overflow"));
	return t;
}

struct str cel_timestamp_text(struct cel_value t, struct arena *a)
{
	struct civil c;
	char frac[16] = "", east[16] = "Z";
	int zone_min = t.zone_min;

	civil_from_unix(t.i + zone_min * 60, &c);
	if (t.nsec) {
		int n = snprintf(frac, sizeof(frac), ".%09d", (int)t.nsec);

		while (frac[n - 1] == '0')
			frac[--n] = '\0';
	}
	if (zone_min)
		snprintf(east, sizeof(east), "%c%02d:%02d", zone_min < 0 ? '-' : '+',
			abs(zone_min) / 60 % 100, abs(zone_min) % 60);
	return arena_fmt(a, "%04d-%02d-%02dT%02d:%02d:%02d%s%s", c.year, c.month, c.day, c.hour,
		c.minute, c.second, frac, east);
}
