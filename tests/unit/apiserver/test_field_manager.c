/* test_field_manager.c: sets of fields, and what writes and applies make of an object and of its
 * managedFields, step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "apiserver/fieldmanager/field_manager.h"

/* --- sets --- */

static struct field_set set_of(const char *json, struct arena *a)
{
	struct field_set s;

	assert_int_equal(field_set_parse(str_c(json), a, &s), 0);
	return s;
}

static const char *text_of(const struct field_set *s, struct arena *a)
{
	struct buf b;
	const char *text;

	buf_init(&b, 1 << 20);
	field_set_write(s, &b);
	text = arena_cstr(a, buf_str(&b));
	buf_release(&b);
	return text;
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: the same; "": none */
	} cases[] = {
		{"{}", NULL},
		{"{\"f:a\":{}}", NULL},
		{"{\"f:b\":{},\"f:a\":{}}", "{\"f:a\":{},\"f:b\":{}}"},
		{"{\"f:a\":{\".\":{},\"f:b\":{}}}", NULL},
		{"{\"f:a\":{\"f:b\":{}}}", NULL},
		{"{\"f:a\":null}", "{\"f:a\":{}}"},
		{"{\"k:{\\\"b\\\":1,\\\"a\\\":\\\"x\\\"}\":{}}",
			"{\"k:{\\\"a\\\":\\\"x\\\",\\\"b\\\":1}\":{}}"},
		{"{\"k:{\\\"p\\\":443}\":{},\"k:{\\\"p\\\":80}\":{}}",
			"{\"k:{\\\"p\\\":80}\":{},\"k:{\\\"p\\\":443}\":{}}"},
		{"{\"v:\\\"b\\\"\":{},\"v:2\":{},\"f:z\":{},\"i:1\":{}}",
			"{\"f:z\":{},\"v:2\":{},\"v:\\\"b\\\"\":{},\"i:1\":{}}"},
		{"{\"x:later\":{\"f:a\":{}},\"f:a\":{}}", "{\"f:a\":{}}"},
		{"{\"f:a\":{},\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}"},
		{"", ""},
		{"[]", ""},
		{"{\"f:a\":1}", ""},
		{"{\"f\":{}}", ""},
		{"{\"fa\":{}}", ""},
		{"{\"k:[]\":{}}", ""},
		{"{\"i:x\":{}}", ""},
		{"{\"f:a\":{}} x", ""},
	};
	struct arena a = {0};
	struct field_set s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *out = cases[i].out ? cases[i].out : cases[i].in;

		if (!*out) {
			assert_true(field_set_parse(str_c(cases[i].in), &a, &s) < 0);
			continue;
		}
		s = set_of(cases[i].in, &a);
		assert_string_equal(text_of(&s, &a), out);
	}
	arena_release(&a);
}

static void test_algebra(void **state)
{
	static const struct {
		const char *x, *y, *both, *common, *only_x, *only_x_below;
	} cases[] = {
		{"{\"f:a\":{},\"f:b\":{}}", "{\"f:b\":{},\"f:c\":{}}",
			"{\"f:a\":{},\"f:b\":{},\"f:c\":{}}", "{\"f:b\":{}}", "{\"f:a\":{}}",
			"{\"f:a\":{}}"},
		{"{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}", "{}",
			"{\"f:a\":{\"f:b\":{}}}", "{}"},
		{"{\"f:a\":{\".\":{},\"f:b\":{},\"f:c\":{}}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}",
			"{\"f:a\":{\".\":{},\"f:b\":{},\"f:c\":{}}}",
			"{\"f:a\":{\".\":{},\"f:b\":{}}}", "{\"f:a\":{\"f:c\":{}}}", "{}"},
		{"{}", "{\"f:a\":{}}", "{\"f:a\":{}}", "{}", "{}", "{}"},
	};
	struct arena a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct field_set x = set_of(cases[i].x, &a), y = set_of(cases[i].y, &a), s;

		s = field_set_union(&x, &y, &a);
		assert_string_equal(text_of(&s, &a), cases[i].both);
		s = field_set_intersection(&x, &y, &a);
		assert_string_equal(text_of(&s, &a), cases[i].common);
		s = field_set_difference(&x, &y, &a);
		assert_string_equal(text_of(&s, &a), cases[i].only_x);
		s = field_set_difference_below(&x, &y, &a);
		assert_string_equal(text_of(&s, &a), cases[i].only_x_below);
	}
	arena_release(&a);
}

static void test_patterns(void **state)
{
	struct arena a = {0};
	struct field_set s = set_of("{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":"
				    "{\".\":{},\"f:image\":{},"
				    "\"f:resources\":{\"f:limits\":{}}}}},\"f:status\":{}}",
		&a);

	s = field_set_matching(&s, "spec.containers.*.resources", &a);
	assert_string_equal(text_of(&s, &a),
		"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},"
		"\"f:resources\":{\"f:limits\":{}}}}}}");
	/* what lies below an atomic place is that place */
	s = set_of(
		"{\"f:spec\":{\"f:selector\":{\"f:matchLabels\":{\"f:a\":{}}},\"f:replicas\":{}}}",
		&a);
	s = field_set_reconciled(&s, fplace_of(&apps_v1_deployment_schema), &a);
	assert_string_equal(text_of(&s, &a), "{\"f:spec\":{\"f:replicas\":{},\"f:selector\":{}}}");
	arena_release(&a);
}

/* --- steps on one object --- */

struct step {
	const char *who;     /* starting with '!': apply by force, with '+': apply; else update */
	const char *config;  /* what is applied, or the whole new object */
	const char *object;  /* what comes of it; NULL: as before */
	const char *managed; /* lines "manager operation fields"; or what the error says */
};

static struct fvalue value_of(const char *json, struct arena *a)
{
	struct json_value *v;

	assert_int_equal(json_parse(str_c(json), a, &v, NULL), 0);
	return fvalue_from_json(v, a);
}

static const char *json_of(const struct fvalue *v, struct arena *a)
{
	struct buf b;
	const char *text;

	buf_init(&b, 1 << 20);
	fvalue_write_json(v, &b);
	text = arena_cstr(a, buf_str(&b));
	buf_release(&b);
	return text;
}

static const char *entries_of(const struct managed *m, struct arena *a)
{
	struct meta_v1_managed_fields_entry_vec v;
	struct str s = S("");

	managed_encode(m, a, &v);
	for (size_t i = 0; i < v.n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT "%s " STR_FMT " " STR_FMT, STR_ARG(s),
			i ? "\n" : "", STR_ARG(v.v[i].manager), v.v[i].time.set ? "" : "?",
			STR_ARG(v.v[i].operation), STR_ARG(v.v[i].fields_v1));
	return arena_cstr(a, s);
}

static void take_step(
	struct field_manager *fm, const struct step *s, struct fvalue *object, struct managed *m)
{
	struct arena *a = fm->arena;
	struct fvalue config = value_of(s->config, a);
	struct err err CLEANUP(err_release) = {0};
	struct field_manager_apply apply = {.force = s->who[0] == '!'};
	struct str why;

	if (s->who[0] != '!' && s->who[0] != '+') {
		assert_int_equal(field_manager_update(fm, object, &config, str_c(s->who), m), 0);
		*object = config;
	} else if (typed_validate(&config, fplace_of(fm->type), false, a, &why) < 0) {
		assert_string_equal(arena_cstr(a, why), s->managed);
		return;
	} else {
		apply.manager = str_c(s->who + 1);
		if (field_manager_apply(fm, object, &config, &apply, m, &err) < 0) {
			assert_string_equal(err_text(&err), s->managed);
			return;
		}
		*object = apply.result;
	}
	if (s->object)
		assert_string_equal(json_of(object, a), s->object);
	assert_string_equal(entries_of(m, a), s->managed);
}

static void take_steps(const struct schema_type *type, const struct step *steps, size_t n)
{
	struct arena a = {0};
	struct field_manager fm = {
		.arena = &a, .type = type, .api_version = S("v1"), .now = {.set = true}};
	struct fvalue object = value_of("{}", &a);
	struct managed m = {0};

	for (size_t i = 0; i < n; i++) {
		fm.now.sec = (int64_t)i + 1;
		take_step(&fm, &steps[i], &object, &m);
	}
	arena_release(&a);
}
#define STEPS(type, steps) take_steps(&type, steps, ARRAY_SIZE(steps))

static void test_maps(void **state)
{
	static const struct step steps[] = {
		{"u", "{\"data\":{\"a\":\"1\",\"b\":\"1\"}}", NULL,
			"u Update {\"f:data\":{\".\":{},\"f:a\":{},\"f:b\":{}}}"},
		{"+m", "{\"data\":{\"a\":\"2\"}}", NULL,
			"Apply failed with 1 conflict: conflict with \"u\" using v1: .data.a"},
		/* the same value is shared; nothing changed: no time */
		{"+m", "{\"data\":{\"a\":\"1\"}}", "{\"data\":{\"a\":\"1\",\"b\":\"1\"}}",
			"m? Apply {\"f:data\":{\"f:a\":{}}}\n"
			"u Update {\"f:data\":{\".\":{},\"f:a\":{},\"f:b\":{}}}"},
		{"!m", "{\"data\":{\"a\":\"2\",\"c\":\"3\"}}",
			"{\"data\":{\"a\":\"2\",\"b\":\"1\",\"c\":\"3\"}}",
			"m Apply {\"f:data\":{\"f:a\":{},\"f:c\":{}}}\n"
			"u Update {\"f:data\":{\".\":{},\"f:b\":{}}}"},
		/* not applied any more: what is his alone goes */
		{"+m", "{\"data\":{\"a\":\"2\"}}", "{\"data\":{\"a\":\"2\",\"b\":\"1\"}}",
			"m Apply {\"f:data\":{\"f:a\":{}}}\n"
			"u Update {\"f:data\":{\".\":{},\"f:b\":{}}}"},
		{"+n", "{\"data\":{\"a\":\"2\"}}", NULL,
			"n? Apply {\"f:data\":{\"f:a\":{}}}\n"
			"m Apply {\"f:data\":{\"f:a\":{}}}\n"
			"u Update {\"f:data\":{\".\":{},\"f:b\":{}}}"},
		/* still owned by another */
		{"+m", "{}", "{\"data\":{\"a\":\"2\",\"b\":\"1\"}}",
			"n? Apply {\"f:data\":{\"f:a\":{}}}\n"
			"u Update {\"f:data\":{\".\":{},\"f:b\":{}}}"},
		{"u", "{\"data\":{\"b\":\"1\"}}", NULL,
			"u Update {\"f:data\":{\".\":{},\"f:b\":{}}}"},
		{"+m", "{\"foo\":1,\"data\":{\"x\":true}}", NULL,
			"errors:\n"
			"  .data.x: expected string, got &value.valueUnstructured{Value:true}\n"
			"  .foo: field not declared in schema"},
	};

	STEPS(v1_config_map_schema, steps);
}

#define C(name, rest) "{\"image\":\"i\",\"name\":\"" name "\"" rest "}"
#define SPEC(containers) "{\"spec\":{\"containers\":[" containers "]}}"
#define OWNS(list) "{\"f:spec\":{\"f:containers\":{" list "}}}"
#define KEY(name) "\"k:{\\\"name\\\":\\\"" name "\\\"}\":{\".\":{},\"f:image\":{},\"f:name\":{}}"

static void test_lists(void **state)
{
	static const struct step steps[] = {
		{"+m", SPEC(C("a", "") "," C("b", "") "," C("c", "")), NULL,
			"m Apply " OWNS(KEY("a") "," KEY("b") "," KEY("c"))},
		/* the order of what both have is the applied one's */
		{"+n", SPEC(C("c", "") "," C("x", "") "," C("a", "")),
			SPEC(C("b", "") "," C("c", "") "," C("x", "") "," C("a", "")),
			"m Apply " OWNS(KEY("a") "," KEY("b") "," KEY(
				"c")) "\n"
				      "n Apply " OWNS(KEY("a") "," KEY("c") "," KEY("x"))},
		{"+m", SPEC(C("a", "")), SPEC(C("c", "") "," C("x", "") "," C("a", "")),
			"n Apply " OWNS(KEY("a") "," KEY("c") "," KEY("x")) "\n"
									    "m Apply " OWNS(
										    KEY("a"))},
		{"+m", SPEC(C("a", "") "," C("a", "")), NULL,
			".spec.containers: duplicate entries for key [name=\"a\"]"},
		{"+m", "{\"spec\":{\"containers\":[5]}}", NULL,
			".spec.containers: element 0: associative list with keys may not have "
			"non-map elements"},
	};

	STEPS(v1_pod_schema, steps);
}

static void test_keys_with_defaults(void **state)
{
	static const struct step steps[] = {
		{"+m", "{\"spec\":{\"ports\":[{\"port\":80}]}}", NULL,
			"m Apply {\"f:spec\":{\"f:ports\":{\"k:{\\\"port\\\":80,\\\"protocol\\\":"
			"\\\"TCP\\\"}\":{\".\":{},\"f:port\":{}}}}}"},
		{"+m", "{\"spec\":{\"ports\":[{\"port\":80},{\"port\":80,\"protocol\":\"UDP\"}]}}",
			"{\"spec\":{\"ports\":[{\"port\":80},{\"port\":80,\"protocol\":\"UDP\"}]}}",
			"m Apply {\"f:spec\":{\"f:ports\":{\"k:{\\\"port\\\":80,\\\"protocol\\\":"
			"\\\"TCP\\\"}\":{\".\":{},\"f:port\":{}},\"k:{\\\"port\\\":80,"
			"\\\"protocol\\\":\\\"UDP\\\"}\":{\".\":{},\"f:port\":{},\"f:protocol\":{}}"
			"}}}"},
	};

	STEPS(v1_service_schema, steps);
}

static void test_sets(void **state)
{
	static const struct step steps[] = {
		{"+m", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}", NULL,
			"m Apply "
			"{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"a\\\"\":{},\"v:\\\"b\\\"\":{}}}"
			"}"},
		{"+n", "{\"metadata\":{\"finalizers\":[\"c\"]}}",
			"{\"metadata\":{\"finalizers\":[\"a\",\"b\",\"c\"]}}",
			"m Apply "
			"{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"a\\\"\":{},\"v:\\\"b\\\"\":{}}}"
			"}\n"
			"n Apply {\"f:metadata\":{\"f:finalizers\":{\"v:\\\"c\\\"\":{}}}}"},
		{"+m", "{\"metadata\":{\"finalizers\":[\"b\"]}}",
			"{\"metadata\":{\"finalizers\":[\"b\",\"c\"]}}",
			"n Apply {\"f:metadata\":{\"f:finalizers\":{\"v:\\\"c\\\"\":{}}}}\n"
			"m Apply {\"f:metadata\":{\"f:finalizers\":{\"v:\\\"b\\\"\":{}}}}"},
		/* owner references: the items are atomic */
		{"+o", "{\"metadata\":{\"ownerReferences\":[{\"uid\":\"u\",\"name\":\"x\"}]}}",
			NULL,
			"n Apply {\"f:metadata\":{\"f:finalizers\":{\"v:\\\"c\\\"\":{}}}}\n"
			"m Apply {\"f:metadata\":{\"f:finalizers\":{\"v:\\\"b\\\"\":{}}}}\n"
			"o Apply "
			"{\"f:metadata\":{\"f:ownerReferences\":{\"k:{\\\"uid\\\":\\\"u\\\"}\":{}}}"
			"}"},
	};

	STEPS(v1_config_map_schema, steps);
}

static void test_atomic(void **state)
{
	static const struct step steps[] = {
		{"+m", "{\"spec\":{\"nodeSelector\":{\"a\":\"1\",\"b\":\"1\"}}}", NULL,
			"m Apply {\"f:spec\":{\"f:nodeSelector\":{}}}"},
		{"+n", "{\"spec\":{\"nodeSelector\":{\"a\":\"1\"}}}", NULL,
			"Apply failed with 1 conflict: conflict with \"m\": .spec.nodeSelector"},
		{"!n", "{\"spec\":{\"nodeSelector\":{\"a\":\"1\"}}}",
			"{\"spec\":{\"nodeSelector\":{\"a\":\"1\"}}}",
			"n Apply {\"f:spec\":{\"f:nodeSelector\":{}}}"},
		{"+n", "{\"metadata\":{\"name\":\"a\"}}", "{\"metadata\":{\"name\":\"a\"}}", ""},
	};

	STEPS(v1_pod_schema, steps);
}

/* An object that nobody tracked: its fields had somebody before the first apply. */
static void test_before_first_apply(void **state)
{
	struct arena a = {0};
	struct field_manager fm = {.arena = &a,
		.type = &v1_config_map_schema,
		.api_version = S("v1"),
		.now = {.set = true, .sec = 1}};
	struct fvalue live = value_of("{\"data\":{\"a\":\"1\"},\"metadata\":{\"name\":\"x\"}}", &a);
	struct fvalue config = value_of("{\"data\":{\"a\":\"2\"}}", &a);
	struct field_manager_apply apply = {.manager = S("m")};
	struct err err CLEANUP(err_release) = {0};
	struct managed m = {0};

	assert_true(field_manager_apply(&fm, &live, &config, &apply, &m, &err) < 0);
	assert_int_equal(err.code, 409);
	assert_string_equal(err_text(&err), "Apply failed with 1 conflict: conflict with "
					    "\"before-first-apply\" using v1: .data.a");
	assert_int_equal(err.causes.n, 1);
	assert_true(str_eqc(err.causes.v[0].reason, "FieldManagerConflict"));
	assert_true(str_eqc(err.causes.v[0].field, ".data.a"));
	assert_int_equal(m.n, 0);
	apply.force = true;
	assert_int_equal(field_manager_apply(&fm, &live, &config, &apply, &m, NULL), 0);
	assert_string_equal(entries_of(&m, &a), "m Apply {\"f:data\":{\"f:a\":{}}}\n"
						"before-first-apply Update {\"f:data\":{}}");
	arena_release(&a);
}

/* kubectl takes over what it applied client-side before, and only that. */
static void test_last_applied(void **state)
{
	static const char object[] =
		"{\"apiVersion\":\"v1\",\"data\":{\"a\":\"1\",\"b\":\"%s\"},\"kind\":\"ConfigMap\","
		"\"metadata\":{\"annotations\":{\"" LAST_APPLIED
		"\":\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"a\\\":\\\"1\\\","
		"\\\"b\\\":\\\"1\\\"},\\\"kind\\\":\\\"ConfigMap\\\"}\"}}}";
	static const char *const b[] = {"1", "2"};

	for (size_t i = 0; i < 2; i++) {
		struct arena a = {0};
		struct field_manager fm = {.arena = &a,
			.type = &v1_config_map_schema,
			.api_version = S("v1"),
			.now = {.set = true, .sec = 1}};
		struct fvalue none = value_of("{}", &a), live, config;
		struct field_manager_apply apply = {.manager = S("kubectl")};
		struct err err CLEANUP(err_release) = {0};
		struct managed m = {0};
		int e;

		live = value_of(arena_cstr(&a, arena_fmt(&a, object, b[i])), &a);
		config = value_of("{\"data\":{\"a\":\"9\",\"b\":\"9\"}}", &a);
		assert_int_equal(
			field_manager_update(&fm, &none, &live, S("kubectl-client-side-apply"), &m),
			0);
		e = field_manager_apply(&fm, &live, &config, &apply, &m, &err);
		assert_true(i == 0 ? e == 0 : e < 0);
		if (i)
			assert_string_equal(err_text(&err),
				"Apply failed with 1 conflict: conflict with "
				"\"kubectl-client-side-apply\" using v1: .data.b");
		arena_release(&a);
	}
}

static void test_many_updaters(void **state)
{
	struct arena a = {0};
	struct field_manager fm = {
		.arena = &a, .type = &v1_config_map_schema, .api_version = S("v1")};
	struct fvalue object = value_of("{}", &a);
	struct managed m = {0};
	struct str data = S("");

	for (int i = 0; i < 12; i++) {
		struct fvalue next;

		data = arena_fmt(&a, STR_FMT "%s\"k%02d\":\"\"", STR_ARG(data), i ? "," : "", i);
		next = value_of(
			arena_cstr(&a, arena_fmt(&a, "{\"data\":{" STR_FMT "}}", STR_ARG(data))),
			&a);
		fm.now = (struct k8s_time){.set = true, .sec = i + 1};
		assert_int_equal(
			field_manager_update(&fm, &object, &next, arena_fmt(&a, "u%02d", i), &m),
			0);
		object = next;
	}
	assert_int_equal(m.n, 10);
	assert_non_null(strstr(entries_of(&m, &a),
		"ancient-changes Update "
		"{\"f:data\":{\".\":{},\"f:k00\":{},\"f:k01\":{},\"f:k02\":{}}}\n"
		"u03 Update {\"f:data\":{\"f:k03\":{}}}\n"));
	arena_release(&a);
}

/* Entries in the order and with the checks of upstream. */
static void test_entries(void **state)
{
	static const struct {
		struct meta_v1_managed_fields_entry e;
		const char *why;
	} bad[] = {
		{{.operation = {"X", 1}}, "operation must be `Apply` or `Update`"},
		{{.operation = {"Apply", 5}}, "apiVersion must not be empty"},
		{{.operation = {"Apply", 5}, .api_version = {"v1", 2}},
			"missing fieldsType in managed fields entry 0"},
		{{.operation = {"Apply", 5}, .api_version = {"v1", 2}, .fields_type = {"X", 1}},
			"invalid fieldsType \"X\" in managed fields entry 0"},
		{{.operation = {"Apply", 5},
			 .api_version = {"v1", 2},
			 .fields_type = {"FieldsV1", 8},
			 .fields_v1 = {"[]", 2}},
			"error decoding set"},
	};
	struct managed_entry scale = {
		.manager = S("h"), .api_version = S("apps/v1"), .subresource = S("scale")};
	struct arena a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct meta_v1_managed_fields_entry e = bad[i].e;
		const struct meta_v1_managed_fields_entry_vec v = {&e, 1};
		struct managed m;
		struct str why;

		assert_true(managed_decode(&v, false, &a, &m, &why) < 0);
		assert_string_equal(arena_cstr(&a, why), bad[i].why);
	}
	assert_string_equal(arena_cstr(&a, managed_title(&scale, &a)),
		"\"h\" with subresource \"scale\" using apps/v1");
	assert_string_equal(arena_cstr(&a, managed_identity(&scale, &a)),
		"{\"manager\":\"h\",\"operation\":\"Update\",\"apiVersion\":\"apps/v1\","
		"\"subresource\":\"scale\"}");
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_keys_with_defaults),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_atomic),
		cmocka_unit_test(test_before_first_apply),
		cmocka_unit_test(test_last_applied),
		cmocka_unit_test(test_many_updaters),
		cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
