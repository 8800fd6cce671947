#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>

#include "api/patch.h"
#include "types.gen.h"

struct patch_case {
	const char *doc, *patch, *want;
	int code; /* 0: want is the result, else the message of an error */
};

static void check(enum patch_type how, const struct schema_type *type,
	const struct patch_case *cases, size_t n)
{
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		struct str out = {0};
		int r = patch_apply(
			how, type, str_c(cases[i].doc), str_c(cases[i].patch), &a, &out, &err);

		if (err.code != cases[i].code)
			fail_msg("%s: code %d, %s", cases[i].patch, err.code, err_text(&err));
		assert_int_equal(r < 0, cases[i].code != 0);
		assert_string_equal(r < 0 ? err_text(&err) : out.p, cases[i].want);
		err_release(&err);
	}
	arena_release(&a);
}

#define REJECTED "the server rejected our request due to an error in our request"

static void test_json(void **state)
{
	static const struct patch_case cases[] = {
		{"{\"b\":{\"y\":1,\"x\":2},\"a\":[1,2]}", "[]",
			"{\"a\":[1,2],\"b\":{\"y\":1,\"x\":2}}", 0},
		{"{\"a\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":9}]",
			"{\"a\":[1,9,2]}", 0},
		{"{\"a\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":9}]",
			"{\"a\":[1,2,9]}", 0},
		{"{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/-1\"}]", "{\"a\":[1]}", 0},
		{"{\"a\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/a/4\",\"value\":9}]", REJECTED,
			422},
		{"{\"a\":{\"b/c\":1}}",
			"[{\"op\":\"replace\",\"path\":\"/a/b~1c\",\"value\":null}]",
			"{\"a\":{\"b/c\":null}}", 0},
		{"{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":1}",
			0},
		{"{\"a\":{\"x\":1}}",
			"[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},"
			"{\"op\":\"replace\",\"path\":\"/b/x\",\"value\":2}]",
			"{\"a\":{\"x\":1},\"b\":{\"x\":2}}", 0},
		{"{\"a\":1}",
			"[{\"op\":\"test\",\"path\":\"/"
			"a\",\"value\":1},{\"op\":\"remove\",\"path\":\"/a\"}]",
			"{}", 0},
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/z\",\"value\":1}]", REJECTED, 422},
		{"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/z\"}]", REJECTED, 422},
		{"{\"a\":1}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", REJECTED, 422},
		{"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":{}}]", REJECTED, 422},
		{"{\"a\":1}", "[5]",
			"error decoding patch: json: cannot unmarshal number into Go value of type "
			"handlers.jsonPatchOp",
			400},
		{"{\"a\":1}", "[{\"path\":5}]",
			"error decoding patch: json: cannot unmarshal number into Go struct field "
			"jsonPatchOp.path of type "
			"string",
			400},
		{"{\"a\":1}", "[{", "error decoding patch: unexpected end of JSON input", 400},
	};

	check(PATCH_JSON, NULL, cases, ARRAY_SIZE(cases));
}

static void test_merge(void **state)
{
	static const struct patch_case cases[] = {
		{"{\"b\":{\"y\":1,\"x\":2},\"a\":1}",
			"{\"a\":null,\"c\":{\"z\":null,\"q\":[null]}}",
			"{\"b\":{\"y\":1,\"x\":2},\"c\":{\"q\":[null]}}", 0},
		{"{\"b\":{\"y\":1,\"x\":2}}", "{\"b\":{\"x\":3}}", "{\"b\":{\"x\":3,\"y\":1}}", 0},
		{"{\"b\":1}", "{\"b\":{\"x\":3}}", "{\"b\":{\"x\":3}}", 0},
		{"{\"b\":1}", "[]",
			"error decoding patch: json: cannot unmarshal array into Go value of type "
			"map[string]interface {}",
			400},
		{"{\"b\":1}", "null", "Invalid JSON Patch", 400},
	};

	check(PATCH_MERGE, NULL, cases, ARRAY_SIZE(cases));
}

#define CONTAINERS(x) "{\"spec\":{\"containers\":[" x "]}}"

static void test_strategic(void **state)
{
	static const char doc[] =
		CONTAINERS("{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"d\",\"image\":\"j\"}");
	static const struct patch_case cases[] = {
		{doc, CONTAINERS("{\"name\":\"d\",\"image\":\"new\"}"),
			CONTAINERS("{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"d\",\"image\":"
				   "\"new\"}"),
			0},
		{doc, CONTAINERS("{\"name\":\"e\",\"image\":\"k\"}"),
			CONTAINERS("{\"name\":\"e\",\"image\":\"k\"},{\"name\":\"c\",\"image\":"
				   "\"i\"},{\"name\":\"d\",\"image\":\"j\"}"),
			0},
		{doc, CONTAINERS("{\"name\":\"c\",\"$patch\":\"delete\"}"),
			CONTAINERS("{\"name\":\"d\",\"image\":\"j\"}"), 0},
		{doc, CONTAINERS("{\"$patch\":\"replace\"},{\"name\":\"x\"}"),
			CONTAINERS("{\"name\":\"x\"}"), 0},
		{doc,
			"{\"spec\":{\"$setElementOrder/"
			"containers\":[{\"name\":\"d\"},{\"name\":\"c\"}],\"containers\":[{"
			"\"name\":"
			"\"c\",\"image\":\"n\"}]}}",
			CONTAINERS("{\"name\":\"d\",\"image\":\"j\"},{\"name\":\"c\",\"image\":"
				   "\"n\"}"),
			0},
		{doc, CONTAINERS("{\"image\":\"x\"}"),
			"map: map[image:x] does not contain declared merge key: name", 500},
		{doc, CONTAINERS("{\"name\":\"c\",\"$patch\":\"bogus\"}"),
			"unknown patch type: bogus in map: map[$patch:bogus name:c]", 500},
		{doc, CONTAINERS("{\"$patch\":\"merge\"}"),
			"merging lists cannot yet be specified in the patch", 500},
		{doc,
			"{\"spec\":{\"$setElementOrder/"
			"containers\":[{\"name\":\"c\"},{\"name\":\"d\"}],\"containers\":[{"
			"\"name\":"
			"\"e\",\"image\":\"k\"}]}}",
			"The order in patch list:\n[map[image:k name:e]]\n doesn't match "
			"$setElementOrder list:\n[map[name:c] "
			"map[name:d]]\n",
			500},
		{"{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
			"{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"]}}",
			"{\"metadata\":{\"finalizers\":[\"b\"]}}", 0},
		{"{\"metadata\":{\"finalizers\":[\"a\"]}}",
			"{\"metadata\":{\"finalizers\":[\"b\"]}}",
			"{\"metadata\":{\"finalizers\":[\"b\",\"a\"]}}", 0},
		{"{\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
			"{\"metadata\":{\"labels\":{\"a\":null,\"b\":\"2\"}}}",
			"{\"metadata\":{\"labels\":{\"b\":\"2\"}}}", 0},
		{"{\"spec\":{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}}",
			"{\"spec\":{\"volumes\":[{\"$retainKeys\":[\"name\",\"configMap\"],"
			"\"name\":\"v\",\"configMap\":{\"name\":\"x\"}}]}}",
			"{\"spec\":{\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"x\"}}]}"
			"}",
			0},
		{"{\"spec\":{\"volumes\":[{\"name\":\"v\"}]}}",
			"{\"spec\":{\"volumes\":[{\"$retainKeys\":\"x\",\"name\":\"v\"}]}}",
			"invalid patch format of retainKeys", 400},
		{"{\"metadata\":{}}", "{\"metadata\":{\"$setElementOrder/finalizers\":\"x\"}}",
			"expected a []interface {}, but received a string", 500},
		{"{\"spec\":{\"a\":1}}", "{\"spec\":{\"$patch\":\"replace\",\"b\":2}}",
			"{\"spec\":{\"b\":2}}", 0},
		{"{\"spec\":{\"a\":1}}", "{\"spec\":{\"$patch\":\"nonsense\"}}",
			"unknown patch type: nonsense in map: map[$patch:nonsense]", 500},
		{"{}", "x", "invalid character 'x' looking for beginning of value", 400},
	};

	check(PATCH_STRATEGIC, &v1_pod_schema, cases, ARRAY_SIZE(cases));
}

/* What webhooks and policies are told. */
static void test_why(void **state)
{
	static const struct {
		const char *original, *patch, *why;
	} cases[] = {
		{"{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]",
			"error in remove for path: '/a': Unable to remove nonexistent key: a: "
			"missing value"},
		{"{}", "[{\"op\":\"remove\",\"path\":\"/a/b\"}]",
			"remove operation does not apply: doc is missing path: \"/a/b\": missing "
			"value"},
		{"{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
			"add operation does not apply: doc is missing path: \"/a/b\": missing "
			"value"},
		{"{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":1}]",
			"error in add for path: '/a/1': Unable to access invalid index: 1: invalid "
			"index referenced"},
		{"{\"a\":[]}", "[{\"op\":\"add\",\"path\":\"/a/x\",\"value\":1}]",
			"error in add for path: '/a/x': value was not a proper array index: 'x': "
			"strconv.Atoi: parsing \"x\": invalid syntax"},
		{"{}", "[{\"op\":\"replace\",\"path\":\"/a/b\",\"value\":1}]",
			"replace operation does not apply: doc is missing path: /a/b: missing "
			"value"},
		{"{}", "[{\"op\":\"move\",\"from\":\"/x/a\",\"path\":\"/b\"}]",
			"move operation does not apply: doc is missing from path: /x/a: missing "
			"value"},
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
			"testing value /a failed: test failed"},
		{"{}", "[{\"op\":\"jump\",\"path\":\"/a\"}]", "Unexpected kind: jump"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err CLEANUP(err_release) = {0};
		struct arena a = {0};
		struct str json;
		int r = patch_apply_json(
			str_c(cases[i].original), str_c(cases[i].patch), &a, &json, &err);

		assert_int_equal(r, strstr(cases[i].why, "test failed") ? -ECANCELED : -EINVAL);
		assert_string_equal(err_text(&err), cases[i].why);
		arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_json), cmocka_unit_test(test_why),
		cmocka_unit_test(test_merge), cmocka_unit_test(test_strategic)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
