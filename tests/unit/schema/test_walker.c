#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "types.gen.h"

static const char *decode_error(const struct schema_type *t, const char *json, char out[512])
{
	struct err err = {0};
	struct arena a;
	void *v;

	arena_init(&a);
	out[0] = 0;
	if (schema_decode_json(t, str_c(json), &a, NULL, &v, &err) < 0)
		snprintf(out, 512, "%s", err_text(&err));
	err_release(&err);
	arena_release(&a);
	return out;
}

static void test_errors(void **state)
{
	static const struct {
		const struct schema_type *type;
		const char *json, *want;
	} cases[] = {
		{&v1_pod_schema, "{'a'}",
			"invalid character '\\'' looking for beginning of object key string"},
		{&v1_pod_schema, "{\"a\":1,}",
			"invalid character '}' looking for beginning of object key string"},
		{&v1_pod_schema, "{}x", "invalid character 'x' after top-level value"},
		{&v1_pod_schema, "{\"a\":tru",
			"invalid character ' ' in literal true (expecting 'e')"},
		{&v1_pod_schema, "{\"spec\":", "unexpected end of JSON input"},
		{&v1_pod_schema, "[1]",
			"json: cannot unmarshal array into Go value of type v1.Pod"},
		{&v1_pod_schema, "{\"spec\":{\"containers\":\"x\"}}",
			"json: cannot unmarshal string into Go struct field "
			"PodSpec.spec.containers of type "
			"[]v1.Container"},
		{&v1_pod_schema, "{\"spec\":{\"containers\":[{\"name\":5}],\"volumes\":1}}",
			"json: cannot unmarshal number into Go struct field "
			"Container.spec.containers.name of type "
			"string"},
		{&v1_pod_schema, "{\"spec\":{\"restartPolicy\":5}}",
			"json: cannot unmarshal number into Go struct field "
			"PodSpec.spec.restartPolicy of type "
			"v1.RestartPolicy"},
		{&v1_pod_schema, "{\"spec\":{\"volumes\":[{\"emptyDir\":5}]}}",
			"json: cannot unmarshal number into Go struct field "
			"Volume.spec.volumes.VolumeSource.emptyDir of type "
			"v1.EmptyDirVolumeSource"},
		{&apps_v1_deployment_schema, "{\"spec\":{\"replicas\":1.0}}",
			"json: cannot unmarshal number 1.0 into Go struct field "
			"DeploymentSpec.spec.replicas of "
			"type int32"},
		{&apps_v1_deployment_schema, "{\"spec\":{\"replicas\":2147483648}}",
			"json: cannot unmarshal number 2147483648 into Go struct field "
			"DeploymentSpec.spec.replicas of type int32"},
		{&v1_config_map_schema, "{\"data\":{\"a\":1}}",
			"json: cannot unmarshal number into Go struct field ConfigMap.data of type "
			"string"},
		{&v1_config_map_schema, "{\"data\":[]}",
			"json: cannot unmarshal array into Go struct field ConfigMap.data of type "
			"map[string]string"},
		{&v1_secret_schema, "{\"data\":{\"a\":\"!\"}}",
			"illegal base64 data at input byte 0"},
		{&v1_config_map_schema, "{\"metadata\":{\"creationTimestamp\":\"nonsense\"}}",
			"parsing time \"nonsense\" as \"2006-01-02T15:04:05Z07:00\": cannot parse "
			"\"nonsense\" as "
			"\"2006\""},
		{&v1_config_map_schema, "{\"metadata\":{\"creationTimestamp\":\"x\"},",
			"unexpected end of JSON input"},
		{&v1_service_schema, "{\"spec\":{\"ports\":[{\"targetPort\":1.5}]}}",
			"json: cannot unmarshal number 1.5 into Go struct field "
			"ServicePort.spec.ports.targetPort of "
			"type int32"},
	};
	char out[512];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(decode_error(cases[i].type, cases[i].json, out), cases[i].want);
}

static void test_strict(void **state)
{
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	static const char *const want[] = {"unknown field \"spec.containers[0].foo\"",
		"duplicate field \"spec.hostname\"", "unknown field \"x\"",
		"duplicate field \"metadata.labels.a\""};
	struct arena a;
	void *v;

	arena_init(&a);
	assert_int_equal(
		schema_decode_json(&v1_pod_schema,
			S("{\"spec\":{\"containers\":[{\"foo\":1}],\"hostname\":\"a\",\"hostname\":"
			  "\"b\"},"
			  "\"x\":{\"y\":[1]},\"metadata\":{\"labels\":{\"a\":\"1\",\"a\":\"2\"}}}"),
			&a, &opts, &v, NULL),
		0);
	assert_int_equal(opts.warnings.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_true(str_eqc(opts.warnings.v[i], want[i]));
	assert_true(str_eqc(((struct v1_pod *)v)->spec.hostname, "b"));
	assert_int_equal(((struct v1_pod *)v)->metadata.labels.n, 1);
	arena_release(&a);
}

static struct str round_trip(const struct schema_type *t, const char *json, struct arena *a)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct err err = {0};
	void *v;

	if (schema_decode_json(t, str_c(json), a, NULL, &v, &err) < 0)
		fail_msg("%s", err_text(&err));
	buf_init(&b, 1 << 20);
	schema_encode_json(t, v, &b);
	return arena_str(a, buf_str(&b));
}

static void test_values(void **state)
{
	static const struct {
		const struct schema_type *type;
		const char *json, *want;
	} cases[] = {
		{&v1_config_map_schema, "null", "{\"metadata\":{}}"},
		{&v1_config_map_schema,
			"{\"data\":{\"b\":null,\"a\":\"<\\u00e9\\ud83d\\ude00\\ud800>\"}}",
			"{\"metadata\":{},\"data\":{\"a\":\"\\u003cé😀\xef\xbf\xbd\\u003e\",\"b\":"
			"\"\"}}"},
		{&v1_secret_schema, "{\"data\":{\"a\":\"eA==\",\"b\":\"\",\"c\":[120,121]}}",
			"{\"metadata\":{},\"data\":{\"a\":\"eA==\",\"b\":\"\",\"c\":\"eHk=\"}}"},
		{&v1_service_port_schema, "{\"port\":-0,\"targetPort\":\"x\"}",
			"{\"port\":0,\"targetPort\":\"x\"}"},
		{&v1_resource_requirements_schema,
			"{\"limits\":{\"cpu\":0.5,\"memory\":\"1024Ki\"}}",
			"{\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Mi\"}}"},
		{&v1_resource_field_selector_schema, "{\"resource\":\"a\"}",
			"{\"resource\":\"a\",\"divisor\":\"0\"}"},
		{&v1_empty_dir_volume_source_schema, "{\"sizeLimit\":null}", "{}"},
		{&meta_v1_condition_schema,
			"{\"lastTransitionTime\":\"2024-02-29T01:02:03+01:00\"}",
			"{\"type\":\"\",\"status\":\"\",\"lastTransitionTime\":\"2024-02-29T00:02:"
			"03Z\",\"reason\":"
			"\"\",\"message\":\"\"}"},
		{&authentication_v1_user_info_schema, "{\"extra\":{\"a\":[\"b\"]}}",
			"{\"extra\":{\"a\":[\"b\"]}}"},
		{&apiextensions_v1_json_schema_props_schema,
			"{\"items\":{\"type\":\"string\"},\"additionalProperties\":false,"
			"\"default\":{ \"a\": 1 },"
			"\"maximum\":1.50,\"enum\":[1,\"x\"]}",
			"{\"default\":{\"a\":1},\"maximum\":1.5,\"enum\":[1,\"x\"],\"items\":{"
			"\"type\":\"string\"},"
			"\"additionalProperties\":false}"},
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(round_trip(cases[i].type, cases[i].json, &a).p, cases[i].want);
	arena_release(&a);
}

static void test_default_copy_equal(void **state)
{
	struct v1_pod *pod, *copy;
	struct arena a;
	void *v;

	arena_init(&a);
	assert_int_equal(schema_decode_json(&v1_pod_schema,
				 S("{\"spec\":{\"containers\":[{\"name\":\"c\",\"livenessProbe\":{"
				   "\"httpGet\":{\"port\":1}},"
				   "\"resources\":{\"limits\":{\"cpu\":\"1500u\"}}}],"
				   "\"volumes\":[{\"name\":\"s\",\"secret\":{}}]}}"),
				 &a, NULL, &v, NULL),
		0);
	pod = v;
	copy = schema_copy(&v1_pod_schema, pod, &a);
	assert_true(schema_equal(&v1_pod_schema, pod, copy));
	schema_default(&v1_pod_schema, pod, &a);
	assert_false(schema_equal(&v1_pod_schema, pod, copy));
	assert_true(str_eqc(pod->spec.restart_policy, "Always"));
	assert_int_equal(*pod->spec.termination_grace_period_seconds, 30);
	assert_non_null(pod->spec.security_context);
	assert_int_equal(*pod->spec.volumes.v[0].secret->default_mode, 420);
	assert_true(str_eqc(
		pod->spec.containers.v[0].termination_message_path, "/dev/termination-log"));
	assert_int_equal(pod->spec.containers.v[0].liveness_probe->period_seconds, 10);
	assert_true(str_eqc(pod->spec.containers.v[0].liveness_probe->http_get->path, "/"));
	assert_true(str_eqc(pod->spec.containers.v[0].resources.limits.v[0].value, "2m"));
	assert_true(str_empty(copy->spec.restart_policy));
	arena_release(&a);
}

static void test_depth(void **state)
{
	size_t n = 10001;
	char *deep = xcalloc(1, n * 2 + 16), out[512];

	sprintf(deep, "{\"x\":");
	memset(deep + 5, '[', n - 2);
	memset(deep + 5 + n - 2, ']', n - 2);
	deep[5 + 2 * (n - 2)] = '}';
	assert_string_equal(decode_error(&v1_pod_schema, deep, out), "");
	memset(deep + 5, '[', n - 1);
	memset(deep + 5 + n - 1, ']', n - 1);
	deep[5 + 2 * (n - 1)] = '}';
	assert_string_equal(decode_error(&v1_pod_schema, deep, out),
		"invalid character '[' exceeded max depth");
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
		cmocka_unit_test(test_strict), cmocka_unit_test(test_values),
		cmocka_unit_test(test_default_copy_equal), cmocka_unit_test(test_depth)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
