/*
 * field_set.h: sets of fields of an object, as FieldsV1 writes them.
 *
 * A set is a trie: nodes sorted by path element. A node is a member when the path that ends there
 * is in the set; what is below it says nothing about that. Sets are immutable once made and share
 * parts; they live in an arena. An empty set has n == 0: nodes without members are never kept.
 *
 *     {"f:metadata":{"f:labels":{".":{},"f:app":{}}}}   .metadata.labels and .metadata.labels.app
 */
#ifndef SAMPAN_APISERVER_FIELDMANAGER_FIELD_SET_H
#define SAMPAN_APISERVER_FIELDMANAGER_FIELD_SET_H

#include "apiserver/fieldmanager/value.h"

enum fpath_kind {    /* in the order in which they are sorted */
	FPATH_FIELD, /* f:name */
	FPATH_KEY,   /* k:{"name":"c"}, an item of an associative list */
	FPATH_VALUE, /* v:"a", an item of a set */
	FPATH_INDEX, /* i:3 */
};

struct fpath_element {
	enum fpath_kind kind;
	struct str name;     /* FPATH_FIELD */
	struct fvalue value; /* the map of a key's fields, the value, the index */
};

struct field_node;

struct field_set {
	struct field_node *v;
	size_t n;
};

struct field_node {
	struct fpath_element element;
	bool member;
	struct field_set below;
};

/* Where a set is being walked: from the innermost element outwards. */
struct fpath {
	const struct fpath *parent;
	const struct fpath_element *element;
};

int fpath_element_cmp(const struct fpath_element *a, const struct fpath_element *b);
/* ".spec.containers[name=\"c\"].image", as conflicts name it. */
struct str fpath_text(const struct fpath *path, struct arena *a);
struct str fpath_element_text(const struct fpath_element *e, struct arena *a);

/* Adds a node behind the last one, or where it belongs; nothing when it is no member and empty. */
void field_set_add(struct field_set *s, const struct fpath_element *e, bool member,
	struct field_set below, struct arena *a);
/* The node of an element, or NULL. */
const struct field_node *field_set_find(const struct field_set *s, const struct fpath_element *e);
/* A set of one path of plain fields: "metadata.labels" … */
struct field_set field_set_of_path(const char *path, struct arena *a);

struct field_set field_set_union(
	const struct field_set *x, const struct field_set *y, struct arena *a);
struct field_set field_set_intersection(
	const struct field_set *x, const struct field_set *y, struct arena *a);
/* The members of x that are not in y: .a.b stays when y has .a alone. */
struct field_set field_set_difference(
	const struct field_set *x, const struct field_set *y, struct arena *a);
/* The same, and what is below a member of y goes, too. */
struct field_set field_set_difference_below(
	const struct field_set *x, const struct field_set *y, struct arena *a);
/* What lies at or below a path of the pattern: fields separated by dots, `*` for any element. */
struct field_set field_set_matching(
	const struct field_set *x, const char *pattern, struct arena *a);
/* Fields of a struct that have members below them become members. */
struct field_set field_set_with_named(
	const struct field_set *x, struct fplace place, struct arena *a);
/* What lies below a place that the schema calls atomic becomes that place. */
struct field_set field_set_reconciled(
	const struct field_set *x, struct fplace place, struct arena *a);
bool field_set_equal(const struct field_set *x, const struct field_set *y);

/* Calls fn for each member, parents first. */
void field_set_each(const struct field_set *s,
	void (*fn)(const struct fpath *path, void *user_data), void *user_data);

/* FieldsV1. -EINVAL on what is none; unknown kinds of elements are passed over. Strings are views
 * into text, or copies in the arena. */
int field_set_parse(struct str json, struct arena *a, struct field_set *ret);
void field_set_write(const struct field_set *s, struct buf *out);

#endif
