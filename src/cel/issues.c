/* issues.c: what is wrong with an expression, in upstream's words and picture. */
#include "cel/node.h"

static size_t rune_len(const char *p, const char *end)
{
	const char *q = p + 1;

	while (q < end && ((unsigned char)*q & 0xc0) == 0x80)
		q++;
	return q - p;
}

void cel_issue_at(struct cel_compile *c, uint32_t pos, const char *fmt, ...)
{
	struct cel_issues *is = c->issues;
	struct cel_issue issue = {.line = 1};
	va_list ap;

	c->n_issues++;
	if (c->n_issues > CEL_ISSUES_MAX)
		return;
	if (pos == UINT32_MAX) {
		issue.line = -1;
		pos = 0;
	}
	for (const char *p = c->text.p, *to = p + pos; p < to; p += rune_len(p, to)) {
		if (*p == '\n') {
			issue.line++;
			issue.column = 0;
		} else {
			issue.column++;
		}
	}
	va_start(ap, fmt);
	issue.message = arena_vfmt(c->scratch, fmt, ap);
	va_end(ap);
	ARENA_PUSH(c->scratch, is, issue);
}

static struct str line_of(struct str text, int line)
{
	struct str head, rest = text;

	do {
		str_cut(rest, '\n', &head, &rest);
	} while (--line > 0);
	return head;
}

enum { SNIPPET_MAX = 16384 };

static void write_issue(struct buf *b, struct str text, const struct cel_issue *issue)
{
	struct str line;
	const char *p, *end;

	/* an empty expression has its end at column 0 */
	buf_fmt(b, "ERROR: <input>:%d:%d: " STR_FMT, issue->line,
		issue->column + (text.n > 0 && issue->line > 0), STR_ARG(issue->message));
	if (text.n == 0 || issue->line < 1)
		return;
	line = line_of(text, issue->line);
	if (line.n > SNIPPET_MAX)
		return;
	buf_add_c(b, "\n | ");
	for (size_t i = 0; i < line.n; i++)
		buf_add_char(b, line.p[i] == '\t' ? ' ' : line.p[i]);
	buf_add_c(b, "\n | ");
	p = line.p;
	end = p + line.n;
	for (int i = 0; i < issue->column && p < end; i++) {
		size_t n = rune_len(p, end);

		buf_add_c(b, n > 1 ? "\uff0e" : ".");
		p += n;
	}
	buf_add_c(b, p < end && rune_len(p, end) > 1 ? "\uff3e" : "^");
}

static bool before(const struct cel_issue *x, const struct cel_issue *y)
{
	return x->line < y->line || (x->line == y->line && x->column < y->column);
}

static void sort(struct cel_issues *is)
{
	for (size_t i = 1; i < is->n; i++) {
		struct cel_issue issue = is->v[i];
		size_t j = i;

		for (; j > 0 && before(&issue, &is->v[j - 1]); j--)
			is->v[j] = is->v[j - 1];
		is->v[j] = issue;
	}
}

void cel_issues_finish(struct cel_compile *c)
{
	struct cel_issues *is = c->issues;
	struct buf b;

	sort(is);
	buf_init(&b, 4 << 20);
	for (size_t i = 0; i < is->n; i++) {
		if (i)
			buf_add_char(&b, '\n');
		write_issue(&b, c->text, &is->v[i]);
	}
	if (c->n_issues > CEL_ISSUES_MAX)
		buf_fmt(&b, "\n%zu more errors were truncated", c->n_issues - CEL_ISSUES_MAX);
	is->text = arena_str(c->scratch, buf_str(&b));
	buf_release(&b);
}
