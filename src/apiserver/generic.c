/* generic.c: what holds for a kind about which its strategy says nothing. */
#include "apiserver/generic.h"

#include "apiserver/validation/names.h"

#include "apiserver/write.h"

static void *member(const struct schema_type *type, const void *typed, struct str name)
{
	const struct schema_field *f = schema_field_find(type, name);

	return f ? (char *)typed + f->offset : NULL;
}

static size_t member_size(const struct schema_field *f)
{
	if (f->flags & SCHEMA_OPTIONAL)
		return sizeof(void *);
	return f->kind == SCHEMA_MESSAGE && f->shape == SCHEMA_ONE ? f->type->size : 0;
}

/* A struct member as a whole: zeroed, or as in `from`. */
static void set_member(const struct schema_type *type, void *to, const void *from, struct str name)
{
	const struct schema_field *f = schema_field_find(type, name);

	if (!f || !member_size(f))
		return;
	if (from)
		memcpy((char *)to + f->offset, (const char *)from + f->offset, member_size(f));
	else
		memset((char *)to + f->offset, 0, member_size(f));
}

bool generic_same_member(
	const struct schema_type *type, const void *a, const void *b, struct str name)
{
	const struct schema_field *f = schema_field_find(type, name);
	const void *x, *y;

	if (!f || f->kind != SCHEMA_MESSAGE || f->shape != SCHEMA_ONE)
		return true;
	x = member(type, a, name);
	y = member(type, b, name);
	if (f->flags & SCHEMA_OPTIONAL) {
		x = *(void *const *)x;
		y = *(void *const *)y;
		if (!x || !y)
			return x == y;
	}
	return schema_equal(f->type, x, y);
}

struct any_list { /* every list and map: a pointer and a count */
	char *v;
	size_t n;
};

/* Upstream stores protobuf, which knows no difference between an empty list and none: what was []
 * comes back as null where a list is always written. */
void generic_drop_empty(const struct schema_type *type, void *typed)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct schema_field *f = &type->fields[i];
		void *p = (char *)typed + f->offset;
		struct any_list *list = p;
		size_t step = f->shape == SCHEMA_MAP ? schema_pair_size(f) : schema_value_size(f);
		size_t at = f->shape == SCHEMA_MAP ? sizeof(struct str) : 0;

		if (f->shape == SCHEMA_ONE) {
			if (f->kind == SCHEMA_MESSAGE && schema_is_boxed(f))
				p = *(void **)p;
			if (f->kind == SCHEMA_MESSAGE && p)
				generic_drop_empty(f->type, p);
			continue;
		}
		if (!list->n)
			list->v = NULL;
		for (size_t k = 0; f->kind == SCHEMA_MESSAGE && k < list->n; k++)
			generic_drop_empty(f->type, list->v + k * step + at);
	}
}

/* status belongs to the status subresource, everything else but metadata to the object itself. */
void generic_prepare(struct request *r, void *obj, const void *old)
{
	const struct schema_type *type = r->storage->type;

	if (!r->storage->has_status)
		return;
	if (!str_eqc(r->ctx.subresource, "status")) {
		set_member(type, obj, old, S("status"));
		return;
	}
	for (size_t i = 0; old && i < type->n_fields; i++) {
		struct str name = str_c(type->fields[i].name);

		if (!str_eqc(name, "status") && !str_eqc(name, "metadata"))
			set_member(type, obj, old, name);
	}
}

void write_default(struct request *r, void *obj)
{
	schema_default(r->storage->type, obj, r->arena);
	if (r->strategy && r->strategy->default_)
		r->strategy->default_(&r->ctx, obj);
}

name_errors_fn *generic_name_rule(const struct request *r)
{
	return r->strategy && r->strategy->name_errors ? r->strategy->name_errors
						       : name_is_dns_subdomain;
}
