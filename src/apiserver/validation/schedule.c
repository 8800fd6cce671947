/* schedule.c: the five fields of a crontab line. */
#include "apiserver/validation/schedule.h"
#include "apiserver/field.h"
#include "base/flags.h"

#include <unistd.h>

enum { FIELDS = 5, ZONE_PART_MAX = 14 };

struct bounds {
	int64_t min, max;
	const char *const *names;
	int64_t first_name;
};

static const char *const months[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct bounds field_bounds[FIELDS] = {
	{0, 59, NULL, 0},
	{0, 23, NULL, 0},
	{1, 31, NULL, 0},
	{1, 12, months, 1},
	{0, 6, days, 0},
};
static const struct str ok = {0};

static struct str parse_int(struct str s, struct arena *a, int64_t *ret)
{
	if (str_to_i64(s, ret) < 0)
		return arena_fmt(a,
			"failed to parse int from " STR_FMT ": strconv.Atoi: parsing " STR_FMT
			": invalid syntax",
			STR_ARG(s), STR_ARG(go_quote(a, s)));
	if (*ret < 0)
		return arena_fmt(a, "negative number (%lld) not allowed: " STR_FMT, (long long)*ret,
			STR_ARG(s));
	return ok;
}

static struct str parse_int_or_name(
	struct str s, const struct bounds *b, struct arena *a, int64_t *ret)
{
	for (size_t i = 0; b->names && b->names[i]; i++)
		if (str_ieq(s, str_c(b->names[i]))) {
			*ret = b->first_name + (int64_t)i;
			return ok;
		}
	return parse_int(s, a, ret);
}

/* "low-high" of one range; *single: only one number or a star. */
static struct str parse_limits(struct str expr, struct str limits, const struct bounds *b,
	struct arena *a, int64_t *low, int64_t *high, bool *single)
{
	struct str first, second = {0}, wrong;

	*single = !str_cut(limits, '-', &first, &second);
	if (str_eqc(first, "*") || str_eqc(first, "?")) {
		*low = b->min;
		*high = b->max;
		return ok;
	}
	wrong = parse_int_or_name(first, b, a, low);
	if (wrong.n || *single) {
		*high = *low;
		return wrong;
	}
	if (str_chr(second, '-') >= 0)
		return arena_fmt(a, "too many hyphens: " STR_FMT, STR_ARG(expr));
	return parse_int_or_name(second, b, a, high);
}

static struct str parse_range(struct str expr, const struct bounds *b, struct arena *a)
{
	int64_t low = 0, high = 0, step = 1;
	struct str limits, step_text = {0}, wrong;
	bool stepped = str_cut(expr, '/', &limits, &step_text), single;

	wrong = parse_limits(expr, limits, b, a, &low, &high, &single);
	if (wrong.n)
		return wrong;
	if (stepped && str_chr(step_text, '/') >= 0)
		return arena_fmt(a, "too many slashes: " STR_FMT, STR_ARG(expr));
	if (stepped) {
		wrong = parse_int(step_text, a, &step);
		if (wrong.n)
			return wrong;
		if (single)
			high = b->max;
	}
	if (low < b->min)
		return arena_fmt(a, "beginning of range (%lld) below minimum (%lld): " STR_FMT,
			(long long)low, (long long)b->min, STR_ARG(expr));
	if (high > b->max)
		return arena_fmt(a, "end of range (%lld) above maximum (%lld): " STR_FMT,
			(long long)high, (long long)b->max, STR_ARG(expr));
	if (low > high)
		return arena_fmt(a,
			"beginning of range (%lld) beyond end of range (%lld): " STR_FMT,
			(long long)low, (long long)high, STR_ARG(expr));
	if (step == 0)
		return arena_fmt(
			a, "step of range should be a positive number: " STR_FMT, STR_ARG(expr));
	return ok;
}

static struct str parse_field(struct str field, const struct bounds *b, struct arena *a)
{
	struct str expr, rest = field, wrong;
	bool more = true;

	while (more) {
		more = str_cut(rest, ',', &expr, &rest);
		if (expr.n == 0)
			continue;
		wrong = parse_range(expr, b, a);
		if (wrong.n)
			return wrong;
	}
	return ok;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str_vec split_blanks(struct str s, struct arena *a)
{
	struct str_vec out = {0};

	for (size_t i = 0, from; i < s.n;) {
		while (i < s.n && is_blank(s.p[i]))
			i++;
		from = i;
		while (i < s.n && !is_blank(s.p[i]))
			i++;
		if (i > from)
			ARENA_PUSH(a, &out, str_sub(s, from, i));
	}
	return out;
}

static struct str descriptor_error(struct str s, struct arena *a)
{
	static const char *const known[] = {
		"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"};
	struct str every = S("@every ");
	int64_t ms;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqc(s, known[i]))
			return ok;
	if (!str_starts(s, every))
		return arena_fmt(a, "unrecognized descriptor: " STR_FMT, STR_ARG(s));
	s = str_sub(s, every.n, s.n);
	if (duration_parse(s, &ms) == 0)
		return ok;
	return arena_fmt(a, "failed to parse duration " STR_FMT ": time: invalid duration " STR_FMT,
		STR_ARG(s), STR_ARG(go_quote(a, s)));
}

struct str schedule_error(struct str spec, struct arena *a)
{
	struct str zone, list = S(""), wrong;
	struct str_vec fields;

	if (spec.n == 0)
		return S("empty spec string");
	if (str_starts(spec, S("TZ=")) || str_starts(spec, S("CRON_TZ="))) {
		if (!str_cut(spec, ' ', &zone, &spec))
			return S("provided bad location");
		spec = str_trim(spec);
		str_cut(zone, '=', &wrong, &zone);
		wrong = time_zone_error(zone, a);
		if (wrong.n)
			return arena_fmt(a, "provided bad location " STR_FMT ": " STR_FMT,
				STR_ARG(zone), STR_ARG(wrong));
	}
	if (str_starts(spec, S("@")))
		return descriptor_error(spec, a);
	fields = split_blanks(spec, a);
	for (size_t i = 0; i < fields.n; i++)
		list = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(list), i ? " " : "", STR_ARG(fields.v[i]));
	if (fields.n != FIELDS)
		return arena_fmt(a, "expected exactly %d fields, found %zu: [" STR_FMT "]", FIELDS,
			fields.n, STR_ARG(list));
	for (size_t i = 0; i < FIELDS; i++) {
		wrong = parse_field(fields.v[i], &field_bounds[i], a);
		if (wrong.n)
			return wrong;
	}
	return ok;
}

static bool zone_part_valid(struct str part)
{
	if (part.n == 0 || part.n > ZONE_PART_MAX || part.p[0] == '-' || str_eqc(part, ".") ||
		str_eqc(part, ".."))
		return false;
	for (size_t i = 0; i < part.n; i++) {
		char c = part.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '-' || c == '_' || c == '+'))
			return false;
	}
	return true;
}

struct str time_zone_error(struct str name, struct arena *a)
{
	struct str unknown = arena_fmt(a, "unknown time zone " STR_FMT, STR_ARG(name)), path;
	struct str part, rest = name;
	bool more = true;

	while (more) {
		more = str_cut(rest, '/', &part, &rest);
		if (!zone_part_valid(part))
			return unknown;
	}
	if (str_eqc(name, "UTC") || str_eqc(name, "Local"))
		return ok;
	path = arena_fmt(a, "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name));
	/* Without the data base no name can be told from another. */
	if (access("/usr/share/zoneinfo", F_OK) == 0 && access(arena_cstr(a, path), F_OK) != 0)
		return unknown;
	return ok;
}
