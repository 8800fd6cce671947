/* yaml_scalar.h: what a scalar of YAML 1.1 means. Private to src/schema. */
#ifndef SAMPAN_SCHEMA_YAML_SCALAR_H
#define SAMPAN_SCHEMA_YAML_SCALAR_H

#include "json/value.h"

/* plain: neither quotes nor a tag. tag: as libyaml gives it ("tag:yaml.org,2002:str"), or empty.
 * 400 when the text does not fit the tag or JSON has no such value (infinity). */
int yaml_scalar(struct str text, struct str tag, bool plain, struct arena *a,
	struct json_value **ret, struct err *err);
/* Whether a plain scalar with this text would not be read as this string. */
bool yaml_needs_quotes(struct str text);

#endif
