/* policy_apply.c: what an apply configuration of a mutating policy makes of an object: a structured
 * merge without owners (apiserver policy/mutating/patch/smd.go). */
#include "api/object.h"
#include "apiserver/admission/policy.h"
#include "apiserver/fieldmanager/typed.h"
#include "json/value.h"

struct atomics {
	struct arena *a;
	struct str paths; /* ", " between them */
};

/* Whoever sets a part of something atomic would take away the rest. */
static void find_atomics(
	struct atomics *found, const struct fvalue *v, struct fplace place, struct str path)
{
	struct arena *a = found->a;
	struct fshape shape;

	fshape_of(place, &shape);
	fshape_narrow(&shape, v);
	if ((v->kind == FVALUE_MAP && shape.map && shape.map_atomic) ||
		(v->kind == FVALUE_LIST && shape.list && shape.list_atomic))
		found->paths = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(found->paths),
			found->paths.n ? ", " : "", STR_ARG(path));
	for (size_t i = 0; v->kind == FVALUE_MAP && shape.fields && i < v->n; i++) {
		const struct fvalue_member *m = &v->members[i];

		find_atomics(found, &m->value, fshape_member(&shape, m->name, m->field, NULL),
			arena_fmt(a, STR_FMT "." STR_FMT, STR_ARG(path), STR_ARG(m->name)));
	}
	for (size_t i = 0; v->kind == FVALUE_LIST && i < v->n; i++)
		find_atomics(found, &v->items[i], shape.item,
			arena_fmt(a, STR_FMT "[%zu]", STR_ARG(path), i));
}

static int parse(struct str json, struct arena *a, struct fvalue *ret, struct err *err)
{
	struct json_value *v;
	int r = json_parse(json, a, &v, err);

	if (r >= 0)
		*ret = fvalue_from_json(v, a);
	return r;
}

static int check(const struct fvalue *patch, struct fplace place, struct arena *a, struct err *err)
{
	struct atomics atomics = {.a = a, .paths = S("")};
	struct str why = S("");

	if (typed_validate(patch, place, false, a, &why) < 0)
		return err_fmt(err, 422, "Invalid",
			"error applying patch: failed to convert patch object to typed "
			"object: " STR_FMT,
			STR_ARG(why));
	find_atomics(&atomics, patch, place, S(""));
	if (!atomics.paths.n)
		return 0;
	return err_fmt(err, 422, "Invalid",
		"error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, "
		"maps or structs: " STR_FMT,
		STR_ARG(atomics.paths));
}

int policy_apply(const struct schema_type *type, struct str object, struct cel_value config,
	struct arena *a, struct str *ret, struct err *err)
{
	struct fplace place = fplace_of(type);
	struct fvalue live, patch, merged;
	struct buf b;
	bool ok;
	int r;

	buf_init(&b, OBJECT_JSON_MAX);
	ok = cel_write_json(config, &b, a) && !buf_failed(&b);
	*ret = arena_str(a, buf_str(&b));
	buf_release(&b);
	if (!ok)
		return err_fmt(err, 422, "Invalid", "the apply configuration has no JSON form");
	r = parse(*ret, a, &patch, err);
	if (r >= 0)
		r = parse(object, a, &live, err);
	if (r >= 0)
		r = check(&patch, place, a, err);
	if (r < 0)
		return r;
	merged = typed_merge(&live, &patch, place, a);
	buf_init(&b, OBJECT_JSON_MAX);
	fvalue_write_json(&merged, &b);
	ok = !buf_failed(&b);
	*ret = arena_str(a, buf_str(&b));
	buf_release(&b);
	return ok ? 0 : err_fmt(err, 422, "Invalid", "the object is too large");
}
