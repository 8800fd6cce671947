/* flags_values.c: what a command line came to, as text (/flagz). */
#include "base/flags.h"

enum { ROWS_MAX = 256 };

static size_t collect(const struct flag *flags, const struct flag **rows, size_t n)
{
	for (; flags->name; flags++) {
		if (flags->type == FLAG_GROUP && flags->to)
			n = collect(flags->to, rows, n);
		else if (flags->type <= FLAG_LIST && !flags->retired && n < ROWS_MAX)
			rows[n++] = flags;
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
		(*(const struct flag *const *)a)->name, (*(const struct flag *const *)b)->name);
}

void duration_format(int64_t ms, struct buf *out)
{
	int64_t s = ms / 1000;

	if (ms < 0) {
		buf_add_char(out, '-');
		duration_format(-ms, out);
		return;
	}
	if (ms && s == 0) {
		buf_fmt(out, "%dms", (int)ms);
		return;
	}
	if (s >= 3600)
		buf_fmt(out, "%lldh", (long long)s / 3600);
	if (s >= 60)
		buf_fmt(out, "%dm", (int)(s / 60 % 60));
	if (ms % 1000)
		buf_fmt(out, "%gs", (double)(ms % 60000) / 1000);
	else
		buf_fmt(out, "%ds", (int)(s % 60));
}

static void add_list(const struct flag_list *list, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < list->n; i++)
		buf_fmt(out, "%s" STR_FMT, i ? "," : "", STR_ARG(list->v[i]));
	buf_add_char(out, ']');
}

/* What lets in whoever knows it. */
static bool is_secret(const struct flag *f)
{
	return !strcmp(f->name, "token") || str_ends(str_c(f->name), S("-token"));
}

static void add_value(const struct flag *f, struct buf *out)
{
	const char *text;

	switch (f->type) {
	case FLAG_BOOL:
		buf_add_c(out, *(const bool *)f->to ? "true" : "false");
		break;
	case FLAG_INT:
		buf_add_i64(out, *(const int *)f->to);
		break;
	case FLAG_STRING:
		text = *(const char *const *)f->to;
		buf_add_c(out, !text ? "" : is_secret(f) ? "<hidden>" : text);
		break;
	case FLAG_DURATION:
		duration_format(*(const int64_t *)f->to, out);
		break;
	case FLAG_TEXTS:
	case FLAG_LIST:
		add_list(f->to, out);
		break;
	default:
		break;
	}
}

void flags_values(const struct flag *flags, struct buf *out)
{
	const struct flag *rows[ROWS_MAX];
	size_t n = collect(flags, rows, 0);

	if (n)
		qsort(rows, n, sizeof(*rows), by_name);
	for (size_t i = 0; i < n; i++) {
		buf_fmt(out, "%s: ", rows[i]->name);
		add_value(rows[i], out);
		buf_add_char(out, '\n');
	}
}

struct str flags_text(const struct flag *flags, struct arena *a)
{
	struct buf b;
	struct str text;

	buf_init(&b, 256 * 1024);
	flags_values(flags, &b);
	text = arena_str(a, buf_str(&b));
	buf_release(&b);
	return text;
}
