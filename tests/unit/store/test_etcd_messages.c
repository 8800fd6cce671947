/* What goes to etcd and comes back, as bytes: requests, keys, values. */
#include "store_test.h"

#include "store/etcd/keys.h"
#include "store/etcd/value.h"
#include "store/etcd/wire.h"

static void assert_bytes(const struct buf *b, const char *want, size_t n)
{
	assert_int_equal(b->n, n);
	assert_memory_equal(b->p, want, n);
}
#define ASSERT_BYTES(b, literal) assert_bytes(b, literal, sizeof(literal) - 1)

/* As protoc makes them of rpc.proto. */
static void test_requests(void **state)
{
	struct buf b;

	buf_init(&b, 256);
	etcd_put_range(&b,
		&(struct etcd_range){.key = S("a"), .end = S("b"), .limit = 500, .revision = 7});
	ASSERT_BYTES(&b, "\x0a\x01"
			 "a\x12\x01"
			 "b\x18\xf4\x03\x20\x07");
	buf_reset(&b);
	etcd_txn_compare(&b, ETCD_MOD, ETCD_EQUAL, S("k"), 0);
	etcd_txn_put(&b, S("k"), S("v"), 5);
	etcd_txn_else_get(&b, S("k"));
	ASSERT_BYTES(&b, "\x0a\x07\x10\x02\x1a\x01"
			 "k\x30\x00"
			 "\x12\x0a\x12\x08\x0a\x01"
			 "k\x12\x01"
			 "v\x18\x05"
			 "\x1a\x05\x0a\x03\x0a\x01"
			 "k");
	buf_reset(&b);
	etcd_txn_compare(&b, ETCD_VERSION, ETCD_LESS, S("k"), 3);
	etcd_txn_delete(&b, S("k"));
	ASSERT_BYTES(&b, "\x0a\x07\x08\x02\x1a\x01"
			 "k\x20\x03"
			 "\x12\x05\x1a\x03\x0a\x01"
			 "k");
	buf_reset(&b);
	etcd_put_watch_create(&b, S("a"), S("b"), 9);
	ASSERT_BYTES(&b, "\x0a\x0c\x0a\x01"
			 "a\x12\x01"
			 "b\x18\x09\x20\x01\x40\x01");
	buf_reset(&b);
	etcd_put_watch_progress(&b);
	ASSERT_BYTES(&b, "\x1a\x00");
	buf_release(&b);
}

static void test_answers(void **state)
{
	static const char watch[] = "\x0a\x04\x08\x4d\x18\x09" /* header: cluster 77, revision 9 */
				    "\x5a\x0b\x08\x01\x12\x07\x0a\x03"
				    "key\x18\x09"
				    "\x5a\x10\x12\x0e\x0a\x03"
				    "new\x10\x08\x18\x0a\x20\x01\x2a\x01"
				    "v";
	struct etcd_watch_answer w;
	struct arena a = {0};

	assert_int_equal(etcd_get_watch(str_n(watch, sizeof(watch) - 1), &a, &w), 0);
	assert_int_equal(w.header.cluster_id, 77);
	assert_int_equal(w.header.revision, 9);
	assert_int_equal(w.events.n, 2);
	assert_true(w.events.v[0].deleted && !w.events.v[1].deleted);
	assert_true(str_eqc(w.events.v[0].kv.key, "key"));
	assert_int_equal(w.events.v[1].kv.create_revision, 8);
	assert_int_equal(w.events.v[1].kv.mod_revision, 10);
	assert_true(str_eqc(w.events.v[1].kv.value, "v"));
	for (size_t n = 1; n < sizeof(watch) - 1; n++) /* cut short: an error, or less of it */
		if (etcd_get_watch(str_n(watch, n), &a, &w) == 0)
			assert_true(n == 6 || n == 19);
	arena_release(&a);
}

/* --- keys: as upstream's kube-apiserver 1.36 was seen to write them --- */

static void test_keys(void **state)
{
	static const struct {
		const struct schema_resource *resource;
		const char *ns, *name, *key;
	} cases[] = {
		{&v1_pod_resource, "default", "p", "/registry/pods/default/p"},
		{&v1_node_resource, "", "n", "/registry/minions/n"},
		{&v1_service_resource, "a", "b", "/registry/services/specs/a/b"},
		{&v1_endpoints_resource, "a", "b", "/registry/services/endpoints/a/b"},
		{&v1_replication_controller_resource, "a", "b", "/registry/controllers/a/b"},
		{&networking_v1_ingress_resource, "a", "b", "/registry/ingress/a/b"},
		{&networking_v1_ip_address_resource, "", "fd00::1",
			"/registry/ipaddresses/fd00::1"},
		{&coordination_v1_lease_resource, "a", "b", "/registry/leases/a/b"},
		{&v1_range_allocation_resource, "", "servicenodeports",
			"/registry/ranges/servicenodeports"},
		{&rbac_v1_cluster_role_resource, "", "system:node",
			"/registry/clusterroles/system:node"},
		{&apiregistration_v1_api_service_resource, "", "v1.apps",
			"/registry/apiregistration.k8s.io/apiservices/v1.apps"},
	};
	static const char *const others[] = {"/registry/pods/default", "/registry/pods/a/b/c",
		"/registry/masterleases/10.0.0.1", "/registry/example.com/things/a/b",
		"/registry/minions/", "/other/pods/a/b", "/registry/services/default/x",
		"/registry", "/registry/"};
	struct str ns, name;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b;

		buf_init(&b, 256);
		etcd_key(S("/registry"), cases[i].resource, str_c(cases[i].ns),
			str_c(cases[i].name), &b);
		assert_string_equal(b.p, cases[i].key);
		assert_ptr_equal(
			etcd_key_parse(S("/registry"), buf_str(&b), &ns, &name), cases[i].resource);
		assert_true(str_eqc(ns, cases[i].ns) && str_eqc(name, cases[i].name));
		buf_release(&b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_null(etcd_key_parse(S("/registry"), str_c(others[i]), &ns, &name));
}

/* Every resource that is stored has a place of its own. */
static void test_every_place(void **state)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];
		struct str ns, name;
		struct buf b;

		if (!res->storage)
			continue;
		buf_init(&b, 256);
		etcd_key(S("/r"), res, res->namespaced ? S("x") : S(""), S("y"), &b);
		assert_ptr_equal(etcd_key_parse(S("/r"), buf_str(&b), &ns, &name), res);
		buf_release(&b);
	}
}

/* --- values --- */

static struct object *parse(struct str value)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o;

	if (etcd_value_parse(CONFIG_MAPS, S("default"), S("a"), value, NULL, 42, &o, &err) < 0)
		fail_msg("%s", err_text(&err));
	return o;
}

static void test_own_values(void **state)
{
	struct object *draft = make_draft(CONFIG_MAPS, "default", "a", "1"), *o, *again;
	struct buf value, later;

	buf_init(&value, 1 << 16);
	buf_init(&later, 1 << 16);
	etcd_value(draft, &value);
	assert_true(str_find(buf_str(&value), S("resourceVersion")) < 0);
	o = parse(buf_str(&value));
	assert_int_equal(o->revision, 42);
	assert_true(str_find(o->json, S("\"resourceVersion\":\"42\"")) > 0 && has_value(o, "1"));
	again = object_commit(draft, 42);
	assert_true(str_eq(o->json, again->json));
	etcd_value(o, &later); /* of what is committed, too */
	assert_true(str_eq(buf_str(&value), buf_str(&later)));
	buf_release(&value);
	buf_release(&later);
	object_unref(draft);
	object_unref(o);
	object_unref(again);
}

static void test_protobuf_values(void **state)
{
	struct str_pair data = {S("k"), S("v")};
	struct v1_config_map cm = {
		.metadata = {.name = S("a"), .namespace = S("default"), .uid = S("u")},
		.data = {&data, 1}};
	struct object *o;
	struct buf b;

	buf_init(&b, 1 << 16);
	schema_wrap_proto(S("v1"), S("ConfigMap"), &v1_config_map_schema, &cm, &b);
	o = parse(buf_str(&b));
	assert_true(str_find(o->json, S("\"data\":{\"k\":\"v\"}")) > 0);
	assert_true(str_eqc(o->uid, "u"));
	assert_int_equal(o->revision, 42);
	object_unref(o);
	buf_release(&b);
}

static void test_bad_values(void **state)
{
	static const struct {
		struct str value;
		const char *why;
	} cases[] = {
		{{"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v2\"}", 39},
			"no kind \"ConfigMap\" of \"v2\" is known"},
		{{"{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}", 33}, "no kind \"Pod\""},
		{{"", 0}, "no kind"},
		{{"k8s\0\x0a\xff", 6}, "unexpected EOF"},
		{{"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"data\":[]}", 48},
			"cannot unmarshal array"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err CLEANUP(err_release) = {0};
		struct object *o = NULL;

		assert_true(etcd_value_parse(CONFIG_MAPS, S("default"), S("a"), cases[i].value,
				    NULL, 42, &o, &err) < 0);
		assert_null(o);
		if (!strstr(err_text(&err), cases[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err_text(&err), cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_own_values),
		cmocka_unit_test(test_protobuf_values),
		cmocka_unit_test(test_bad_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
