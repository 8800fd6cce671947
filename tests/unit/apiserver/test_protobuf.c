/* The forms that protobuf takes on the wire: envelope, Status, list, frame of a watch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "apiserver/protobuf.h"
#include "types.gen.h"

static struct arena a;
static struct buf out;

static int setup(void **state)
{
	a = (struct arena){0};
	buf_init(&out, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&a);
	buf_release(&out);
	return 0;
}

static void *unwrap(struct str body, const struct schema_type *type, const char *want_kind)
{
	struct str version, kind, message;
	void *v;

	assert_int_equal(schema_unwrap_proto(body, &version, &kind, &message, NULL), 0);
	assert_true(str_eqc(kind, want_kind));
	assert_int_equal(schema_decode_proto(type, message, &a, &v, NULL), 0);
	return v;
}

static void refuses(struct str body, const char *want)
{
	struct err err CLEANUP(err_release) = {0};
	struct str s;

	assert_true(schema_unwrap_proto(body, &s, &s, &s, &err) < 0);
	assert_string_equal(err_text(&err), want);
}

static void test_envelope_errors(void **state)
{
	refuses(S(""), "empty data");
	refuses(str_n("k8s\0", 4), "empty body");
	refuses(S("{}"), "provided data does not appear to be a protobuf message, expected prefix "
			 "[107 56 115 0]");
	refuses(str_n("k8s\0\x12\x05x", 7), "unexpected EOF");
	refuses(str_n("k8s\0\x01", 5), "proto: illegal tag 0 (wire type 1)");
}

static void test_status(void **state)
{
	struct err err = {0};
	struct meta_v1_status *s;

	assert_int_equal(
		protobuf_from_json(S("{\"kind\":\"Status\",\"apiVersion\":\"v1\","
				     "\"metadata\":{},\"status\":\"Failure\","
				     "\"message\":\"m\",\"reason\":\"NotFound\","
				     "\"details\":{\"name\":\"a\",\"retryAfterSeconds\":2},"
				     "\"code\":404}"),
			&out, &err),
		0);
	s = unwrap(buf_str(&out), &meta_v1_status_schema, "Status");
	assert_int_equal(s->code, 404);
	assert_true(str_eqc(s->reason, "NotFound"));
	assert_int_equal(s->details->retry_after_seconds, 2);
}

static void test_no_form(void **state)
{
	struct err err CLEANUP(err_release) = {0};

	assert_true(protobuf_from_json(S("{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\"}"),
			    &out, &err) < 0);
	assert_int_equal(err.code, 406);
	assert_int_equal(out.n, 0);
}

static void test_event(void **state)
{
	static const char pod[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":"
				  "{\"name\":\"web\"},\"spec\":{\"containers\":null}}";
	const unsigned char *p;
	struct str rest;
	struct v1_pod *v;
	size_t n;

	buf_add_c(&out, "before"); /* frames are appended */
	protobuf_event("ADDED", str_c(pod), &out);
	p = (const unsigned char *)out.p + 6;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	assert_int_equal(n, out.n - 10);
	assert_memory_equal(p + 4,
		"\x0a\x05"
		"ADDED\x12",
		8);
	rest = str_n((const char *)p, out.n - 6);
	rest = str_sub(rest, (size_t)str_find(rest, S("k8s")), rest.n);
	v = unwrap(rest, &v1_pod_schema, "Pod");
	assert_true(str_eqc(v->metadata.name, "web"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_envelope_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
