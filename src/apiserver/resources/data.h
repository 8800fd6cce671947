/* data.h: what ConfigMap and Secret share. */
#ifndef SAMPAN_RESOURCES_DATA_H
#define SAMPAN_RESOURCES_DATA_H

#include "apiserver/field.h"

enum { SECRET_SIZE_MAX = 1024 * 1024 };

/* Checks the keys; the bytes of all values. */
size_t validate_data_keys(
	const struct str_map *data, const struct field_path *p, struct field_errors *e);
bool str_maps_equal(const struct str_map *a, const struct str_map *b);

#endif
