/* update.c: managedFields after a create, an update or a patch. */
#include "apiserver/fieldmanager/field_manager.h"

enum { UPDATE_MANAGERS_MAX = 10 }; /* entries of updates; older ones are put together */

/* --- what the fields of an entry may be --- */

struct field_set field_manager_filter(const struct field_manager *fm, const struct field_set *s)
{
	struct field_set ret = *s, some = {0};

	if (!s->n)
		return ret;
	for (size_t i = 0; fm->resets && fm->resets[i]; i++) {
		struct field_set out = field_set_of_path(fm->resets[i], fm->arena);

		ret = field_set_difference_below(&ret, &out, fm->arena);
	}
	if (!fm->allows)
		return ret;
	for (size_t i = 0; fm->allows[i]; i++) {
		struct field_set in = field_set_matching(&ret, fm->allows[i], fm->arena);

		some = field_set_union(&some, &in, fm->arena);
	}
	return some;
}

static bool is_stripped_metadata(struct str name)
{
	static const char *const names[] = {"name", "namespace", "creationTimestamp", "selfLink",
		"uid", "clusterName", "generation", "managedFields", "resourceVersion"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqc(name, names[i]))
			return true;
	return false;
}

static struct field_set strip_metadata(const struct field_set *s, struct arena *a)
{
	struct field_set ret = {0};

	for (size_t i = 0; i < s->n; i++) {
		const struct field_node *n = &s->v[i];

		field_set_add(&ret, &n->element,
			n->member && !is_stripped_metadata(n->element.name), n->below, a);
	}
	return ret;
}

struct field_set field_manager_strip(const struct field_manager *fm, const struct field_set *s)
{
	struct field_set ret = {0};

	for (size_t i = 0; i < s->n; i++) {
		const struct field_node *n = &s->v[i];
		bool is_metadata = str_eqc(n->element.name, "metadata");

		if (is_metadata)
			field_set_add(&ret, &n->element, false,
				strip_metadata(&n->below, fm->arena), fm->arena);
		else
			field_set_add(&ret, &n->element,
				n->member && !str_eqc(n->element.name, "kind") &&
					!str_eqc(n->element.name, "apiVersion"),
				n->below, fm->arena);
	}
	return ret;
}

struct managed_entry field_manager_entry(
	const struct field_manager *fm, struct str manager, bool applied)
{
	return (struct managed_entry){.manager = manager.n ? manager : S("unknown"),
		.api_version = fm->api_version,
		.subresource = fm->subresource,
		.applied = applied};
}

/* --- differences in each version that somebody speaks --- */

int field_manager_convert(const struct field_manager *fm, const struct fvalue *v, struct str from,
	struct str to, const struct schema_type **ret_type, struct fvalue *ret, struct err *err)
{
	if (!str_eq(from, to))
		return fm->convert ? fm->convert(fm, v, from, to, ret_type, ret, err) : -ENOENT;
	*ret = *v;
	if (str_eq(to, fm->api_version))
		*ret_type = fm->type;
	return 0;
}

struct version {
	struct str api_version;
	bool missing;
	struct fplace place;
	struct typed_diff diff;
};

struct versions {
	struct version *v;
	size_t n;
};

static void compare_in(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, struct version *v)
{
	v->diff = typed_compare(live, new_, v->place, fm->arena);
	v->diff.changed = field_manager_filter(fm, &v->diff.changed);
	v->diff.removed = field_manager_filter(fm, &v->diff.removed);
}

static int version_of(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, struct str api_version, struct versions *all,
	struct version **ret, struct err *err)
{
	struct version v = {.api_version = api_version};
	const struct schema_type *type = NULL;
	struct fvalue old_there, new_there;
	int e;

	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].api_version, api_version)) {
			*ret = &all->v[i];
			return 0;
		}
	e = field_manager_convert(fm, live, fm->api_version, api_version, &type, &old_there, err);
	if (e == 0)
		e = field_manager_convert(
			fm, new_, fm->api_version, api_version, &type, &new_there, err);
	if (e < 0 && e != -ENOENT)
		return e;
	v.missing = e == -ENOENT;
	if (!v.missing) {
		v.place = fplace_of(type);
		compare_in(fm, &old_there, &new_there, &v);
	}
	ARENA_PUSH(fm->arena, all, v);
	*ret = &all->v[all->n - 1];
	return 0;
}

/* One entry: false when it is to go. */
static void take_from(const struct field_manager *fm, struct managed_entry *e,
	const struct version *v, struct conflicts *conflicts)
{
	struct field_set lost, left;

	if (!v->diff.changed.n && !v->diff.removed.n)
		return;
	left = *managed_set(e, fm->arena);
	lost = field_set_intersection(&left, &v->diff.changed, fm->arena);
	if (lost.n && conflicts) {
		struct conflict c = {*e, lost};

		ARENA_PUSH(fm->arena, conflicts, c);
	}
	if (lost.n)
		left = field_set_difference(&left, &lost, fm->arena);
	left = field_set_difference(&left, &v->diff.removed, fm->arena);
	if (!field_set_equal(&left, &e->set))
		managed_set_to(e, left);
}

int field_manager_take(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, const struct managed_entry *self, struct managed *m,
	struct conflicts *conflicts, struct typed_diff *ret, struct err *err)
{
	struct versions all = {0};
	struct version *own, *v;
	int e = version_of(fm, live, new_, fm->api_version, &all, &own, err);

	if (e < 0)
		return e;
	*ret = own->diff;
	for (size_t i = 0; i < m->n;) {
		struct managed_entry *entry = &m->v[i];

		if (self && managed_find(m, self) == entry) {
			i++;
			continue;
		}
		e = version_of(fm, live, new_, entry->api_version, &all, &v, err);
		if (e < 0)
			return e;
		if (v->missing) {
			managed_remove(m, entry);
			continue;
		}
		take_from(fm, entry, v, conflicts);
		i++;
	}
	for (size_t i = 0; i < m->n;) {
		if (!m->v[i].is_text && !m->v[i].set.n)
			managed_remove(m, &m->v[i]);
		else
			i++;
	}
	return 0;
}

/* --- too many managers --- */

struct by_age {
	struct str identity;
	struct managed_entry *entry;
};

static int oldest_first(const void *a, const void *b)
{
	const struct by_age *x = a, *y = b;
	int64_t s = x->entry->time.set ? x->entry->time.sec : 0;
	int64_t t = y->entry->time.set ? y->entry->time.sec : 0;

	if (s != t)
		return s < t ? -1 : 1;
	return str_cmp(x->identity, y->identity);
}

/* The oldest update that can be put together with an older one of its version; NULL when none can.
 */
static struct managed_entry *second_of_a_version(
	const struct by_age *updates, size_t n, struct managed_entry **first)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(updates[i].entry->api_version, updates[k].entry->api_version)) {
				*first = updates[k].entry;
				return updates[i].entry;
			}
	return NULL;
}

static bool merge_oldest(const struct field_manager *fm, struct managed *m)
{
	struct by_age *updates = arena_alloc(fm->arena, m->n * sizeof(*updates));
	struct managed_entry *first, *second, bucket = {.manager = S("ancient-changes")};
	struct managed_entry *there;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].applied)
			updates[n++] =
				(struct by_age){managed_identity(&m->v[i], fm->arena), &m->v[i]};
	if (n <= UPDATE_MANAGERS_MAX)
		return false;
	qsort(updates, n, sizeof(*updates), oldest_first);
	second = second_of_a_version(updates, n, &first);
	if (!second)
		return false;
	bucket.api_version = second->api_version;
	bucket.time = second->time;
	bucket.set = field_set_union(
		managed_set(first, fm->arena), managed_set(second, fm->arena), fm->arena);
	there = managed_find(m, &bucket);
	if (there && there != first && there != second)
		bucket.set = field_set_union(&bucket.set, managed_set(there, fm->arena), fm->arena);
	*first = bucket;
	managed_remove(m, second);
	return true;
}

/* --- the update --- */

int field_manager_reconcile(const struct field_manager *fm, const struct fvalue *live,
	struct managed *m, bool all, struct err *err)
{
	for (size_t i = 0; i < m->n;) {
		const struct schema_type *type = NULL;
		struct field_set set;
		struct fvalue there;
		int e;

		if (m->v[i].is_text && !all) {
			i++;
			continue;
		}
		e = field_manager_convert(
			fm, live, fm->api_version, m->v[i].api_version, &type, &there, err);
		if (e == -ENOENT) {
			managed_remove(m, &m->v[i]);
			continue;
		}
		if (e < 0)
			return e;
		set = field_set_reconciled(
			managed_set(&m->v[i], fm->arena), fplace_of(type), fm->arena);
		managed_set_to(&m->v[i++], set);
	}
	return 0;
}

int field_manager_update(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *new_, struct str manager, struct managed *m)
{
	struct managed_entry self = field_manager_entry(fm, manager, false), *previous;
	struct managed now = managed_copy(m, fm->arena);
	struct typed_diff diff;
	int e = field_manager_reconcile(fm, live, &now, false, NULL);

	if (e == 0)
		e = field_manager_take(fm, live, new_, NULL, &now, NULL, &diff, NULL);
	if (e < 0)
		return e;
	self.set = field_manager_strip(fm, &diff.changed);
	self.time = fm->now;
	if (self.set.n) {
		previous = managed_find(&now, &self);
		if (previous) {
			self.set = field_set_union(
				&self.set, managed_set(previous, fm->arena), fm->arena);
			*previous = self;
		} else {
			ARENA_PUSH(fm->arena, &now, self);
		}
	}
	while (now.n > UPDATE_MANAGERS_MAX && merge_oldest(fm, &now))
		;
	*m = now;
	return 0;
}
