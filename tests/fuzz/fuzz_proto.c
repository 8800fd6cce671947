/* Whatever decodes from protobuf encodes to something that decodes to the same, and to valid JSON:
 * that is what the API server stores. */
#include "json/reader.h"
#include "schema/schema.h"
#include "types.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct schema_type *t, struct str message)
{
	struct buf wire CLEANUP(buf_release) = {0}, json CLEANUP(buf_release) = {0};
	struct arena a = {0};
	char error[96];
	void *v, *again;

	buf_init(&wire, 1 << 26);
	buf_init(&json, 1 << 28);
	if (schema_decode_proto(t, message, &a, &v, NULL) == 0) {
		schema_encode_proto(t, v, &wire);
		assert(schema_decode_proto(t, buf_str(&wire), &a, &again, NULL) == 0);
		assert(schema_equal(t, v, again));
		schema_encode_json(t, v, &json);
		assert(json_valid(buf_str(&json), error));
	}
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema_type *const types[] = {&v1_pod_schema, &v1_service_schema,
		&v1_secret_schema, &apps_v1_deployment_schema, &apps_v1_controller_revision_schema,
		&coordination_v1_lease_schema, &meta_v1_delete_options_schema};
	struct str body = str_n((const char *)data, size), version, kind, message;

	if (schema_unwrap_proto(body, &version, &kind, &message, NULL) < 0)
		message = body;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		round_trip(types[i], message);
	return 0;
}
