/* FieldsV1: what is read and written again reads as the same set, and the algebra of sets holds. */
#include "apiserver/fieldmanager/field_set.h"
#include "types.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str text_of(const struct field_set *s, struct arena *a)
{
	struct buf b;
	struct str text;

	buf_init(&b, 64 * 1024 * 1024);
	field_set_write(s, &b);
	assert(!buf_failed(&b));
	text = arena_str(a, buf_str(&b));
	buf_release(&b);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char other[] =
		"{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}},\"f:spec\":{"
		"\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},"
		"\"f:image\":{}}},\"f:finalizers\":{\"v:\\\"x\\\"\":{}}}}";
	struct field_set x, y, again, both, common, rest;
	struct arena a = {0};

	if (field_set_parse(str_n((const char *)data, size), &a, &x) == 0) {
		assert(field_set_parse(text_of(&x, &a), &a, &again) == 0);
		assert(str_eq(text_of(&x, &a), text_of(&again, &a)));
		assert(field_set_parse(str_c(other), &a, &y) == 0);
		both = field_set_union(&x, &y, &a);
		common = field_set_intersection(&x, &y, &a);
		rest = field_set_difference(&both, &y, &a);
		rest = field_set_union(&rest, &common, &a);
		assert(field_set_equal(&rest, &x));
		field_set_reconciled(&x, fplace_of(&v1_pod_schema), &a);
	}
	arena_release(&a);
	return 0;
}
