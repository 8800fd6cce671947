/* YAML gives valid JSON; what is written as YAML reads back as the same JSON. */
#include "json/value.h"
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str_vec twice = {0};
	struct str json, back;
	struct json_value *v, *again;
	struct buf b;

	buf_init(&b, 1 << 26);
	if (yaml_to_json(str_n((const char *)data, size), &a, &json, &twice, NULL) == 0) {
		assert(json_parse(json, &a, &v, NULL) == 0);
		json_to_yaml(json, &b);
		if (!buf_failed(&b)) {
			assert(yaml_to_json(buf_str(&b), &a, &back, NULL, NULL) == 0);
			assert(json_parse(back, &a, &again, NULL) == 0 && json_equal(v, again));
		}
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
