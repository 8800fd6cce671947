/* store_test.h: what the tests of the store share: objects from a name and a value, and waiting for
 * a write. */
#ifndef SAMPAN_STORE_TEST_H
#define SAMPAN_STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base.h"
#include "object_fake.h"
#include "store/backend.h"
#include "types.gen.h"

#define CONFIG_MAPS (&v1_config_map_resource)
#define LEASES (&coordination_v1_lease_resource) /* lazy */

static inline struct object *make_draft(
	const struct schema_resource *res, const char *ns, const char *name, const char *value)
{
	char *json = xasprintf(
		"{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":"
		"\"%s\",\"uid\":\"u-%s\",\"resourceVersion\":\"\",\"annotations\":{\"v\":\"%s\"}}}",
		res->kind, res->group, *res->group ? "/" : "", res->version, name, ns, name, value);
	struct object *o;

	assert_int_equal(object_parse(res, str_c(json), &o, NULL), 0);
	free(json);
	return o;
}

static inline bool has_value(const struct object *o, const char *value)
{
	char *text = xasprintf("\"v\":\"%s\"", value);
	bool found = str_find(o->json, str_c(text)) >= 0;

	free(text);
	return found;
}

/* A write that notes when it is done. */
struct test_write {
	struct store_write w;
	bool done;
	struct loop *stop; /* to be stopped then; may be NULL */
};

static inline void test_write_done(struct store_write *w)
{
	struct test_write *t = container_of(w, struct test_write, w);

	t->done = true;
	if (t->stop)
		loop_stop(t->stop);
}

static inline struct test_write test_write(enum store_op op, const struct schema_resource *res,
	const char *ns, const char *name, const char *value, uint64_t expect)
{
	return (struct test_write){
		.w = {.op = op,
			.resource = res,
			.ns = str_c(ns),
			.name = str_c(name),
			.draft = value ? make_draft(res, ns, name, value) : NULL,
			.expect_revision = expect,
			.done = test_write_done},
	};
}

#endif
