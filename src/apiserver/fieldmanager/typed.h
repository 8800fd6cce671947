/*
 * typed.h: what structured-merge-diff does with two values of one type. Pure functions; results lie
 * in the arena and share parts with their inputs.
 *
 * An associative list is a map by the key fields of its items (or by their values: a set); atomic
 * lists, maps and structs are leaves.
 */
#ifndef SAMPAN_APISERVER_FIELDMANAGER_TYPED_H
#define SAMPAN_APISERVER_FIELDMANAGER_TYPED_H

#include "apiserver/fieldmanager/field_set.h"

/* The path element of an item of an associative list; 0, or what is wrong with it in *why. */
int typed_item_element(const struct fshape *list, const struct fvalue *item, struct arena *a,
	struct fpath_element *ret, struct str *why);

/* The items of an associative list by their elements, sorted; equal ones in the list's order. Those
 * without an element are left out. */
struct typed_item {
	struct fpath_element element;
	const struct fvalue *value;
	size_t at; /* in the list */
};
struct typed_items {
	struct typed_item *v;
	size_t n;
};
struct typed_items typed_items_of(
	const struct fshape *list, const struct fvalue *v, struct arena *a);
/* How many items have the element of v[i]: they stand from i on. */
size_t typed_items_run(const struct typed_items *items, size_t i);
/* The first item with that element, or NULL. */
const struct typed_item *typed_items_find(
	const struct typed_items *items, const struct fpath_element *e);

/* Whether v is of its type; all that is not stands in the message. -EINVAL. */
int typed_validate(const struct fvalue *v, struct fplace place, bool allow_duplicates,
	struct arena *a, struct str *why);

/* Every leaf and item of v. */
struct field_set typed_fields(const struct fvalue *v, struct fplace place, struct arena *a);

struct typed_diff {
	struct field_set changed; /* added, or with another value */
	struct field_set removed;
};
struct typed_diff typed_compare(
	const struct fvalue *old, const struct fvalue *new_, struct fplace place, struct arena *a);

/* old with what is in applied, which was validated without duplicates. */
struct fvalue typed_merge(const struct fvalue *old, const struct fvalue *applied,
	struct fplace place, struct arena *a);

/* v without the items and members of the set. */
struct fvalue typed_remove(const struct fvalue *v, const struct field_set *remove,
	struct fplace place, struct arena *a);

#endif
