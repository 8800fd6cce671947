/* A reference that is taken, written out in full, is taken again and means the same. */
#include "node/runtime/image/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_ref r, again;
	struct arena a = {0};

	if (image_ref_parse(str_n((const char *)data, size), &a, &r, NULL) == 0) {
		struct str full = r.digest.n ? image_ref_digested(&r, r.digest, &a)
					     : image_ref_tagged(&r, &a);

		assert(image_ref_parse(full, &a, &again, NULL) == 0);
		assert(str_eq(again.domain, r.domain) && str_eq(again.path, r.path) &&
			str_eq(again.digest, r.digest));
	}
	arena_release(&a);
	return 0;
}
