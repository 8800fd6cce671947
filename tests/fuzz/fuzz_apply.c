/* Any configuration applied to a pod that others manage: an error, or an object that is of its
 * type, to which applying the same again changes nothing. */
#include "apiserver/fieldmanager/field_manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fvalue parse(const char *text, struct arena *a)
{
	struct json_value *v;

	assert(json_parse(str_c(text), a, &v, NULL) == 0);
	return fvalue_from_json(v, a);
}

static void apply(struct field_manager *fm, const struct fvalue *config)
{
	static const char object[] =
		"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"labels\":{"
		"\"l\":\"1\"},\"finalizers\":[\"f\",\"g\"]},\"spec\":{\"containers\":[{\"name\":"
		"\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}]},{"
		"\"name\":\"d\"}],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}}";
	struct fvalue live = parse(object, fm->arena), none = parse("{}", fm->arena), first;
	struct fplace place = fplace_of(fm->type);
	struct field_manager_apply by = {.manager = S("m"), .force = true};
	struct managed m = {0};
	struct str why;

	assert(field_manager_update(fm, &none, &live, S("creator"), &m) == 0);
	if (typed_validate(config, place, false, fm->arena, &why) < 0 ||
		field_manager_apply(fm, &live, config, &by, &m, NULL) < 0)
		return;
	assert(typed_validate(&by.result, place, true, fm->arena, &why) == 0);
	first = by.result;
	assert(field_manager_apply(fm, &first, config, &by, &m, NULL) == 0);
	assert(by.unchanged && fvalue_equal(&first, &by.result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct field_manager fm = {
		.arena = &a, .type = &v1_pod_schema, .api_version = S("v1"), .now = {.set = true}};
	struct json_value *v;
	struct fvalue config;

	if (json_parse(str_n((const char *)data, size), &a, &v, NULL) == 0) {
		config = fvalue_from_json(v, &a);
		apply(&fm, &config);
	}
	arena_release(&a);
	return 0;
}
