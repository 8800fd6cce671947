/* Until src/api/object.c lands. */
#include "api/object.h"

#define WEAK __attribute__((weak))

WEAK struct object *object_ref(const struct object *o)
{
	atomic_fetch_add(&((struct object *)o)->refs, 1);
	return (struct object *)o;
}

WEAK struct object *object_unref(const struct object *o)
{
	if (o && atomic_fetch_sub(&((struct object *)o)->refs, 1) == 1)
		free((void *)o);
	return NULL;
}

static struct str fake_value(struct str json, struct str key)
{
	ssize_t at = str_find(json, key);
	struct str v = {0};

	if (at >= 0) {
		v = str_sub(json, at + key.n, json.n);
		v.n = str_chr(v, '"');
	}
	return v;
}

WEAK int object_parse(
	const struct schema_resource *res, struct str json, struct object **ret, struct err *err)
{
	struct object *o = xcalloc(1, sizeof(*o) + json.n + 1);
	char *p = memcpy(o + 1, json.p, json.n);
	struct str rv;

	o->refs = 1;
	o->resource = res;
	o->json = (struct str){p, json.n};
	o->name = fake_value(o->json, S("\"name\":\""));
	o->ns = fake_value(o->json, S("\"namespace\":\""));
	rv = fake_value(o->json, S("\"resourceVersion\":\""));
	o->rv_at = rv.p - p;
	str_to_u64(rv, &o->revision);
	*ret = o;
	return 0;
}

WEAK struct object *object_commit(const struct object *draft, uint64_t revision)
{
	struct str old = fake_value(draft->json, S("\"resourceVersion\":\""));
	char *json = xasprintf(
		"%.*s%ju%s", (int)draft->rv_at, draft->json.p, (uintmax_t)revision, old.p + old.n);
	struct object *o;

	object_parse(draft->resource, str_c(json), &o, NULL);
	free(json);
	return o;
}
