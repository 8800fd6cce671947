/* What expressions compute with: API objects in place, maps that are computed when asked for, the
 * authorizer, and the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cel/cel.h"
#include "schema/schema.h"
#include "types.gen.h"

static const struct cel_field_type request_fields[] = {
	{"operation", &cel_type_string}, {"name", &cel_type_string}};
static const struct cel_type request_type = {.kind = CEL_STRUCT,
	.name = "kubernetes.AdmissionRequest",
	.fields = request_fields,
	.n_fields = ARRAY_SIZE(request_fields)};
static const struct cel_variable vars[] = {
	{"object", &cel_type_dyn},
	{"request", &request_type},
	{"variables", &cel_type_map_string_dyn},
	{"authorizer", &cel_type_authorizer},
	{"authorizer.requestResource", &cel_type_resource_check},
};
static const struct cel_env env = {vars, ARRAY_SIZE(vars)};

enum { OBJECT, REQUEST, VARIABLES, AUTHORIZER, RESOURCE, N_VARS };

static const char pod_json[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"labels\":{"
	"\"app\":\"x\"},"
	"\"creationTimestamp\":\"2024-05-06T07:08:09Z\"},\"spec\":{\"containers\":[{\"name\":\"c\","
	"\"image\":\"nginx\",\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":{\"cpu\":"
	"\"0.5\"}},\"livenessProbe\":{\"httpGet\":{\"port\":\"http\"}},\"readinessProbe\":{"
	"\"httpGet\":{\"port\":8080}}}],\"terminationGracePeriodSeconds\":0,\"hostNetwork\":true}}";

/* --- a lazy map: it counts how often it is asked --- */

static bool lazy_get(void *data, struct str key, struct arena *a, struct cel_value *ret)
{
	++*(int *)data;
	if (str_eqc(key, "bad"))
		*ret = cel_error(S("composited variable \"bad\" fails to evaluate"));
	else if (str_eqc(key, "n"))
		*ret = cel_int(5);
	else
		return false;
	return true;
}

static bool lazy_key(void *data, size_t n, struct str *ret)
{
	static const char *const keys[] = {"n", "bad"};

	if (n < ARRAY_SIZE(keys))
		*ret = str_c(keys[n]);
	return n < ARRAY_SIZE(keys);
}

static const struct cel_lazy_ops lazy_ops = {lazy_get, lazy_key};

/* --- an authorizer that allows verb "get", and tells what it was asked --- */

static enum cel_decision authz_check(void *data, const struct cel_authz_request *r, struct arena *a,
	struct str *ret_reason, struct str *ret_error)
{
	*ret_reason = arena_fmt(a,
		STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT,
		STR_ARG(r->group), STR_ARG(r->resource), STR_ARG(r->subresource),
		STR_ARG(r->namespace), STR_ARG(r->name), STR_ARG(r->path), STR_ARG(r->sa_name));
	if (str_eqc(r->verb, "fail"))
		*ret_error = S("no answer");
	return str_eqc(r->verb, "get") ? CEL_AUTHZ_ALLOWED : CEL_AUTHZ_NO_OPINION;
}

static const struct cel_authz_ops authz_ops = {authz_check};

static void unref(void *p)
{
	cel_program_unref(p);
}

static struct cel_result run(const char *expression, uint64_t cost_max, struct arena *a, int *asked)
{
	struct cel_authz_request prepared = {.group = S("apps"),
		.resource = S("deployments"),
		.namespace = S("ns"),
		.name = S("web")};
	struct cel_value values[N_VARS];
	struct cel_issues issues;
	struct cel_program *p;
	struct cel_result r;
	void *pod = NULL;

	assert_int_equal(schema_decode_json(&v1_pod_schema, str_c(pod_json), a,
				 &(struct schema_decode_opts){0}, &pod, NULL),
		0);
	values[OBJECT] = cel_object(&v1_pod_schema, pod);
	values[REQUEST] = cel_json_text(S("{\"operation\":\"CREATE\"}"), a);
	values[VARIABLES] = cel_lazy_map(&lazy_ops, asked);
	values[AUTHORIZER] = cel_authorizer(&authz_ops, NULL, a);
	values[RESOURCE] = cel_resource_check(&authz_ops, NULL, &prepared, a);
	if (cel_compile(&env, str_c(expression), a, &p, &issues) < 0) {
		r.value = cel_error(issues.text);
		return r;
	}
	r = cel_eval(p, &(struct cel_activation){.values = values, .cost_max = cost_max}, a);
	arena_ref(a, unref, p); /* the value may point into the program */
	return r;
}

static void expect_json(const char *expression, const char *want)
{
	struct arena a;
	struct cel_result r;
	struct buf b;
	int asked = 0;

	arena_init(&a);
	r = run(expression, 0, &a, &asked);
	buf_init(&b, 1 << 20);
	if (r.value.kind == CEL_ERROR)
		buf_add_str(&b, r.value.s);
	else
		assert_true(cel_write_json(r.value, &b, &a));
	if (strcmp(b.p ? b.p : "", want) != 0)
		fail_msg("%s: want %s, got %s", expression, want, b.p);
	buf_release(&b);
	arena_release(&a);
}

static const struct {
	const char *expression, *want;
} objects[] = {
	{"object.metadata.name", "\"web\""},
	{"object.metadata.labels", "{\"app\":\"x\"}"},
	{"object.metadata.labels.app == 'x'", "true"},
	{"object.metadata.labels['none']", "no such key: none"},
	{"has(object.metadata.annotations)", "false"},
	{"object.metadata.annotations", "no such key: annotations"},
	{"object.metadata.creationTimestamp", "\"2024-05-06T07:08:09Z\""},
	{"timestamp(object.metadata.creationTimestamp).getFullYear()", "2024"},
	{"object.spec.containers[0].resources.limits.cpu", "\"500m\""},
	{"quantity(object.spec.containers[0].resources.limits.cpu).isLessThan(quantity('1'))",
		"true"},
	{"object.spec.containers[0].livenessProbe.httpGet.port", "\"http\""},
	{"object.spec.containers[0].readinessProbe.httpGet.port + 1", "8081"},
	{"object.spec.containers.map(c, c.name)", "[\"c\"]"},
	{"object.spec.containers[0].ports[0]", "{\"containerPort\":80}"},
	{"object.spec.containers[1]", "index out of bounds: 1"},
	{"object.spec.terminationGracePeriodSeconds", "0"},
	{"has(object.spec.hostPID)", "false"},
	{"object.spec.hostNetwork", "true"},
	{"object.spec.exists(k, k == 'containers')", "true"},
	{"object.spec.?nodeName.orValue('none')", "\"none\""},
	{"'containers' in object.spec && !('volumes' in object.spec)", "true"},
	{"object.spec.noSuchField", "no such key: noSuchField"},
	{"size(object.metadata) == object.metadata.map(k, k).size()", "true"},
	{"object == object", "true"},
	{"request.operation", "\"CREATE\""},
	{"has(request.name)", "false"},
	{"request.name", "no such key: name"},
	{"request.foo", "ERROR: <input>:1:8: undefined field 'foo'\n | request.foo\n | .......^"},
	{"variables.n + 1", "6"},
	{"has(variables.n) && !has(variables.zz)", "true"},
	{"variables.bad", "composited variable \"bad\" fails to evaluate"},
	{"variables.zz", "no such key: zz"},
	{"variables.size()", "2"},
	{"authorizer.group('apps').resource('deployments').subresource('status').namespace('n')"
	 ".name('x').check('get').reason()",
		"\"apps|deployments|status|n|x||\""},
	{"authorizer.path('/healthz').check('get').allowed()", "true"},
	{"authorizer.path('/healthz').check('put').allowed()", "false"},
	{"authorizer.path(' ').check('get').allowed()", "path must not be empty"},
	{"authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"},
	{"authorizer.serviceAccount('ns', 'sa').path('/x').check('get').reason()",
		"\"|||||/x|sa\""},
	{"authorizer.serviceAccount('ns', 'S A').path('/x').check('get').reason()",
		"Invalid service account name"},
	{"authorizer.path('/x').check('fail').errored()", "true"},
	{"authorizer.path('/x').check('fail').error()", "\"no answer\""},
	{"authorizer.path('/x').check('get').error()", "\"\""},
	{"authorizer.requestResource.check('get').reason()", "\"apps|deployments||ns|web||\""},
};

static void values_in_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		expect_json(objects[i].expression, objects[i].want);
}

static void lazy_is_asked_once(void **state)
{
	struct arena a;
	int asked = 0;

	arena_init(&a);
	run("false && variables.n == 5", 0, &a, &asked);
	assert_int_equal(asked, 0);
	run("variables.n == 5", 0, &a, &asked);
	assert_int_equal(asked, 1);
	arena_release(&a);
}

static void costs_end_it(void **state)
{
	static const char loop[] = "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))";
	struct arena a;
	struct cel_result r;
	int asked = 0;

	arena_init(&a);
	r = run(loop, 0, &a, &asked);
	assert_true(r.over_budget);
	assert_int_equal(r.value.kind, CEL_ERROR);
	assert_true(str_eqc(r.value.s, "operation cancelled: actual cost limit exceeded"));
	r = run("[1, 2].all(x, x > 0)", 5, &a, &asked);
	assert_true(r.over_budget);
	/* two checks fit, three do not; and an error must not be absorbed */
	r = run("authorizer.path('/a').check('get').allowed() && "
		"authorizer.path('/b').check('get').allowed()",
		0, &a, &asked);
	assert_false(r.over_budget);
	r = run("authorizer.path('/a').check('x').allowed() || "
		"authorizer.path('/b').check('x').allowed() || "
		"authorizer.path('/c').check('x').allowed() || true",
		0, &a, &asked);
	assert_true(r.over_budget);
	arena_release(&a);
}

/* Lists that double, patterns that make others backtrack, expressions that grow by macros. */
static void sizes_are_limited(void **state)
{
	struct arena a;
	struct cel_result r;
	struct buf b;
	int asked = 0;

	arena_init(&a);
	buf_init(&b, 1 << 20);
	buf_add_c(&b, "[[1, 2]]");
	for (int i = 0; i < 40; i++)
		buf_add_c(&b, ".map(x, x + x)");
	r = run(b.p, 0, &a, &asked);
	assert_int_equal(r.value.kind, CEL_ERROR);
	buf_reset(&b);
	buf_add_c(&b, "optional.of(1)");
	for (int i = 0; i < 40; i++)
		buf_add_c(&b, ".optMap(x, x + 1)");
	r = run(b.p, 0, &a, &asked);
	assert_int_equal(r.value.kind, CEL_ERROR);
	r = run("('a' + "
		"'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!').matches('^(a|a)*$')",
		0, &a, &asked);
	assert_int_equal(r.value.kind, CEL_BOOL);
	assert_false(r.value.b);
	buf_release(&b);
	arena_release(&a);
}

static void uses_and_types(void **state)
{
	struct arena a;
	struct cel_program *p;
	struct cel_issues issues;

	arena_init(&a);
	assert_int_equal(cel_compile(&env, S("object.metadata.name + 'x'"), &a, &p, &issues), 0);
	assert_true(cel_program_uses(p, "object"));
	assert_false(cel_program_uses(p, "authorizer"));
	cel_program_ref(p);
	cel_program_unref(p);
	assert_null(cel_program_unref(p));
	assert_int_equal(cel_compile(&env, S("int('x')"), &a, &p, &issues), -EINVAL);
	assert_true(issues.instantiation);
	assert_true(cel_type_fits(&cel_type_string, &cel_type_dyn));
	assert_false(cel_type_fits(&cel_type_string, &cel_type_int));
	assert_true(cel_type_fits(&cel_type_list_string, &cel_type_list_dyn));
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_in_place),
		cmocka_unit_test(lazy_is_asked_once),
		cmocka_unit_test(costs_end_it),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(uses_and_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
