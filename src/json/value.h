/*
 * value.h: JSON as a tree in an arena, for code that does not know the type: patches, CRDs, generic
 * paths.
 *
 * Members keep their order; of a key that stands twice the last value counts, in the first one's
 * place. Numbers keep their text. A tree is never freed by itself. Sharing parts between trees is
 * fine as long as nobody changes them.
 */
#ifndef SAMPAN_JSON_VALUE_H
#define SAMPAN_JSON_VALUE_H

#include "base/base.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member;

struct json_value {
	enum json_kind kind;
	bool boolean;
	struct str text; /* a string's content, a number's literal */
	struct {
		struct json_value **v;
		size_t n;
	} items;
	struct {
		struct json_member *v;
		size_t n;
	} members;
};

struct json_member {
	struct str key;
	struct json_value *value;
};

/* 400 with Go's words on a syntax error. Views into text where no escape forces a copy. */
int json_parse(struct str text, struct arena *a, struct json_value **ret, struct err *err);
void json_write(const struct json_value *v, struct buf *b); /* members in their order */
void json_write_sorted(
	const struct json_value *v, struct buf *b); /* members sorted, as Go writes a map */
struct str json_text(const struct json_value *v, struct arena *a);

struct json_value *json_get(
	const struct json_value *object, struct str key); /* NULL: absent or not an object */
struct json_value *json_getc(const struct json_value *object, const char *key);
/* The text of a string member; {NULL,0} when absent or not a string. */
struct str json_get_str(const struct json_value *object, const char *key);
void json_set(struct arena *a, struct json_value *object, struct str key, struct json_value *value);
bool json_remove(struct json_value *object, struct str key); /* whether it was there */
void json_append(struct arena *a, struct json_value *array, struct json_value *value);
void json_insert(struct arena *a, struct json_value *array, size_t at, struct json_value *value);
void json_remove_at(struct json_value *array, size_t at);

struct json_value *json_new(struct arena *a, enum json_kind kind);
struct json_value *json_new_string(struct arena *a, struct str s); /* s is not copied */
struct json_value *json_new_bool(struct arena *a, bool v);
struct json_value *json_new_int(struct arena *a, int64_t v);
struct json_value *json_copy(
	const struct json_value *v, struct arena *a); /* deep, strings shared */
/* Equal as Go's reflect.DeepEqual finds decoded values: the order of members does not matter, an
 * integer is not equal to a float. */
bool json_equal(const struct json_value *a, const struct json_value *b);

#endif
