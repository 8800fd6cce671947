/* Whatever decodes into a type encodes to something that decodes to the same again. */
#include "schema/schema.h"
#include "types.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct schema_type *t, struct str text)
{
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	struct arena a = {0};
	struct buf first, second;
	void *v, *again;

	buf_init(&first, 1 << 26);
	buf_init(&second, 1 << 26);
	if (schema_decode_json(t, text, &a, &opts, &v, NULL) == 0) {
		schema_encode_json(t, v, &first);
		assert(schema_decode_json(t, buf_str(&first), &a, NULL, &again, NULL) == 0);
		assert(schema_equal(t, v, again));
		schema_encode_json(t, schema_copy(t, again, &a), &second);
		assert(str_eq(buf_str(&first), buf_str(&second)));
		schema_default(t, v, &a);
	}
	buf_release(&first);
	buf_release(&second);
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema_type *const types[] = {&v1_pod_schema, &v1_service_schema,
		&v1_secret_schema, &apps_v1_deployment_schema,
		&apiextensions_v1_custom_resource_definition_schema, &coordination_v1_lease_schema};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		round_trip(types[i], str_n((const char *)data, size));
	return 0;
}
