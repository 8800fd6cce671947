#include "schema/quantity.h"

#define NANO ((__int128)1000000000)
enum { EXPONENT_MAX = 1000000 }; /* beyond what any number of digits makes up for */
#define NANO_MAX (NANO * NANO * NANO * NANO * 100) /* 10^38 nano = 10^29 */

/* A text taken apart; digits are views. */
struct parts {
	bool negative;
	struct str whole, fraction; /* without leading zeros; digits only */
	int base, exponent;
	enum quantity_format format;
};

static struct str take_digits(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && **p >= '0' && **p <= '9')
		(*p)++;
	return str_n(start, *p - start);
}

static bool suffix_number(struct str s, int *ret)
{
	int64_t v;

	if (s.n && s.p[0] == '+')
		s = str_sub(s, 1, s.n);
	if (str_to_i64(s, &v) < 0)
		return false;
	*ret = (int)MAX(MIN(v, EXPONENT_MAX), -EXPONENT_MAX);
	return true;
}

static bool read_suffix(struct str s, struct parts *q)
{
	static const char decimal[] = "num kMGTPE", binary[] = "KMGTPE";
	const char *at;

	q->base = 10;
	q->exponent = 0;
	q->format = QUANTITY_DECIMAL_SI;
	if (s.n == 0)
		return true;
	if (s.n == 1 && s.p[0] != ' ' && (at = memchr(decimal, s.p[0], 10))) {
		q->exponent = (int)(at - decimal) * 3 - 9;
		return true;
	}
	if (s.n == 2 && s.p[1] == 'i' && (at = memchr(binary, s.p[0], 6))) {
		q->base = 2;
		q->exponent = (int)(at - binary + 1) * 10;
		q->format = QUANTITY_BINARY_SI;
		return true;
	}
	q->format = QUANTITY_DECIMAL_EXPONENT;
	return s.n > 1 && (s.p[0] | 0x20) == 'e' && suffix_number(str_sub(s, 1, s.n), &q->exponent);
}

static int wrong_format(struct err *err)
{
	return err_bad_request(err, "quantities must match the regular expression "
				    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static int take_apart(struct str text, struct parts *q, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n, *suffix;

	*q = (struct parts){0};
	if (text.n == 0)
		return wrong_format(err);
	if (*p == '-' || *p == '+')
		q->negative = *p++ == '-';
	while (p < end && *p == '0')
		p++;
	q->whole = take_digits(&p, end);
	if (p < end && *p == '.') {
		p++;
		q->fraction = take_digits(&p, end);
	}
	suffix = p;
	while (p < end && strchr("eEinumkKMGTP", *p) && *p)
		p++;
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	take_digits(&p, end);
	if (p < end)
		return wrong_format(err);
	if (!read_suffix(str_n(suffix, end - suffix), q))
		return err_bad_request(err, "unable to parse quantity's suffix");
	return 0;
}

/* a * 10^n, cut to NANO_MAX. */
static __int128 times_ten(__int128 a, int64_t n)
{
	while (n-- > 0 && a) {
		if (a > NANO_MAX / 10)
			return NANO_MAX;
		a *= 10;
	}
	return a;
}

/* Divides by 10^n, away from zero. */
static __int128 over_ten(__int128 a, int64_t n)
{
	bool rest = false;

	while (n-- > 0 && a) {
		rest |= a % 10 != 0;
		a /= 10;
	}
	return a + (rest ? 1 : 0);
}

static __int128 mantissa(struct str digits, __int128 v, int64_t *dropped)
{
	for (size_t i = 0; i < digits.n; i++) {
		if (v > NANO_MAX /
				100) { /* more digits than count: keep that there was something */
			(*dropped)++;
			if (digits.p[i] != '0')
				v |= 1;
			continue;
		}
		v = v * 10 + (digits.p[i] - '0');
	}
	return v;
}

static void put_together(const struct parts *q, struct quantity *ret)
{
	int64_t dropped = 0, scale = 9 - (int64_t)q->fraction.n;
	__int128 v = mantissa(q->fraction, mantissa(q->whole, 0, &dropped), &dropped);

	scale += dropped;
	ret->format = q->format;
	if (q->base == 10) {
		scale += q->exponent;
	} else {
		__int128 limit = (__int128)INT64_MAX * NANO;

		for (int i = 0; i < q->exponent; i++) {
			if (v > NANO_MAX / 2 && scale < 0) { /* digits to spare behind the nano */
				v = over_ten(v, 1);
				scale++;
			}
			v = MIN(v, NANO_MAX / 2) * 2;
		}
		v = scale >= 0 ? times_ten(v, scale) : over_ten(v, -scale);
		scale = 0;
		v = MIN(v, limit);
		if (v < NANO && v > 0)
			ret->format = QUANTITY_DECIMAL_SI;
	}
	v = scale >= 0 ? times_ten(v, scale) : over_ten(v, -scale);
	ret->nano = q->negative ? -v : v;
}

int quantity_parse(struct str text, struct quantity *ret, struct err *err)
{
	struct parts q;
	int r = take_apart(text, &q, err);

	if (r < 0)
		return r;
	put_together(&q, ret);
	return 0;
}

/* Whether upstream keeps the text as it is: its exponent is a multiple of three (of ten, for binary
 * ones) and there is nothing obvious to shorten. */
static bool is_kept(const struct parts *q)
{
	int digits = (int)(q->whole.n + q->fraction.n), scale = q->exponent - (int)q->fraction.n;
	char first = q->whole.n ? q->whole.p[0] : '0';
	int64_t v;

	if (q->base == 2)
		return q->fraction.n == 0 && 15 - MAX(digits, 1) - q->exponent * 3 / 10 - 1 >= 0 &&
		       str_to_i64(q->whole, &v) == 0 && v & 7;
	if (digits > 18 || scale < -9 || scale % 3 || first == '0')
		return false;
	for (int i = 1; i <= 3; i++) { /* three zeros at the end? */
		int at = digits - i;

		if (at < 0)
			return true;
		if ((at < (int)q->whole.n ? q->whole.p[at] : q->fraction.p[at - q->whole.n]) != '0')
			return true;
	}
	return false;
}

static size_t put_number(__int128 v, char *out)
{
	char digits[48];
	size_t n = 0, len = 0;
	bool negative = v < 0;

	if (negative)
		v = -v;
	do
		digits[n++] = '0' + (int)(v % 10);
	while (v /= 10);
	if (negative)
		out[len++] = '-';
	while (n)
		out[len++] = digits[--n];
	return len;
}

static size_t put_decimal(const struct quantity *q, bool exponents, char *out)
{
	static const char suffixes[] = "num\0kMGTPE";
	__int128 v = q->nano;
	int exponent = -9;
	size_t n;

	while (v % 1000 == 0) {
		v /= 1000;
		exponent += 3;
	}
	n = put_number(v, out);
	if (exponents && exponent) {
		out[n++] = 'e';
		n += put_number(exponent, out + n);
	} else if (exponent && exponent <= 18) {
		out[n++] = suffixes[(exponent + 9) / 3];
	}
	return n;
}

size_t quantity_format_text(const struct quantity *q, char out[QUANTITY_TEXT_MAX])
{
	__int128 v = q->nano / NANO;
	size_t n;
	int i = 0;

	if (q->nano == 0) {
		out[0] = '0';
		return 1;
	}
	if (q->format != QUANTITY_BINARY_SI || q->nano % NANO || (v > -1024 && v < 1024))
		return put_decimal(q, q->format == QUANTITY_DECIMAL_EXPONENT, out);
	while (v % 1024 == 0 && i < 6) {
		v /= 1024;
		i++;
	}
	n = put_number(v, out);
	if (i) {
		out[n++] = "KMGTPE"[i - 1];
		out[n++] = 'i';
	}
	return n;
}

struct str quantity_text(const struct quantity *q, struct arena *a)
{
	char out[QUANTITY_TEXT_MAX];

	return arena_str(a, str_n(out, quantity_format_text(q, out)));
}

int quantity_normalize(struct str text, struct arena *a, struct str *ret, struct err *err)
{
	struct parts q;
	struct quantity v;
	char out[QUANTITY_TEXT_MAX];
	struct str s;
	int r = take_apart(text, &q, err);

	if (r < 0)
		return r;
	if (!is_kept(&q)) {
		put_together(&q, &v);
		s = str_n(out, quantity_format_text(&v, out));
		if (!str_eq(s, text))
			text = arena_str(a, s);
	}
	*ret = text;
	return 0;
}

static int64_t scaled(const struct quantity *q, __int128 unit)
{
	__int128 v = q->nano / unit, rest = q->nano % unit;

	v += rest > 0 ? 1 : rest < 0 ? -1 : 0;
	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t quantity_value(const struct quantity *q)
{
	return scaled(q, NANO);
}

int64_t quantity_milli(const struct quantity *q)
{
	return scaled(q, NANO / 1000);
}

struct quantity quantity_from_value(int64_t units, enum quantity_format format)
{
	return (struct quantity){units * NANO, format};
}

struct quantity quantity_from_milli(int64_t thousandths, enum quantity_format format)
{
	return (struct quantity){thousandths * (NANO / 1000), format};
}

static __int128 cut(__int128 v)
{
	return v > NANO_MAX ? NANO_MAX : v < -NANO_MAX ? -NANO_MAX : v;
}

void quantity_add(struct quantity *a, const struct quantity *b)
{
	if (a->nano == 0)
		a->format = b->format;
	a->nano = cut(a->nano + b->nano);
}

void quantity_sub(struct quantity *a, const struct quantity *b)
{
	if (a->nano == 0)
		a->format = b->format;
	a->nano = cut(a->nano - b->nano);
}

struct quantity quantity_of(struct str text)
{
	struct quantity q;

	return quantity_parse(text, &q, NULL) < 0 ? (struct quantity){0} : q;
}
