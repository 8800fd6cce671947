/* patch_json.c: JSON patch (RFC 6902), as lenient and as strict as the library that upstream uses.
 */
#include <inttypes.h>

#include "api/patch_internal.h"

/* Why an operation does not apply, in the words of the library that upstream uses; of no length: it
 * did. */
typedef struct str why_not;

static const why_not done;

#define MISSING ": missing value"

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

/* An index of an array of n; negative ones count from the end. */
static why_not index_of(struct str key, size_t n, struct arena *a, size_t *ret)
{
	struct str digits = key.n && key.p[0] == '+' ? str_sub(key, 1, key.n) : key;
	int64_t i;

	if (str_to_i64(digits, &i) < 0)
		return arena_fmt(
			a, "strconv.Atoi: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(key));
	if (i >= (int64_t)n || i < -(int64_t)n)
		return arena_fmt(a,
			"Unable to access invalid index: %" PRId64 ": invalid index referenced", i);
	*ret = i < 0 ? (size_t)(i + (int64_t)n) : (size_t)i;
	return done;
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
			doc = index_of(unescape(part, a), doc->items.n, a, &i).n ? NULL
										 : doc->items.v[i];
		else
			doc = json_get(doc, unescape(part, a));
		if (!doc || (doc->kind != JSON_OBJECT && doc->kind != JSON_ARRAY))
			return NULL;
	}
	patch_sort(doc);
	*key = unescape(part, a);
	return doc;
}

/* *ret: NULL when an object does not have the key. */
static why_not get(const struct json_value *container, struct str key, struct arena *a,
	struct json_value **ret)
{
	why_not why;
	size_t i;

	*ret = NULL;
	if (container->kind == JSON_OBJECT) {
		*ret = json_get(container, key);
		return done;
	}
	why = index_of(key, container->items.n, a, &i);
	if (!why.n)
		*ret = container->items.v[i];
	return why;
}

static why_not put(
	struct json_value *container, struct str key, struct json_value *value, struct arena *a)
{
	why_not why = done;
	size_t i = container->items.n;

	if (!value)
		value = json_new(a, JSON_NULL);
	if (container->kind == JSON_OBJECT) {
		json_set(a, container, key, value);
		patch_sort(container);
		return done;
	}
	if (!str_eqc(key, "-"))
		why = index_of(key, container->items.n + 1, a, &i);
	if (str_starts(why, S("strconv")))
		why = arena_fmt(a, "value was not a proper array index: '" STR_FMT "': " STR_FMT,
			STR_ARG(key), STR_ARG(why));
	if (!why.n)
		json_insert(a, container, i, value);
	return why;
}

static why_not take(struct json_value *container, struct str key, struct arena *a)
{
	why_not why;
	size_t i;

	if (container->kind == JSON_OBJECT)
		return json_remove(container, key)
			       ? done
			       : arena_fmt(a, "Unable to remove nonexistent key: " STR_FMT MISSING,
					 STR_ARG(key));
	why = index_of(key, container->items.n, a, &i);
	if (!why.n)
		json_remove_at(container, i);
	return why;
}

/* --- operations --- */

struct operation {
	struct str kind, path, from;
	const struct json_value *value; /* or NULL */
};

static why_not failed_in(const char *what, struct str path, why_not why, struct arena *a)
{
	return why.n ? arena_fmt(a, "error in %s: '" STR_FMT "': " STR_FMT, what, STR_ARG(path),
			       STR_ARG(why))
		     : done;
}

static struct json_value *value_of(const struct operation *op, struct arena *a)
{
	return op->value ? json_copy(op->value, a) : NULL;
}

static why_not add_or_remove(
	struct json_value *doc, const struct operation *op, bool add, struct arena *a)
{
	struct str key;
	struct json_value *container = find(doc, op->path, a, &key);

	if (!container)
		return arena_fmt(a,
			"%s operation does not apply: doc is missing path: \"" STR_FMT "\"" MISSING,
			add ? "add" : "remove", STR_ARG(op->path));
	return failed_in(add ? "add for path" : "remove for path", op->path,
		add ? put(container, key, value_of(op, a), a) : take(container, key, a), a);
}

static why_not replace_all(struct json_value **doc, const struct operation *op, struct arena *a)
{
	struct json_value *value = value_of(op, a);

	if (!value || (value->kind != JSON_OBJECT && value->kind != JSON_ARRAY))
		return S("replace operation value must be object or array: %!w(<nil>)");
	*doc = value;
	return done;
}

static why_not replace(struct json_value **doc, const struct operation *op, struct arena *a)
{
	struct json_value *container, *had, *value;
	struct str key;
	size_t i;

	if (op->path.n == 0)
		return replace_all(doc, op, a);
	container = find(*doc, op->path, a, &key);
	if (!container || get(container, key, a, &had).n)
		return arena_fmt(a,
			"replace operation does not apply: doc is missing %s: " STR_FMT MISSING,
			container ? "key" : "path", STR_ARG(op->path));
	value = value_of(op, a);
	if (container->kind == JSON_OBJECT)
		return put(container, key, value, a);
	index_of(key, container->items.n, a, &i);
	container->items.v[i] = value ? value : json_new(a, JSON_NULL);
	return done;
}

static why_not test(struct json_value *doc, const struct operation *op, struct arena *a)
{
	struct json_value *container = doc, *have = doc;
	bool equal;
	struct str key;
	why_not why;

	if (op->path.n) {
		container = find(doc, op->path, a, &key);
		if (!container)
			return arena_fmt(a,
				"test operation does not apply: is missing path: " STR_FMT MISSING,
				STR_ARG(op->path));
		why = get(container, key, a, &have);
		if (why.n)
			return failed_in("test for path", op->path, why, a);
	}
	if (!have || have->kind == JSON_NULL)
		equal = !op->value || op->value->kind == JSON_NULL;
	else
		equal = op->value && json_equal(have, op->value);
	return equal ? done
		     : arena_fmt(a, "testing value " STR_FMT " failed" PATCH_TEST_FAILED,
			       STR_ARG(op->path));
}

/* The value that is moved or copied; a moved one is no longer where it was. */
static why_not lift(struct json_value *doc, const struct operation *op, bool move, struct arena *a,
	struct json_value **ret)
{
	struct str key;
	struct json_value *container = find(doc, op->from, a, &key);
	const char *what = move ? "move for path" : "copy for from";
	why_not why;

	if (!container)
		return arena_fmt(a,
			STR_FMT
			" operation does not apply: doc is missing from path: " STR_FMT MISSING,
			STR_ARG(op->kind), STR_ARG(op->from));
	why = get(container, key, a, ret);
	if (!why.n && move)
		why = take(container, key, a);
	return failed_in(what, move ? key : op->from, why, a);
}

static why_not drop(struct json_value *doc, const struct operation *op, bool move, struct arena *a,
	struct json_value *value)
{
	struct str key;
	struct json_value *container = find(doc, op->path, a, &key);
	why_not why;

	if (!container)
		return arena_fmt(a,
			STR_FMT
			" operation does not apply: doc is missing destination path: " STR_FMT
				MISSING,
			STR_ARG(op->kind), STR_ARG(op->path));
	why = put(container, key, value, a);
	if (move || !why.n)
		return failed_in("move for path", op->path, why, a);
	return arena_fmt(a, "error while adding value during copy: " STR_FMT, STR_ARG(why));
}

enum { COPIED_MAX = 3 * 1024 * 1024 };

/* Copies may not make the document grow without bound. */
static why_not charge(const struct json_value *value, size_t *copied, struct arena *a)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, COPIED_MAX);
	json_write(value, &b);
	*copied += b.n;
	return !buf_failed(&b) && *copied <= COPIED_MAX
		       ? done
		       : arena_fmt(a,
				 "Unable to complete the copy, the accumulated size increase of "
				 "copy is %zu, exceeding the limit %d",
				 *copied, COPIED_MAX);
}

static why_not transfer(
	struct json_value *doc, const struct operation *op, size_t *copied, struct arena *a)
{
	bool move = str_eqc(op->kind, "move");
	struct json_value *value;
	why_not why;

	if (!op->from.p)
		return arena_fmt(a,
			STR_FMT
			" operation failed to decode from: operation, missing from field" MISSING,
			STR_ARG(op->kind));
	why = lift(doc, op, move, a, &value);
	if (!why.n && !move && value) {
		why = charge(value, copied, a);
		value = json_copy(value, a);
	}
	return why.n ? why : drop(doc, op, move, a, value);
}

static why_not operate(
	struct json_value **doc, const struct operation *op, size_t *copied, struct arena *a)
{
	if (!op->path.p)
		return arena_fmt(
			a, STR_FMT " operation failed to decode path" MISSING, STR_ARG(op->kind));
	if (str_eqc(op->kind, "add") || str_eqc(op->kind, "remove"))
		return add_or_remove(*doc, op, str_eqc(op->kind, "add"), a);
	if (str_eqc(op->kind, "replace"))
		return replace(doc, op, a);
	if (str_eqc(op->kind, "test"))
		return test(*doc, op, a);
	if (str_eqc(op->kind, "move") || str_eqc(op->kind, "copy"))
		return transfer(*doc, op, copied, a);
	return arena_fmt(a, "Unexpected kind: " STR_FMT, STR_ARG(op->kind));
}

struct str patch_json(struct json_value **doc, const struct json_value *ops, struct arena *a)
{
	size_t copied = 0;
	why_not why = done;

	patch_sort(*doc);
	for (size_t i = 0; !why.n && i < ops->items.n; i++) {
		const struct json_value *v = ops->items.v[i];
		struct operation op = {.kind = json_get_str(v, "op"),
			.path = json_get_str(v, "path"),
			.from = json_get_str(v, "from"),
			.value = json_getc(v, "value")};

		why = operate(doc, &op, &copied, a);
	}
	return why;
}
