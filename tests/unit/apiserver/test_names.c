/* The name checkers and the wording of field errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "apiserver/validation/names.h"

static struct arena a;

static int setup(void **state)
{
	arena_init(&a);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&a);
	return 0;
}

static size_t errors(struct str_vec (*check)(struct arena *, struct str), const char *value)
{
	return check(&a, str_c(value)).n;
}

static void test_dns(void **state)
{
	char long_[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	assert_int_equal(strlen(long_), DNS1123_LABEL_MAX + 1);
	assert_int_equal(errors(is_dns1123_label, "a-1"), 0);
	assert_int_equal(errors(is_dns1123_label, "a."), 1);
	assert_int_equal(errors(is_dns1123_label, ""), 1);
	assert_int_equal(errors(is_dns1123_label, long_), 1);
	assert_string_equal(is_dns1123_label(&a, S("a.b")).v[0].p, "must not contain dots");
	assert_int_equal(errors(is_dns1123_subdomain, "a.b-c.1"), 0);
	assert_int_equal(errors(is_dns1123_subdomain, "a..b"), 1);
	assert_int_equal(errors(is_dns1123_subdomain, "a.-b"), 1);
	assert_int_equal(errors(is_dns1035_label, "1a"), 1);
	assert_int_equal(errors(is_dns1035_label, "a1"), 0);
	assert_int_equal(name_is_dns_subdomain(&a, S("web-"), true).n, 0);
	assert_int_equal(name_is_dns_subdomain(&a, S("web-"), false).n, 1);
}

static void test_labels(void **state)
{
	assert_int_equal(errors(is_qualified_name, "example.com/Name"), 0);
	assert_int_equal(errors(is_qualified_name, "/Name"), 1);
	assert_int_equal(errors(is_qualified_name, "a/b/c"), 1);
	assert_int_equal(errors(is_qualified_name, ""), 2);
	assert_int_equal(errors(is_label_value, ""), 0);
	assert_int_equal(errors(is_label_value, "-"), 1);
	assert_int_equal(errors(is_config_map_key, ".."), 1);
	assert_int_equal(errors(is_port_name, "1-"), 2);
}

static void test_status(void **state)
{
	struct field_errors e = {.arena = &a};
	struct field_path spec = FIELD(NULL, "spec"), list = FIELD(&spec, "containers");
	struct field_path item = FIELD_INDEX(&list, 2), name = FIELD(&item, "name");
	struct err err CLEANUP(err_release) = {0};

	assert_int_equal(field_errors_status(&e, S(""), S("Pod"), S("x"), &err), 0);
	field_required(&e, &name, "");
	assert_int_equal(field_errors_status(&e, S(""), S("Pod"), S("x"), &err), -EINVAL);
	assert_string_equal(
		err_text(&err), "Pod \"x\" is invalid: spec.containers[2].name: Required value");
	field_required(&e, &name, "");
	field_invalid(&e, &spec, S("a\"\n\x01"), "no");
	field_errors_status(&e, S("apps"), S("Deployment"), S("x"), &err);
	assert_string_equal(err_text(&err),
		"Deployment.apps \"x\" is invalid: [spec.containers[2].name: Required value, spec: "
		"Invalid value: \"a\\\"\\n\\x01\": no]");
	assert_int_equal(err.causes.n, 3);
	assert_string_equal(err.causes.v[2].reason.p, "FieldValueInvalid");
	assert_string_equal(err.causes.v[2].field.p, "spec");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
