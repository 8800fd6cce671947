/* The text of a selector parses to a selector with the same text. */
#include "api/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n((const char *)data, size), canonical;
	struct label_selector s, again;
	struct field_selector f;
	struct arena a = {0};
	struct str_map none = {0};

	if (label_selector_parse(text, &a, &s, NULL) == 0) {
		canonical = label_selector_text(&s, &a);
		assert(label_selector_parse(canonical, &a, &again, NULL) == 0);
		assert(str_eq(label_selector_text(&again, &a), canonical));
		assert(label_selector_matches(&s, &none) == label_selector_matches(&again, &none));
	}
	if (field_selector_parse(text, &a, &f, NULL) == 0)
		for (size_t i = 0; i < f.n; i++)
			assert(f.v[i].value.p);
	arena_release(&a);
	return 0;
}
