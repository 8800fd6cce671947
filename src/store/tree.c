#include "store/tree.h"

enum { NODE_MAX = 32, NODE_MERGE = NODE_MAX / 4 };

/*
 * In a leaf key[i] are the objects themselves, each with a reference. In an inner node key[i] is
 * the smallest object below child[i], borrowed from there: a separator that needs no memory and no
 * reference of its own. It is right at all times because every change below copies or owns the
 * whole path and sets it anew on the way up.
 */
struct tree_node {
	_Atomic uint32_t refs;
	uint16_t n;
	uint16_t height; /* 0 in a leaf */
	const struct object *key[NODE_MAX];
	struct tree_node *child[]; /* NODE_MAX of them, in inner nodes */
};

static int ns_cmp(struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n);
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c || a.n == b.n)
		return c;
	/* the shorter one ends in the '/' of the whole key, which sorts after '-' and '.' */
	return a.n < b.n ? '/' - (unsigned char)b.p[n] : (unsigned char)a.p[n] - '/';
}

int key_cmp(struct str ns_a, struct str name_a, struct str ns_b, struct str name_b)
{
	int c = ns_cmp(ns_a, ns_b);

	return c ? c : str_cmp(name_a, name_b);
}

static struct tree_node *node_new(uint16_t height)
{
	size_t children = height ? NODE_MAX * sizeof(struct tree_node *) : 0;
	struct tree_node *n = xmalloc(sizeof(*n) + children);

	atomic_init(&n->refs, 1);
	n->n = 0;
	n->height = height;
	return n;
}

static struct tree_node *node_ref(struct tree_node *n)
{
	atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

static void node_unref(struct tree_node *n)
{
	if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (int i = 0; i < n->n; i++) {
		if (n->height)
			node_unref(n->child[i]);
		else
			object_unref((struct object *)n->key[i]);
	}
	free(n);
}

/* Makes *slot a node that only this tree reaches. Its parent must be one already. */
static struct tree_node *node_own(struct tree_node **slot)
{
	struct tree_node *old = *slot, *n;

	if (atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
		return old;
	n = node_new(old->height);
	n->n = old->n;
	memcpy(n->key, old->key, old->n * sizeof(old->key[0]));
	for (int i = 0; i < n->n; i++) {
		if (n->height)
			n->child[i] = node_ref(old->child[i]);
		else
			object_ref(n->key[i]);
	}
	node_unref(old);
	return *slot = n;
}

/* Index of the first key that is not below (above, with `behind`) the one given. */
static int lower_bound(const struct tree_node *n, struct str ns, struct str name, bool behind)
{
	int lo = 0, hi = n->n;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (key_cmp(n->key[mid]->ns, n->key[mid]->name, ns, name) < (behind ? 1 : 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The child that a key belongs to: the last whose smallest key is not above it, else the first. */
static int child_of(const struct tree_node *n, struct str ns, struct str name)
{
	int i = lower_bound(n, ns, name, true);

	return i ? i - 1 : 0;
}

static void insert_at(struct tree_node *n, int i, const struct object *key, struct tree_node *child)
{
	assert(n->n < NODE_MAX && i <= n->n);
	memmove(n->key + i + 1, n->key + i, (n->n - i) * sizeof(n->key[0]));
	n->key[i] = key;
	if (n->height) {
		memmove(n->child + i + 1, n->child + i, (n->n - i) * sizeof(n->child[0]));
		n->child[i] = child;
	}
	n->n++;
}

static void remove_at(struct tree_node *n, int i)
{
	n->n--;
	memmove(n->key + i, n->key + i + 1, (n->n - i) * sizeof(n->key[0]));
	if (n->height)
		memmove(n->child + i, n->child + i + 1, (n->n - i) * sizeof(n->child[0]));
}

/* Appends what `from` holds from index `at` on; the references move. */
static void move_tail(struct tree_node *to, struct tree_node *from, int at)
{
	int n = from->n - at;

	assert(to->n + n <= NODE_MAX);
	memcpy(to->key + to->n, from->key + at, n * sizeof(to->key[0]));
	if (to->height)
		memcpy(to->child + to->n, from->child + at, n * sizeof(to->child[0]));
	to->n += n;
	from->n = at;
}

/* Inserts into a node that may be full; returns the right half when it had to be split. */
static struct tree_node *insert_split(
	struct tree_node *n, int i, const struct object *key, struct tree_node *child)
{
	struct tree_node *right;
	/* Appending behind the last key is how a sorted load goes: leave the left node full. */
	int at = i == NODE_MAX ? NODE_MAX - 1 : NODE_MAX / 2;

	if (n->n < NODE_MAX) {
		insert_at(n, i, key, child);
		return NULL;
	}
	right = node_new(n->height);
	move_tail(right, n, at);
	if (i <= at)
		insert_at(n, i, key, child);
	else
		insert_at(right, i - at, key, child);
	return right;
}

static struct tree_node *put(struct tree_node **slot, const struct object *o, bool *added)
{
	struct tree_node *n = node_own(slot), *right;
	int i;

	if (n->height) {
		i = child_of(n, o->ns, o->name);
		right = put(&n->child[i], o, added);
		n->key[i] = n->child[i]->key[0];
		return right ? insert_split(n, i + 1, right->key[0], right) : NULL;
	}
	object_ref(o);
	i = lower_bound(n, o->ns, o->name, false);
	if (i < n->n && key_cmp(n->key[i]->ns, n->key[i]->name, o->ns, o->name) == 0) {
		object_unref((struct object *)n->key[i]);
		n->key[i] = o;
		return NULL;
	}
	*added = true;
	return insert_split(n, i, o, NULL);
}

void tree_put(struct tree *t, const struct object *o)
{
	struct tree_node *right, *root;
	bool added = false;

	if (!t->root)
		t->root = node_new(0);
	right = put(&t->root, o, &added);
	if (right) {
		root = node_new(right->height + 1);
		insert_at(root, 0, t->root->key[0], t->root);
		insert_at(root, 1, right->key[0], right);
		t->root = root;
	}
	t->count += added;
}

/* Joins a child that became small with a neighbour, when both fit in one node. */
static void join_small(struct tree_node *n, int i)
{
	struct tree_node *left, *right;

	if (n->child[i]->n >= NODE_MERGE || n->n < 2)
		return;
	if (i == n->n - 1)
		i--;
	if (n->child[i]->n + n->child[i + 1]->n > NODE_MAX)
		return;
	left = node_own(&n->child[i]);
	right = node_own(&n->child[i + 1]);
	move_tail(left, right, 0);
	remove_at(n, i + 1);
	node_unref(right);
}

/* The key is known to be there. A node may become empty; its parent drops it. */
static void remove_key(struct tree_node **slot, struct str ns, struct str name)
{
	struct tree_node *n = node_own(slot), *child;
	int i;

	if (!n->height) {
		i = lower_bound(n, ns, name, false);
		object_unref((struct object *)n->key[i]);
		remove_at(n, i);
		return;
	}
	i = child_of(n, ns, name);
	remove_key(&n->child[i], ns, name);
	child = n->child[i];
	if (child->n == 0) {
		remove_at(n, i);
		node_unref(child);
		return;
	}
	n->key[i] = child->key[0];
	join_small(n, i);
}

bool tree_remove(struct tree *t, struct str ns, struct str name)
{
	struct tree_node *root;

	if (!tree_get(t, ns, name))
		return false;
	remove_key(&t->root, ns, name);
	t->count--;
	root = t->root;
	if (root->n == 0) {
		node_unref(root);
		t->root = NULL;
	}
	while (t->root && t->root->height && t->root->n == 1) {
		root = t->root;
		t->root = node_ref(root->child[0]);
		node_unref(root);
	}
	return true;
}

struct tree tree_ref(const struct tree *t)
{
	if (t->root)
		node_ref(t->root);
	return *t;
}

void tree_release(struct tree *t)
{
	if (t->root)
		node_unref(t->root);
	*t = (struct tree){0};
}

const struct object *tree_get(const struct tree *t, struct str ns, struct str name)
{
	const struct tree_node *n = t->root;
	int i;

	if (!n)
		return NULL;
	while (n->height)
		n = n->child[child_of(n, ns, name)];
	i = lower_bound(n, ns, name, false);
	if (i < n->n && key_cmp(n->key[i]->ns, n->key[i]->name, ns, name) == 0)
		return n->key[i];
	return NULL;
}

void tree_seek(
	struct tree_iter *it, const struct tree *t, struct str ns, struct str name, bool behind)
{
	struct tree_node *n = t->root;

	it->depth = -1;
	while (n) {
		int i = n->height ? child_of(n, ns, name) : lower_bound(n, ns, name, behind);

		assert(it->depth + 1 < TREE_DEPTH_MAX);
		it->node[++it->depth] = n;
		it->at[it->depth] = i;
		n = n->height ? n->child[i] : NULL;
	}
}

const struct object *tree_next(struct tree_iter *it)
{
	while (it->depth >= 0) {
		struct tree_node *n = it->node[it->depth];
		uint16_t *at = &it->at[it->depth];

		if (n->height == 0 && *at < n->n)
			return n->key[(*at)++];
		if (n->height == 0 ||
			*at >= n->n) { /* this node is done: on to the parent's next child */
			if (--it->depth >= 0)
				it->at[it->depth]++;
			continue;
		}
		it->node[it->depth + 1] = n->child[*at];
		it->at[++it->depth] = 0;
	}
	return NULL;
}
