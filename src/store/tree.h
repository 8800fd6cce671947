/*
 * tree.h: a persistent B-tree of objects, in the order of the keys that etcd would have
 * (`namespace/name`, bytewise).
 *
 * A `struct tree` is a value that owns one reference to a root. Copying it with tree_ref() costs
 * one increment; after that both trees change independently: nodes are copied when they are
 * reachable from more than one tree, and changed in place when they are not. So a batch of writes
 * copies each path once. Nodes and objects are counted atomically: trees may be read and dropped on
 * any thread, each tree value is changed by one.
 */
#ifndef SAMPAN_STORE_TREE_H
#define SAMPAN_STORE_TREE_H

#include "api/object.h"

struct tree_node;

struct tree {
	struct tree_node *root; /* NULL when empty */
	size_t count;
};

enum {
	TREE_DEPTH_MAX = 16
}; /* at least a quarter of 32 per node: more objects than memory holds */

int key_cmp(struct str ns_a, struct str name_a, struct str ns_b, struct str name_b);

struct tree tree_ref(const struct tree *t);
void tree_release(struct tree *t); /* leaves it empty */
/* Borrowed, NULL when it is not there. */
const struct object *tree_get(const struct tree *t, struct str ns, struct str name);
/* Takes a reference of its own to o; what was under the key goes. */
void tree_put(struct tree *t, const struct object *o);
bool tree_remove(struct tree *t, struct str ns, struct str name);

/* The path to the next object; valid as long as the tree's root. */
struct tree_iter {
	struct tree_node *node[TREE_DEPTH_MAX];
	uint16_t at[TREE_DEPTH_MAX];
	int depth; /* of the leaf's place in node[]; -1 at the end */
};
/* To the first object whose key is not below (above, with `behind`) the one given. */
void tree_seek(
	struct tree_iter *it, const struct tree *t, struct str ns, struct str name, bool behind);
const struct object *tree_next(struct tree_iter *it);

#endif
