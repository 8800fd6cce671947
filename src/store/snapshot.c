#include "store/store_int.h"

struct snapshot *snapshot_of(
	const struct schema_resource *res, const struct tree *t, uint64_t revision)
{
	struct snapshot *s = xmalloc(sizeof(*s));

	atomic_init(&s->refs, 1);
	s->resource = res;
	s->revision = revision;
	s->tree = tree_ref(t);
	return s;
}

struct snapshot *snapshot_new(const struct schema_resource *res)
{
	return snapshot_of(res, &(struct tree){0}, 0);
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

struct snapshot *snapshot_unref(struct snapshot *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
		tree_release(&s->tree);
		free(s);
	}
	return NULL;
}

struct snapshot *snapshot_with(struct snapshot *s, const struct object *o, uint64_t revision)
{
	struct snapshot *out = snapshot_of(s->resource, &s->tree, revision);

	tree_put(&out->tree, o);
	return out;
}

struct snapshot *snapshot_without(
	struct snapshot *s, struct str ns, struct str name, uint64_t revision)
{
	struct snapshot *out = snapshot_of(s->resource, &s->tree, revision);

	tree_remove(&out->tree, ns, name);
	return out;
}

/* *s with a new revision, and only ours to change. */
static struct snapshot *own(struct snapshot **s, uint64_t revision)
{
	struct snapshot *old = *s;

	if (atomic_load_explicit(&old->refs, memory_order_acquire) == 1) {
		old->revision = revision;
		return old;
	}
	*s = snapshot_of(old->resource, &old->tree, revision);
	snapshot_unref(old);
	return *s;
}

void snapshot_put(struct snapshot **s, const struct object *o, uint64_t revision)
{
	tree_put(&own(s, revision)->tree, o);
}

void snapshot_remove(struct snapshot **s, struct str ns, struct str name, uint64_t revision)
{
	tree_remove(&own(s, revision)->tree, ns, name);
}

void snapshot_stamp(struct snapshot **s, uint64_t revision)
{
	own(s, revision);
}

uint64_t snapshot_revision(const struct snapshot *s)
{
	return s->revision;
}

const struct schema_resource *snapshot_resource(const struct snapshot *s)
{
	return s->resource;
}

size_t snapshot_count(const struct snapshot *s)
{
	return s->tree.count;
}

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
	return a->resource == b->resource && a->tree.root == b->tree.root;
}

const struct object *snapshot_get(const struct snapshot *s, struct str ns, struct str name)
{
	return tree_get(&s->tree, ns, name);
}

void snapshot_iter_init(struct snapshot_iter *it, const struct snapshot *s, struct str ns,
	struct str after_ns, struct str after_name)
{
	bool behind = !str_empty(after_ns) || !str_empty(after_name);

	it->s = s;
	it->ns = ns;
	if (behind && key_cmp(after_ns, after_name, ns, S("")) >= 0)
		tree_seek(&it->path, &s->tree, after_ns, after_name, true);
	else
		tree_seek(&it->path, &s->tree, ns, S(""), false);
}

const struct object *snapshot_next(struct snapshot_iter *it)
{
	const struct object *o = tree_next(&it->path);

	if (o && !str_empty(it->ns) && !str_eq(o->ns, it->ns)) {
		it->path.depth = -1;
		return NULL;
	}
	return o;
}
