/* show.c: values as text: in messages, and as JSON. */
#include "cel/eval.h"
#include "json/write.h"
#include "base/base64.h"

#include <math.h>
#include <stdio.h>

struct cel_value cel_error_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	struct str s;

	va_start(ap, fmt);
	s = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return cel_error(s);
}

size_t cel_rune_count(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* The shortest digits that read back as d: "1.5e+07" in C's %.*e form. */
static void shortest(double d, char buf[40])
{
	for (int precision = 0; precision < 18; precision++) {
		snprintf(buf, 40, "%.*e", precision, d);
		if (strtod(buf, NULL) == d)
			return;
	}
}

/* "d.ddde±xx" as plain digits */
static void plain(char *buf, struct buf *out)
{
	char *e = strchr(buf, 'e'), digits[32];
	int exp = atoi(e + 1), n = 0;

	for (char *p = buf; p < e; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	if (buf[0] == '-')
		buf_add_char(out, '-');
	if (exp < 0) {
		buf_add_c(out, "0.");
		for (int i = -1; i > exp; i--)
			buf_add_char(out, '0');
		buf_add(out, digits, n);
		return;
	}
	for (int i = 0; i <= exp || i < n; i++) {
		if (i == exp + 1)
			buf_add_char(out, '.');
		buf_add_char(out, i < n ? digits[i] : '0');
	}
}

struct str cel_double_text(double d, char format, struct arena *a)
{
	char digits[40];
	struct buf b;
	struct str s;
	int exp;

	if (isnan(d))
		return S("NaN");
	if (isinf(d))
		return d > 0 ? S("+Inf") : S("-Inf");
	if (d == 0)
		return signbit(d) ? S("-0") : S("0");
	shortest(d, digits);
	exp = atoi(strchr(digits, 'e') + 1);
	if (format == 'g' && (exp < -4 || exp >= 6))
		return arena_strc(a, digits);
	buf_init(&b, 1024);
	plain(digits, &b);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

struct str cel_show(struct cel_value v, struct arena *a)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_NULL:
		return S("NULL_VALUE");
	case CEL_BOOL:
		return v.b ? S("true") : S("false");
	case CEL_INT:
		return arena_fmt(a, "%lld", (long long)v.i);
	case CEL_UINT:
		return arena_fmt(a, "%llu", (unsigned long long)v.u);
	case CEL_DOUBLE:
		return cel_double_text(v.d, 'g', a);
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_ERROR:
		return v.s;
	case CEL_DURATION:
		return cel_duration_text(v, a);
	case CEL_TIMESTAMP:
		return cel_timestamp_text(v, a);
	case CEL_TYPE:
		return str_c(cel_type_runtime_name(v.type));
	default:
		return str_c(cel_type_runtime_name(cel_type_of_value(v)));
	}
}

const char *cel_go_type(struct cel_value v)
{
	static const char *const names[] = {
		[CEL_NULL] = "types.Null",
		[CEL_BOOL] = "types.Bool",
		[CEL_INT] = "types.Int",
		[CEL_UINT] = "types.Uint",
		[CEL_DOUBLE] = "types.Double",
		[CEL_STRING] = "types.String",
		[CEL_BYTES] = "types.Bytes",
		[CEL_DURATION] = "types.Duration",
		[CEL_TIMESTAMP] = "types.Timestamp",
		[CEL_LIST] = "*types.baseList",
		[CEL_MAP] = "*types.baseMap",
		[CEL_TYPE] = "*types.Type",
		[CEL_OPTIONAL] = "*types.Optional",
	};

	return v.kind < ARRAY_SIZE(names) && names[v.kind]
		       ? names[v.kind]
		       : cel_type_runtime_name(cel_type_of_value(v));
}

struct cel_value cel_no_key(struct cel_value key, struct arena *a)
{
	return cel_error_fmt(a, "no such key: " STR_FMT, STR_ARG(cel_show(key, a)));
}

/* --- JSON --- */

static bool write_list(struct cel_value v, struct buf *out, struct arena *a)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < cel_size(v); i++) {
		if (i)
			buf_add_char(out, ',');
		if (!cel_write_json(cel_list_at(v, i, a), out, a))
			return false;
	}
	buf_add_char(out, ']');
	return true;
}

static bool write_map(struct cel_value v, struct buf *out, struct arena *a)
{
	buf_add_char(out, '{');
	for (size_t i = 0; i < cel_size(v); i++) {
		struct cel_entry e = cel_map_at(v, i, a);

		if (i)
			buf_add_char(out, ',');
		json_write_string(out, cel_show(e.key, a));
		buf_add_char(out, ':');
		if (!cel_write_json(e.value, out, a))
			return false;
	}
	buf_add_char(out, '}');
	return true;
}

static bool write_double(double d, struct buf *out)
{
	if (!isfinite(d))
		return false;
	json_write_double(out, d);
	return true;
}

bool cel_write_json(struct cel_value v, struct buf *out, struct arena *a)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_NULL:
		buf_add_c(out, "null");
		return true;
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
		buf_add_str(out, cel_show(v, a));
		return true;
	case CEL_DOUBLE:
		return write_double(v.d, out);
	case CEL_STRING:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
		json_write_string(out, cel_show(v, a));
		return true;
	case CEL_BYTES:
		buf_add_char(out, '"');
		base64_encode(v.s, out);
		buf_add_char(out, '"');
		return true;
	case CEL_LIST:
		return write_list(v, out, a);
	case CEL_MAP:
		return write_map(v, out, a);
	case CEL_OPTIONAL:
		return v.optional && cel_write_json(*v.optional, out, a);
	default:
		return false;
	}
}
