/* tz.c: TZif files (RFC 8536) and the rule in their footer (POSIX TZ). */
#include "cel/tz.h"

#include <ctype.h>
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>

#include "cel/calendar.h"

enum { ZONE_FILE_MAX = 64 * 1024, DAY = 86400 };

/* --- the rule: EST5EDT,M3.2.0,M11.1.0 --- */

struct change {    /* the n-th weekday of a month, or a day of the year */
	char kind; /* M, J (1 … 365, no leap day), 0 (0 … 365) */
	int month, week, day;
	int32_t at; /* seconds of local time */
};

struct rule {
	int32_t standard, daylight;
	bool has_daylight;
	struct change begin, end;
};

static bool skip_name(const char **p)
{
	const char *from = *p;

	if (**p == '<') {
		*p = strchr(*p, '>');
		return *p && (*p)++;
	}
	while (isalpha((unsigned char)**p))
		(*p)++;
	return *p > from;
}

/* [+-]h[h][:mm[:ss]] */
static bool read_hms(const char **p, int32_t *ret)
{
	int sign = **p == '-' ? -1 : 1;
	int32_t v = 0, unit = 3600;

	if (**p == '-' || **p == '+')
		(*p)++;
	if (!isdigit((unsigned char)**p))
		return false;
	for (;; (*p)++, unit /= 60) {
		v += (int32_t)strtol(*p, (char **)p, 10) % 1000 * unit;
		if (**p != ':' || unit == 1)
			break;
	}
	*ret = sign * v;
	return true;
}

static bool read_change(const char **p, struct change *c)
{
	if (*(*p)++ != ',')
		return false;
	c->kind = **p == 'M' || **p == 'J' ? *(*p)++ : '0';
	c->at = 2 * 3600;
	c->day = (int)strtol(*p, (char **)p, 10);
	if (c->kind == 'M') {
		c->month = c->day;
		if (**p != '.')
			return false;
		c->week = (int)strtol(*p + 1, (char **)p, 10);
		if (**p != '.')
			return false;
		c->day = (int)strtol(*p + 1, (char **)p, 10);
	}
	if (**p != '/')
		return true;
	(*p)++;
	return read_hms(p, &c->at);
}

static bool read_rule(const char *p, struct rule *r)
{
	int32_t west;

	if (!skip_name(&p) || !read_hms(&p, &west))
		return false;
	r->standard = -west;
	r->daylight = r->standard + 3600;
	r->has_daylight = *p != '\0';
	if (!r->has_daylight)
		return true;
	if (!skip_name(&p))
		return false;
	if (*p != ',' && *p) {
		if (!read_hms(&p, &west))
			return false;
		r->daylight = -west;
	}
	return read_change(&p, &r->begin) && read_change(&p, &r->end);
}

/* Seconds since the epoch, as local time, at which the change comes in the year. */
static int64_t change_in(const struct change *c, int year)
{
	int64_t first = days_from_civil(year, 1, 1);
	int day;

	if (c->kind == 'J')
		return (first + c->day - 1 + (is_leap(year) && c->day >= 60)) * DAY + c->at;
	if (c->kind != 'M')
		return (first + c->day) * DAY + c->at;
	first = days_from_civil(year, c->month, 1);
	day = (int)((c->day - (first + 4) % 7 + 7) % 7) + (c->week - 1) * 7;
	while (day >= days_in_month(year, c->month))
		day -= 7;
	return (first + day) * DAY + c->at;
}

static int32_t by_rule(const struct rule *r, int64_t t)
{
	struct civil civil;
	int64_t begin, end;
	bool daylight;

	if (!r->has_daylight)
		return r->standard;
	civil_from_unix(t + r->standard, &civil);
	begin = change_in(&r->begin, civil.year) - r->standard;
	end = change_in(&r->end, civil.year) - r->daylight;
	daylight = begin < end ? t >= begin && t < end : t >= begin || t < end;
	return daylight ? r->daylight : r->standard;
}

/* --- the file --- */

struct header {
	uint32_t utc, std, leap, times, types, chars;
};

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static bool read_header(const unsigned char *p, size_t n, struct header *h)
{
	if (n < 44 || memcmp(p, "TZif", 4) != 0)
		return false;
	*h = (struct header){
		be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40)};
	return h->times < 10000 && h->types > 0 && h->types < 256 && h->chars < 10000 &&
	       h->leap < 10000 && h->utc < 256 && h->std < 256;
}

static size_t body_size(const struct header *h, size_t width)
{
	return h->times * (width + 1) + h->types * 6 + h->chars + h->leap * (width + 4) + h->std +
	       h->utc;
}

static bool offset_in(const unsigned char *p, size_t n, int64_t t, int32_t *ret)
{
	struct header h;
	size_t skip, type = 0;
	const unsigned char *times, *types, *footer;
	struct rule rule;

	if (!read_header(p, n, &h) || p[4] < '2')
		return false;
	skip = 44 + body_size(&h, 4); /* the second part has 64 bits */
	if (skip >= n || !read_header(p + skip, n - skip, &h) ||
		n - skip < 44 + body_size(&h, 8) + 2)
		return false;
	times = p + skip + 44;
	types = times + (size_t)h.times * 9;
	footer = times + body_size(&h, 8) + 1;
	if ((h.times == 0 || t >= be64(times + (h.times - 1) * 8)) && footer[0] != '\n' &&
		read_rule((const char *)footer, &rule)) {
		*ret = by_rule(&rule, t);
		return true;
	}
	for (size_t i = 0; i < h.times && t >= be64(times + i * 8); i++)
		type = times[(size_t)h.times * 8 + i];
	if (type >= h.types)
		return false;
	*ret = (int32_t)be32(types + type * 6);
	return true;
}

static bool zone_file(struct str name, struct arena *a, struct str *ret)
{
	char path[256];
	char *text = arena_alloc(a, ZONE_FILE_MAX + 1);
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name)) >=
		(int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, ZONE_FILE_MAX);
	close(fd);
	if (n <= 0)
		return false;
	text[n - 1] = '\0'; /* the footer's line end: ends the rule's text */
	*ret = str_n(text, n);
	return true;
}

static bool by_offset(
	struct str zone, size_t colon, struct arena *a, int32_t *ret, struct str *ret_error)
{
	struct str parts[] = {str_sub(zone, 0, colon), str_sub(zone, colon + 1, zone.n)};
	int64_t v[2] = {0};

	for (int i = 0; i < 2; i++) {
		struct str s = parts[i];

		if (s.n > 1 && s.p[0] == '+')
			s = str_sub(s, 1, s.n);
		if (str_to_i64(s, &v[i]) < 0 || v[i] > 100000 || v[i] < -100000) {
			*ret_error = arena_fmt(a,
				"strconv.Atoi: parsing \"" STR_FMT "\": invalid syntax",
				STR_ARG(parts[i]));
			return false;
		}
	}
	*ret = (int32_t)(v[0] * 60 + (zone.p[0] == '-' ? -v[1] : v[1])) * 60;
	return true;
}

bool cel_tz_offset(
	struct str zone, int64_t unix_sec, struct arena *a, int32_t *ret, struct str *ret_error)
{
	ssize_t colon = str_chr(zone, ':');
	struct str file;

	*ret = 0;
	if (colon >= 0)
		return by_offset(zone, colon, a, ret, ret_error);
	if (zone.n == 0 || str_eqc(zone, "UTC") || str_eqc(zone, "Local"))
		return true;
	if (str_find(zone, S("..")) >= 0 || zone.p[0] == '/' || str_chr(zone, '\\') >= 0) {
		*ret_error = S("time: invalid location name");
		return false;
	}
	if (zone_file(zone, a, &file) &&
		offset_in((const unsigned char *)file.p, file.n, unix_sec, ret))
		return true;
	*ret_error = arena_fmt(a, "unknown time zone " STR_FMT, STR_ARG(zone));
	return false;
}
