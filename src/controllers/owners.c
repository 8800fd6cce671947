#include "controllers/owners.h"

struct bucket {
	struct bucket *next;
	const struct schema_resource *resource;
	struct str owner; /* a uid, or '/' and a namespace */
	const struct object **v;
	size_t n, cap;
	char bytes[];
};

struct owner_index {
	struct bucket **slots;
	size_t n_slots, n;
};

enum { SLOTS_MIN = 64 };

struct owner_index *owner_index_new(void)
{
	struct owner_index *x = xcalloc(1, sizeof(*x));

	x->n_slots = SLOTS_MIN;
	x->slots = xcalloc(x->n_slots, sizeof(*x->slots));
	return x;
}

static void bucket_free(struct bucket *b)
{
	for (size_t i = 0; i < b->n; i++)
		object_unref(b->v[i] ? (struct object *)b->v[i] : NULL);
	free(b->v);
	free(b);
}

void owner_index_free(struct owner_index *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_slots; i++) {
		while (x->slots[i]) {
			struct bucket *b = x->slots[i];

			x->slots[i] = b->next;
			bucket_free(b);
		}
	}
	free(x->slots);
	free(x);
}

static size_t slot_of(
	const struct owner_index *x, const struct schema_resource *res, struct str owner)
{
	return (str_hash(owner) * 31 + res->index) & (x->n_slots - 1);
}

static struct bucket **find(
	const struct owner_index *x, const struct schema_resource *res, struct str owner)
{
	struct bucket **at = &x->slots[slot_of(x, res, owner)];

	while (*at && ((*at)->resource != res || !str_eq((*at)->owner, owner)))
		at = &(*at)->next;
	return at;
}

static void grow(struct owner_index *x)
{
	struct bucket **old = x->slots;
	size_t n_old = x->n_slots;

	x->n_slots *= 2;
	x->slots = xcalloc(x->n_slots, sizeof(*x->slots));
	for (size_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct bucket *b = old[i];
			size_t s = slot_of(x, b->resource, b->owner);

			old[i] = b->next;
			b->next = x->slots[s];
			x->slots[s] = b;
		}
	}
	free(old);
}

/* What an object is filed under; ns is at most 63 bytes. */
static struct str owner_key(struct str uid, struct str ns, char *tmp, size_t size)
{
	if (!str_empty(uid))
		return uid;
	size_t n = MIN(ns.n, size - 1);

	tmp[0] = '/';
	if (n)
		memcpy(tmp + 1, ns.p, n);
	return str_n(tmp, n + 1);
}

static void add(struct owner_index *x, const struct object *o)
{
	char tmp[128];
	struct str owner = owner_key(o->controller_uid, o->ns, tmp, sizeof(tmp));
	struct bucket **at = find(x, o->resource, owner), *b = *at;

	if (!b) {
		b = xcalloc(1, sizeof(*b) + owner.n + 1);
		memcpy(b->bytes, owner.p, owner.n);
		b->owner = str_n(b->bytes, owner.n);
		b->resource = o->resource;
		*at = b;
		if (++x->n > x->n_slots)
			grow(x);
	}
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 4;
		b->v = xrealloc(b->v, b->cap * sizeof(*b->v));
	}
	b->v[b->n++] = object_ref(o);
}

static void drop(struct owner_index *x, const struct object *o)
{
	char tmp[128];
	struct bucket **at =
		find(x, o->resource, owner_key(o->controller_uid, o->ns, tmp, sizeof(tmp)));
	struct bucket *b = *at;

	for (size_t i = 0; b && i < b->n; i++) {
		const struct object *c = b->v[i];

		if (c != o && !(str_eq(c->name, o->name) && str_eq(c->ns, o->ns)))
			continue;
		b->v[i] = b->v[--b->n];
		object_unref((struct object *)c);
		break;
	}
	if (b && b->n == 0) {
		*at = b->next;
		x->n--;
		bucket_free(b);
	}
}

void owner_index_apply(struct owner_index *x, const struct store_event *ev)
{
	if (ev->prev)
		drop(x, ev->prev);
	if (ev->type == STORE_DELETED)
		drop(x, ev->object);
	else
		add(x, ev->object);
}

const struct object *const *owner_index_get(const struct owner_index *x,
	const struct schema_resource *res, struct str uid, struct str ns, size_t *ret_n)
{
	char tmp[128];
	const struct bucket *b = *find(x, res, owner_key(uid, ns, tmp, sizeof(tmp)));

	*ret_n = b ? b->n : 0;
	return b ? b->v : NULL;
}
