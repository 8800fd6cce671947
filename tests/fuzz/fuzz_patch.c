/* Any patch on a pod: an error, or valid JSON. */
#include "api/patch.h"
#include "json/reader.h"
#include "types.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char doc[] = "{\"metadata\":{\"name\":\"a\",\"labels\":{\"l\":\"1\"},"
				  "\"finalizers\":[\"f\",\"g\"]},\"spec\":{\"containers\":[{"
				  "\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":80}"
				  "]},{\"name\":\"d\"}],\"volumes\":[{\"name\":\"v\","
				  "\"emptyDir\":{}}]}}";

	for (enum patch_type how = PATCH_JSON; how <= PATCH_STRATEGIC; how++) {
		struct arena a = {0};
		struct str out;

		if (patch_apply(how, &v1_pod_schema, str_c(doc), str_n((const char *)data, size),
			    &a, &out, NULL) == 0)
			assert(json_valid(out, NULL));
		arena_release(&a);
	}
	return 0;
}
