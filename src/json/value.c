#include "json/value.h"

#include "json/reader.h"
#include "json/write.h"

struct json_value *json_new(struct arena *a, enum json_kind kind)
{
	struct json_value *v = ARENA_NEW(a, struct json_value);

	v->kind = kind;
	return v;
}

struct json_value *json_new_string(struct arena *a, struct str s)
{
	struct json_value *v = json_new(a, JSON_STRING);

	v->text = s;
	return v;
}

struct json_value *json_new_bool(struct arena *a, bool b)
{
	struct json_value *v = json_new(a, JSON_BOOL);

	v->boolean = b;
	return v;
}

struct json_value *json_new_int(struct arena *a, int64_t i)
{
	struct json_value *v = json_new(a, JSON_NUMBER);

	v->text = arena_fmt(a, "%lld", (long long)i);
	return v;
}

/* Members in the order of their keys; equal keys in the order in which they stand. Free the result.
 */
static struct json_member **sorted_members(const struct json_value *object);

static bool repeats_a_key(const struct json_value *object)
{
	for (size_t i = 1; i < object->members.n; i++)
		for (size_t j = 0; j < i; j++)
			if (str_eq(object->members.v[i].key, object->members.v[j].key))
				return true;
	return false;
}

static void drop_duplicates(struct json_value *object)
{
	struct json_member **order;
	size_t n = 0;

	if (object->members.n <= 16 && !repeats_a_key(object))
		return;
	order = sorted_members(object);
	for (size_t i = 1, first = 0; i < object->members.n; i++) {
		if (str_eq(order[i]->key, order[first]->key)) {
			order[first]->value = order[i]->value;
			order[i]->value = NULL;
		} else {
			first = i;
		}
	}
	free(order);
	for (size_t i = 0; i < object->members.n; i++)
		if (object->members.v[i].value)
			object->members.v[n++] = object->members.v[i];
	object->members.n = n;
}

static struct json_value *parse_one(struct json_reader *r, char c)
{
	struct json_value *v = json_new(r->arena, JSON_NULL);
	char word;

	switch (c) {
	case '{':
	case '[':
		v->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		json_enter(r, c);
		break;
	case '"':
		v->kind = JSON_STRING;
		json_read_string(r, &v->text);
		break;
	case 't':
	case 'f':
		v->kind = JSON_BOOL;
		v->boolean = json_read_word(r, &word) && word == 't';
		break;
	case 'n':
		json_read_word(r, NULL);
		break;
	default:
		v->kind = JSON_NUMBER;
		json_read_number(r, &v->text);
	}
	return v;
}

/* Without recursion: the containers from the outermost to the one being filled stand in `open`. */
static struct json_value *parse(struct json_reader *r)
{
	struct {
		struct json_value **v;
		size_t n;
	} open = {0};
	struct json_value *root = NULL, *v;
	struct json_member m = {0};

	for (;;) {
		char c = json_peek(r);

		if (c == 0)
			return NULL;
		v = m.value = parse_one(r, c);
		if (r->failed)
			return NULL;
		if (open.n == 0)
			root = v;
		else if (open.v[open.n - 1]->kind == JSON_OBJECT)
			ARENA_PUSH(r->arena, &open.v[open.n - 1]->members, m);
		else
			ARENA_PUSH(r->arena, &open.v[open.n - 1]->items, v);
		if (c == '{' || c == '[')
			ARENA_PUSH(r->arena, &open, v);
		for (;; open.n--) { /* leave what ends here, until there is another value */
			if (open.n == 0)
				return root;
			v = open.v[open.n - 1];
			if (v->kind == JSON_OBJECT ? json_next_key(r, &m.key) : json_next_item(r))
				break;
			if (r->failed)
				return NULL;
			if (v->kind == JSON_OBJECT)
				drop_duplicates(v);
		}
	}
}

int json_parse(struct str text, struct arena *a, struct json_value **ret, struct err *err)
{
	struct json_reader r;
	struct json_value *v;

	json_reader_init(&r, text, a);
	v = parse(&r);
	if (!json_finish(&r))
		return err_bad_request(err, "%s", r.error);
	*ret = v;
	return 0;
}

static int member_order(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;
	int cmp = str_cmp((*x)->key, (*y)->key);

	return cmp ? cmp : *x < *y ? -1 : *x > *y;
}

static struct json_member **sorted_members(const struct json_value *object)
{
	struct json_member **order = xcalloc(object->members.n + 1, sizeof(*order));

	for (size_t i = 0; i < object->members.n; i++)
		order[i] = &object->members.v[i];
	qsort(order, object->members.n, sizeof(struct json_member *), member_order);
	return order;
}

static void write_value(const struct json_value *v, struct buf *b, bool sorted);

static void write_object(const struct json_value *v, struct buf *b, bool sorted)
{
	struct json_member **order = sorted ? sorted_members(v) : NULL;

	buf_add_char(b, '{');
	for (size_t i = 0; i < v->members.n; i++) {
		const struct json_member *m = order ? order[i] : &v->members.v[i];

		if (i)
			buf_add_char(b, ',');
		json_write_string(b, m->key);
		buf_add_char(b, ':');
		write_value(m->value, b, sorted);
	}
	buf_add_char(b, '}');
	free(order);
}

static void write_value(const struct json_value *v, struct buf *b, bool sorted)
{
	switch (v->kind) {
	case JSON_NULL:
		buf_add(b, "null", 4);
		break;
	case JSON_BOOL:
		buf_add_c(b, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		buf_add_str(b, v->text);
		break;
	case JSON_STRING:
		json_write_string(b, v->text);
		break;
	case JSON_ARRAY:
		buf_add_char(b, '[');
		for (size_t i = 0; i < v->items.n; i++) {
			if (i)
				buf_add_char(b, ',');
			write_value(v->items.v[i], b, sorted);
		}
		buf_add_char(b, ']');
		break;
	case JSON_OBJECT:
		write_object(v, b, sorted);
		break;
	}
}

void json_write(const struct json_value *v, struct buf *b)
{
	write_value(v, b, false);
}

void json_write_sorted(const struct json_value *v, struct buf *b)
{
	write_value(v, b, true);
}

struct str json_text(const struct json_value *v, struct arena *a)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, SIZE_MAX / 2);
	json_write(v, &b);
	return arena_str(a, buf_str(&b));
}

static struct json_member *find(const struct json_value *object, struct str key)
{
	if (!object || object->kind != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->members.n; i++)
		if (str_eq(object->members.v[i].key, key))
			return &object->members.v[i];
	return NULL;
}

struct json_value *json_get(const struct json_value *object, struct str key)
{
	struct json_member *m = find(object, key);

	return m ? m->value : NULL;
}

struct json_value *json_getc(const struct json_value *object, const char *key)
{
	return json_get(object, str_c(key));
}

struct str json_get_str(const struct json_value *object, const char *key)
{
	struct json_value *v = json_getc(object, key);

	return v && v->kind == JSON_STRING ? v->text : (struct str){0};
}

void json_set(struct arena *a, struct json_value *object, struct str key, struct json_value *value)
{
	struct json_member *m = find(object, key), added = {key, value};

	if (m)
		m->value = value;
	else
		ARENA_PUSH(a, &object->members, added);
}

bool json_remove(struct json_value *object, struct str key)
{
	struct json_member *m = find(object, key);

	if (!m)
		return false;
	memmove(m, m + 1, (object->members.v + object->members.n - (m + 1)) * sizeof(*m));
	object->members.n--;
	return true;
}

void json_append(struct arena *a, struct json_value *array, struct json_value *value)
{
	ARENA_PUSH(a, &array->items, value);
}

void json_insert(struct arena *a, struct json_value *array, size_t at, struct json_value *value)
{
	struct json_value **v;

	assert(at <= array->items.n);
	json_append(a, array, value);
	v = array->items.v + at;
	memmove(v + 1, v, (array->items.n - 1 - at) * sizeof(struct json_value *));
	*v = value;
}

void json_remove_at(struct json_value *array, size_t at)
{
	struct json_value **v = array->items.v + at;

	assert(at < array->items.n);
	memmove(v, v + 1, (array->items.n - 1 - at) * sizeof(struct json_value *));
	array->items.n--;
}

struct json_value *json_copy(const struct json_value *v, struct arena *a)
{
	struct json_value *out = json_new(a, v->kind);

	out->boolean = v->boolean;
	out->text = v->text;
	for (size_t i = 0; i < v->items.n; i++)
		json_append(a, out, json_copy(v->items.v[i], a));
	for (size_t i = 0; i < v->members.n; i++) {
		struct json_member m = {v->members.v[i].key, json_copy(v->members.v[i].value, a)};

		ARENA_PUSH(a, &out->members, m);
	}
	return out;
}

static bool is_integer(struct str number)
{
	int64_t v;

	return str_to_i64(number, &v) == 0;
}

static bool equal_numbers(struct str a, struct str b)
{
	char x[64], y[64];

	if (str_eq(a, b))
		return true;
	if (is_integer(a) || is_integer(b) || a.n >= sizeof(x) || b.n >= sizeof(y))
		return false;
	memcpy(x, a.p, a.n);
	memcpy(y, b.p, b.n);
	x[a.n] = y[b.n] = 0;
	return strtod(x, NULL) == strtod(y, NULL);
}

bool json_equal(const struct json_value *a, const struct json_value *b)
{
	if (a->kind != b->kind || a->items.n != b->items.n || a->members.n != b->members.n)
		return false;
	if (a->kind == JSON_BOOL)
		return a->boolean == b->boolean;
	if (a->kind == JSON_NUMBER)
		return equal_numbers(a->text, b->text);
	if (a->kind == JSON_STRING)
		return str_eq(a->text, b->text);
	for (size_t i = 0; i < a->items.n; i++)
		if (!json_equal(a->items.v[i], b->items.v[i]))
			return false;
	for (size_t i = 0; i < a->members.n; i++) {
		const struct json_value *other = json_get(b, a->members.v[i].key);

		if (!other || !json_equal(a->members.v[i].value, other))
			return false;
	}
	return true;
}
