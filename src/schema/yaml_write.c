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

/* Whether a plain scalar may hold it: a subset of what YAML allows. */
static bool is_plain(struct str s)
{
	if (s.n == 0 || yaml_needs_quotes(s) || strchr("-?:,[]{}#&*!|>'\"%@` =<", s.p[0]) ||
		s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];
		char next = i + 1 < s.n ? s.p[i + 1] : 0;

		if (c < 0x20 || c == 0x7f || (c == ':' && next == ' ') || (c == ' ' && next == '#'))
			return false;
	}
	return true;
}

static bool is_block(struct str s)
{
	if (str_chr(s, '\n') < 0 || s.p[0] == ' ' || s.p[0] == '\n')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n') || s.p[i] == 0x7f ||
			(s.p[i] == ' ' && (i + 1 == s.n || s.p[i + 1] == '\n')))
			return false;
	return true;
}

static void write_quoted(struct str s, struct buf *b)
{
	bool simple = true;

	for (size_t i = 0; i < s.n; i++)
		simple &= (unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f;
	if (!simple) { /* JSON's escapes are YAML's, too */
		struct json_value v = {.kind = JSON_STRING, .text = s};

		json_write(&v, b);
		return;
	}
	if (yaml_needs_quotes(
		    s)) { /* looks like something else: double quotes, as Go's YAML does */
		buf_fmt(b, "\"" STR_FMT "\"", STR_ARG(s));
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
		write_string(v->members.v[i].key, b, indent + 1);
		buf_add_char(b, ':');
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
		write_string(v->text, b, indent);
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
