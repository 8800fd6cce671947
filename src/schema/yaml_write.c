/* yaml_write.c: JSON as YAML, in the style of Go's YAML (sorted keys, lists not indented, block
 * scalars for text). */
#include "json/value.h"
#include "schema/schema.h"
#include "schema/yaml_scalar.h"

static void write_node(const struct json_value *v, struct buf *b, int indent, bool after_key);

static void pad(struct buf *b, int indent)
{
	for (int i = 0; i < indent; i++)
		buf_add(b, "  ", 2);
}

/* Whether YAML does not take the code point at s[i] as it is: controls, line separators, the byte
 * order mark. *n is its length. */
static bool is_unprintable(struct str s, size_t i, unsigned *code, size_t *n)
{
	const unsigned char *p = (const unsigned char *)s.p + i;

	*n = 1;
	*code = p[0];
	if (p[0] < 0x80)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (p[0] < 0xe0 && s.n - i >= 2) {
		*n = 2;
		*code = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
		return *code < 0xa0;
	}
	if (p[0] < 0xf0 && s.n - i >= 3) {
		*n = 3;
		*code = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		return *code == 0x2028 || *code == 0x2029 || *code == 0xfeff || *code >= 0xfffe;
	}
	*n = MIN(s.n - i, (size_t)4);
	return false;
}

/* Whether all of it, but for line ends when they are allowed, may stand outside of escapes. */
static bool is_printable(struct str s, bool line_ends)
{
	unsigned code;
	size_t n;

	for (size_t i = 0; i < s.n; i += n)
		if (is_unprintable(s, i, &code, &n) && !(line_ends && code == '\n'))
			return false;
	return true;
}

/* Whether a plain scalar may hold it: a subset of what YAML allows. */
static bool is_plain(struct str s)
{
	if (s.n == 0 || yaml_needs_quotes(s) || !is_printable(s, false))
		return false;
	if (strchr("-?:,[]{}#&*!|>'\"%@` =<", s.p[0]) || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':')
		return false;
	for (size_t i = 0; i + 1 < s.n; i++)
		if ((s.p[i] == ':' && s.p[i + 1] == ' ') || (s.p[i] == ' ' && s.p[i + 1] == '#'))
			return false;
	return true;
}

static bool is_block(struct str s)
{
	if (str_chr(s, '\n') < 0 || s.p[0] == ' ' || s.p[0] == '\n' || !is_printable(s, true))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ' && (i + 1 == s.n || s.p[i + 1] == '\n'))
			return false;
	return true;
}

static void write_escaped(struct str s, struct buf *b)
{
	unsigned code;
	size_t n;

	buf_add_char(b, '"');
	for (size_t i = 0; i < s.n; i += n) {
		if (s.p[i] == '"' || s.p[i] == '\\') {
			n = 1;
			buf_fmt(b, "\\%c", s.p[i]);
		} else if (!is_unprintable(s, i, &code, &n)) {
			buf_add(b, s.p + i, n);
		} else if (code == '\n' || code == '\t' || code == '\r') {
			buf_add_c(b, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
		} else {
			buf_fmt(b, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
		}
	}
	buf_add_char(b, '"');
}

static void write_quoted(struct str s, struct buf *b)
{
	if (!is_printable(s, false) ||
		yaml_needs_quotes(
			s)) { /* in Go's YAML, too, what looks like another type has these */
		write_escaped(s, b);
		return;
	}
	buf_add_char(b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_add_char(b, '\'');
		buf_add_char(b, s.p[i]);
	}
	buf_add_char(b, '\'');
}

static void write_block(struct str s, struct buf *b, int indent)
{
	bool ends = s.p[s.n - 1] == '\n', more = ends && s.n > 1 && s.p[s.n - 2] == '\n';
	struct str line, rest = ends ? str_sub(s, 0, s.n - 1) : s;
	bool again;

	buf_add_c(b, more ? "|+" : ends ? "|" : "|-");
	do {
		again = str_cut(rest, '\n', &line, &rest);
		buf_add_char(b, '\n');
		if (line.n) {
			pad(b, indent);
			buf_add_str(b, line);
		}
	} while (again);
}

static void write_string(struct str s, struct buf *b, int indent)
{
	if (is_block(s))
		write_block(s, b, indent);
	else if (is_plain(s))
		buf_add_str(b, s);
	else
		write_quoted(s, b);
}

enum { KEY_MAX = 128 }; /* longer ones need the form with a question mark */

static void write_key(struct str s, struct buf *b, int indent)
{
	if (s.n > KEY_MAX)
		buf_add_c(b, "? ");
	if (is_plain(s))
		buf_add_str(b, s);
	else
		write_quoted(s, b);
	if (s.n > KEY_MAX) {
		buf_add_char(b, '\n');
		pad(b, indent);
	}
	buf_add_char(b, ':');
}

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

/* Members at this indent; the first stands where the writer is when `inline_first`. */
static void write_map(const struct json_value *v, struct buf *b, int indent, bool inline_first)
{
	if (v->members.n > 1)
		qsort(v->members.v, v->members.n, sizeof(struct json_member), by_key);
	for (size_t i = 0; i < v->members.n; i++) {
		if (i || !inline_first) {
			if (b->n)
				buf_add_char(b, '\n');
			pad(b, indent);
		}
		write_key(v->members.v[i].key, b, indent);
		write_node(v->members.v[i].value, b, indent + 1, true);
	}
}

static void write_list(const struct json_value *v, struct buf *b, int indent, bool inline_first)
{
	for (size_t i = 0; i < v->items.n; i++) {
		const struct json_value *item = v->items.v[i];

		if (i || !inline_first) {
			if (b->n)
				buf_add_char(b, '\n');
			pad(b, indent);
		}
		buf_add_char(b, '-');
		if (item->kind == JSON_OBJECT && item->members.n) {
			buf_add_char(b, ' ');
			write_map(item, b, indent + 1, true);
		} else if (item->kind == JSON_ARRAY && item->items.n) {
			buf_add_char(b, ' ');
			write_list(item, b, indent + 1, true);
		} else {
			write_node(item, b, indent + 1, true);
		}
	}
}

static void write_node(const struct json_value *v, struct buf *b, int indent, bool after_key)
{
	if (v->kind == JSON_OBJECT && v->members.n) {
		write_map(v, b, indent, false);
		return;
	}
	if (v->kind == JSON_ARRAY && v->items.n) {
		write_list(v, b, after_key && indent ? indent - 1 : indent, false);
		return;
	}
	if (after_key)
		buf_add_char(b, ' ');
	if (v->kind == JSON_STRING)
		write_string(v->text, b, MAX(indent, 1));
	else if (v->kind == JSON_NUMBER && str_eqc(v->text, "-0"))
		buf_add_c(b, "-0.0"); /* an integer has no negative zero */
	else
		json_write(v, b);
}

void json_to_yaml(struct str json, struct buf *out)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct buf text CLEANUP(buf_release) = {0};
	struct json_value *v;

	if (json_parse(json, &a, &v, NULL) < 0)
		return;
	buf_init(&text, out->max);
	write_node(v, &text, 0, false);
	buf_add_char(&text, '\n');
	out->failed |= buf_failed(&text);
	buf_add_str(out, buf_str(&text));
}
