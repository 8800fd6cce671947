/* shape.c: what the schema says about a place, in structured-merge-diff's terms. Upstream derives
 * the same from the OpenAPI document (kube-openapi schemaconv). */
#include "apiserver/fieldmanager/value.h"

static const struct fplace any = {FPLACE_ANY, NULL, NULL};
static const struct fplace deduced = {FPLACE_DEDUCED, NULL, NULL};
static const struct fplace unknown = {FPLACE_UNKNOWN, NULL, NULL};

static void shape_of_any(bool look_into_maps, struct fshape *ret)
{
	*ret = (struct fshape){.scalar = FSCALAR_ANY,
		.map = true,
		.map_atomic = !look_into_maps,
		.list = true,
		.list_atomic = true,
		.item = any,
		.value = look_into_maps ? deduced : any};
}

static void shape_of_member(const struct schema_field *f, struct fshape *ret);

static void shape_of_message(const struct schema_type *t, bool atomic, struct fshape *ret)
{
	if (t->flags & SCHEMA_BARE) {
		shape_of_member(&t->fields[0], ret);
		return;
	}
	if (t->flags & SCHEMA_VARIANT) {
		shape_of_any(true, ret);
		return;
	}
	*ret = (struct fshape){.map = true,
		.map_atomic = atomic || t->flags & SCHEMA_ATOMIC,
		.fields = t,
		.value = t->n_fields ? unknown : deduced};
}

static enum fscalar scalar_of(enum schema_kind kind)
{
	switch (kind) {
	case SCHEMA_BOOL:
		return FSCALAR_BOOLEAN;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
		return FSCALAR_NUMERIC;
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_DURATION:
		return FSCALAR_STRING;
	default: /* OpenAPI gives these a format */
		return FSCALAR_ANY;
	}
}

static void shape_of_element(const struct schema_field *f, struct fshape *ret)
{
	const char *go_type = f->extra ? f->extra->go_type : NULL;

	if (f->kind == SCHEMA_MESSAGE)
		shape_of_message(f->type, f->shape == SCHEMA_ONE && f->flags & SCHEMA_ATOMIC, ret);
	else if (f->kind == SCHEMA_RAW)
		shape_of_any(go_type && !strcmp(go_type, "v1.JSON"), ret);
	else
		*ret = (struct fshape){.scalar = scalar_of(f->kind)};
}

static void shape_of_list(const struct schema_field *f, struct fshape *ret)
{
	*ret = (struct fshape){
		.list = true, .list_atomic = true, .item = {FPLACE_ELEMENT, NULL, f}};
	if (f->list_type == SCHEMA_LIST_MAP) {
		ret->list_atomic = false;
		ret->keys = f->extra->list_keys;
	} else if (f->list_type == SCHEMA_LIST_SET) {
		ret->list_atomic = false;
	} else if (f->list_type == SCHEMA_LIST_NONE && f->flags & SCHEMA_PATCH_MERGE) {
		ret->list_atomic = false;
		ret->key = f->extra ? f->extra->merge_key : NULL;
	}
}

static void shape_of_member(const struct schema_field *f, struct fshape *ret)
{
	if (f->shape == SCHEMA_LIST)
		shape_of_list(f, ret);
	else if (f->shape == SCHEMA_MAP)
		*ret = (struct fshape){.map = true,
			.map_atomic = f->flags & SCHEMA_ATOMIC,
			.value = {FPLACE_ELEMENT, NULL, f}};
	else
		shape_of_element(f, ret);
}

void fshape_of(struct fplace place, struct fshape *ret)
{
	switch (place.kind) {
	case FPLACE_MESSAGE:
		shape_of_message(place.type, false, ret);
		break;
	case FPLACE_MEMBER:
		shape_of_member(place.field, ret);
		break;
	case FPLACE_ELEMENT:
		shape_of_element(place.field, ret);
		break;
	case FPLACE_ANY:
		shape_of_any(false, ret);
		break;
	case FPLACE_DEDUCED:
	case FPLACE_UNKNOWN:
		shape_of_any(true, ret);
		break;
	}
}

void fshape_narrow(struct fshape *s, const struct fvalue *v)
{
	if (!v || v->kind == FVALUE_NULL)
		return;
	if (fvalue_is_scalar(v) ? !s->scalar : v->kind == FVALUE_LIST ? !s->list : !s->map)
		return;
	s->map &= v->kind == FVALUE_MAP;
	s->list &= v->kind == FVALUE_LIST;
	if (!fvalue_is_scalar(v))
		s->scalar = FSCALAR_NONE;
}

struct fplace fshape_member(
	const struct fshape *s, struct str name, const struct schema_field *hint, bool *declared)
{
	const struct schema_field *f = NULL;

	if (s->fields)
		f = hint ? hint : schema_field_find(s->fields, name);
	if (declared)
		*declared = f != NULL;
	return f ? (struct fplace){FPLACE_MEMBER, NULL, f} : s->value;
}
