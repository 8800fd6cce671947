/* tables.c: lookups in the tables, and how a field lies in memory. */
#include "schema/schema.h"

const struct schema_resource *schema_resource_find(
	struct str group, struct str version, struct str plural)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *r = schema_resources[i];

		if (str_eqc(plural, r->plural) && str_eqc(group, r->group) &&
			str_eqc(version, r->version))
			return r;
	}
	return NULL;
}

const struct schema_resource *schema_resource_by_kind(
	struct str group, struct str version, struct str kind)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *r = schema_resources[i];

		if (str_eqc(kind, r->kind) && str_eqc(group, r->group) &&
			str_eqc(version, r->version))
			return r;
	}
	return NULL;
}

const struct schema_type *schema_type_by_name(struct str openapi_name)
{
	size_t lo = 0, hi = schema_n_types;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = str_cmp(openapi_name, str_c(schema_types[mid]->name));

		if (cmp == 0)
			return schema_types[mid];
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct schema_field *schema_field_find(const struct schema_type *t, struct str json_name)
{
	size_t lo = 0, hi = t->n_fields;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_field *f = &t->fields[t->by_name[mid]];
		int cmp = str_cmp(json_name, str_n(f->name, f->name_len));

		if (cmp == 0)
			return f;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

size_t schema_value_size(const struct schema_field *f)
{
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		return sizeof(bool);
	case SCHEMA_INT32:
		return sizeof(int32_t);
	case SCHEMA_INT64:
		return sizeof(int64_t);
	case SCHEMA_DOUBLE:
		return sizeof(double);
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
	case SCHEMA_DURATION:
	case SCHEMA_RAW:
		return sizeof(struct str);
	case SCHEMA_INT_OR_STRING:
		return sizeof(struct int_or_string);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return sizeof(struct k8s_time);
	case SCHEMA_MESSAGE:
		return f->type->size;
	}
	return 0;
}

size_t schema_pair_size(const struct schema_field *f)
{
	return (sizeof(struct str) + schema_value_size(f) + 7) / 8 * 8;
}

bool schema_is_boxed(const struct schema_field *f)
{
	if (f->shape != SCHEMA_ONE || !(f->flags & SCHEMA_OPTIONAL))
		return false;
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_MESSAGE:
		return true;
	default:
		return false;
	}
}
