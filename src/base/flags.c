#include "base/flags.h"

#include <stdio.h>

int duration_parse(struct str s, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}};
	bool negative = s.n && s.p[0] == '-';
	double total = 0;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_sub(s, 1, s.n);
	if (str_eq(s, S("0"))) {
		*ret_ms = 0;
		return 0;
	}
	if (s.n == 0)
		return -EINVAL;
	while (s.n) {
		double value = 0, scale = 1;
		size_t i = 0, unit_n = 0;
		bool digits = false, point = false;

		for (; i < s.n && (s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9')); i++) {
			if (s.p[i] == '.') {
				if (point)
					return -EINVAL;
				point = true;
				continue;
			}
			digits = true;
			value = value * 10 + (s.p[i] - '0');
			scale *= point ? 10 : 1;
		}
		while (i + unit_n < s.n && s.p[i + unit_n] >= 'a' && s.p[i + unit_n] <= 'z')
			unit_n++;
		if (!digits || !unit_n)
			return -EINVAL;
		for (size_t u = 0;; u++) {
			if (u == ARRAY_SIZE(units))
				return -EINVAL;
			if (str_eqc(str_sub(s, i, i + unit_n), units[u].unit)) {
				total += value / scale * units[u].ms;
				break;
			}
		}
		s = str_sub(s, i + unit_n, s.n);
	}
	if (total > 9e15)
		return -EINVAL;
	*ret_ms = negative ? -(int64_t)total : (int64_t)total;
	return 0;
}

/* As upstream: an underscore is a hyphen. */
static bool same_name(struct str given, const char *name)
{
	size_t i = 0;

	for (; i < given.n && name[i]; i++)
		if ((given.p[i] == '_' ? '-' : given.p[i]) != name[i])
			return false;
	return i == given.n && !name[i];
}

static const struct flag *find(const struct flag *flags, struct str name)
{
	for (; flags->name; flags++) {
		const struct flag *inner = NULL;

		if (flags->type == FLAG_GROUP)
			inner = flags->to ? find(flags->to, name) : NULL;
		else if (same_name(name, flags->name))
			inner = flags;
		if (inner)
			return inner;
	}
	return NULL;
}

/* Edits (insert, delete, replace) between a and b; small strings only. */
static size_t distance(struct str a, const char *b)
{
	size_t n = strlen(b), row[64];

	if (n >= ARRAY_SIZE(row) || a.n >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t cost = diagonal + (a.p[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(cost, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

static void find_nearest(
	const struct flag *flags, struct str name, size_t *best, const char **nearest)
{
	for (const struct flag *f = flags; f->name; f++) {
		size_t d = SIZE_MAX;

		if (f->type == FLAG_GROUP && f->to)
			find_nearest(f->to, name, best, nearest);
		else if (f->type <= FLAG_LIST && !f->retired)
			d = distance(name, f->name);
		if (d < *best) {
			*best = d;
			*nearest = f->name;
		}
	}
}

static int unknown(const struct flag *flags, const char *program, struct str name)
{
	const char *nearest = NULL;
	size_t best = MIN(6, name.n / 2 + 1); /* most of it has to be right */

	find_nearest(flags, name, &best, &nearest);
	fprintf(stderr, "%s: unknown flag: --" STR_FMT, program, STR_ARG(name));
	fprintf(stderr, nearest ? " (did you mean --%s?)\n" : "\n", nearest);
	return -EINVAL;
}

static int bad_value(const char *program, const struct flag *f, const char *value, const char *want)
{
	fprintf(stderr, "%s: invalid argument \"%s\" for --%s: want %s\n", program, value, f->name,
		want);
	return -EINVAL;
}

static int add_text(const char *program, const struct flag *f, struct str one, const char *value)
{
	struct flag_list *list = f->to;

	if (list->n == FLAG_LIST_MAX)
		return bad_value(program, f, value, "at most 64 values");
	list->v[list->n++] = str_trim(one);
	return 0;
}

static int add_list(const char *program, const struct flag *f, const char *value)
{
	struct str rest = str_c(value), one;
	int r = 0;

	while (r == 0 && rest.n) {
		str_cut(rest, ',', &one, &rest);
		r = add_text(program, f, one, value);
	}
	return r;
}

static int refused(const char *program, const struct flag *f, const char *value)
{
	if (!value[0] || !strcmp(value, "false") || !strcmp(value, "0") ||
		(f->value_name && !strcmp(value, f->value_name)))
		return 0;
	fprintf(stderr, "%s: --%s=%s is not supported: %s\n", program, f->name, value, f->help);
	return -EINVAL;
}

static int set(const char *program, const struct flag *f, const char *value)
{
	int64_t number;

	switch (f->type) {
	case FLAG_BOOL:
		if (!strcmp(value, "true") || !strcmp(value, "1") || !strcmp(value, "t"))
			*(bool *)f->to = true;
		else if (!strcmp(value, "false") || !strcmp(value, "0") || !strcmp(value, "f"))
			*(bool *)f->to = false;
		else
			return bad_value(program, f, value, "true or false");
		return 0;
	case FLAG_INT:
		if (str_to_i64(str_c(value), &number) < 0 || number > INT32_MAX ||
			number < INT32_MIN)
			return bad_value(program, f, value, "a number");
		*(int *)f->to = number;
		return 0;
	case FLAG_STRING:
		*(const char **)f->to = value;
		return 0;
	case FLAG_DURATION:
		if (duration_parse(str_c(value), f->to) < 0)
			return bad_value(program, f, value, "a duration such as 1m30s");
		return 0;
	case FLAG_TEXTS:
		return add_text(program, f, str_c(value), value);
	case FLAG_LIST:
		return add_list(program, f, value);
	case FLAG_RETIRED:
		fprintf(stderr, "%s: warning: --%s is no longer used%s%s\n", program, f->name,
			f->help ? ": " : "", f->help ? f->help : "");
		return 0;
	case FLAG_UNUSED:
		fprintf(stderr, "%s: --%s has no effect here%s%s\n", program, f->name,
			f->help ? ": " : "", f->help ? f->help : "");
		return 0;
	case FLAG_REFUSED:
		return refused(program, f, value);
	case FLAG_GROUP:
		break;
	}
	return -EINVAL;
}

/* `all`: of two flags with one name only the first can be given. */
static void usage_rows(const struct flag *flags, const struct flag *all)
{
	for (; flags->name; flags++) {
		if (flags->type == FLAG_GROUP && flags->to)
			usage_rows(flags->to, all);
		else if (flags->type == FLAG_GROUP && flags->help)
			printf("\n%s:\n", flags->help);
		else if (flags->type <= FLAG_LIST && !flags->retired &&
			 find(all, str_c(flags->name)) == flags)
			printf("  --%s%s%s\n        %s\n", flags->name,
				flags->value_name ? " " : "",
				flags->value_name ? flags->value_name : "",
				flags->help ? flags->help : "");
	}
}

void flags_usage(const struct flag *flags, const char *program)
{
	printf("usage: %s [flags]\n", program);
	usage_rows(flags, flags);
	printf("  -v, --v LEVEL\n        how much to log: 0 (what matters) to 4 and more "
	       "(everything)\n  --version\n        print the version\n");
}

/* The flag at argv[*i], which may use argv[*i + 1] as its value. Absent: it needs one and there is
 * none. */
static struct str value_of(const struct flag *f, int argc, char **argv, int *i)
{
	struct str name, value;

	if (str_cut(str_c(argv[*i]), '=', &name, &value))
		return value;
	if (f->type == FLAG_BOOL ||
		(f->type > FLAG_LIST && !(*i + 1 < argc && argv[*i + 1][0] != '-')))
		return S("true");
	return *i + 1 < argc ? str_c(argv[++*i]) : (struct str){0};
}

static struct str name_of(const char *arg)
{
	struct str name, value;

	str_cut(str_c(arg + (arg[1] == '-' ? 2 : 1)), '=', &name, &value);
	return name;
}

static int parse_flag(const struct flag *flags, const char *program, int argc, char **argv, int *i)
{
	struct str name = name_of(argv[*i]), value;
	bool verbosity = str_eq(name, S("v"));
	const struct flag *f = find(flags, name);
	int level = 0;
	const struct flag v = {"v", FLAG_INT, &level, NULL, NULL};
	int r;

	if (verbosity)
		f = &v;
	if (!f)
		return unknown(flags, program, name);
	value = value_of(f, argc, argv, i);
	if (!value.p) {
		fprintf(stderr, "%s: flag needs an argument: --%s\n", program, f->name);
		return -EINVAL;
	}
	if (f->retired)
		fprintf(stderr, "%s: warning: --%s is retired; today: %s\n", program, f->name,
			f->help);
	r = set(program, f, value.p);
	if (r == 0 && verbosity)
		log_level = level >= 4 ? LOG_DEBUG : LOG_INFO;
	return r;
}

int flags_parse(const struct flag *flags, const char *program, int argc, char **argv,
	struct flag_args *rest)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			flags_usage(flags, program);
			return FLAGS_HELP;
		}
		if (!strcmp(argv[i], "--version")) {
			printf("Kubernetes " SAMPAN_KUBERNETES_VERSION " (sampan " SAMPAN_VERSION
			       ")\n");
			return FLAGS_HELP;
		}
		if (!strcmp(argv[i], "--")) {
			while (++i < argc && rest)
				argv[++n] = argv[i];
			break;
		}
		if (argv[i][0] == '-' && argv[i][1]) {
			int r = parse_flag(flags, program, argc, argv, &i);

			if (r < 0)
				return r;
			continue;
		}
		if (!rest) {
			fprintf(stderr, "%s: unexpected argument \"%s\"\n", program, argv[i]);
			return -EINVAL;
		}
		argv[++n] = argv[i];
	}
	if (rest)
		*rest = (struct flag_args){argv + 1, n};
	return 0;
}

const char *flags_peek(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		struct str arg = str_c(argv[i]), given, value;

		if (!str_starts(arg, S("-")))
			continue;
		arg = str_sub(arg, str_starts(arg, S("--")) ? 2 : 1, arg.n);
		if (str_cut(arg, '=', &given, &value) && same_name(given, name))
			return value.p;
		if (same_name(arg, name) && i + 1 < argc)
			return argv[i + 1];
	}
	return NULL;
}

void flags_pick(const struct flag *flags, const struct flag *of, int argc, char **argv,
	struct arena *a, struct str_vec *ret)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		struct str name = name_of(argv[i]), value;
		const struct flag *f = find(flags, name);

		if (!f && str_eq(name, S("v"))) {
			const struct flag v = {"v", FLAG_INT, NULL, NULL, NULL};

			value_of(&v, argc, argv, &i); /* nobody's */
			continue;
		}
		assert(f); /* flags_parse would not have let it pass */
		value = value_of(f, argc, argv, &i);
		if (find(of, name) == f)
			ARENA_PUSH(a, ret, arena_fmt(a, "--%s=" STR_FMT, f->name, STR_ARG(value)));
	}
}

const char *flag_list_join(const struct flag_list *l, struct arena *a)
{
	struct str out = S("");

	for (size_t i = 0; i < l->n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "", STR_ARG(l->v[i]));
	return out.p;
}
