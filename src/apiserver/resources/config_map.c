/* config_map.c: config maps (ValidateConfigMap). */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/resources/data.h"

size_t validate_data_keys(
	const struct str_map *data, const struct field_path *p, struct field_errors *e)
{
	size_t total = 0;

	for (size_t i = 0; i < data->n; i++) {
		struct str key = data->v[i].key;
		field_invalid_each(e, AT_KEY(p, key), key, is_config_map_key(e->arena, key));
		total += data->v[i].value.n;
	}
	return total;
}

bool str_maps_equal(const struct str_map *a, const struct str_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static void config_map_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_config_map *cm = obj;
	struct field_path data = FIELD(NULL, "data");
	size_t total = 0;

	for (size_t i = 0; i < cm->data.n; i++) {
		struct str_map one = {.v = &cm->data.v[i], .n = 1};
		struct str key = cm->data.v[i].key;

		total += validate_data_keys(&one, &data, e);
		if (str_map_get(&cm->binary_data, key))
			field_invalid(e, AT_KEY(&data, key), key,
				"duplicate of key present in binaryData");
	}
	total += validate_data_keys(&cm->binary_data, AT(NULL, "binaryData"), e);
	if (total > SECRET_SIZE_MAX)
		field_too_long(e, AT(NULL, ""), SECRET_SIZE_MAX);
}

static void config_map_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	static const char why[] = "field is immutable when `immutable` is set";
	const struct v1_config_map *cm = obj, *was = old;

	if (was->immutable && *was->immutable) {
		if (!cm->immutable || !*cm->immutable)
			field_forbidden(e, AT(NULL, "immutable"), why);
		if (!str_maps_equal(&cm->data, &was->data))
			field_forbidden(e, AT(NULL, "data"), why);
		if (!str_maps_equal(&cm->binary_data, &was->binary_data))
			field_forbidden(e, AT(NULL, "binaryData"), why);
	}
	revalidate_meta(ctx, &cm->metadata, e);
	config_map_validate(ctx, obj, e);
}

const struct strategy config_map_strategy = {
	.resource = &v1_config_map_resource,
	.name_errors = name_is_dns_subdomain,
	.validate = config_map_validate,
	.validate_update = config_map_validate_update,
	.table_row = print_config_map,
};
