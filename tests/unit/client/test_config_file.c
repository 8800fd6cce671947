/* Configuration files: what the table names is set, all else is an error that says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "client/config_file.h"

struct values {
	bool on;
	int port;
	const char *name;
	int64_t wait_ms;
	struct flag_list list;
};

static int read_text(const char *text, struct values *v, struct arena *a, struct err *err)
{
	const struct flag more[] = {
		{"cipher", FLAG_REFUSED, NULL, "default", "it is default"},
		{"cache", FLAG_UNUSED, NULL, NULL, "there is none"},
		{NULL},
	};
	const struct flag fields[] = {
		{"enabled", FLAG_BOOL, &v->on},
		{"server.port", FLAG_INT, &v->port},
		{"profiles[0].name", FLAG_STRING, &v->name},
		{"wait", FLAG_DURATION, &v->wait_ms},
		{"list", FLAG_LIST, &v->list},
		{"", FLAG_GROUP, (void *)more},
		{NULL},
	};
	char path[] = "/tmp/sampan-config-XXXXXX";
	int fd = mkstemp(path), r;
	struct str body = arena_fmt(a, "apiVersion: v1\nkind: Config\n%s", text);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write(path, body, 0600, NULL), 0);
	r = config_file_read(path, "v1", "Config", fields, a, err);
	unlink(path);
	return r;
}

static void what_is_named_is_set(void **state)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct err err CLEANUP(err_release) = {0};
	struct values v = {0};

	assert_int_equal(
		read_text("enabled: true\nserver: {port: 7}\nprofiles: [{name: x}]\nwait: 1m30s\n"
			  "list: {a: b, c: d}\ncipher: default\ncache: {size: 1}\n",
			&v, &a, &err),
		0);
	assert_true(v.on);
	assert_int_equal(v.port, 7);
	assert_string_equal(v.name, "x");
	assert_int_equal(v.wait_ms, 90000);
	assert_int_equal(v.list.n, 2);
	assert_true(str_eqc(v.list.v[1], "c=d"));
}

static void all_else_is_an_error(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"server: {prt: 7}", "unknown field \"server.prt\""},
		{"profiles: [{name: x}, {name: y}]", "unknown field \"profiles[1]\""},
		{"server: {port: many}", "server.port: want a number"},
		{"server: 7", "server: want an object"},
		{"enabled: yes please", "enabled: want true or false"},
		{"wait: 5", "wait: want a duration"},
		{"list: [{a: b}]", "list: want strings"},
		{"cipher: none", "cipher is not supported: it is default"},
		{"enabled: true\nenabled: false", "already set"},
		{"enabled: [", "yaml"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena a CLEANUP(arena_release) = {0};
		struct err err CLEANUP(err_release) = {0};
		struct values v = {0};

		assert_true(read_text(bad[i].text, &v, &a, &err) < 0);
		if (!strstr(err_text(&err), bad[i].words))
			fail_msg("\"%s\" says: %s", bad[i].text, err_text(&err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_is_set),
		cmocka_unit_test(all_else_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
