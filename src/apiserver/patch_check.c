#include "apiserver/patch_check.h"

#include "json/reader.h"
#include "json/value.h"

enum { TEXT_MAX = 64 * 1024 * 1024 };

static const char *json_type_name(char c)
{
	switch (c) {
	case '{':
		return "object";
	case '[':
		return "array";
	case '"':
		return "string";
	case 't':
	case 'f':
		return "bool";
	default:
		return "number";
	}
}

static int bad(struct err *err, struct str what)
{
	return err_bad_request(err, "error decoding patch: " STR_FMT, STR_ARG(what));
}

static int wrong_type(struct err *err, char c, const char *go_type)
{
	return err_bad_request(err,
		"error decoding patch: json: cannot unmarshal %s into Go value of type %s",
		json_type_name(c), go_type);
}

/* --- duplicate keys, anywhere --- */

struct path { /* of the member that is being read */
	const struct path *parent;
	struct str key;
	bool is_index;
	size_t index;
};

static struct str path_text(struct arena *a, const struct path *p)
{
	struct str before = p->parent ? path_text(a, p->parent) : S("");

	if (p->is_index)
		return arena_fmt(a, STR_FMT "[%zu]", STR_ARG(before), p->index);
	return arena_fmt(
		a, STR_FMT "%s" STR_FMT, STR_ARG(before), before.n ? "." : "", STR_ARG(p->key));
}

static void find_duplicates(struct json_reader *jr, const struct path *parent, struct arena *a,
	const char *prefix, struct str_vec *out);

static void note(struct arena *a, const char *prefix, const char *what, const struct path *p,
	struct str_vec *out)
{
	ARENA_PUSH(a, out,
		arena_fmt(a, "%s%s field \"" STR_FMT "\"", prefix, what, STR_ARG(path_text(a, p))));
}

static void in_object(struct json_reader *jr, const struct path *parent, struct arena *a,
	const char *prefix, struct str_vec *out)
{
	struct str_vec seen = {0};
	struct path p = {.parent = parent};

	json_enter(jr, '{');
	while (json_next_key(jr, &p.key)) {
		if (str_vec_has(&seen, p.key))
			note(a, prefix, "duplicate", &p, out);
		else if (seen.n < 1000) /* quadratic: in larger objects only these are compared */
			ARENA_PUSH(a, &seen, p.key);
		find_duplicates(jr, &p, a, prefix, out);
	}
}

static void find_duplicates(struct json_reader *jr, const struct path *parent, struct arena *a,
	const char *prefix, struct str_vec *out)
{
	struct path p = {.parent = parent, .is_index = true};
	char c = json_peek(jr);

	if (c == '{') {
		in_object(jr, parent, a, prefix, out);
	} else if (c == '[') {
		json_enter(jr, '[');
		for (; json_next_item(jr); p.index++)
			find_duplicates(jr, &p, a, prefix, out);
	} else {
		json_skip(jr, NULL);
	}
}

/* --- JSON patch: a list of operations --- */

static bool is_operation_field(struct str key)
{
	return str_eqc(key, "op") || str_eqc(key, "path") || str_eqc(key, "from") ||
	       str_eqc(key, "value");
}

static int check_operation(struct json_reader *jr, const struct path *item, struct arena *a,
	struct str_vec *unknown, struct err *err)
{
	struct path p = {.parent = item};
	struct str_vec seen = {0};
	char c = json_peek(jr);

	if (c == 'n') {
		json_skip(jr, NULL);
		return 0;
	}
	if (c != '{')
		return wrong_type(err, c, "handlers.jsonPatchOp");
	json_enter(jr, '{');
	while (json_next_key(jr, &p.key)) {
		c = json_peek(jr);
		if (str_vec_has(&seen, p.key))
			note(a, "json patch ", "duplicate", &p, unknown);
		else
			ARENA_PUSH(a, &seen, p.key);
		if (!is_operation_field(p.key)) {
			note(a, "json patch ", "unknown", &p, unknown);
			json_skip(jr, NULL);
		} else if (str_eqc(p.key, "value")) {
			find_duplicates(jr, &p, a, "json patch ", unknown);
		} else if (c != '"' && c != 'n') {
			return err_bad_request(err,
				"error decoding patch: json: cannot unmarshal %s into Go struct "
				"field jsonPatchOp." STR_FMT " of type string",
				json_type_name(c), STR_ARG(p.key));
		} else {
			json_skip(jr, NULL);
		}
	}
	return 0;
}

static int check_json_patch(
	struct json_reader *jr, struct arena *a, struct str_vec *unknown, struct err *err)
{
	struct path item = {.is_index = true};
	char c = json_peek(jr);
	int e = 0;

	if (c == 'n')
		return 0;
	if (c != '[')
		return wrong_type(err, c, "[]handlers.jsonPatchOp");
	json_enter(jr, '[');
	for (; e == 0 && json_next_item(jr); item.index++)
		e = check_operation(jr, &item, a, unknown, err);
	return e;
}

int patch_check(enum patch_type how, struct str patch, struct arena *a, struct str_vec *unknown,
	struct err *err)
{
	struct json_reader jr;
	char why[96], c;

	if (!json_valid(patch, why))
		return bad(err, str_c(why));
	json_reader_init(&jr, patch, a);
	if (how == PATCH_JSON)
		return check_json_patch(&jr, a, unknown, err);
	c = json_peek(&jr);
	if (c != '{' && c != 'n')
		return wrong_type(err, c, "map[string]interface {}");
	if (c == '{')
		in_object(&jr, NULL, a, "", unknown);
	return 0;
}

/* --- Go's %+v --- */

static int by_key(const void *a, const void *b)
{
	const struct json_member *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

static void go_print(const struct json_value *v, struct arena *a, struct buf *out)
{
	struct json_member *sorted;

	switch (v->kind) {
	case JSON_NULL:
		buf_add_c(out, "<nil>");
		break;
	case JSON_BOOL:
		buf_add_c(out, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
	case JSON_STRING:
		buf_add_str(out, v->text);
		break;
	case JSON_ARRAY:
		buf_add_char(out, '[');
		for (size_t i = 0; i < v->items.n; i++) {
			if (i)
				buf_add_char(out, ' ');
			go_print(v->items.v[i], a, out);
		}
		buf_add_char(out, ']');
		break;
	case JSON_OBJECT:
		sorted = arena_memdup(a, v->members.v, v->members.n * sizeof(*sorted));
		qsort(sorted, v->members.n, sizeof(*sorted), by_key);
		buf_add_c(out, "map[");
		for (size_t i = 0; i < v->members.n; i++) {
			buf_fmt(out, "%s" STR_FMT ":", i ? " " : "", STR_ARG(sorted[i].key));
			go_print(sorted[i].value, a, out);
		}
		buf_add_char(out, ']');
		break;
	}
}

struct str patch_go_text(struct arena *a, struct str json)
{
	struct json_value *v;
	struct buf b;
	struct str s;

	if (json_parse(json, a, &v, NULL) < 0)
		return S("map[]");
	buf_init(&b, TEXT_MAX);
	go_print(v, a, &b);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

static const char *go_kind(struct str json_type)
{
	static const struct {
		const char *json, *go;
	} kinds[] = {{"object", "map"}, {"array", "slice"}, {"number", "int64"}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eqc(json_type, kinds[i].json))
			return kinds[i].go;
	return str_eqc(json_type, "bool") ? "bool" : "string";
}

static struct str after(struct str s, struct str word)
{
	ssize_t at = str_find(s, word);

	return at < 0 ? S("") : str_sub(s, (size_t)at + word.n, s.n);
}

struct str patch_go_error(struct arena *a, struct str why)
{
	struct str from, rest, to;

	if (!str_starts(why, S("json: cannot unmarshal "))) {
		if (str_starts(why, S("converting ")) || str_starts(why, S("no kind ")) ||
			str_starts(why, S("parsing time ")))
			return why;
		return arena_fmt(a, "error decoding from json: " STR_FMT, STR_ARG(why));
	}
	str_cut(after(why, S("cannot unmarshal ")), ' ', &from, &rest);
	to = after(rest, S(" of type "));
	if (str_starts(to, S("[]")))
		return arena_fmt(a, "cannot restore slice from %s", go_kind(from));
	if (str_starts(to, S("map[")))
		return arena_fmt(a, "cannot restore map from %s", go_kind(from));
	if (str_chr(to, '.') >= 0)
		return arena_fmt(a, "cannot restore struct from: %s", go_kind(from));
	return arena_fmt(a, "unrecognized type: " STR_FMT, STR_ARG(to));
}
