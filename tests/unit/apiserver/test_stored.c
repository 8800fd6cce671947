/* Reading what other API servers stored: older versions, and what they leave to their defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "apiserver/stored.h"
#include "types.gen.h"

static struct object *parse(const struct schema_resource *res, const char *ns, const char *value)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o;

	if (etcd_value_parse(res, str_c(ns), S("x"), str_c(value), &stored_reader, 7, &o, &err) < 0)
		fail_msg("%s", err_text(&err));
	return o;
}

static void assert_has(const struct object *o, const char *text)
{
	if (str_find(o->json, str_c(text)) < 0)
		fail_msg("no %s in " STR_FMT, text, STR_ARG(o->json));
}

static void test_defaults(void **state)
{
	struct object *o = parse(&v1_persistent_volume_claim_resource, "default",
		"{\"kind\":\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"metadata\":{"
		"\"name\":\"x\",\"namespace\":\"default\"},\"spec\":{}}");

	assert_has(o, "\"volumeMode\":\"Filesystem\"");
	assert_has(o, "\"phase\":\"Pending\"");
	object_unref(o);
}

static void test_same_form(void **state)
{
	struct object *o = parse(&admissionregistration_v1_mutating_admission_policy_resource, "",
		"{\"kind\":\"MutatingAdmissionPolicy\",\"apiVersion\":"
		"\"admissionregistration.k8s.io/v1beta1\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
		"\"reinvocationPolicy\":\"Never\"}}");

	assert_has(o, "\"apiVersion\":\"admissionregistration.k8s.io/v1\"");
	assert_has(o, "\"reinvocationPolicy\":\"Never\"");
	object_unref(o);
}

static void test_crd(void **state)
{
	struct object *o = parse(&apiextensions_v1_custom_resource_definition_resource, "",
		"{\"kind\":\"CustomResourceDefinition\",\"apiVersion\":"
		"\"apiextensions.k8s.io/v1beta1\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
		"\"group\":\"g\",\"version\":\"v1\",\"names\":{\"plural\":\"p\",\"kind\":\"P\"},"
		"\"scope\":\"Namespaced\",\"validation\":{\"openAPIV3Schema\":{\"type\":\"object\"}"
		"},\"subresources\":{\"status\":{}},\"preserveUnknownFields\":false,"
		"\"additionalPrinterColumns\":[{\"name\":\"n\",\"type\":\"string\",\"JSONPath\":"
		"\".a\"}],\"conversion\":{\"strategy\":\"Webhook\",\"webhookClientConfig\":{"
		"\"url\":\"https://a\"},\"conversionReviewVersions\":[\"v1\"]}}}");

	assert_has(o, "\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{"
		      "\"openAPIV3Schema\":{\"type\":\"object\"}},\"subresources\":{\"status\":{}},"
		      "\"additionalPrinterColumns\":[{\"name\":\"n\",\"type\":\"string\","
		      "\"jsonPath\":\".a\"}]}]");
	assert_has(o, "\"conversion\":{\"strategy\":\"Webhook\",\"webhook\":{\"clientConfig\":{"
		      "\"url\":\"https://a\"},\"conversionReviewVersions\":[\"v1\"]}}");
	assert_true(str_find(o->json, S("preserveUnknownFields")) < 0);
	object_unref(o);
}

static void test_unknown_version(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o;

	assert_true(etcd_value_parse(&v1_config_map_resource, S("a"), S("x"),
			    S("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v2\"}"), &stored_reader, 7,
			    &o, &err) < 0);
	assert_string_equal(err_text(&err), "no kind \"ConfigMap\" of \"v2\" is known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_same_form),
		cmocka_unit_test(test_crd),
		cmocka_unit_test(test_unknown_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
