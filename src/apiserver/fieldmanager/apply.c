/* apply.c: server-side apply: merge, take away what is not applied any more, settle conflicts. */
#include "apiserver/fieldmanager/field_manager.h"

/* --- conflicts --- */

struct report {
	struct arena *a;
	struct str identity, title; /* of the manager */
	struct str lines;           /* of the message */
	struct str only;            /* the path, while there is only one */
	size_t n;
	struct err *err;
};

static void count_path(const struct fpath *path, void *user_data)
{
	struct report *r = user_data;

	r->n++;
	r->only = fpath_text(path, r->a);
	r->lines = arena_fmt(r->a, STR_FMT "\n- " STR_FMT, STR_ARG(r->lines), STR_ARG(r->only));
}

static void add_cause(const struct fpath *path, void *user_data)
{
	struct report *r = user_data;

	err_add_cause(r->err, "FieldManagerConflict", fpath_text(path, r->a),
		"conflict with " STR_FMT, STR_ARG(r->title));
}

struct named_conflict {
	struct str identity;
	const struct conflict *c;
};

static int by_identity(const void *a, const void *b)
{
	const struct named_conflict *x = a, *y = b;

	return str_cmp(x->identity, y->identity);
}

static int report_conflicts(struct arena *a, const struct conflicts *all, struct err *err)
{
	struct named_conflict *sorted = arena_alloc(a, all->n * sizeof(*sorted));
	struct report r = {.a = a, .lines = S(""), .err = err};
	struct str title = S("");

	for (size_t i = 0; i < all->n; i++)
		sorted[i] =
			(struct named_conflict){managed_identity(&all->v[i].entry, a), &all->v[i]};
	qsort(sorted, all->n, sizeof(*sorted), by_identity);
	for (size_t i = 0; i < all->n; i++) {
		title = managed_title(&sorted[i].c->entry, a);
		r.lines = arena_fmt(a, STR_FMT "%sconflicts with " STR_FMT ":", STR_ARG(r.lines),
			i ? "\n" : "", STR_ARG(title));
		field_set_each(&sorted[i].c->set, count_path, &r);
	}
	if (r.n == 1)
		err_fmt(err, 409, "Conflict",
			"Apply failed with 1 conflict: conflict with " STR_FMT ": " STR_FMT,
			STR_ARG(title), STR_ARG(r.only));
	else
		err_fmt(err, 409, "Conflict", "Apply failed with %zu conflicts: " STR_FMT, r.n,
			STR_ARG(r.lines));
	for (size_t i = 0; i < all->n; i++) {
		r.title = managed_title(&sorted[i].c->entry, a);
		field_set_each(&sorted[i].c->set, add_cause, &r);
	}
	return -EAGAIN;
}

/* --- what is not applied any more --- */

struct pruning {
	const struct field_manager *fm;
	const struct managed *m;      /* with the new set of the applier */
	struct managed_entry *last;   /* what he applied before */
	struct fvalue merged, pruned; /* in the version `at` */
	struct str at;
	const struct schema_type *type;
	struct err *err;
};

static struct field_set named(
	struct pruning *p, const struct field_set *s, const struct schema_type *type)
{
	return field_set_with_named(s, fplace_of(type), p->fm->arena);
}

static struct field_set named_fields(
	struct pruning *p, const struct fvalue *v, const struct schema_type *type)
{
	struct field_set s = typed_fields(v, fplace_of(type), p->fm->arena);

	return named(p, &s, type);
}

/* 1: there is no such version. */
static int to_version(struct pruning *p, struct str version)
{
	const struct schema_type *type = p->type;
	struct fvalue merged, pruned;
	int e = field_manager_convert(p->fm, &p->merged, p->at, version, &type, &merged, p->err);

	if (e >= 0)
		e = field_manager_convert(
			p->fm, &p->pruned, p->at, version, &type, &pruned, p->err);
	if (e < 0)
		return e == -ENOENT ? 1 : e;
	p->merged = merged;
	p->pruned = pruned;
	p->at = version;
	p->type = type;
	return 0;
}

/* Gives back what anybody, in one version, owns. */
static int add_owned(struct pruning *p, struct str version)
{
	struct arena *a = p->fm->arena;
	struct field_set owned = {0}, all, kept;
	int e = to_version(p, version);

	if (e)
		return e < 0 ? e : 0;
	for (size_t i = 0; i < p->m->n; i++)
		if (str_eq(p->m->v[i].api_version, version))
			owned = field_set_union(&owned, managed_set(&p->m->v[i], a), a);
	owned = named(p, &owned, p->type);
	all = named_fields(p, &p->merged, p->type);
	kept = named_fields(p, &p->pruned, p->type);
	kept = field_set_union(&kept, &owned, a);
	all = field_set_difference(&all, &kept, a);
	p->pruned = typed_remove(&p->merged, &all, fplace_of(p->type), a);
	return 0;
}

static int add_all_owned(struct pruning *p, struct str first)
{
	int e = add_owned(p, first);

	for (size_t i = 0; e == 0 && i < p->m->n; i++) {
		struct str version = p->m->v[i].api_version;
		bool seen = str_eq(version, first);

		for (size_t k = 0; k < i; k++)
			seen |= str_eq(version, p->m->v[k].api_version);
		if (!seen)
			e = add_owned(p, version);
	}
	return e;
}

static int prune(struct pruning *p, struct str want)
{
	struct arena *a = p->fm->arena;
	struct str version = p->last->api_version;
	struct field_set last, gone, kept;
	const struct schema_type *type;
	struct fvalue merged;
	int e;

	p->pruned = p->merged;
	e = to_version(p, version);
	if (e)
		return e < 0 ? e : 0;
	merged = p->merged;
	type = p->type;
	last = named(p, managed_set(p->last, a), type);
	p->pruned = typed_remove(&merged, &last, fplace_of(type), a);
	e = add_all_owned(p, version);
	if (e == 0)
		e = to_version(p, version);
	if (e < 0)
		return e;
	/* what nobody owned is not his to remove */
	gone = named_fields(p, &merged, type);
	kept = named_fields(p, &p->pruned, type);
	gone = field_set_difference(&gone, &kept, a);
	gone = field_set_intersection(&gone, &last, a);
	p->pruned = typed_remove(&merged, &gone, fplace_of(type), a);
	e = to_version(p, want);
	return e < 0 ? e : 0;
}

/* --- the merge --- */

static int merge(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *config, struct field_manager_apply *apply, struct managed *m,
	struct conflicts *conflicts, struct err *err)
{
	struct managed_entry self = field_manager_entry(fm, apply->manager, true), *there, last;
	struct fplace place = fplace_of(fm->type);
	struct pruning p = {.fm = fm, .m = m, .at = fm->api_version, .type = fm->type, .err = err};
	struct typed_diff diff;
	int e = field_manager_reconcile(fm, live, m, true, err);

	if (e < 0)
		return e;
	p.merged = typed_merge(live, config, place, fm->arena);
	self.set = typed_fields(config, place, fm->arena);
	self.set = field_manager_filter(fm, &self.set);
	there = managed_find(m, &self);
	if (there) {
		last = *there;
		p.last = &last;
		self.time = there->time;
		*there = self;
	} else {
		ARENA_PUSH(fm->arena, m, self);
	}
	p.pruned = p.merged;
	if (p.last && managed_set(p.last, fm->arena)->n)
		e = prune(&p, fm->api_version);
	if (e < 0)
		return e;
	apply->result = p.pruned;
	apply->unchanged = fvalue_equal(live, &p.pruned);
	return field_manager_take(fm, live, &p.pruned, &self, m, conflicts, &diff, err);
}

/* The entry of the applier, as it is kept. */
static void finish(
	const struct field_manager *fm, const struct field_manager_apply *apply, struct managed *m)
{
	struct managed_entry self = field_manager_entry(fm, apply->manager, true), *there;

	there = managed_find(m, &self);
	if (!there)
		return;
	managed_set_to(there, field_manager_strip(fm, managed_set(there, fm->arena)));
	if (!apply->unchanged)
		there->time = fm->now;
	if (!there->set.n)
		managed_remove(m, there);
}

static void forgive(struct conflicts *all, const struct field_set *allowed, struct arena *a)
{
	struct conflicts left = {0};

	for (size_t i = 0; i < all->n; i++) {
		struct conflict c = all->v[i];

		c.set = field_set_difference(&c.set, allowed, a);
		if (c.set.n)
			ARENA_PUSH(a, &left, c);
	}
	*all = left;
}

static struct fvalue empty_object(const struct field_manager *fm)
{
	return fvalue_from_struct(fm->type, arena_alloc(fm->arena, fm->type->size), fm->arena);
}

int field_manager_apply(const struct field_manager *fm, const struct fvalue *live,
	const struct fvalue *config, struct field_manager_apply *apply, struct managed *m,
	struct err *err)
{
	struct managed before = managed_copy(m, fm->arena), now;
	struct conflicts conflicts = {0};
	struct field_set allowed;
	int e;

	if (!before.n) {
		struct fvalue empty = empty_object(fm);

		e = field_manager_update(fm, &empty, live, S("before-first-apply"), &before);
		if (e < 0)
			return err_fmt(
				err, 500, "", "failed to create manager for existing fields");
	}
	now = managed_copy(&before, fm->arena);
	e = merge(fm, live, config, apply, &now, apply->force ? NULL : &conflicts, err);
	if (e < 0)
		return e;
	if (conflicts.n && str_eqc(apply->manager, "kubectl") &&
		field_manager_last_applied(fm, live, &allowed))
		forgive(&conflicts, &allowed, fm->arena);
	if (conflicts.n)
		return report_conflicts(fm->arena, &conflicts, err);
	finish(fm, apply, &now);
	*m = now;
	return 0;
}
