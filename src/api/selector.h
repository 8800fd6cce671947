/*
 * selector.h: label selectors and field selectors, with upstream's syntax and words (apimachinery
 * labels, fields).
 *
 * A parsed selector lives in an arena and is immutable; matching is thread-safe.
 */
#ifndef SAMPAN_API_SELECTOR_H
#define SAMPAN_API_SELECTOR_H

#include "base/base.h"

struct meta_v1_label_selector;
struct object;
struct schema_resource;

enum label_op {
	LABEL_EQUALS,
	LABEL_NOT_EQUALS,
	LABEL_IN,
	LABEL_NOT_IN,
	LABEL_EXISTS,
	LABEL_NOT_EXISTS,
	LABEL_GT,
	LABEL_LT
};

struct label_requirement {
	struct str key;
	enum label_op op;
	struct str_vec values; /* sorted */
};

struct label_selector {              /* zeroed: matches everything */
	bool nothing;                /* matches no object at all */
	struct label_requirement *v; /* sorted by key */
	size_t n;
};

/* ?labelSelector=: "a=b,c!=d,e in (f,g),!h". 400 with upstream's words. */
int label_selector_parse(
	struct str text, struct arena *a, struct label_selector *ret, struct err *err);
/* The selector of an object. NULL matches nothing, an empty one everything. 400 when it is
 * malformed. */
int label_selector_from(const struct meta_v1_label_selector *s, struct arena *a,
	struct label_selector *ret, struct err *err);
/* key=value for each pair (a Service's or ReplicationController's selector); an empty map matches
 * everything. */
struct label_selector label_selector_from_map(const struct str_map *m, struct arena *a);
bool label_selector_matches(const struct label_selector *s, const struct str_map *labels);
static inline bool label_selector_is_empty(const struct label_selector *s)
{
	return !s->nothing && s->n == 0;
}
struct str label_selector_text(
	const struct label_selector *s, struct arena *a); /* canonical, as in Scale's status */

struct field_requirement {
	struct str field, value;
	bool negated; /* != */
};

struct field_selector { /* zeroed: matches everything */
	struct field_requirement *v;
	size_t n;
};

/* ?fieldSelector=: "metadata.name=a,spec.nodeName!=b". 400 with upstream's words. */
int field_selector_parse(
	struct str text, struct arena *a, struct field_selector *ret, struct err *err);
/* 400 when the resource cannot be selected by one of the fields. */
int field_selector_check(
	const struct field_selector *s, const struct schema_resource *res, struct err *err);
bool field_selector_matches(const struct field_selector *s, const struct object *o);
/* The value that the selector demands of a field ("metadata.name=x"); {NULL,0} when it demands
 * none. */
struct str field_selector_exact(const struct field_selector *s, const char *field);

#endif
