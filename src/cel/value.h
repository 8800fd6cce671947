/*
 * value.h: what a CEL expression computes with.
 *
 * A value is 24 bytes, copied freely, and owns nothing: strings, lists and maps point into the
 * caller's objects, the program's constants or the evaluation's arena, and live as long as those.
 * API objects are evaluated in place: cel_object() is a pointer and its schema type, and shows the
 * fields that the object's JSON has, as the unstructured content does that upstream evaluates
 * (quantities and times are strings, an IntOrString is one of the two, empty omitempty fields are
 * absent).
 */
#ifndef SAMPAN_CEL_VALUE_H
#define SAMPAN_CEL_VALUE_H

#include "base/base.h"

struct json_value;
struct schema_type;
struct cel_type;
struct cel_value;

enum cel_kind {
	CEL_UNSET, /* a variable without a value: reading it is the error "no such attribute(s): x"
		    */
	CEL_ERROR, /* .s says what is wrong */
	CEL_NULL,
	CEL_BOOL,
	CEL_INT,
	CEL_UINT,
	CEL_DOUBLE,
	CEL_STRING,
	CEL_BYTES,
	CEL_DURATION,
	CEL_TIMESTAMP,
	CEL_LIST,
	CEL_MAP,
	CEL_TYPE,
	CEL_OPTIONAL,
	CEL_OPAQUE, /* of a Kubernetes library: quantity, url, ip, authorizer … */
	/* only types, never values, are of these kinds */
	CEL_DYN,
	CEL_STRUCT,
	CEL_PARAM,
	CEL_ERROR_TYPE,
};

/* How a list or map is kept; the embedder does not look at it. */
enum cel_rep { CEL_REP_ARRAY, CEL_REP_JSON, CEL_REP_STRUCT, CEL_REP_FIELD, CEL_REP_LAZY };

struct cel_ref { /* of lists, maps and opaque values */
	const void *p;
	const void *of;
};

struct cel_value {
	uint8_t kind;     /* enum cel_kind */
	uint8_t rep;      /* enum cel_rep */
	int16_t zone_min; /* of a timestamp: the zone it was written in, minutes east of UTC */
	int32_t nsec;     /* of a timestamp, 0 … 999999999 */
	union {
		bool b;
		int64_t i; /* int; duration in nanoseconds; timestamp in Unix seconds */
		uint64_t u;
		double d;
		struct str s;
		struct cel_ref ref;
		const struct cel_type *type;
		const struct cel_value *optional; /* NULL: none */
	};
};

struct cel_entry {
	struct cel_value key, value;
};

/* A map whose entries are computed when they are asked for (`variables`). */
struct cel_lazy_ops {
	/* The entry, which may be a CEL_ERROR value; false: there is none. What it computes lives
	 * in the arena or longer. It is asked again each time: keep what was costly. */
	bool (*get)(void *data, struct str key, struct arena *a, struct cel_value *ret);
	/* The n-th key, for comprehensions and size(); false behind the last. */
	bool (*key)(void *data, size_t n, struct str *ret);
};

static inline struct cel_value cel_null(void)
{
	return (struct cel_value){.kind = CEL_NULL};
}
static inline struct cel_value cel_bool(bool b)
{
	return (struct cel_value){.kind = CEL_BOOL, .b = b};
}
static inline struct cel_value cel_int(int64_t i)
{
	return (struct cel_value){.kind = CEL_INT, .i = i};
}
static inline struct cel_value cel_uint(uint64_t u)
{
	return (struct cel_value){.kind = CEL_UINT, .u = u};
}
static inline struct cel_value cel_double(double d)
{
	return (struct cel_value){.kind = CEL_DOUBLE, .d = d};
}
static inline struct cel_value cel_string(struct str s) /* valid UTF-8 */
{
	return (struct cel_value){.kind = CEL_STRING, .s = s};
}
static inline struct cel_value cel_bytes(struct str s)
{
	return (struct cel_value){.kind = CEL_BYTES, .s = s};
}
static inline struct cel_value cel_duration(int64_t ns)
{
	return (struct cel_value){.kind = CEL_DURATION, .i = ns};
}
static inline struct cel_value cel_timestamp(int64_t unix_sec, int32_t nsec)
{
	return (struct cel_value){.kind = CEL_TIMESTAMP, .nsec = nsec, .i = unix_sec};
}
static inline struct cel_value cel_error(struct str message)
{
	return (struct cel_value){.kind = CEL_ERROR, .s = message};
}
/* Array and entries are not copied. Keys are bools, ints, uints or strings, none twice. */
struct cel_value cel_list(const struct cel_value *v, size_t n, struct arena *a);
struct cel_value cel_map(const struct cel_entry *v, size_t n, struct arena *a);
struct cel_value cel_lazy_map(const struct cel_lazy_ops *ops, void *data);
struct cel_value cel_json(const struct json_value *v);                      /* NULL is null */
struct cel_value cel_object(const struct schema_type *type, const void *v); /* NULL is null */
struct cel_value cel_json_text(struct str json, struct arena *a); /* broken text: an error value */

/* Lists and maps of any representation. */
size_t cel_size(struct cel_value v);
struct cel_value cel_list_at(struct cel_value list, size_t i, struct arena *a); /* i < size */
bool cel_map_find(
	struct cel_value map, struct cel_value key, struct arena *a, struct cel_value *ret);
struct cel_entry cel_map_at(struct cel_value map, size_t i, struct arena *a); /* i < size */
/* map.key of a string key; CEL_UNSET when it is not there or `map` is none. */
struct cel_value cel_get(struct cel_value map, const char *key, struct arena *a);

/* CEL's ==: numbers of all types compare by value. */
bool cel_equal(struct cel_value x, struct cel_value y, struct arena *a);
/* The value as JSON text (what `auditAnnotations` and messages of lists show, what mutations
 * write); false for what has no JSON form (opaque values, types, none). */
bool cel_write_json(struct cel_value v, struct buf *out, struct arena *a);

#endif
