/* A canonical quantity is a fixed point, and has the same value. */
#include "schema/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n((const char *)data, size), canonical, kept;
	struct quantity q, again;
	struct arena a = {0};

	if (quantity_parse(text, &q, NULL) == 0) {
		canonical = quantity_text(&q, &a);
		assert(quantity_parse(canonical, &again, NULL) == 0);
		assert(str_eq(quantity_text(&again, &a), canonical));
		assert(quantity_normalize(text, &a, &kept, NULL) == 0);
		quantity_value(&q);
		quantity_milli(&q);
	}
	arena_release(&a);
	return 0;
}
