#include "schema/yaml_scalar.h"

#include <math.h>

#include "json/write.h"
#include "base/base64.h"

#define TAG "tag:yaml.org,2002:"

static bool is_one_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eqc(s, *words))
			return true;
	return false;
}

static bool word(struct str s, struct json_value *v)
{
	static const char *const yes[] = {
		"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
	static const char *const no[] = {
		"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
	static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};

	if (is_one_of(s, null)) {
		v->kind = JSON_NULL;
		return true;
	}
	v->kind = JSON_BOOL;
	v->boolean = is_one_of(s, yes);
	return v->boolean || is_one_of(s, no);
}

static size_t digits(struct str s, size_t i)
{
	size_t n = 0;

	while (i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9')
		n++;
	return n;
}

/* YYYY-M-D, alone or with a time: a timestamp, which stays the string that it is. */
static bool is_timestamp(struct str s)
{
	size_t i = 4, n;

	if (digits(s, 0) != 4 || s.n < 8 || s.p[4] != '-')
		return false;
	for (int part = 0; part < 2; part++) {
		n = digits(s, ++i);
		if (n < 1 || n > 2)
			return false;
		i += n;
		if (part == 0 && (i >= s.n || s.p[i] != '-'))
			return false;
	}
	return i == s.n || s.p[i] == 'T' || s.p[i] == 't' || s.p[i] == ' ';
}

/* Go's ParseInt(s, 0, 64), then ParseUint: 0x, 0o, 0b and a leading zero choose the base. */
static bool integer(struct str s, struct arena *a, struct json_value *v)
{
	bool negative = s.n && s.p[0] == '-';
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
	unsigned base = 10;
	uint64_t value = 0;

	if (s.n - i > 1 && s.p[i] == '0') {
		char c = s.p[i + 1] | 0x20;

		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		i += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
	}
	if (i == s.n)
		return false;
	for (; i < s.n; i++) {
		char c = s.p[i] | 0x20;
		unsigned d = s.p[i] >= '0' && s.p[i] <= '9' ? (unsigned)(s.p[i] - '0')
			     : c >= 'a' && c <= 'f'         ? (unsigned)(c - 'a' + 10)
							    : 99;

		if (d >= base || __builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, d, &value))
			return false;
	}
	if (negative && value > (uint64_t)INT64_MAX + 1)
		return false;
	v->kind = JSON_NUMBER;
	v->text = arena_fmt(a, "%s%llu", negative && value ? "-" : "", (unsigned long long)value);
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0, whole = digits(s, i), n;

	i += whole;
	if (i < s.n && s.p[i] == '.') {
		n = digits(s, i + 1);
		if (whole + n == 0)
			return false;
		i += 1 + n;
	} else if (whole == 0) {
		return false;
	}
	if (i < s.n && (s.p[i] | 0x20) == 'e') {
		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		n = digits(s, i);
		if (n == 0)
			return false;
		i += n;
	}
	return i == s.n;
}

static bool is_infinite(struct str s)
{
	static const char *const words[] = {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf",
		"+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};

	return is_one_of(s, words);
}

static struct str without_underscores(struct str s, struct arena *a)
{
	char *out;
	size_t n = 0;

	if (str_chr(s, '_') < 0)
		return s;
	out = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '_')
			out[n++] = s.p[i];
	return str_n(out, n);
}

static bool number(struct str s, struct arena *a, struct json_value *v)
{
	struct buf b CLEANUP(buf_release) = {0};
	bool dotted = s.n && s.p[0] == '.';
	struct str plain = dotted ? s : without_underscores(s, a);
	double d;

	if (s.n == 0 || !strchr("+-.0123456789", s.p[0]) || s.p[0] == 0)
		return false;
	if (!dotted && integer(plain, a, v))
		return true;
	if (!looks_like_float(plain))
		return false;
	d = strtod(arena_cstr(a, plain), NULL);
	if (isinf(d))
		return false;
	buf_init(&b, 512);
	json_write_double(&b, d);
	v->kind = JSON_NUMBER;
	v->text = arena_str(a, buf_str(&b));
	return true;
}

static int mismatch(struct str text, struct str tag, const struct json_value *v, struct err *err)
{
	static const char *const names[] = {[JSON_NULL] = "!!null",
		[JSON_BOOL] = "!!bool",
		[JSON_NUMBER] = "!!int",
		[JSON_STRING] = "!!str"};

	return err_bad_request(err, "yaml: cannot decode %s `" STR_FMT "` as a !!" STR_FMT,
		names[v->kind], STR_ARG(text), STR_ARG(tag));
}

static int tagged(
	struct str text, struct str tag, struct arena *a, struct json_value *v, struct err *err)
{
	if (!str_starts(tag, S(TAG))) /* somebody's own */
		return 0;
	tag = str_sub(tag, sizeof(TAG) - 1, tag.n);
	if (str_eqc(tag, "binary")) {
		if (base64_decode(text, a, &v->text))
			return err_bad_request(
				err, "yaml: !!binary value contains invalid base64 data");
		return 0;
	}
	if (str_eqc(tag, "null")) {
		v->kind = JSON_NULL;
		return 0;
	}
	if (str_eqc(tag, "bool") && !(word(text, v) && v->kind == JSON_BOOL))
		return mismatch(text, tag, v, err);
	if ((str_eqc(tag, "int") || str_eqc(tag, "float")) && !number(text, a, v)) {
		v->kind = JSON_STRING;
		return mismatch(text, tag, v, err);
	}
	return 0;
}

int yaml_scalar(struct str text, struct str tag, bool plain, struct arena *a,
	struct json_value **ret, struct err *err)
{
	struct json_value *v = json_new_string(a, text);

	*ret = v;
	if (tag.n && !str_eqc(tag, "!"))
		return tagged(text, tag, a, v, err);
	if (!plain)
		return 0;
	if (is_infinite(text))
		return err_bad_request(err, "json: unsupported value: %s",
			memchr(text.p, 'n', 2) || memchr(text.p, 'N', 2) ? "NaN"
			: text.p[0] == '-'                               ? "-Inf"
									 : "+Inf");
	if (word(text, v) || (!is_timestamp(text) && number(text, a, v)))
		return 0;
	v->kind = JSON_STRING;
	return 0;
}

bool yaml_needs_quotes(struct str text)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct json_value v = {0};

	return word(text, &v) || is_timestamp(text) || is_infinite(text) || number(text, &a, &v) ||
	       str_eqc(text, "<<");
}
