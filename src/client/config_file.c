#include "client/config_file.h"

#include "base/file.h"
#include "json/value.h"
#include "schema/schema.h"

enum { CONFIG_MAX = 1 << 20 };

struct reading {
	const char *file;
	const struct flag *fields;
	struct arena *a;
	struct err *err;
};

static const struct flag *find(const struct flag *f, struct str path)
{
	for (; f->name; f++) {
		const struct flag *inner = NULL;

		if (f->type == FLAG_GROUP)
			inner = find(f->to, path);
		else if (str_eqc(path, f->name))
			inner = f;
		if (inner)
			return inner;
	}
	return NULL;
}

/* Whether the table has something below the path. */
static bool leads_on(const struct flag *f, struct str path)
{
	for (; f->name; f++) {
		if (f->type == FLAG_GROUP && leads_on(f->to, path))
			return true;
		if (str_starts(str_c(f->name), path) &&
			(f->name[path.n] == '.' || f->name[path.n] == '['))
			return true;
	}
	return false;
}

static int wrong(struct reading *r, struct str path, const char *want)
{
	return err_bad_request(r->err, "%s: " STR_FMT ": want %s", r->file, STR_ARG(path), want);
}

static int add(struct reading *r, struct str path, struct flag_list *to, struct str value)
{
	if (to->n == FLAG_LIST_MAX)
		return wrong(r, path, "at most 64 values");
	to->v[to->n++] = arena_str(r->a, value);
	return 0;
}

/* An array of strings, or an object of strings as KEY=VALUE. */
static int set_list(
	struct reading *r, struct str path, struct flag_list *to, const struct json_value *v)
{
	int rc = 0;

	to->n = 0;
	for (size_t i = 0; rc == 0 && v->kind == JSON_ARRAY && i < v->items.n; i++)
		rc = v->items.v[i]->kind == JSON_STRING ? add(r, path, to, v->items.v[i]->text)
							: wrong(r, path, "strings");
	for (size_t i = 0; rc == 0 && v->kind == JSON_OBJECT && i < v->members.n; i++)
		rc = v->members.v[i].value->kind == JSON_STRING
			     ? add(r, path, to,
				       arena_fmt(r->a, STR_FMT "=" STR_FMT,
					       STR_ARG(v->members.v[i].key),
					       STR_ARG(v->members.v[i].value->text)))
			     : wrong(r, path, "strings");
	return v->kind == JSON_ARRAY || v->kind == JSON_OBJECT ? rc : wrong(r, path, "a list");
}

/* A value that asks for nothing. */
static bool is_off(struct str text)
{
	static const char *const off[] = {"", "false", "0", "0s", "[]", "{}", "null"};

	for (size_t i = 0; i < ARRAY_SIZE(off); i++)
		if (str_eqc(text, off[i]))
			return true;
	return false;
}

static struct str text_of(struct reading *r, const struct json_value *v)
{
	return v->kind == JSON_STRING ? v->text : json_text(v, r->a);
}

static int refuse(
	struct reading *r, struct str path, const struct flag *f, const struct json_value *v)
{
	struct str text = text_of(r, v);

	if (f->value_name ? str_eqc(text, f->value_name) : is_off(text))
		return 0;
	if (f->value_name && (!text.n || str_eqc(text, "0s") || str_eqc(text, "{}")))
		return 0; /* the default */
	return err_bad_request(
		r->err, "%s: " STR_FMT " is not supported: %s", r->file, STR_ARG(path), f->help);
}

static int set(struct reading *r, struct str path, const struct flag *f, const struct json_value *v)
{
	int64_t number;

	switch (f->type) {
	case FLAG_BOOL:
		if (v->kind != JSON_BOOL)
			return wrong(r, path, "true or false");
		*(bool *)f->to = v->boolean;
		return 0;
	case FLAG_INT:
		if (v->kind != JSON_NUMBER || str_to_i64(v->text, &number) < 0 ||
			number > INT32_MAX || number < INT32_MIN)
			return wrong(r, path, "a number");
		*(int *)f->to = (int)number;
		return 0;
	case FLAG_STRING:
		if (v->kind != JSON_STRING)
			return wrong(r, path, "a string");
		*(const char **)f->to = arena_cstr(r->a, v->text);
		return 0;
	case FLAG_DURATION:
		if (v->kind != JSON_STRING || duration_parse(v->text, f->to) < 0)
			return wrong(r, path, "a duration such as 1m30s");
		return 0;
	case FLAG_TEXTS:
	case FLAG_LIST:
		return set_list(r, path, f->to, v);
	case FLAG_REFUSED:
		return refuse(r, path, f, v);
	case FLAG_UNUSED:
		if (is_off(text_of(r, v)))
			return 0;
		log_info("%s: " STR_FMT " has no effect here: %s", r->file, STR_ARG(path), f->help);
		return 0;
	case FLAG_RETIRED:
	case FLAG_GROUP:
		break;
	}
	return 0;
}

static int walk(struct reading *r, struct str path, const struct json_value *v)
{
	const struct flag *f = find(r->fields, path);
	int rc = 0;

	if (v->kind == JSON_NULL && (f || leads_on(r->fields, path)))
		return 0;
	if (f)
		return set(r, path, f, v);
	if (path.n && !leads_on(r->fields, path))
		return err_bad_request(r->err,
			"%s: strict decoding error: unknown field \"" STR_FMT "\"", r->file,
			STR_ARG(path));
	for (size_t i = 0; rc == 0 && v->kind == JSON_OBJECT && i < v->members.n; i++)
		rc = walk(r,
			arena_fmt(r->a, STR_FMT "%s" STR_FMT, STR_ARG(path), path.n ? "." : "",
				STR_ARG(v->members.v[i].key)),
			v->members.v[i].value);
	for (size_t i = 0; rc == 0 && v->kind == JSON_ARRAY && i < v->items.n; i++)
		rc = walk(r, arena_fmt(r->a, STR_FMT "[%zu]", STR_ARG(path), i), v->items.v[i]);
	return v->kind == JSON_OBJECT || v->kind == JSON_ARRAY ? rc : wrong(r, path, "an object");
}

static int check_kind(
	struct reading *r, struct json_value *v, const char *api_version, const char *kind)
{
	struct str is_version = json_get_str(v, "apiVersion"), is_kind = json_get_str(v, "kind");

	if (!str_eqc(is_version, api_version) || !str_eqc(is_kind, kind))
		return err_bad_request(r->err,
			"%s: want %s %s, not \"" STR_FMT "\" \"" STR_FMT "\"", r->file, api_version,
			kind, STR_ARG(is_version), STR_ARG(is_kind));
	json_remove(v, S("apiVersion"));
	json_remove(v, S("kind"));
	return 0;
}

int config_file_read(const char *path, const char *api_version, const char *kind,
	const struct flag *fields, struct arena *a, struct err *err)
{
	struct reading r = {path, fields, a, err};
	struct err why CLEANUP(err_release) = {0};
	struct json_value *v;
	struct str_vec twice = {0};
	struct str text, json;
	int rc = file_read(path, CONFIG_MAX, a, &text, err);

	if (rc < 0)
		return rc;
	if (yaml_to_json(text, a, &json, &twice, &why) < 0 || json_parse(json, a, &v, &why) < 0)
		return err_bad_request(err, "%s: %s", path, err_text(&why));
	if (twice.n)
		return err_bad_request(
			err, "%s: strict decoding error: " STR_FMT, path, STR_ARG(twice.v[0]));
	if (v->kind != JSON_OBJECT)
		return err_bad_request(err, "%s: it is not an object", path);
	rc = check_kind(&r, v, api_version, kind);
	return rc < 0 ? rc : walk(&r, S(""), v);
}
