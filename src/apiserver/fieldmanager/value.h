/*
 * value.h: an API object as a tree that carries its schema: what the field manager compares, merges
 * and prunes.
 *
 * A tree comes from a C struct (nothing is written as text on the way) or from JSON. Members of a
 * map are sorted by name and none stands twice. Trees are immutable once made, live in an arena and
 * hold views into what they were made from; parts may be shared between trees.
 */
#ifndef SAMPAN_APISERVER_FIELDMANAGER_VALUE_H
#define SAMPAN_APISERVER_FIELDMANAGER_VALUE_H

#include "base/base.h"
#include "json/value.h"
#include "schema/schema.h"

/* In the order in which structured-merge-diff sorts values of different kinds. */
enum fvalue_kind {
	FVALUE_INT,
	FVALUE_DOUBLE,
	FVALUE_STRING,
	FVALUE_BOOL,
	FVALUE_LIST,
	FVALUE_MAP,
	FVALUE_NULL,
};

struct fvalue_member;

struct fvalue {
	uint8_t kind; /* enum fvalue_kind */
	bool boolean;
	uint32_t n; /* bytes, items or members */
	union {
		int64_t i;
		double d;
		const char *text;
		struct fvalue *items;
		struct fvalue_member *members;
	};
};

struct fvalue_member {
	struct str name;
	const struct schema_field *field; /* when it comes from a struct, else NULL */
	struct fvalue value;
};

/* What lies at a place of the schema. */
enum fplace_kind {
	FPLACE_MESSAGE, /* a struct */
	FPLACE_MEMBER,  /* a member of a struct, with its list or map */
	FPLACE_ELEMENT, /* one item of a list, one value of a map */
	FPLACE_ANY,     /* anything; maps and lists are leaves (runtime.RawExtension) */
	FPLACE_DEDUCED, /* anything; maps are looked into (JSON) */
	FPLACE_UNKNOWN, /* not in the schema */
};

struct fplace {
	enum fplace_kind kind;
	const struct schema_type *type;   /* FPLACE_MESSAGE */
	const struct schema_field *field; /* FPLACE_MEMBER, FPLACE_ELEMENT */
};

enum fscalar { FSCALAR_NONE, FSCALAR_NUMERIC, FSCALAR_STRING, FSCALAR_BOOLEAN, FSCALAR_ANY };

/* What may stand there: several kinds where the schema leaves it open. */
struct fshape {
	enum fscalar scalar;
	bool map, map_atomic, list, list_atomic;
	const char *const *keys;          /* of an associative list, NULL-terminated … */
	const char *key;                  /* … or its only one; neither: a set */
	const struct schema_type *fields; /* the declared members of a map, or NULL */
	struct fplace item, value;        /* of a list; of a map's members that are not declared */
};

void fshape_of(struct fplace place, struct fshape *ret);
/* The shape narrowed to the kind of v, where that is one it allows; v may be NULL. */
void fshape_narrow(struct fshape *s, const struct fvalue *v);
/* The i-th key of an associative list, or NULL. */
static inline const char *fshape_key(const struct fshape *s, size_t i)
{
	if (s->keys)
		return s->keys[i];
	return i == 0 ? s->key : NULL;
}
/* Where the member `name` of a map lies; *declared (may be NULL): it is one of the type's fields.
 */
struct fplace fshape_member(
	const struct fshape *s, struct str name, const struct schema_field *hint, bool *declared);

static inline struct fplace fplace_of(const struct schema_type *type)
{
	return (struct fplace){FPLACE_MESSAGE, type, NULL};
}

/* The struct without metadata.managedFields: what is there as JSON would show it. */
struct fvalue fvalue_from_struct(
	const struct schema_type *type, const void *typed, struct arena *a);
struct fvalue fvalue_from_json(const struct json_value *v, struct arena *a);
void fvalue_write_json(const struct fvalue *v, struct buf *out);

static inline struct str fvalue_text(const struct fvalue *v)
{
	return v->kind == FVALUE_STRING ? str_n(v->text, v->n) : (struct str){0};
}
static inline struct fvalue fvalue_string(struct str s)
{
	return (struct fvalue){.kind = FVALUE_STRING, .n = (uint32_t)s.n, .text = s.p};
}
static inline bool fvalue_is_scalar(const struct fvalue *v)
{
	return v->kind <= FVALUE_BOOL;
}
/* NULL when absent, or not a map. */
const struct fvalue *fvalue_get(const struct fvalue *map, struct str name);
int fvalue_cmp(const struct fvalue *a, const struct fvalue *b);
static inline bool fvalue_equal(const struct fvalue *a, const struct fvalue *b)
{
	return fvalue_cmp(a, b) == 0;
}

/* How Go's fmt prints a decoded value: %v ("map[a:b]") and %#v ("map[string]interface {}{…}"). */
struct str fvalue_go_text(const struct fvalue *v, bool sharp, struct arena *a);
const char *fvalue_go_type(const struct fvalue *v);

#endif
