/* The reader and the tree agree on what is valid, and what the tree writes is valid again. */
#include "json/reader.h"
#include "json/value.h"
#include "json/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n((const char *)data, size);
	struct json_value *v = NULL, *again = NULL;
	struct arena a = {0};
	struct buf b;
	bool valid = json_valid(text, NULL);

	buf_init(&b, size * 8 + 64);
	assert(valid == (json_parse(text, &a, &v, NULL) == 0));
	if (valid) {
		struct str out = json_text(v, &a);

		assert(json_parse(out, &a, &again, NULL) == 0);
		json_write_compact(&b, text);
		assert(!buf_failed(&b) && json_valid(buf_str(&b), NULL));
		buf_reset(&b);
		json_write_sorted(v, &b);
		assert(json_valid(buf_str(&b), NULL));
	}
	buf_release(&b);
	arena_release(&a);
	return 0;
}
