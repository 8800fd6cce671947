/* string_format.c: %s %d %f %e %b %x %X %o with arguments from a list: cel-go's ext formatting,
 * numbers as its printer for en_US writes them (1,234.50 and 1.5×10⁰³). */
#include "cel/string_format.h"

#include <ctype.h>
#include <stdio.h>
#include <math.h>

#include "cel/strings.h"
#include "json/quote.h"

/* --- clauses --- */

static bool precision(struct str f, size_t *at, struct arena *a, int *ret, struct str *ret_error)
{
	static const char where[] =
		"could not parse formatting clause: error while parsing precision: ";
	size_t from;
	int64_t v;

	*ret = CEL_FORMAT_PRECISION;
	if (f.p[*at] != '.')
		return true;
	for (from = ++*at; *at < f.n && isdigit((unsigned char)f.p[*at]); ++*at)
		;
	if (*at >= f.n) {
		*ret_error = arena_fmt(a, "%scould not find end of precision specifier", where);
		return false;
	}
	if (*at == from) {
		*ret_error = arena_fmt(a,
			"%serror while converting precision to integer: strconv.Atoi: parsing "
			"\"\": "
			"invalid syntax",
			where);
		return false;
	}
	*ret = str_to_i64(str_sub(f, from, *at), &v) == 0 && v < 1000 ? (int)v : 1000;
	return true;
}

int cel_clause_next(
	struct str f, size_t *at, struct arena *a, struct cel_clause *ret, struct str *ret_error)
{
	size_t from = *at;
	ssize_t next = str_chr(str_sub(f, from, f.n), '%');

	*ret = (struct cel_clause){.text = str_sub(f, from, next < 0 ? f.n : from + next)};
	*at = next < 0 ? f.n : from + next + 1;
	if (next < 0)
		return 0;
	if (*at == f.n) {
		*ret_error = S("unexpected end of string");
		return -1;
	}
	if (f.p[*at] == '%') { /* the text with one of the two */
		ret->text = str_sub(f, from, *at);
		ret->verb = '%';
		++*at;
		return 0;
	}
	if (!precision(f, at, a, &ret->precision, ret_error))
		return -2;
	ret->verb = f.p[(*at)++];
	if (strchr("sdfebxXo", ret->verb))
		return 0;
	*ret_error = arena_fmt(a,
		"could not parse formatting clause: unrecognized formatting clause \"%c\"",
		ret->verb);
	return -2;
}

const char *cel_clause_refuses(char verb, enum cel_kind kind)
{
	bool integer = kind == CEL_INT || kind == CEL_UINT;

	switch (verb) {
	case 'd':
		return integer ? NULL : "decimal clause can only be used on integers, was given ";
	case 'f':
		return kind == CEL_DOUBLE
			       ? NULL
			       : "fixed-point clause can only be used on doubles, was given ";
	case 'e':
		return kind == CEL_DOUBLE
			       ? NULL
			       : "scientific clause can only be used on doubles, was given ";
	case 'b':
		return integer || kind == CEL_BOOL
			       ? NULL
			       : "only integers and bools can be formatted as binary, was given ";
	case 'x':
	case 'X':
		return integer || kind == CEL_STRING || kind == CEL_BYTES
			       ? NULL
			       : "only integers, byte buffers, and strings can be formatted as "
				 "hex, was "
				 "given ";
	case 'o':
		return integer ? NULL : "octal clause can only be used on integers, was given ";
	default:
		return kind == CEL_OPAQUE || kind == CEL_OPTIONAL
			       ? "string clause can only be used on strings, bools, bytes, ints, "
				 "doubles, "
				 "maps, lists, types, durations, and timestamps, was given "
			       : NULL;
	}
}

/* --- values --- */

/* Of a list's item or a map's key or value: strings quoted, doubles with six digits. False: there
 * is no way to write it; *ret_error. */
static bool write_nested(
	struct cel_call *c, struct cel_value v, struct buf *b, struct str *ret_error);

static bool write_list(struct cel_call *c, struct cel_value v, struct buf *b, struct str *ret_error)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < cel_size(v); i++) {
		if (i)
			buf_add_c(b, ", ");
		if (!write_nested(c, cel_list_at(v, i, c->a), b, ret_error))
			return false;
	}
	buf_add_char(b, ']');
	return true;
}

static int by_key(const void *x, const void *y)
{
	return str_cmp(((const struct str_pair *)x)->key, ((const struct str_pair *)y)->key);
}

static bool nested_text(
	struct cel_call *c, struct cel_value v, struct str *ret, struct str *ret_error)
{
	struct buf b;
	bool ok;

	buf_init(&b, CEL_STRING_BYTES_MAX);
	ok = write_nested(c, v, &b, ret_error);
	*ret = arena_str(c->a, buf_str(&b));
	buf_release(&b);
	return ok;
}

static bool write_map(struct cel_call *c, struct cel_value v, struct buf *b, struct str *ret_error)
{
	size_t n = cel_size(v);
	struct str_pair *pairs = arena_alloc(c->a, (n + 1) * sizeof(*pairs));

	for (size_t i = 0; i < n; i++) {
		struct cel_entry e = cel_map_at(v, i, c->a);

		if (e.key.kind == CEL_DOUBLE) {
			*ret_error = S("no formatting function for map key of type double");
			return false;
		}
		if (!nested_text(c, e.key, &pairs[i].key, ret_error) ||
			!nested_text(c, e.value, &pairs[i].value, ret_error))
			return false;
	}
	qsort(pairs, n, sizeof(*pairs), by_key);
	buf_add_char(b, '{');
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "%s" STR_FMT ":" STR_FMT, i ? ", " : "", STR_ARG(pairs[i].key),
			STR_ARG(pairs[i].value));
	buf_add_char(b, '}');
	return true;
}

static void write_text(struct cel_value v, struct buf *b, struct arena *a)
{
	buf_add_str(b, v.kind == CEL_NULL ? S("null") : cel_show(v, a));
}

static bool write_nested(
	struct cel_call *c, struct cel_value v, struct buf *b, struct str *ret_error)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_LIST:
		return write_list(c, v, b, ret_error);
	case CEL_MAP:
		return write_map(c, v, b, ret_error);
	case CEL_BYTES:
		buf_add_char(b, 'b');
		quote_write(b, v.s);
		return true;
	case CEL_STRING:
		quote_write(b, v.s);
		return true;
	case CEL_DOUBLE:
		if (isfinite(v.d))
			buf_fmt(b, "%.6f", v.d);
		else
			quote_write(b, cel_show(v, c->a));
		return true;
	case CEL_DURATION:
	case CEL_TIMESTAMP:
		buf_add_c(b, v.kind == CEL_DURATION ? "duration(" : "timestamp(");
		quote_write(b, cel_show(v, c->a));
		buf_add_char(b, ')');
		return true;
	case CEL_OPAQUE:
	case CEL_OPTIONAL:
		*ret_error = arena_fmt(c->a, "no formatting function for %s",
			cel_type_runtime_name(cel_type_of_value(v)));
		return false;
	default:
		write_text(v, b, c->a);
		return true;
	}
}

/* --- numbers --- */

static bool write_special(double d, struct buf *b)
{
	if (isnan(d))
		buf_add_c(b, "NaN");
	else if (isinf(d))
		buf_add_c(b, d > 0 ? "\u221e" : "-\u221e");
	else
		return false;
	return true;
}

/* 1,234,567.89 */
static void write_fixed(double d, int digits, struct buf *b)
{
	char text[2048];
	int n, whole;

	if (write_special(d, b))
		return;
	n = snprintf(text, sizeof(text), "%.*f", digits, d);
	whole = (int)strcspn(text, ".");
	for (int i = 0; i < n; i++) {
		buf_add_char(b, text[i]);
		if (i + 1 < whole && (whole - i - 1) % 3 == 0 && text[i] != '-')
			buf_add_char(b, ',');
	}
}

/* 1.500000×10⁻⁰³: always six digits, for upstream takes a precision for the width. */
static void write_scientific(double d, int width, struct buf *b)
{
	static const char *const raised[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
		"\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
	char text[64], *e;

	if (write_special(d, b))
		return;
	snprintf(text, sizeof(text), "%.6e", d);
	e = strchr(text, 'e');
	for (int i = (int)strlen(text) + 2 - (e[1] == '+'); i < width; i++)
		buf_add_char(b, ' ');
	buf_add(b, text, e - text);
	buf_add_c(b, "\u00d710");
	if (*++e == '-')
		buf_add_c(b, "\u207b");
	for (e++; *e; e++)
		buf_add_c(b, raised[*e - '0']);
}

static void write_base(struct cel_value v, unsigned base, bool upper, struct buf *b)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	bool negative = v.kind == CEL_INT && v.i < 0;
	uint64_t u = negative ? 0 - v.u : v.u;
	char text[65];
	size_t n = sizeof(text);

	do {
		text[--n] = digits[u % base];
		u /= base;
	} while (u);
	if (negative)
		buf_add_char(b, '-');
	buf_add(b, text + n, sizeof(text) - n);
}

static void write_hex(struct cel_value v, bool upper, struct buf *b)
{
	if (v.kind != CEL_STRING && v.kind != CEL_BYTES) {
		write_base(v, 16, upper, b);
		return;
	}
	for (size_t i = 0; i < v.s.n; i++)
		buf_fmt(b, upper ? "%02X" : "%02x", (unsigned char)v.s.p[i]);
}

/* "NaN", "Infinity" and "-Infinity" may be given for doubles. */
static struct cel_value as_double(struct cel_value v)
{
	static const char *const names[] = {"NaN", "Infinity", "-Infinity"};
	const double values[] = {NAN, INFINITY, -INFINITY};

	for (int i = 0; i < 3; i++)
		if (v.kind == CEL_STRING && str_eqc(v.s, names[i]))
			return cel_double(values[i]);
	return v;
}

static bool write_clause(struct cel_call *c, const struct cel_clause *clause, struct cel_value v,
	struct buf *b, struct str *ret_error)
{
	const char *refusal;

	if (clause->verb == 'f' || clause->verb == 'e')
		v = as_double(v);
	refusal = cel_clause_refuses(clause->verb, v.kind);
	if (refusal) {
		*ret_error = arena_fmt(
			c->a, "%s%s", refusal, cel_type_runtime_name(cel_type_of_value(v)));
		return false;
	}
	switch (clause->verb) {
	case 'f':
		write_fixed(v.d, clause->precision, b);
		return true;
	case 'e':
		write_scientific(v.d, clause->precision, b);
		return true;
	case 'b':
		if (v.kind == CEL_BOOL)
			v = cel_uint(v.b);
		write_base(v, 2, false, b);
		return true;
	case 'o':
		write_base(v, 8, false, b);
		return true;
	case 'x':
	case 'X':
		write_hex(v, clause->verb == 'X', b);
		return true;
	default:
		if (v.kind == CEL_LIST)
			return write_list(c, v, b, ret_error);
		if (v.kind == CEL_MAP)
			return write_map(c, v, b, ret_error);
		write_text(v, b, c->a);
		return true;
	}
}

/* All of it; false: *ret_error. */
static bool write_all(struct cel_call *c, struct str format, struct cel_value args, struct buf *b,
	struct str *ret_error)
{
	size_t at = 0, used = 0;
	struct cel_clause clause;
	struct str why;

	do {
		int bad = cel_clause_next(format, &at, c->a, &clause, ret_error);

		if (bad == -1)
			return false;
		buf_add_str(b, clause.text);
		if (clause.verb == '%' || (clause.verb == 0 && bad == 0))
			continue;
		if (used >= cel_size(args)) {
			*ret_error = arena_fmt(c->a, "index %zu out of range", used);
			return false;
		}
		if (bad)
			return false;
		if (!write_clause(c, &clause, cel_list_at(args, used++, c->a), b, &why)) {
			*ret_error =
				arena_fmt(c->a, "error during formatting: " STR_FMT, STR_ARG(why));
			return false;
		}
	} while (clause.verb);
	return true;
}

struct cel_value cel_string_format(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value result;
	struct str error;
	struct buf b;

	buf_init(&b, CEL_STRING_BYTES_MAX);
	if (!write_all(c, v[0].s, v[1], &b, &error))
		result = cel_error(error);
	else if (buf_failed(&b))
		result = cel_error(S("string exceeds the limit of 16777216 bytes"));
	else
		result = cel_string(arena_str(c->a, buf_str(&b)));
	buf_release(&b);
	return result;
}
