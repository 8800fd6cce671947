/* tables.c: lookups in the compiled-in tables. */
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
