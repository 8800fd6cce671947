/* field.c: paths into objects and lists of what is wrong there (apimachinery
 * util/validation/field). */
#include "apiserver/field.h"
#include "json/quote.h"

static const struct {
	const char *reason, *text;
	bool has_value;
} types[] = {
	[FIELD_REQUIRED] = {"FieldValueRequired", "Required value", false},
	[FIELD_INVALID] = {"FieldValueInvalid", "Invalid value", true},
	[FIELD_NOT_SUPPORTED] = {"FieldValueNotSupported", "Unsupported value", true},
	[FIELD_DUPLICATE] = {"FieldValueDuplicate", "Duplicate value", true},
	[FIELD_FORBIDDEN] = {"FieldValueForbidden", "Forbidden", false},
	[FIELD_TOO_LONG] = {"FieldValueTooLong", "Too long", false},
	[FIELD_TOO_MANY] = {"FieldValueTooMany", "Too many", true},
	[FIELD_NOT_FOUND] = {"FieldValueNotFound", "Not found", true},
	[FIELD_INTERNAL] = {"InternalError", "Internal error", false},
	[FIELD_TYPE_INVALID] = {"FieldValueTypeInvalid", "Invalid value", true},
	[FIELD_TOO_FEW] = {"FieldValueTooFew", "Too few", true},
	[FIELD_TOO_SHORT] = {"FieldValueTooShort", "Too short", false},
};

enum { PATH_MAX_BYTES = 64 * 1024, STATUS_MAX_BYTES = 4 * 1024 * 1024 };

static void path_write(struct buf *b, const struct field_path *p)
{
	if (p->parent)
		path_write(b, p->parent);
	if (p->is_index) {
		buf_fmt(b, "[%zu]", p->index);
	} else if (p->is_key) {
		buf_fmt(b, "[" STR_FMT "]", STR_ARG(p->name));
	} else if (p->name.n == 0) {
		buf_add_c(b, "[]"); /* as Go prints a path without a name */
	} else {
		if (b->n)
			buf_add_char(b, '.');
		buf_add_str(b, p->name);
	}
}

struct str field_path_text(struct arena *a, const struct field_path *p)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct str text;

	buf_init(&b, PATH_MAX_BYTES);
	if (p)
		path_write(&b, p);
	text = b.n ? arena_str(a, buf_str(&b)) : S("<nil>");
	return text;
}

struct str go_quote(struct arena *a, struct str s)
{
	return quote_text(a, s);
}

static void push(struct field_errors *e, enum field_error_type type, const struct field_path *p,
	struct str value, struct str detail)
{
	struct field_error err = {
		.type = type,
		.path = field_path_text(e->arena, p),
		.value = value,
		.detail = detail,
	};

	ARENA_PUSH(e->arena, e, err);
}

/* The detail of a printf-like function whose format is its last named parameter. */
#define PUSH_FMT(e, type, p, value, fmt)                                                           \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, fmt);                                                                \
		struct str detail_ = arena_vfmt((e)->arena, fmt, ap_);                             \
		va_end(ap_);                                                                       \
		push(e, type, p, value, detail_);                                                  \
	} while (0)

static const struct str no_value;

void field_required(struct field_errors *e, const struct field_path *p, const char *fmt, ...)
{
	PUSH_FMT(e, FIELD_REQUIRED, p, no_value, fmt);
}

void field_invalid(
	struct field_errors *e, const struct field_path *p, struct str value, const char *fmt, ...)
{
	PUSH_FMT(e, FIELD_INVALID, p, go_quote(e->arena, value), fmt);
}

void field_invalid_int(
	struct field_errors *e, const struct field_path *p, int64_t value, const char *fmt, ...)
{
	PUSH_FMT(e, FIELD_INVALID, p, arena_fmt(e->arena, "%lld", (long long)value), fmt);
}

void field_invalid_raw(
	struct field_errors *e, const struct field_path *p, struct str text, const char *fmt, ...)
{
	PUSH_FMT(e, FIELD_INVALID, p, arena_str(e->arena, text), fmt);
}

void field_not_supported_vec(struct field_errors *e, const struct field_path *p, struct str value,
	struct str_vec supported)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, PATH_MAX_BYTES);
	for (size_t i = 0; i < supported.n; i++) {
		buf_add_c(&b, i ? ", " : "supported values: ");
		buf_add_str(&b, go_quote(e->arena, supported.v[i]));
	}
	push(e, FIELD_NOT_SUPPORTED, p, go_quote(e->arena, value),
		arena_str(e->arena, buf_str(&b)));
}

void field_not_supported(struct field_errors *e, const struct field_path *p, struct str value,
	const char *const *supported)
{
	struct str_vec v = {0};

	for (size_t i = 0; supported[i]; i++)
		ARENA_PUSH(e->arena, &v, str_c(supported[i]));
	field_not_supported_vec(e, p, value, v);
}

bool field_one_of(struct field_errors *e, const struct field_path *p, struct str v,
	const char *const *supported)
{
	for (size_t i = 0; supported[i]; i++)
		if (str_eqc(v, supported[i]))
			return true;
	field_not_supported(e, p, v, supported);
	return false;
}

void field_duplicate(struct field_errors *e, const struct field_path *p, struct str value)
{
	push(e, FIELD_DUPLICATE, p, go_quote(e->arena, value), no_value);
}

void field_duplicate_raw(struct field_errors *e, const struct field_path *p, struct str text)
{
	push(e, FIELD_DUPLICATE, p, arena_str(e->arena, text), no_value);
}

void field_forbidden(struct field_errors *e, const struct field_path *p, const char *fmt, ...)
{
	PUSH_FMT(e, FIELD_FORBIDDEN, p, no_value, fmt);
}

void field_too_long(struct field_errors *e, const struct field_path *p, size_t max_bytes)
{
	push(e, FIELD_TOO_LONG, p, no_value,
		arena_fmt(e->arena, "may not be more than %zu byte%s", max_bytes,
			max_bytes == 1 ? "" : "s"));
}

void field_too_many(struct field_errors *e, const struct field_path *p, size_t count, size_t max)
{
	push(e, FIELD_TOO_MANY, p, arena_fmt(e->arena, "%zu", count),
		arena_fmt(e->arena, "must have at most %zu item%s", max, max == 1 ? "" : "s"));
}

void field_not_found(struct field_errors *e, const struct field_path *p, struct str value)
{
	push(e, FIELD_NOT_FOUND, p, go_quote(e->arena, value), no_value);
}

void field_add(struct field_errors *e, enum field_error_type type, const struct field_path *p,
	struct str value, const char *fmt, ...)
{
	PUSH_FMT(e, type, p, value, fmt);
}

void field_errors_truncate(struct field_errors *e, size_t n)
{
	assert(n <= e->n);
	e->n = n;
}

static struct str body_text(struct arena *a, const struct field_error *e)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, STATUS_MAX_BYTES);
	buf_add_c(&b, types[e->type].text);
	if (types[e->type].has_value && e->value.p)
		buf_fmt(&b, ": " STR_FMT, STR_ARG(e->value));
	if (e->detail.n)
		buf_fmt(&b, ": " STR_FMT, STR_ARG(e->detail));
	return arena_str(a, buf_str(&b));
}

struct str field_error_text(struct arena *a, const struct field_error *e)
{
	struct str body = body_text(a, e);

	return arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(e->path), STR_ARG(body));
}

/* "a" or "[a, b]"; what is said twice appears once, as in Go's Aggregate. */
static struct str aggregate_text(struct arena *a, const struct field_errors *e)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct str_vec seen = {0};
	bool many;

	for (size_t i = 0; i < e->n; i++) {
		struct str text = field_error_text(a, &e->v[i]);
		if (!str_vec_has(&seen, text))
			ARENA_PUSH(a, &seen, text);
	}
	many = seen.n > 1;
	buf_init(&b, STATUS_MAX_BYTES);
	for (size_t i = 0; i < seen.n; i++) {
		buf_add_c(&b, i ? ", " : many ? "[" : "");
		buf_add_str(&b, seen.v[i]);
	}
	if (many)
		buf_add_char(&b, ']');
	return arena_str(a, buf_str(&b));
}

int field_errors_status(const struct field_errors *e, struct str group, struct str kind,
	struct str name, struct err *err)
{
	struct arena *a = e->arena;

	if (e->n == 0)
		return 0;
	struct str quoted = go_quote(a, name), text = aggregate_text(a, e);
	err_fmt(err, 422, "Invalid", STR_FMT "%s" STR_FMT " " STR_FMT " is invalid: " STR_FMT,
		STR_ARG(kind), group.n ? "." : "", STR_ARG(group), STR_ARG(quoted), STR_ARG(text));
	err_details(err, group, kind, name, S(""));
	for (size_t i = 0; i < e->n; i++) {
		struct str body = body_text(a, &e->v[i]);
		err_add_cause(
			err, types[e->v[i].type].reason, e->v[i].path, STR_FMT, STR_ARG(body));
	}
	return -EINVAL;
}
