/* The documents are valid JSON, every reference has a definition, and what kubectl looks for is
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "json/value.h"
#include "schema/openapi.h"

static void check_refs(
	const struct json_value *v, const struct json_value *types, const char *prefix)
{
	for (size_t i = 0; i < v->items.n; i++)
		check_refs(v->items.v[i], types, prefix);
	for (size_t i = 0; i < v->members.n; i++) {
		const struct json_member *m = &v->members.v[i];

		if (str_eqc(m->key, "$ref") && m->value->kind == JSON_STRING) {
			struct str name = m->value->text;

			assert_true(str_starts(name, str_c(prefix)));
			if (!json_get(types, str_sub(name, strlen(prefix), name.n)))
				fail_msg("no definition for " STR_FMT, STR_ARG(name));
		} else {
			check_refs(m->value, types, prefix);
		}
	}
}

static struct json_value *parse(struct buf *b, struct arena *a)
{
	struct json_value *v = NULL;
	struct err err = {0};

	assert_false(buf_failed(b));
	if (json_parse(buf_str(b), a, &v, &err) < 0)
		fail_msg("%s", err_text(&err));
	return v;
}

static void test_v2(void **state)
{
	struct json_value *doc, *types, *containers;
	struct arena a;
	struct buf b;

	arena_init(&a);
	buf_init(&b, 64 << 20);
	openapi_v2_write("v1.36.2", &b);
	doc = parse(&b, &a);
	types = json_getc(doc, "definitions");
	check_refs(doc, types, "#/definitions/");
	assert_true(types->members.n > 400);
	containers =
		json_getc(json_getc(json_getc(types, "io.k8s.api.core.v1.PodSpec"), "properties"),
			"containers");
	assert_true(str_eqc(json_get_str(containers, "x-kubernetes-patch-merge-key"), "name"));
	assert_true(str_eqc(json_get_str(containers, "x-kubernetes-list-type"), "map"));
	print_message("v2: %zu bytes, %zu paths\n", b.n, json_getc(doc, "paths")->members.n);
	buf_release(&b);
	arena_release(&a);
}

static void test_v3(void **state)
{
	struct json_value *doc, *patch, *params;
	bool found = false;
	struct arena a;
	struct buf b;

	arena_init(&a);
	buf_init(&b, 64 << 20);
	assert_true(openapi_v3_write(S("apps"), S("v1"), "v1.36.2", &b));
	doc = parse(&b, &a);
	check_refs(
		doc, json_getc(json_getc(doc, "components"), "schemas"), "#/components/schemas/");
	patch = json_getc(json_getc(json_getc(doc, "paths"),
				  "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
		"patch");
	assert_true(
		str_eqc(json_get_str(json_getc(patch, "x-kubernetes-group-version-kind"), "kind"),
			"Deployment"));
	assert_true(str_eqc(json_get_str(patch, "operationId"), "patchAppsV1NamespacedDeployment"));
	params = json_getc(patch, "parameters");
	for (size_t i = 0; i < params->items.n; i++)
		found |= str_eqc(json_get_str(params->items.v[i], "name"), "fieldValidation");
	assert_true(found);
	buf_reset(&b);
	assert_false(openapi_v3_write(S("apps"), S("v9"), "v1.36.2", &b));
	buf_reset(&b);
	openapi_v3_write_index("v1.36.2", &b);
	doc = json_getc(parse(&b, &a), "paths");
	assert_non_null(json_getc(doc, "api/v1"));
	assert_true(str_starts(json_get_str(json_getc(doc, "apis/apps/v1"), "serverRelativeURL"),
		S("/openapi/v3/apis/apps/v1?hash=")));
	buf_release(&b);
	arena_release(&a);
}

static void test_v2_proto(void **state)
{
	static const char want[] = "\x0a\x03"
				   "2.0"
				   "\x4a\x12\x0a\x10\x0a\x01"
				   "A"
				   "\x12\x0b\xb2\x01\x08\x0a\x06"
				   "object";
	struct err err CLEANUP(err_release) = {0};
	struct buf b CLEANUP(buf_release) = {0}, json CLEANUP(buf_release) = {0};

	buf_init(&b, 1 << 26);
	buf_init(&json, 1 << 26);
	assert_int_equal(openapi_v2_to_proto(S("{\"swagger\":\"2.0\",\"definitions\":"
					       "{\"A\":{\"type\":\"object\"}}}"),
				 &b, NULL),
		0);
	assert_int_equal(b.n, sizeof(want) - 1);
	assert_memory_equal(b.p, want, b.n);
	openapi_v2_write("v1.36.2", &json);
	buf_reset(&b);
	assert_int_equal(openapi_v2_to_proto(buf_str(&json), &b, NULL), 0);
	assert_true(b.n > 200000 && b.n < json.n);
	assert_true(openapi_v2_to_proto(S("{"), &b, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_v2), cmocka_unit_test(test_v3),
		cmocka_unit_test(test_v2_proto)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
