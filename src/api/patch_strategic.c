/*
 * patch_strategic.c: strategic merge patch. The schema says of each list whether it is merged (and
 * by which key) or replaced; directives in the patch ($patch, $retainKeys, $setElementOrder/…,
 * $deleteFromPrimitiveList/…) say the rest.
 *
 * Both trees are changed: the result is built in the original, directives are taken out of the
 * patch.
 */
#include "api/patch_internal.h"

#define DIRECTIVE S("$patch")
#define RETAIN_KEYS S("$retainKeys")
#define DELETE_PREFIX S("$deleteFromPrimitiveList")
#define ORDER_PREFIX S("$setElementOrder")

struct merger {
	struct arena *a;
	struct err *err;
};

typedef struct json_value value;

static int merge_map(struct merger *m, const struct schema_type *type, value *original,
	value *patch, value **ret);

/* --- errors, with values as Go's %v prints them --- */

static void print_go(const value *v, struct buf *b)
{
	value sorted;

	switch (v->kind) {
	case JSON_NULL:
		buf_add_c(b, "<nil>");
		break;
	case JSON_BOOL:
		buf_add_c(b, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
	case JSON_STRING:
		buf_add_str(b, v->text);
		break;
	case JSON_ARRAY:
		buf_add_char(b, '[');
		for (size_t i = 0; i < v->items.n; i++) {
			if (i)
				buf_add_char(b, ' ');
			print_go(v->items.v[i], b);
		}
		buf_add_char(b, ']');
		break;
	case JSON_OBJECT:
		sorted = *v;
		patch_sort(&sorted);
		buf_add_c(b, "map[");
		for (size_t i = 0; i < sorted.members.n; i++) {
			if (i)
				buf_add_char(b, ' ');
			buf_add_str(b, sorted.members.v[i].key);
			buf_add_char(b, ':');
			print_go(sorted.members.v[i].value, b);
		}
		buf_add_char(b, ']');
		break;
	}
}

static struct str go_text(struct merger *m, const value *v)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, 1 << 24);
	print_go(v, &b);
	return arena_str(m->a, buf_str(&b));
}

/* Upstream answers most of these with a bare 500. */
#define FAIL(m, ...) err_fmt((m)->err, 500, "", __VA_ARGS__)

static int no_merge_key(struct merger *m, const value *v, const char *key)
{
	struct str text = go_text(m, v);

	return FAIL(
		m, "map: " STR_FMT " does not contain declared merge key: %s", STR_ARG(text), key);
}

static bool is_integer(const value *v)
{
	for (size_t i = 0; i < v->text.n; i++)
		if (v->text.p[i] == '.' || (v->text.p[i] | 0x20) == 'e')
			return false;
	return true;
}

static const char *go_type(const value *v)
{
	switch (v->kind) {
	case JSON_BOOL:
		return "bool";
	case JSON_NUMBER:
		return is_integer(v) ? "int64" : "float64";
	case JSON_STRING:
		return "string";
	case JSON_ARRAY:
		return "[]interface {}";
	case JSON_OBJECT:
		return "map[string]interface {}";
	case JSON_NULL:
		break;
	}
	return "%!s(<nil>)";
}

static int bad_type(struct merger *m, const char *wanted, const value *got)
{
	return FAIL(m, "expected a %s, but received a %s", wanted, go_type(got));
}

static int bad_patch_type(struct merger *m, const value *directive, const value *map)
{
	struct str type = go_text(m, directive), text = go_text(m, map);

	return FAIL(m, "unknown patch type: " STR_FMT " in map: " STR_FMT, STR_ARG(type),
		STR_ARG(text));
}

/* --- small things --- */

static bool same_type(const value *a, const value *b)
{
	return strcmp(go_type(a), go_type(b)) == 0;
}

static bool is_string(const value *v, const char *text)
{
	return v && v->kind == JSON_STRING && str_eqc(v->text, text);
}

static bool is_deletion(const value *v)
{
	return is_string(json_get(v, DIRECTIVE), "delete");
}

static void discard_nulls(value *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->items.n; i++)
		discard_nulls(v->items.v[i]);
	for (size_t i = 0; i < v->members.n; i++) {
		if (v->members.v[i].value->kind == JSON_NULL)
			continue;
		discard_nulls(v->members.v[i].value);
		v->members.v[n++] = v->members.v[i];
	}
	v->members.n = n;
}

/* Takes everything with a directive out of what is new; false when v itself has one. */
static bool remove_directives(value *v)
{
	size_t n = 0;

	if (json_get(v, DIRECTIVE))
		return false;
	for (size_t i = 0; i < v->items.n; i++)
		if (remove_directives(v->items.v[i]))
			v->items.v[n++] = v->items.v[i];
	v->items.n = n;
	n = 0;
	for (size_t i = 0; i < v->members.n; i++)
		if (remove_directives(v->members.v[i].value))
			v->members.v[n++] = v->members.v[i];
	v->members.n = n;
	return true;
}

/* Sets what is new in the original. */
static void set_new(struct merger *m, value *original, struct str key, value *v)
{
	discard_nulls(v);
	if (remove_directives(v))
		json_set(m->a, original, key, v);
	else
		json_remove(original, key);
}

static const struct schema_field *field_of(const struct schema_type *type, struct str key)
{
	return type ? schema_field_find(type, key) : NULL;
}

static const char *merge_key(const struct schema_field *f)
{
	return f && f->extra ? f->extra->merge_key : NULL;
}

/* The item of a list of objects whose key has this value; list->n when there is none, -1 when one
 * is no object. */
static ssize_t find_item(struct merger *m, const value *list, const char *key, const value *wanted)
{
	for (size_t i = 0; i < list->items.n; i++) {
		const value *v = list->items.v[i], *have;

		if (v->kind != JSON_OBJECT)
			return FAIL(m, "value for key %zu is not a map", i);
		have = json_getc(v, key);
		if (have && json_equal(have, wanted))
			return (ssize_t)i;
	}
	return (ssize_t)list->items.n;
}

/* --- the order of lists --- */

/* Where the value (or, with a key, an object of the same key) stands in the list; -1: nowhere. */
static ssize_t position(const value *list, const value *v, const char *key)
{
	const value *wanted = key ? json_getc(v, key) : v;

	for (size_t i = 0; i < list->items.n; i++) {
		const value *have = key ? json_getc(list->items.v[i], key) : list->items.v[i];

		if (wanted && have ? json_equal(wanted, have) : wanted == have)
			return (ssize_t)i;
	}
	return -1;
}

static int need_keys(struct merger *m, const value *list, const char *key)
{
	for (size_t i = 0; i < list->items.n; i++) {
		if (list->items.v[i]->kind != JSON_OBJECT)
			return bad_type(m, "map[string]interface {}", list->items.v[i]);
		if (!json_getc(list->items.v[i], key))
			return no_merge_key(m, list->items.v[i], key);
	}
	return 0;
}

/* Sorts by the order given; what the order does not know stays where it is. Deletions go last. */
static int sort_by(struct merger *m, value *list, const value *order, const char *key)
{
	value *deletions = json_new(m->a, JSON_ARRAY);
	size_t n = 0;
	int r;

	if (key) {
		r = need_keys(m, list, key);
		if (r == 0)
			r = need_keys(m, order, key);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < list->items.n; i++) {
		if (is_deletion(list->items.v[i]))
			json_append(m->a, deletions, list->items.v[i]);
		else
			list->items.v[n++] = list->items.v[i];
	}
	list->items.n = n;
	for (size_t i = 1; i < n; i++) { /* insertion: stable, and lists are short */
		for (size_t j = i; j > 0; j--) {
			value **pair = &list->items.v[j - 1], *swap = pair[0];
			ssize_t x = position(order, pair[0], key),
				y = position(order, pair[1], key);

			if (x < 0 || y < 0 || x <= y)
				break;
			pair[0] = pair[1];
			pair[1] = swap;
		}
	}
	for (size_t i = 0; i < deletions->items.n; i++)
		json_append(m->a, list, deletions->items.v[i]);
	return 0;
}

/* Splits `merged` into what the patch names and what only the server has, orders each, and puts
 * them together again: the server's items keep their place relative to those that the server knew
 * before. */
static int arrange(struct merger *m, const value *merged, const value *patch_order,
	const value *server_order, const char *key, value **ret)
{
	value *mine = json_new(m->a, JSON_ARRAY), *server = json_new(m->a, JSON_ARRAY);
	value *all = json_new(m->a, JSON_ARRAY);
	size_t i = 0, j = 0;
	int r = key ? need_keys(m, merged, key) : 0;

	for (size_t k = 0; k < merged->items.n && r == 0; k++) {
		value *v = merged->items.v[k];

		json_append(m->a, position(patch_order, v, key) >= 0 ? mine : server, v);
	}
	if (r == 0)
		r = sort_by(m, mine, patch_order, key);
	if (r == 0)
		r = sort_by(m, server, server_order, key);
	if (r < 0)
		return r;
	while (i < server->items.n || j < mine->items.n) {
		ssize_t x, y;

		if (i >= server->items.n || j >= mine->items.n) {
			json_append(m->a, all,
				i < server->items.n ? server->items.v[i++] : mine->items.v[j++]);
			continue;
		}
		x = position(server_order, server->items.v[i], key);
		y = position(server_order, mine->items.v[j], key);
		json_append(m->a, all,
			x >= 0 && y >= 0 && x < y ? server->items.v[i++] : mine->items.v[j++]);
	}
	*ret = all;
	return 0;
}

/* --- merging lists --- */

/* All items of both lists have one type; *ret is one of them. */
static int one_type(struct merger *m, const value *a, const value *b, const value **ret)
{
	const value *first = a->items.n ? a->items.v[0] : b->items.n ? b->items.v[0] : NULL;

	if (!first)
		return FAIL(m, "no elements in any of the given slices");
	if (first->kind == JSON_ARRAY)
		return err_bad_request(m->err, "lists of lists are not supported");
	for (int k = 0; k < 2; k++) {
		const value *list = k ? b : a;

		for (size_t i = 0; i < list->items.n; i++)
			if (!same_type(first, list->items.v[i])) {
				struct str x = go_text(m, a), y = go_text(m, b);

				return FAIL(m,
					"list element types are not identical: [" STR_FMT
					" " STR_FMT "]",
					STR_ARG(x), STR_ARG(y));
			}
	}
	*ret = first;
	return 0;
}

static value *merge_scalars(struct merger *m, const value *original, const value *patch)
{
	value *out = json_new(m->a, JSON_ARRAY);

	for (int k = 0; k < 2; k++) {
		const value *list = k ? patch : original;

		for (size_t i = 0; i < list->items.n; i++)
			if (position(out, list->items.v[i], NULL) < 0)
				json_append(m->a, out, list->items.v[i]);
	}
	return out;
}

static value *without(struct merger *m, const value *list, const value *deleted)
{
	value *out = json_new(m->a, JSON_ARRAY);

	for (size_t i = 0; i < list->items.n; i++)
		if (position(deleted, list->items.v[i], NULL) < 0)
			json_append(m->a, out, list->items.v[i]);
	return out;
}

/* Carries out the $patch items of a list and takes them out of it. With "replace" the rest of the
 * patch becomes the list. */
static int apply_directives(struct merger *m, value **original, value **patch, const char *key)
{
	value *rest = json_new(m->a, JSON_ARRAY);
	bool replace = false;

	for (size_t i = 0; i < (*patch)->items.n; i++) {
		value *v = (*patch)->items.v[i], *directive = json_get(v, DIRECTIVE), *wanted;
		ssize_t at;

		if (!directive) {
			json_append(m->a, rest, v);
		} else if (is_string(directive, "delete")) {
			wanted = json_getc(v, key);
			if (!wanted)
				return no_merge_key(m, v, key);
			while ((at = find_item(m, *original, key, wanted)) >= 0 &&
				at < (ssize_t)(*original)->items.n)
				json_remove_at(*original, at);
			if (at < 0)
				return (int)at;
		} else if (is_string(directive, "replace")) {
			replace = true;
		} else if (is_string(directive, "merge")) {
			return FAIL(m, "merging lists cannot yet be specified in the patch");
		} else {
			return bad_patch_type(m, directive, v);
		}
	}
	*patch = replace ? json_new(m->a, JSON_ARRAY) : rest;
	if (replace)
		*original = rest;
	return 0;
}

static int merge_objects(struct merger *m, const struct schema_type *type, value *original,
	const value *patch, const char *key)
{
	for (size_t i = 0; i < patch->items.n; i++) {
		value *v = patch->items.v[i], *wanted = json_getc(v, key), *merged;
		ssize_t at;
		int r;

		if (!wanted)
			return no_merge_key(m, v, key);
		at = find_item(m, original, key, wanted);
		if (at < 0)
			return (int)at;
		if (at == (ssize_t)original->items.n) {
			json_append(m->a, original, v);
			continue;
		}
		r = merge_map(m, type, original->items.v[at], v, &merged);
		if (r < 0)
			return r;
		original->items.v[at] = merged;
	}
	return 0;
}

static int merge_list(struct merger *m, const struct schema_field *f, value *original, value *patch,
	bool deletion, value **ret)
{
	const char *key = merge_key(f);
	const value *item;
	value *merged;
	int r;

	*ret = patch;
	if (!deletion && !(f && f->flags & SCHEMA_PATCH_MERGE))
		return 0;
	*ret = original;
	if (original->items.n == 0 && patch->items.n == 0)
		return 0;
	r = one_type(m, original, patch, &item);
	if (r < 0)
		return r;
	if (item->kind != JSON_OBJECT) {
		if (deletion) {
			*ret = without(m, original, patch);
			return 0;
		}
		merged = merge_scalars(m, original, patch);
		return arrange(m, merged, patch, original, NULL, ret);
	}
	if (!key)
		return FAIL(m, "cannot merge lists without merge key for %s",
			f && f->type ? f->type->go_name : "");
	r = apply_directives(m, &original, &patch, key);
	merged = json_new(m->a, JSON_ARRAY);
	for (size_t i = 0; i < original->items.n; i++)
		json_append(m->a, merged, original->items.v[i]);
	if (r == 0)
		r = merge_objects(m, f->type, merged, patch, key);
	return r < 0 ? r : arrange(m, merged, patch, original, key, ret);
}

/* --- directives of a map --- */

static int retain_keys(struct merger *m, value *original, value *patch)
{
	value *keep = json_get(patch, RETAIN_KEYS);
	size_t n = 0;

	if (!keep)
		return 0;
	json_remove(patch, RETAIN_KEYS);
	if (keep->kind != JSON_ARRAY)
		return err_bad_request(m->err, "invalid patch format of retainKeys");
	for (size_t i = 0; i < patch->members.n; i++) {
		const struct json_member *p = &patch->members.v[i];

		if (p->value->kind != JSON_NULL && !str_starts(p->key, DELETE_PREFIX) &&
			!str_starts(p->key, ORDER_PREFIX) &&
			position(keep, json_new_string(m->a, p->key), NULL) < 0)
			return err_bad_request(m->err, "invalid patch format of retainKeys");
	}
	for (size_t i = 0; i < original->members.n; i++)
		if (position(keep, json_new_string(m->a, original->members.v[i].key), NULL) >= 0)
			original->members.v[n++] = original->members.v[i];
	original->members.n = n;
	return 0;
}

/* "$setElementOrder/containers" -> "containers" */
static bool directive_field(struct str key, struct str prefix, struct str *ret)
{
	struct str head;

	return str_cut(key, '/', &head, ret) && str_eq(head, prefix);
}

/* The items of the patch must come in the order that it gives. */
static int check_order(struct merger *m, const value *patch, const value *order, const char *key)
{
	size_t i = 0, k = 0;

	if (patch->items.n == 0 || order->items.n == 0)
		return 0;
	while (i < patch->items.n && k < order->items.n) {
		const value *v = patch->items.v[i], *o = order->items.v[k], *x = v, *y = o;

		if (v->kind == JSON_OBJECT && json_get(v, DIRECTIVE)) {
			i++;
			continue;
		}
		if (key) {
			if (v->kind != JSON_OBJECT || o->kind != JSON_OBJECT)
				return bad_type(m, "map[string]interface {}",
					v->kind != JSON_OBJECT ? v : o);
			x = json_getc(v, key);
			y = json_getc(o, key);
			if (!x || !y)
				return no_merge_key(m, x ? o : v, key);
		}
		if (json_equal(x, y))
			i++;
		k++;
	}
	while (i < patch->items.n && is_deletion(patch->items.v[i]))
		i++;
	if (i < patch->items.n) {
		struct str p = go_text(m, patch), o = go_text(m, order);

		return FAIL(m,
			"The order in patch list:\n" STR_FMT
			"\n doesn't match $setElementOrder list:\n" STR_FMT "\n",
			STR_ARG(p), STR_ARG(o));
	}
	return 0;
}

static int order_one(struct merger *m, const struct schema_type *type, value *original,
	value *patch, struct str name, const value *order)
{
	const struct schema_field *f = field_of(type, name);
	value *have = json_get(original, name), *change = json_get(patch, name), *merged = have;
	value *none = json_new(m->a, JSON_ARRAY), *sorted;
	const value *item;
	int r;

	if (order->kind != JSON_ARRAY)
		return bad_type(m, "[]interface {}", order);
	if (have && have->kind != JSON_ARRAY)
		return bad_type(m, "[]interface {}", have);
	if (change && change->kind != JSON_ARRAY)
		return bad_type(m, "[]interface {}", change);
	r = check_order(m, change ? change : none, order, merge_key(f));
	if (r < 0)
		return r;
	if (!have && !change)
		return 0;
	if (!have) {
		remove_directives(change);
		merged = change;
	} else if (change) {
		r = merge_list(m, f, json_copy(have, m->a), change, false, &merged);
		if (r < 0)
			return r;
	}
	r = one_type(m, have ? have : none, change ? change : none, &item);
	if (r == 0)
		r = arrange(m, merged, order, have ? have : none,
			item->kind == JSON_OBJECT ? merge_key(f) : NULL, &sorted);
	if (r < 0)
		return r;
	json_set(m->a, original, name, sorted);
	json_remove(patch, name);
	return 0;
}

static int apply_orders(
	struct merger *m, const struct schema_type *type, value *original, value *patch)
{
	for (size_t i = 0; i < patch->members.n;) {
		struct str key = patch->members.v[i].key, name;
		value *order = patch->members.v[i].value;
		int r;

		if (!str_starts(key, ORDER_PREFIX)) {
			i++;
			continue;
		}
		json_remove(patch, key);
		if (order->kind == JSON_ARRAY && !directive_field(key, ORDER_PREFIX, &name))
			return err_bad_request(
				m->err, "invalid patch format of setElementOrder list");
		if (order->kind != JSON_ARRAY)
			return bad_type(m, "[]interface {}", order);
		r = order_one(m, type, original, patch, name, order);
		if (r < 0)
			return r;
		i = 0; /* members may have moved */
	}
	return 0;
}

/* --- maps --- */

static int merge_member(struct merger *m, const struct schema_type *type, value *original,
	struct str key, value *patch)
{
	const struct schema_field *f;
	value *have, *merged = NULL;
	bool deletion = str_starts(key, DELETE_PREFIX);
	int r;

	if (deletion && !directive_field(key, DELETE_PREFIX, &key))
		return err_bad_request(m->err, "invalid patch format of primitive list");
	if (patch->kind == JSON_NULL) {
		json_remove(original, key);
		return 0;
	}
	have = json_get(original, key);
	if (!have || !same_type(have, patch)) {
		if (!deletion)
			set_new(m, original, key, patch);
		return 0;
	}
	f = field_of(type, key);
	if (have->kind == JSON_OBJECT) {
		merged = patch;
		r = f && f->flags & SCHEMA_PATCH_REPLACE
			    ? 0
			    : merge_map(m, f && f->shape == SCHEMA_ONE ? f->type : NULL, have,
				      patch, &merged);
	} else if (have->kind == JSON_ARRAY) {
		r = merge_list(m, f, have, patch, deletion, &merged);
	} else {
		merged = patch;
		r = 0;
	}
	if (r == 0)
		json_set(m->a, original, key, merged);
	return r;
}

static int merge_map(struct merger *m, const struct schema_type *type, value *original,
	value *patch, value **ret)
{
	value *directive = json_get(patch, DIRECTIVE);
	int r;

	if (is_string(directive, "replace")) {
		json_remove(patch, DIRECTIVE);
		*ret = patch;
		return 0;
	}
	if (is_string(directive, "delete")) {
		*ret = json_new(m->a, JSON_OBJECT);
		return 0;
	}
	if (directive)
		return bad_patch_type(m, directive, patch);
	r = retain_keys(m, original, patch);
	if (r == 0)
		r = apply_orders(m, type, original, patch);
	for (size_t i = 0; i < patch->members.n && r == 0; i++)
		r = merge_member(
			m, type, original, patch->members.v[i].key, patch->members.v[i].value);
	*ret = original;
	return r;
}

int patch_strategic(const struct schema_type *type, struct json_value **doc,
	struct json_value *patch, struct arena *a, struct err *err)
{
	struct merger m = {.a = a, .err = err};

	return merge_map(&m, type, *doc, patch, doc);
}
