/* time.c: Go's time.Parse and Format, for the two layouts that the API has. */
#include "schema/time.h"

#include <stdio.h>

#define LAYOUT "2006-01-02T15:04:05Z07:00"
#define LAYOUT_MICRO "2006-01-02T15:04:05.000000Z07:00"

/* Days from 1970-01-01 of a day in the proleptic Gregorian calendar. */
static int64_t days_from_date(int64_t y, int m, int d)
{
	int64_t era, doy, yoe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_from_days(int64_t days, int64_t *y, int *m, int *d)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = yoe + era * 400 + (*m <= 2);
}

static int days_in_month(int64_t y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && y % 4 == 0 && (y % 100 || y % 400 == 0) ? 29 : days[m - 1];
}

struct cursor {
	struct str text;
	size_t at;
	const char *layout;
	const char *wanted; /* the element of the layout that did not fit */
	const char *range;  /* "month out of range" */
};

static bool digit_at(const struct cursor *c, size_t i)
{
	return i < c->text.n && c->text.p[i] >= '0' && c->text.p[i] <= '9';
}

/* min to max digits. */
static bool take(struct cursor *c, size_t min, size_t max, const char *wanted, int *ret)
{
	size_t n = 0;
	int v = 0;

	if (c->wanted || c->range)
		return false;
	while (n < max && digit_at(c, c->at + n))
		v = v * 10 + (c->text.p[c->at + n++] - '0');
	if (n < min) {
		c->wanted = wanted;
		return false;
	}
	c->at += n;
	*ret = v;
	return true;
}

static bool expect(struct cursor *c, char ch, const char *wanted)
{
	if (c->wanted || c->range)
		return false;
	if (c->at >= c->text.n || c->text.p[c->at] != ch) {
		c->wanted = wanted;
		return false;
	}
	c->at++;
	return true;
}

static bool out_of_range(struct cursor *c, const char *what)
{
	if (!c->wanted && !c->range)
		c->range = what;
	return false;
}

/* ".123…": any number of digits, or exactly six. */
static bool take_fraction(struct cursor *c, bool micro, int *nsec)
{
	size_t n = 0;
	int v = 0;
	char ch = c->at < c->text.n ? c->text.p[c->at] : 0;

	*nsec = 0;
	if (c->wanted || c->range)
		return false;
	if ((ch != '.' && ch != ',') || !digit_at(c, c->at + 1)) {
		if (micro)
			c->wanted = ".000000";
		return !micro;
	}
	while (digit_at(c, c->at + 1 + n)) {
		if (n < 9)
			v = v * 10 + (c->text.p[c->at + 1 + n] - '0');
		n++;
		if (micro && n == 6)
			break;
	}
	if (micro && n < 6) {
		c->wanted = ".000000";
		return false;
	}
	for (size_t i = n; i < 9; i++)
		v *= 10;
	c->at += 1 + n;
	*nsec = v;
	return true;
}

/* "Z" or "+07:00"; seconds east of UTC. */
static bool take_zone(struct cursor *c, int *offset)
{
	const char *p = c->text.p + c->at;
	int h, m;

	if (c->wanted || c->range)
		return false;
	*offset = 0;
	if (c->at < c->text.n && *p == 'Z') {
		c->at++;
		return true;
	}
	if (c->text.n - c->at < 6 || (*p != '+' && *p != '-') || p[3] != ':' ||
		!digit_at(c, c->at + 1) || !digit_at(c, c->at + 2) || !digit_at(c, c->at + 4) ||
		!digit_at(c, c->at + 5)) {
		c->wanted = "Z07:00";
		return false;
	}
	h = (p[1] - '0') * 10 + (p[2] - '0');
	m = (p[4] - '0') * 10 + (p[5] - '0');
	c->at += 6;
	if (h > 24)
		return out_of_range(c, "time zone offset hour out of range");
	if (m > 60)
		return out_of_range(c, "time zone offset minute out of range");
	*offset = (h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
	return true;
}

static int report(const struct cursor *c, struct err *err)
{
	struct str rest = str_sub(c->text, c->at, c->text.n);

	if (c->range)
		return err_bad_request(
			err, "parsing time \"" STR_FMT "\": %s", STR_ARG(c->text), c->range);
	if (!c->wanted)
		return err_bad_request(err,
			"parsing time \"" STR_FMT "\": extra text: \"" STR_FMT "\"",
			STR_ARG(c->text), STR_ARG(rest));
	return err_bad_request(err,
		"parsing time \"" STR_FMT "\" as \"%s\": cannot parse \"" STR_FMT "\" as \"%s\"",
		STR_ARG(c->text), c->layout, STR_ARG(rest), c->wanted);
}

int k8s_time_parse(struct str text, bool micro, struct k8s_time *ret, struct err *err)
{
	struct cursor c = {.text = text, .layout = micro ? LAYOUT_MICRO : LAYOUT};
	int y = 0, mo = 1, d = 1, h = 0, mi = 0, s = 0, nsec = 0, offset = 0;
	struct k8s_time t;

	take(&c, 4, 4, "2006", &y);
	expect(&c, '-', "-");
	if (take(&c, 2, 2, "01", &mo) && (mo < 1 || mo > 12))
		out_of_range(&c, "month out of range");
	expect(&c, '-', "-");
	take(&c, 2, 2, "02", &d);
	expect(&c, 'T', "T");
	if (take(&c, 1, 2, "15", &h) && h > 23)
		out_of_range(&c, "hour out of range");
	expect(&c, ':', ":");
	if (take(&c, 2, 2, "04", &mi) && mi > 59)
		out_of_range(&c, "minute out of range");
	expect(&c, ':', ":");
	if (take(&c, 2, 2, "05", &s) && s > 59)
		out_of_range(&c, "second out of range");
	take_fraction(&c, micro, &nsec);
	take_zone(&c, &offset);
	if (c.wanted || c.range || c.at < text.n)
		return report(&c, err);
	if (d < 1 || d > days_in_month(y, mo)) {
		out_of_range(&c, "day out of range");
		return report(&c, err);
	}
	t.sec = days_from_date(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - offset;
	t.nsec = nsec;
	t.set = t.sec != days_from_date(1, 1, 1) * 86400 || nsec; /* Go's zero time is no time */
	*ret = t;
	return 0;
}

static char *put(char *p, int digits, int64_t v)
{
	for (int i = digits - 1; i >= 0; i--, v /= 10)
		p[i] = '0' + (char)(v % 10);
	return p + digits;
}

size_t k8s_time_format(const struct k8s_time *t, bool micro, char out[K8S_TIME_TEXT_MAX])
{
	int64_t days = t->sec / 86400, rest = t->sec % 86400, y;
	int m, d;
	char *p = out;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	date_from_days(days, &y, &m, &d);
	p = put(p, 4, y < 0 ? 0 : y > 9999 ? 9999 : y);
	*p++ = '-';
	p = put(p, 2, m);
	*p++ = '-';
	p = put(p, 2, d);
	*p++ = 'T';
	p = put(p, 2, rest / 3600);
	*p++ = ':';
	p = put(p, 2, rest / 60 % 60);
	*p++ = ':';
	p = put(p, 2, rest % 60);
	if (micro) {
		*p++ = '.';
		p = put(p, 6, t->nsec / 1000);
	}
	*p++ = 'Z';
	*p = 0;
	return p - out;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct k8s_time k8s_time_from_ms(int64_t unix_ms)
{
	return (struct k8s_time){.set = true, .sec = floor_div(unix_ms, 1000)};
}

struct k8s_time k8s_time_from_us(int64_t unix_us)
{
	int64_t sec = floor_div(unix_us, 1000000);

	return (struct k8s_time){
		.set = true, .sec = sec, .nsec = (int32_t)(unix_us - sec * 1000000) * 1000};
}
