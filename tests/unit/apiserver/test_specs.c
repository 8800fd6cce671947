/* Golden validations of whole specs: on the left, and what is wrong with them on the right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "apiserver/resources/rules.h"

struct rule_case {
	const char *spec, *wrong;
};

static void *decode(const struct strategy *s, const char *spec, struct arena *a)
{
	const struct schema_type *type = s->resource->type;
	struct str json = arena_fmt(a, "{\"metadata\":{\"name\":\"a\"},\"spec\":%s}", spec);
	void *obj;

	assert_true(schema_decode_json(type, json, a, NULL, &obj, NULL) >= 0);
	schema_default(type, obj, a);
	if (s->default_)
		s->default_(&(struct strategy_ctx){.arena = a, .resource = s->resource}, obj);
	return obj;
}

static void check(const struct strategy *s, const char *old, const struct rule_case *c)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct field_errors e = {.arena = &a};
	struct strategy_ctx ctx = {.arena = &a, .resource = s->resource};
	void *obj = decode(s, c->spec, &a);
	struct str out = S("");

	if (old)
		s->validate_update(&ctx, obj, decode(s, old, &a), &e);
	else
		s->validate(&ctx, obj, &e);
	for (size_t i = 0; i < e.n; i++)
		out = arena_fmt(&a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "\n" : "",
			STR_ARG(field_error_text(&a, &e.v[i])));
	assert_string_equal(arena_cstr(&a, out), c->wrong);
}

#define PEER(json_) "{\"podSelector\":{},\"ingress\":[{\"from\":[" json_ "]}]}"
#define PORT(json_) "{\"podSelector\":{},\"egress\":[{\"ports\":[" json_ "]}]}"

static void test_network_policy(void **state)
{
	static const struct rule_case cases[] = {
		{"{\"podSelector\":{}}", ""},
		{PEER("{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\",\"except\":[\"10.1.0.0/16\"]}}"), ""},
		{PEER("{}"), "spec.ingress[0].from[0]: Required value: must specify a peer"},
		{PEER("{\"podSelector\":{},\"ipBlock\":{\"cidr\":\"10.0.0.0/8\"}}"),
			"spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and "
			"another peer"},
		{PEER("{\"ipBlock\":{}}"), "spec.ingress[0].from[0].ipBlock.cidr: Required value"},
		{PEER("{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\",\"except\":[\"10.0.0.0/8\"]}}"),
			"spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": "
			"must be a strict subset of `cidr`"},
		{PORT("{\"port\":\"web\",\"endPort\":5}"),
			"spec.egress[0].ports[0].endPort: Invalid value: 5: may not be specified "
			"when "
			"`port` is non-numeric"},
		{PORT("{\"port\":20,\"endPort\":10}"), "spec.egress[0].ports[0].endPort: Invalid "
						       "value: 20: must be greater than or "
						       "equal to `port`"},
		{PORT("{\"protocol\":\"ICMP\"}"),
			"spec.egress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported "
			"values: \"TCP\", \"UDP\", \"SCTP\""},
		{"{\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\",\"Ingress\"]}",
			"spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: "
			"may "
			"not specify more than two policyTypes"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&network_policy_strategy, NULL, &cases[i]);
	/* a block that is not written well stays where it was, but does not come in */
	check(&network_policy_strategy, PEER("{\"ipBlock\":{\"cidr\":\"010.0.0.0/8\"}}"),
		&(struct rule_case){PEER("{\"ipBlock\":{\"cidr\":\"010.0.0.0/8\"}}"), ""});
	check(&network_policy_strategy, PEER("{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\"}}"),
		&(struct rule_case){PEER("{\"ipBlock\":{\"cidr\":\"010.0.0.0/8\"}}"),
			"spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"010.0.0.0/8\": "
			"must "
			"not have leading 0s in IP or prefix length"});
}

#define BACKEND(json_) "{\"defaultBackend\":" json_ "}"
#define RULE(json_) "{\"rules\":[" json_ "]}"
#define PATH(type_, path_)                                                                         \
	RULE("{\"http\":{\"paths\":[{\"path\":\"" path_ "\",\"pathType\":\"" type_                 \
	     "\",\"backend\":{\"service\":{\"name\":\"s\",\"port\":{\"number\":80}}}}]}}")

static void test_ingress(void **state)
{
	static const struct rule_case cases[] = {
		{BACKEND("{\"service\":{\"name\":\"s\",\"port\":{\"name\":\"web\"}}}"), ""},
		{PATH("Prefix", "/a/b"), ""},
		{PATH("ImplementationSpecific", "/a//b"), ""},
		{"{}", "spec: Invalid value: null: either `defaultBackend` or `rules` must be "
		       "specified"},
		{BACKEND("{}"), "spec.defaultBackend: Invalid value: \"\": resource or service "
				"backend is required"},
		{BACKEND("{\"service\":{\"name\":\"s\",\"port\":{\"name\":\"web\",\"number\":1}}}"),
			"spec.defaultBackend: Invalid value: \"\": cannot set both port name & "
			"port number"},
		{BACKEND("{\"resource\":{\"kind\":\"\",\"name\":\"a/b\"}}"),
			"spec.defaultBackend.resource.kind: Required value\n"
			"spec.defaultBackend.resource.name: Invalid value: \"a/b\": may not "
			"contain '/'"},
		{PATH("Exact", "/a/../b"), "spec.rules[0].http.paths[0].path: Invalid value: "
					   "\"/a/../b\": must not contain '/../'"},
		{PATH("Exact", "/a/.."), "spec.rules[0].http.paths[0].path: Invalid value: "
					 "\"/a/..\": cannot end with '/..'"},
		{PATH("Prefix", ""), "spec.rules[0].http.paths[0].path: Invalid value: \"\": must "
				     "be an absolute path"},
		{RULE("{\"host\":\"10.0.0.1\"}"), "spec.rules[0].host: Invalid value: "
						  "\"10.0.0.1\": must be a DNS name, not an "
						  "IP address"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&ingress_strategy, NULL, &cases[i]);
}

#define CLASS(json_) "{\"controller\":\"example.com/c\",\"parameters\":" json_ "}"

static void test_ingress_class(void **state)
{
	static const struct rule_case cases[] = {
		{CLASS("{\"kind\":\"K\",\"name\":\"n\"}"), ""},
		{CLASS("{\"kind\":\"K\",\"name\":\"n\",\"namespace\":\"x\"}"),
			"spec.parameters.namespace: Forbidden: `parameters.scope` is set to "
			"'Cluster'"},
		{CLASS("{\"kind\":\"K\",\"name\":\"n\",\"scope\":\"Namespace\"}"),
			"spec.parameters.namespace: Required value: `parameters.scope` is set to "
			"'Namespace'"},
		{CLASS("{\"kind\":\"K\",\"name\":\"n\",\"scope\":\"X\"}"),
			"spec.parameters.scope: Unsupported value: \"X\": supported values: "
			"\"Cluster\", \"Namespace\""},
		{"{}", "spec.controller: Required value"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&ingress_class_strategy, NULL, &cases[i]);
}

#define HPA(json_)                                                                                 \
	"{\"maxReplicas\":3,\"scaleTargetRef\":{\"apiVersion\":\"apps/"                            \
	"v1\",\"kind\":\"Deployment\",\"name\":\"d\"}," json_ "}"

static void test_horizontal_pod_autoscaler(void **state)
{
	static const struct rule_case cases[] = {
		{HPA("\"behavior\":{}"), ""},
		{HPA("\"minReplicas\":0"),
			"spec.minReplicas: Invalid value: 0: must be greater than or equal to 1\n"
			"spec.metrics: Forbidden: must specify at least one Object or External "
			"metric to "
			"support scaling to zero replicas"},
		{HPA("\"minReplicas\":4"), "spec.maxReplicas: Invalid value: 3: must be greater "
					   "than or equal to `minReplicas`"},
		{HPA("\"metrics\":[{\"type\":\"Resource\"}]"),
			"spec.metrics[0].resource: Required value: must populate information for "
			"the "
			"given metric source"},
		{HPA("\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\","
		     "\"target\":"
		     "{\"type\":\"Utilization\",\"averageUtilization\":0}}}]"),
			"spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: "
			"must be "
			"greater than 0"},
		{HPA("\"behavior\":{\"scaleUp\":{\"policies\":[]}}"),
			"spec.behavior.scaleUp.policies: Required value: must specify at least one "
			"Policy"},
		{"{\"maxReplicas\":1,\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"}}",
			"spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must "
			"specify API "
			"group"},
		{"{\"maxReplicas\":1,\"scaleTargetRef\":{\"kind\":\"ReplicationController\","
		 "\"name\":\"d\"}}",
			""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&horizontal_pod_autoscaler_strategy, NULL, &cases[i]);
	check(&horizontal_pod_autoscaler_strategy,
		"{\"maxReplicas\":1,\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"}}",
		&(struct rule_case){
			"{\"maxReplicas\":2,\"scaleTargetRef\":{\"kind\":\"Deployment\","
			"\"name\":\"d\"}}",
			""});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_policy),
		cmocka_unit_test(test_ingress),
		cmocka_unit_test(test_ingress_class),
		cmocka_unit_test(test_horizontal_pod_autoscaler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
