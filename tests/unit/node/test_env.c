/* test_env.c: environments, expansion, the downward API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "node/env.h"

struct fixture {
	struct arena a;
	struct v1_pod pod;
	struct v1_container c;
	struct v1_service_vec services;
	struct cri_key_values env;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct str_pair label = {S("app"), S("we\"b")};

	arena_init(&f->a);
	f->pod.metadata.name = S("p");
	f->pod.metadata.namespace = S("ns");
	ARENA_PUSH(&f->a, &f->pod.metadata.labels, label);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	err_release(&f->err);
	arena_release(&f->a);
	free(f);
	return 0;
}

static void var(struct fixture *f, const char *name, const char *value)
{
	struct v1_env_var e = {.name = str_c(name), .value = str_c(value)};

	ARENA_PUSH(&f->a, &f->c.env, e);
}

static int make(struct fixture *f, struct env_refs refs)
{
	struct env_input in = {.container = &f->c, .refs = refs, .services = &f->services};

	in.facts.pod = &f->pod;
	return env_make(&in, &f->a, &f->env, &f->err);
}

static const char *value(struct fixture *f, const char *name)
{
	for (size_t i = 0; i < f->env.n; i++)
		if (str_eqc(f->env.v[i].key, name))
			return arena_cstr(&f->a, f->env.v[i].value);
	return NULL;
}

static void variables_refer_to_earlier_ones(void **state)
{
	struct fixture *f = *state;

	var(f, "A", "1");
	var(f, "B", "$(A)-$(NONE)-$$(A)-$x$");
	var(f, "C", "$(D)");
	var(f, "D", "late");
	assert_int_equal(make(f, (struct env_refs){0}), 0);
	assert_string_equal(value(f, "B"), "1-$(NONE)-$(A)-$x$");
	assert_string_equal(value(f, "C"), "$(D)");
}

static void strict_expansion_names_what_is_missing(void **state)
{
	struct fixture *f = *state;
	struct str out;

	assert_int_equal(make(f, (struct env_refs){0}), 0);
	assert_true(env_expand(S("x/$(GONE)"), &f->env, true, &f->a, &out, &f->err) < 0);
	assert_string_equal(err_text(&f->err), "missing value for \"GONE\"");
	assert_int_equal(env_expand(S("x/$(GONE)"), &f->env, false, &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("x/$(GONE)")));
}

static void a_missing_required_key_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct v1_config_map_key_selector key = {.name = S("cm"), .key = S("k")};
	struct v1_env_var_source src = {.config_map_key_ref = &key};
	struct v1_env_var e = {.name = S("X"), .value_from = &src};
	struct str_pair other = {S("other"), S("1")};
	struct str_map data = {&other, 1};
	bool optional = true;
	struct env_refs refs;

	ARENA_PUSH(&f->a, &f->c.env, e);
	refs = env_references(&f->c, &f->a);
	assert_int_equal(refs.n, 1);
	assert_true(make(f, refs) < 0);
	assert_string_equal(err_text(&f->err), "configmap \"cm\" not found");
	refs.v[0].data = &data;
	assert_true(make(f, refs) < 0);
	assert_string_equal(err_text(&f->err), "couldn't find key k in ConfigMap ns/cm");
	key.optional = &optional;
	assert_int_equal(make(f, refs), 0);
	assert_null(value(f, "X"));
}

static void services_are_told_unless_links_are_off(void **state)
{
	struct fixture *f = *state;
	struct v1_service s = {0};
	struct v1_service_port p = {.name = S("web-x"), .port = 80, .protocol = S("TCP")};
	bool links = false;

	s.metadata.name = S("my-svc");
	s.metadata.namespace = S("ns");
	s.spec.cluster_ip = S("10.0.0.9");
	ARENA_PUSH(&f->a, &s.spec.ports, p);
	ARENA_PUSH(&f->a, &f->services, s);
	var(f, "URL", "http://$(MY_SVC_SERVICE_HOST)");
	assert_int_equal(make(f, (struct env_refs){0}), 0);
	assert_string_equal(value(f, "MY_SVC_SERVICE_HOST"), "10.0.0.9");
	assert_string_equal(value(f, "MY_SVC_SERVICE_PORT_WEB_X"), "80");
	assert_string_equal(value(f, "MY_SVC_PORT_80_TCP"), "tcp://10.0.0.9:80");
	assert_string_equal(value(f, "MY_SVC_PORT_80_TCP_PROTO"), "tcp");
	assert_string_equal(value(f, "URL"), "http://10.0.0.9");
	f->pod.spec.enable_service_links = &links;
	assert_int_equal(make(f, (struct env_refs){0}), 0);
	assert_null(value(f, "MY_SVC_SERVICE_HOST"));
}

static void the_downward_api_knows_fields_and_resources(void **state)
{
	struct fixture *f = *state;
	struct pod_facts facts = {.pod = &f->pod};
	struct str_pair cpu = {S("cpu"), S("1250m")}, all = {S("memory"), S("1Gi")};
	struct str_map allocatable = {&all, 1};
	struct v1_resource_field_selector sel = {.resource = S("limits.cpu")};
	struct str out;

	assert_int_equal(downward_field(&facts, S("metadata.labels['app']"), &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("we\"b")));
	assert_int_equal(downward_field(&facts, S("metadata.labels"), &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("app=\"we\\\"b\"")));
	assert_true(downward_field(&facts, S("spec.nothing"), &f->a, &out, &f->err) < 0);
	facts.allocatable = &allocatable;
	f->c.resources.limits = (struct str_map){&cpu, 1};
	assert_int_equal(downward_resource(&facts, &f->c, &sel, &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("2")));
	sel.divisor = S("1m");
	assert_int_equal(downward_resource(&facts, &f->c, &sel, &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("1250")));
	sel = (struct v1_resource_field_selector){
		.resource = S("limits.memory"), .divisor = S("1Mi")};
	assert_int_equal(downward_resource(&facts, &f->c, &sel, &f->a, &out, NULL), 0);
	assert_true(str_eq(out, S("1024")));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(variables_refer_to_earlier_ones),
		T(strict_expansion_names_what_is_missing),
		T(a_missing_required_key_is_an_error),
		T(services_are_told_unless_links_are_off),
		T(the_downward_api_knows_fields_and_resources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
