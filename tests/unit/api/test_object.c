#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "api/object.h"
#include "types.gen.h"

static struct v1_pod *make_pod(struct arena *a)
{
	struct v1_pod *pod = ARENA_NEW(a, struct v1_pod);
	struct str_pair label = {S("app"), S("we\"b")};
	struct meta_v1_owner_reference owner = {
		.name = S("rs"), .uid = S("u-1"), .controller = ARENA_NEW(a, bool)};
	struct str finalizer = S("example.com/f");

	*owner.controller = true;
	pod->metadata.name = S("web-1");
	pod->metadata.namespace = S("default");
	pod->metadata.uid = S("u-2");
	pod->metadata.generation = 3;
	pod->metadata.resource_version = S("ignored");
	pod->metadata.deletion_timestamp = (struct k8s_time){.set = true, .sec = 1700000000};
	ARENA_PUSH(a, &pod->metadata.labels, label);
	ARENA_PUSH(a, &pod->metadata.owner_references, owner);
	ARENA_PUSH(a, &pod->metadata.finalizers, finalizer);
	pod->spec.node_name = S("n<1>");
	pod->status.phase = S("Running");
	return pod;
}

static void check(const struct object *o)
{
	assert_true(str_eqc(o->name, "web-1"));
	assert_true(str_eqc(o->ns, "default"));
	assert_true(str_eqc(o->uid, "u-2"));
	assert_true(str_eqc(o->controller_uid, "u-1"));
	assert_true(str_eqc(*str_map_get(&o->labels, S("app")), "we\"b"));
	assert_true(str_eqc(object_field(o, S("spec.nodeName")), "n<1>"));
	assert_true(str_eqc(object_field(o, S("spec.hostNetwork")), "false"));
	assert_true(str_eqc(object_field(o, S("status.phase")), "Running"));
	assert_true(str_eqc(object_field(o, S("metadata.name")), "web-1"));
	assert_null(object_field(o, S("spec.what")).p);
	assert_true(o->has_finalizers && o->has_owners);
	assert_int_equal(o->generation, 3);
	assert_int_equal(o->deletion_ms, 1700000000000);
	assert_int_equal(o->json.p[o->json.n], 0);
	assert_memory_equal(o->json.p + o->item_at, "\"metadata\":", 11);
}

static void test_life(void **state)
{
	struct object *draft, *o, *again;
	struct arena a;
	struct v1_pod *pod;

	arena_init(&a);
	assert_int_equal(object_draft(&v1_pod_resource, make_pod(&a), &draft, NULL), 0);
	check(draft);
	assert_int_equal(draft->revision, 0);
	assert_memory_equal(draft->json.p, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",", 32);
	assert_non_null(strstr(draft->json.p, "\"resourceVersion\":\"\""));
	assert_int_equal(draft->json.p[draft->rv_at], '"');
	o = object_commit(draft, 18446744073709551615u);
	object_unref(draft);
	check(o);
	again = object_commit(o, 7); /* the last state of a deleted object */
	check(again);
	assert_non_null(strstr(again->json.p, "\"resourceVersion\":\"7\""));
	object_unref(again);
	assert_non_null(strstr(o->json.p, "\"resourceVersion\":\"18446744073709551615\""));
	assert_int_equal(object_parse(&v1_pod_resource, o->json, &again, NULL), 0);
	check(again);
	assert_true(again->revision == o->revision);
	assert_true(str_eq(again->json, o->json));
	pod = object_decode(again, &a);
	assert_true(str_eqc(pod->spec.node_name, "n<1>"));
	assert_true(str_eqc(object_meta(again, &a)->uid, "u-2"));
	object_ref_in(&a, again);
	object_unref(again);
	object_unref(o);
	arena_release(&a);
}

static void test_parse_reorders(void **state)
{
	struct object *o;

	/* as an item of a list: no kind, no apiVersion, keys in another order */
	assert_int_equal(object_parse(&v1_config_map_resource,
				 S("{\"data\":{\"b\":\"1\"},\"metadata\":{\"resourceVersion\":"
				   "\"7\",\"name\":\"x\"}}"),
				 &o, NULL),
		0);
	assert_string_equal(o->json.p,
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\","
		"\"resourceVersion\":\"7\"},\"data\":{\"b\":\"1\"}}");
	assert_int_equal(o->revision, 7);
	object_unref(o);
}

static void test_errors(void **state)
{
	struct err err = {0};
	struct object *o = NULL;
	struct v1_config_map *big;
	struct str_pair pair = {S("k"), {0}};
	struct arena a;

	assert_true(object_parse(&v1_pod_resource, S("{\"kind\""), &o, &err) < 0);
	assert_true(object_parse(&v1_pod_resource, S("[]"), &o, &err) < 0);
	assert_true(object_parse(&v1_pod_resource, S("{\"metadata\":{}}"), &o, &err) < 0);
	arena_init(&a);
	big = ARENA_NEW(&a, struct v1_config_map);
	pair.value = str_n(
		memset(arena_alloc(&a, OBJECT_JSON_MAX), 'x', OBJECT_JSON_MAX), OBJECT_JSON_MAX);
	ARENA_PUSH(&a, &big->data, pair);
	assert_int_equal(object_draft(&v1_config_map_resource, big, &o, &err), -E2BIG);
	assert_int_equal(err.code, 413);
	assert_null(o);
	err_release(&err);
	arena_release(&a);
}

/* What a stored object is read back with is what its draft had: header and selectable fields. */
static void assert_read_back(struct object *draft)
{
	const struct schema_resource *res = draft->resource;
	struct object *o = object_commit(draft, 12345), *again;

	assert_int_equal(object_parse(res, o->json, &again, NULL), 0);
	assert_int_equal(again->revision, 12345);
	assert_true(str_eq(again->name, draft->name) && str_eq(again->ns, draft->ns));
	for (size_t i = 0; res->selectable && res->selectable[i]; i++)
		if (!str_eq(again->fields[i], draft->fields[i]))
			fail_msg("%s %s: \"" STR_FMT "\", was \"" STR_FMT "\"", res->plural,
				res->selectable[i], STR_ARG(again->fields[i]),
				STR_ARG(draft->fields[i]));
	object_unref(again);
	object_unref(o);
	object_unref(draft);
}

static void test_read_back(void **state)
{
	struct v1_pod pod = {.metadata = {.name = S("p"), .namespace = S("d")}};
	struct v1_node node = {.metadata = {.name = S("n")}};
	struct v1_event event = {.metadata = {.name = S("e"), .namespace = S("d")}};
	struct object *o;

	pod.spec.node_name = S("node \"1\"\n");
	pod.spec.host_network = true;
	pod.spec.restart_policy = S("Never");
	pod.status.phase = S("Running");
	assert_int_equal(object_draft(&v1_pod_resource, &pod, &o, NULL), 0);
	assert_true(str_eq(object_field(o, S("spec.nodeName")), pod.spec.node_name));
	assert_read_back(o);
	node.spec.unschedulable = true;
	assert_int_equal(object_draft(&v1_node_resource, &node, &o, NULL), 0);
	assert_true(str_eqc(object_field(o, S("spec.unschedulable")), "true"));
	assert_read_back(o);
	event.involved_object.name = S("p");
	event.involved_object.uid = S("u");
	event.reporting_component = S("kubelet");
	event.reason = S("Killing");
	assert_int_equal(object_draft(&v1_event_resource, &event, &o, NULL), 0);
	assert_true(str_eqc(object_field(o, S("source")), "kubelet"));
	assert_read_back(o);
	event.source.component = S("scheduler");
	assert_int_equal(object_draft(&v1_event_resource, &event, &o, NULL), 0);
	assert_true(str_eqc(object_field(o, S("source")), "scheduler"));
	assert_read_back(o);
}

/* Every resource can be drafted and read back, whatever its selectable fields are. */
static void test_every_resource(void **state)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];
		struct object *o;
		void *zero;

		if (!res->storage || !(res->verbs & VERB_LIST) ||
			res->type == &v1_component_status_schema)
			continue;
		zero = xcalloc(1, res->type->size);
		assert_int_equal(object_draft(res, zero, &o, NULL), 0);
		assert_read_back(o);
		free(zero);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_life),
		cmocka_unit_test(test_parse_reorders), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_every_resource), cmocka_unit_test(test_read_back)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
