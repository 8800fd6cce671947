/* patch_json.c: JSON patch (RFC 6902), as lenient and as strict as the library that upstream uses.
 */
#include "api/patch_internal.h"

/* Upstream tells its client nothing about which operation failed. */
static int refuse(struct err *err)
{
	int r = err_fmt(err, 422, "Invalid",
		"the server rejected our request due to an error in our request");

	if (err)
		err->has_details = true;
	return r;
}

/* The next part of a pointer, unescaped (~1 is a slash, ~0 a tilde). */
static struct str unescape(struct str part, struct arena *a)
{
	char *out;
	size_t n = 0;

	if (str_chr(part, '~') < 0)
		return part;
	out = arena_alloc(a, part.n + 1);
	for (size_t i = 0; i < part.n; i++) {
		char next = i + 1 < part.n ? part.p[i + 1] : 0;

		if (part.p[i] == '~' && (next == '0' || next == '1')) {
			out[n++] = next == '0' ? '~' : '/';
			i++;
		} else {
			out[n++] = part.p[i];
		}
	}
	return str_n(out, n);
}

/* An index of an array of n; negative ones count from the end. False when it is none or lies
 * outside. */
static bool index_of(struct str key, size_t n, size_t *ret)
{
	int64_t i;

	if (key.n && key.p[0] == '+')
		key = str_sub(key, 1, key.n);
	if (str_to_i64(key, &i) < 0 || i >= (int64_t)n || i < -(int64_t)n)
		return false;
	*ret = i < 0 ? (size_t)(i + (int64_t)n) : (size_t)i;
	return true;
}

/* The container of what the pointer names, and its key there; NULL when there is none. */
static struct json_value *find(
	struct json_value *doc, struct str path, struct arena *a, struct str *key)
{
	struct str part, rest;
	size_t i;

	if (!str_cut(path, '/', &part, &rest))
		return NULL;
	while (str_cut(rest, '/', &part, &rest)) {
		patch_sort(doc);
		if (doc->kind == JSON_ARRAY)
			doc = index_of(unescape(part, a), doc->items.n, &i) ? doc->items.v[i]
									    : NULL;
		else
			doc = json_get(doc, unescape(part, a));
		if (!doc || (doc->kind != JSON_OBJECT && doc->kind != JSON_ARRAY))
			return NULL;
	}
	patch_sort(doc);
	*key = unescape(part, a);
	return doc;
}

static struct json_value *get(const struct json_value *container, struct str key, bool *in_bounds)
{
	size_t i;

	*in_bounds = true;
	if (container->kind == JSON_OBJECT)
		return json_get(container, key);
	*in_bounds = index_of(key, container->items.n, &i);
	return *in_bounds ? container->items.v[i] : NULL;
}

static bool add(
	struct json_value *container, struct str key, struct json_value *value, struct arena *a)
{
	size_t i;

	if (!value)
		value = json_new(a, JSON_NULL);
	if (container->kind == JSON_OBJECT) {
		json_set(a, container, key, value);
		patch_sort(container);
		return true;
	}
	if (str_eqc(key, "-"))
		i = container->items.n;
	else if (!index_of(key, container->items.n + 1, &i))
		return false;
	json_insert(a, container, i, value);
	return true;
}

static bool take(struct json_value *container, struct str key)
{
	size_t i;

	if (container->kind == JSON_OBJECT)
		return json_remove(container, key);
	if (!index_of(key, container->items.n, &i))
		return false;
	json_remove_at(container, i);
	return true;
}

static bool replace(
	struct json_value **doc, struct str path, struct json_value *value, struct arena *a)
{
	struct json_value *container;
	bool in_bounds;
	struct str key;
	size_t i;

	if (!value)
		value = json_new(a, JSON_NULL);
	if (path.n == 0) {
		if (value->kind != JSON_OBJECT && value->kind != JSON_ARRAY)
			return false;
		*doc = value;
		return true;
	}
	container = find(*doc, path, a, &key);
	if (!container)
		return false;
	get(container, key, &in_bounds);
	if (!in_bounds)
		return false;
	if (container->kind == JSON_OBJECT)
		return add(container, key, value, a);
	index_of(key, container->items.n, &i);
	container->items.v[i] = value;
	return true;
}

static bool test(
	struct json_value *doc, struct str path, const struct json_value *want, struct arena *a)
{
	struct json_value *container = doc, *have = doc;
	bool in_bounds = true;
	struct str key;

	if (path.n) {
		container = find(doc, path, a, &key);
		have = container ? get(container, key, &in_bounds) : NULL;
	}
	if (!container || !in_bounds)
		return false;
	if (!have || have->kind == JSON_NULL)
		return !want || want->kind == JSON_NULL;
	return want && json_equal(have, want);
}

/* move and copy */
static bool transfer(
	struct json_value *doc, struct str from, struct str path, bool move, struct arena *a)
{
	struct str key;
	struct json_value *container = find(doc, from, a, &key), *value;
	bool in_bounds;

	if (!container)
		return false;
	value = get(container, key, &in_bounds);
	if (!in_bounds)
		return false;
	if (move && !take(container, key))
		return false;
	if (!move && value)
		value = json_copy(value, a);
	container = find(doc, path, a, &key);
	return container && add(container, key, value, a);
}

enum { COPIED_MAX = 3 * 1024 * 1024 };

/* Copies may not make the document grow without bound. */
static bool small_enough(struct json_value *doc, struct str from, struct arena *a, size_t *copied)
{
	struct str key;
	struct json_value *container = find(doc, from, a, &key), *value;
	struct buf b CLEANUP(buf_release) = {0};
	bool in_bounds;

	value = container ? get(container, key, &in_bounds) : NULL;
	if (!value)
		return true;
	buf_init(&b, COPIED_MAX);
	json_write(value, &b);
	*copied += b.n;
	return !buf_failed(&b) && *copied <= COPIED_MAX;
}

int patch_json(
	struct json_value **doc, const struct json_value *ops, struct arena *a, struct err *err)
{
	size_t copied = 0;

	patch_sort(*doc);
	for (size_t i = 0; i < ops->items.n; i++) {
		const struct json_value *op = ops->items.v[i];
		struct str kind = json_get_str(op, "op"), path = json_get_str(op, "path"),
			   from = json_get_str(op, "from");
		struct json_value *value = json_getc(op, "value"), *container;
		struct str key;
		bool ok = false;

		if (!path.p)
			return refuse(err);
		if (str_eqc(kind, "add") || str_eqc(kind, "remove")) {
			container = find(*doc, path, a, &key);
			ok = container &&
			     (str_eqc(kind, "add") ? add(container, key,
							     value ? json_copy(value, a) : NULL, a)
						   : take(container, key));
		} else if (str_eqc(kind, "replace")) {
			ok = replace(doc, path, value ? json_copy(value, a) : NULL, a);
		} else if (str_eqc(kind, "test")) {
			ok = test(*doc, path, value, a);
		} else if (str_eqc(kind, "move") || str_eqc(kind, "copy")) {
			bool move = str_eqc(kind, "move");

			ok = from.p && (move || small_enough(*doc, from, a, &copied)) &&
			     transfer(*doc, from, path, move, a);
		}
		if (!ok)
			return refuse(err);
	}
	return 0;
}
