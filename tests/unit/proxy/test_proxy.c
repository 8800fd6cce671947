/* Services and slices in, nftables text out; and that a change rewrites no more than it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "proxy/ruleset.h"

static struct v1_service *service(struct arena *a, const char *text)
{
	void *v = NULL;

	assert_int_equal(schema_decode_json(&v1_service_schema, str_c(text), a, NULL, &v, NULL), 0);
	return v;
}

static struct discovery_v1_endpoint_slice *slice(struct arena *a, const char *text)
{
	void *v = NULL;

	assert_int_equal(schema_decode_json(&discovery_v1_endpoint_slice_schema, str_c(text), a, NULL, &v, NULL), 0);
	return v;
}

static struct ruleset rules(struct arena *a, const char *svc_text, const char *slice_text)
{
	const struct discovery_v1_endpoint_slice *one = slice_text ? slice(a, slice_text) : NULL;
	struct proxy_service view;
	struct ruleset r = {0};

	proxy_service_from(service(a, svc_text), &one, one ? 1 : 0, S("n1"), false, a, &view);
	ruleset_add_service(&r, &view, a);
	ruleset_sort(&r);
	return r;
}

static void expect(const struct ruleset *before, const struct ruleset *after, struct ruleset_shared *shared,
	const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	ruleset_diff(before, after, shared, &b);
	assert_string_equal(b.p ? b.p : "", want);
	buf_release(&b);
}

#define SVC(more)                                                                                                    \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"clusterIP\":\"10.254.0.5\","          \
	"\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":8080" more "}]}}"
#define SLICE(endpoints)                                                                                             \
	"{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}],\"endpoints\":[" \
	endpoints "]}"
#define EP(ip, conditions) "{\"addresses\":[\"" ip "\"],\"nodeName\":\"n1\",\"conditions\":{" conditions "}}"
#define T "ip sampan_proxy "

static const struct ruleset none;

static void one_service_comes_changes_and_goes(void **state)
{
	struct arena a = {0};
	struct ruleset_shared shared = {0};
	struct ruleset one = rules(&a, SVC(""), SLICE(EP("10.1.0.2", "\"ready\":true")));
	struct ruleset two = rules(&a, SVC(""), SLICE(EP("10.1.0.3", "\"ready\":true") "," EP("10.1.0.2", "")));
	struct ruleset zero = rules(&a, SVC(""), SLICE(EP("10.1.0.2", "\"ready\":false")));

	expect(&none, &one, &shared,
		"add chain " T "svc-default/web/tcp/80\n"
		"add rule " T "svc-default/web/tcp/80 meta l4proto tcp dnat ip addr . port to numgen random mod 1 map { 0 : "
		"10.1.0.2 . 8080 }\n"
		"add element " T "services { 10.254.0.5 . tcp . 80 : goto svc-default/web/tcp/80 }\n"
		"add element " T "hairpin { 10.1.0.2 . 10.1.0.2 }\n");
	expect(&one, &one, &shared, "");
	expect(&one, &two, &shared,
		"flush chain " T "svc-default/web/tcp/80\n"
		"add rule " T "svc-default/web/tcp/80 meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : "
		"10.1.0.2 . 8080, 1 : 10.1.0.3 . 8080 }\n"
		"add element " T "hairpin { 10.1.0.3 . 10.1.0.3 }\n");
	expect(&two, &zero, &shared,
		"flush chain " T "svc-default/web/tcp/80\n"
		"delete element " T "services { 10.254.0.5 . tcp . 80 }\n"
		"add element " T "unanswered { 10.254.0.5 . tcp . 80 : goto refuse_it }\n"
		"delete element " T "hairpin { 10.1.0.2 . 10.1.0.2 }\n"
		"delete element " T "hairpin { 10.1.0.3 . 10.1.0.3 }\n"
		"delete chain " T "svc-default/web/tcp/80\n");
	expect(&zero, &none, &shared, "delete element " T "unanswered { 10.254.0.5 . tcp . 80 }\n");
	assert_int_equal(shared.hairpins.n, 0);
	map_release(&shared.hairpins);
	arena_release(&a);
}

static void endpoints_that_end_serve_while_there_are_no_others(void **state)
{
	struct arena a = {0};
	struct ruleset_shared shared = {0};
	struct ruleset ending = rules(&a, SVC(""),
		SLICE(EP("10.1.0.2", "\"ready\":false,\"serving\":true,\"terminating\":true") ","
			EP("10.1.0.3", "\"ready\":false,\"serving\":false,\"terminating\":true")));
	struct ruleset alive = rules(&a, SVC(""), SLICE(EP("10.1.0.2", "")));

	expect(&alive, &ending, &shared, "");
	map_release(&shared.hairpins);
	arena_release(&a);
}

static void node_port_marks_unless_local(void **state)
{
	struct arena a = {0};
	struct ruleset_shared shared = {0};
	struct ruleset cluster = rules(&a, SVC(",\"nodePort\":30080"), SLICE(EP("10.1.0.2", "")));

	expect(&none, &cluster, &shared,
		"add chain " T "ext-default/web/tcp/80\n"
		"add chain " T "svc-default/web/tcp/80\n"
		"add rule " T "ext-default/web/tcp/80 meta mark set meta mark or 0x00004000\n"
		"add rule " T "ext-default/web/tcp/80 goto svc-default/web/tcp/80\n"
		"add rule " T "svc-default/web/tcp/80 meta l4proto tcp dnat ip addr . port to numgen random mod 1 map { 0 : "
		"10.1.0.2 . 8080 }\n"
		"add element " T "nodeports { tcp . 30080 : goto ext-default/web/tcp/80 }\n"
		"add element " T "services { 10.254.0.5 . tcp . 80 : goto svc-default/web/tcp/80 }\n"
		"add element " T "hairpin { 10.1.0.2 . 10.1.0.2 }\n");
	map_release(&shared.hairpins);
	arena_release(&a);
}

static void headless_has_no_rules(void **state)
{
	struct arena a = {0};
	struct ruleset r = rules(&a,
		"{\"metadata\":{\"name\":\"h\",\"namespace\":\"d\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}}",
		SLICE(EP("10.1.0.2", "")));

	assert_int_equal(r.n, 0);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_service_comes_changes_and_goes),
		cmocka_unit_test(endpoints_that_end_serve_while_there_are_no_others),
		cmocka_unit_test(node_port_marks_unless_local),
		cmocka_unit_test(headless_has_no_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
