/* patch.c: the entry, and merge patch. */
#include "api/patch.h"

#include "api/patch_internal.h"
#include "json/reader.h"

/* --- merge patch (RFC 7386) --- */

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

void patch_sort(struct json_value *object)
{
	if (object->members.n > 1)
		qsort(object->members.v, object->members.n, sizeof(struct json_member), by_key);
}

/* What is new in the document has no nulls in its objects. */
static void prune_nulls(struct json_value *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->items.n; i++)
		prune_nulls(v->items.v[i]);
	for (size_t i = 0; i < v->members.n; i++) {
		if (v->members.v[i].value->kind == JSON_NULL)
			continue;
		prune_nulls(v->members.v[i].value);
		v->members.v[n++] = v->members.v[i];
	}
	v->members.n = n;
	patch_sort(v);
}

static struct json_value *merge(struct json_value *doc, struct json_value *patch, struct arena *a)
{
	if (patch->kind != JSON_OBJECT || doc->kind != JSON_OBJECT) {
		prune_nulls(patch);
		return patch;
	}
	for (size_t i = 0; i < patch->members.n; i++) {
		const struct json_member *m = &patch->members.v[i];
		struct json_value *have = json_get(doc, m->key), *value = m->value;

		if (value->kind == JSON_NULL) {
			json_remove(doc, m->key);
			continue;
		}
		if (have && have->kind != JSON_NULL)
			value = merge(have, value, a);
		else
			prune_nulls(value);
		json_set(a, doc, m->key, value);
	}
	patch_sort(doc);
	return doc;
}

/* --- decoding a patch --- */

static const char *kind_name(const struct json_value *v)
{
	static const char *const names[] = {[JSON_NULL] = "null",
		[JSON_BOOL] = "bool",
		[JSON_NUMBER] = "number",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "array",
		[JSON_OBJECT] = "object"};

	return names[v->kind];
}

/* A member of an operation that must be a string if it is there. */
static int check_op_member(const struct json_value *op, const char *name, struct err *err)
{
	const struct json_value *v = json_getc(op, name);

	if (!v || v->kind == JSON_STRING || v->kind == JSON_NULL)
		return 0;
	return err_bad_request(err,
		"error decoding patch: json: cannot unmarshal %s into Go struct field "
		"jsonPatchOp.%s of type string",
		kind_name(v), name);
}

static int check_operations(const struct json_value *ops, struct err *err)
{
	int r = 0;

	if (ops->kind == JSON_NULL)
		return 0;
	if (ops->kind != JSON_ARRAY)
		return err_bad_request(err,
			"error decoding patch: json: cannot unmarshal %s into Go value of type "
			"[]handlers.jsonPatchOp",
			kind_name(ops));
	for (size_t i = 0; i < ops->items.n && r == 0; i++) {
		const struct json_value *op = ops->items.v[i];

		if (op->kind != JSON_OBJECT && op->kind != JSON_NULL)
			return err_bad_request(err,
				"error decoding patch: json: cannot unmarshal %s into Go value of "
				"type "
				"handlers.jsonPatchOp",
				kind_name(op));
		r = check_op_member(op, "op", err);
		if (r == 0)
			r = check_op_member(op, "from", err);
		if (r == 0)
			r = check_op_member(op, "path", err);
	}
	if (r == 0 && ops->items.n > PATCH_OPERATIONS_MAX)
		return err_fmt(err, 413, "RequestEntityTooLarge",
			"Request entity too large: The allowed maximum operations in a JSON patch "
			"is %d, got %zu",
			PATCH_OPERATIONS_MAX, ops->items.n);
	return r;
}

static int check_merge(enum patch_type how, const struct json_value *patch, struct err *err)
{
	if (patch->kind == JSON_OBJECT)
		return 0;
	if (patch->kind == JSON_NULL) /* an empty map for Go */
		return how == PATCH_MERGE ? err_bad_request(err, "Invalid JSON Patch") : 0;
	return err_bad_request(err,
		"%sjson: cannot unmarshal %s into Go value of type map[string]interface {}",
		how == PATCH_MERGE ? "error decoding patch: " : "", kind_name(patch));
}

static int parse_patch(enum patch_type how, struct str text, struct arena *a,
	struct json_value **ret, struct err *err)
{
	char error[96];

	if (!json_valid(text, error))
		return err_bad_request(
			err, "%s%s", how == PATCH_STRATEGIC ? "" : "error decoding patch: ", error);
	json_parse(text, a, ret, NULL);
	return how == PATCH_JSON ? check_operations(*ret, err) : check_merge(how, *ret, err);
}

/* Upstream tells its clients nothing about which operation failed. */
static int refuse(struct err *err)
{
	int r = err_fmt(err, 422, "Invalid",
		"the server rejected our request due to an error in our request");

	if (err)
		err->has_details = true;
	return r;
}

int patch_apply(enum patch_type how, const struct schema_type *type, struct str original_json,
	struct str patch_text, struct arena *a, struct str *ret_json, struct err *err)
{
	struct json_value *doc, *patch = NULL;
	int r;

	if (how == PATCH_STRATEGIC && !type)
		return err_fmt(err, 415, "UnsupportedMediaType",
			"the body of the request was in an unknown format - accepted media types "
			"include: "
			"application/json-patch+json, application/merge-patch+json, "
			"application/apply-patch+yaml");
	r = parse_patch(how, patch_text, a, &patch, err);
	if (r == 0)
		r = json_parse(original_json, a, &doc, err);
	if (r < 0)
		return r;
	if (how == PATCH_JSON)
		r = patch_json(&doc, patch, a).n ? refuse(err) : 0;
	else if (how == PATCH_STRATEGIC)
		r = patch_strategic(type, &doc, patch, a, err);
	else
		doc = merge(doc, patch, a);
	if (r == 0)
		*ret_json = json_text(doc, a);
	return r;
}

int patch_apply_json(struct str original_json, struct str patch_text, struct arena *a,
	struct str *ret_json, struct err *err)
{
	struct json_value *doc, *patch = NULL;
	struct str why;
	int r = parse_patch(PATCH_JSON, patch_text, a, &patch, err);

	if (r == 0)
		r = json_parse(original_json, a, &doc, err);
	if (r < 0)
		return r;
	why = patch_json(&doc, patch, a);
	if (why.n) {
		err_fmt(err, 422, "Invalid", STR_FMT, STR_ARG(why));
		return str_ends(why, S(PATCH_TEST_FAILED)) ? -ECANCELED : -EINVAL;
	}
	*ret_json = json_text(doc, a);
	return 0;
}
