#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/object.h"
#include "api/selector.h"
#include "types.gen.h"

static struct str_pair pairs[] = {
	{{"app", 3}, {"web", 3}}, {{"n", 1}, {"5", 1}}, {{"tier", 4}, {"", 0}}};
static const struct str_map labels = {pairs, ARRAY_SIZE(pairs)};

static void test_match(void **state)
{
	static const struct {
		const char *text, *canonical;
		bool matches;
	} cases[] = {
		{"", "", true},
		{"app=web", "app=web", true},
		{"app==web", "app=web", true},
		{"app=api", "app=api", false},
		{"app!=api", "app!=api", true},
		{"none!=x", "none!=x", true},
		{"app in (web, api)", "app in (api,web)", true},
		{"app notin (web)", "app notin (web)", false},
		{"none notin (web)", "none notin (web)", true},
		{"app", "app", true},
		{"!app", "!app", false},
		{" ! none ", "!none", true},
		{"n>4", "n>4", true},
		{"n<5", "n<5", false},
		{"tier=", "tier=", true},
		{"tier in ()", "tier in ()", true},
		{"tier in (,x)", "tier in (,x)", true},
		{"tier,app=web,!z", "app=web,tier,!z", true},
		{"in in (in)", "in in (in)", false},
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct label_selector s;
		struct err err = {0};

		if (label_selector_parse(str_c(cases[i].text), &a, &s, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err_text(&err));
		assert_string_equal(label_selector_text(&s, &a).p, cases[i].canonical);
		assert_int_equal(label_selector_matches(&s, &labels), cases[i].matches);
	}
	arena_release(&a);
}

static void test_label_errors(void **state)
{
	static const char *const cases[][2] = {
		{",", "found ',', expected: !, identifier, or 'end of string'"},
		{"==", "found '==', expected: !, identifier, or 'end of string'"},
		{"!", "unable to parse requirement: found '', expected: identifier"},
		{"!!l", "unable to parse requirement: found '!', expected: identifier"},
		{"l in", "unable to parse requirement: found '' expected: '('"},
		{"l!=x,!=y", "found '!=', expected: identifier after ','"},
		{"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, "
			"gt, lt"},
		{"a=b c", "found 'c', expected: ',' or 'end of string'"},
		{"n>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', "
			"'Lt' operators, "
			"the value must be an integer"},
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct label_selector s;
		struct err err = {0};

		assert_true(label_selector_parse(str_c(cases[i][0]), &a, &s, &err) < 0);
		assert_string_equal(err_text(&err), cases[i][1]);
		err_release(&err);
	}
	arena_release(&a);
}

static void test_struct(void **state)
{
	struct meta_v1_label_selector none = {0}, from = {0};
	struct meta_v1_label_selector_requirement e = {.key = S("app"), .operator= S("In")};
	struct label_selector s;
	struct err err = {0};
	struct arena a;
	struct str v = S("web");

	arena_init(&a);
	assert_int_equal(label_selector_from(NULL, &a, &s, NULL), 0);
	assert_false(label_selector_matches(&s, &labels));
	assert_int_equal(label_selector_from(&none, &a, &s, NULL), 0);
	assert_true(label_selector_is_empty(&s) && label_selector_matches(&s, &labels));
	ARENA_PUSH(&a, &e.values, v);
	ARENA_PUSH(&a, &from.match_expressions, e);
	ARENA_PUSH(&a, &from.match_labels, pairs[1]);
	assert_int_equal(label_selector_from(&from, &a, &s, NULL), 0);
	assert_string_equal(label_selector_text(&s, &a).p, "app in (web),n=5");
	assert_true(label_selector_matches(&s, &labels));
	from.match_expressions.v[0].operator= S("Gt");
	assert_true(label_selector_from(&from, &a, &s, &err) < 0);
	assert_string_equal(err_text(&err), "\"Gt\" is not a valid label selector operator");
	err_release(&err);
	arena_release(&a);
}

static void test_fields(void **state)
{
	static const char *const bad[][2] = {
		{"metadata.name=a\\x", "invalid field selector: invalid escape sequence: \\x"},
		{"metadata.name=a=b", "invalid field selector: unescaped character in value: 61"},
		{"!metadata.name",
			"invalid selector: '!metadata.name'; can't understand '!metadata.name'"},
	};
	struct field_selector s;
	struct v1_pod *pod;
	struct object *o;
	struct err err = {0};
	struct arena a;

	arena_init(&a);
	pod = ARENA_NEW(&a, struct v1_pod);
	pod->metadata.name = S("a,b");
	pod->spec.node_name = S("n1");
	assert_int_equal(object_draft(&v1_pod_resource, pod, &o, NULL), 0);
	assert_int_equal(
		field_selector_parse(S("metadata.name=a\\,b,spec.nodeName!=n2"), &a, &s, NULL), 0);
	assert_int_equal(field_selector_check(&s, &v1_pod_resource, NULL), 0);
	assert_true(field_selector_matches(&s, o));
	assert_true(str_eqc(field_selector_exact(&s, "metadata.name"), "a,b"));
	assert_int_equal(field_selector_parse(S("spec.host==n2"), &a, &s, NULL), 0);
	assert_false(field_selector_matches(&s, o));
	object_unref(o);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(field_selector_parse(str_c(bad[i][0]), &a, &s, &err) < 0);
		assert_string_equal(err_text(&err), bad[i][1]);
	}
	assert_int_equal(field_selector_parse(S("spec.x=a"), &a, &s, NULL), 0);
	assert_true(field_selector_check(&s, &v1_pod_resource, &err) < 0);
	assert_string_equal(err_text(&err), "field label not supported: spec.x");
	assert_true(field_selector_check(&s, &v1_config_map_resource, &err) < 0);
	assert_string_equal(err_text(&err), "\"spec.x\" is not a known field selector: only "
					    "\"metadata.name\", \"metadata.namespace\"");
	err_release(&err);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_match),
		cmocka_unit_test(test_label_errors), cmocka_unit_test(test_struct),
		cmocka_unit_test(test_fields)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
