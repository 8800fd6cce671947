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
#include "store/backend.h"
#include "types.gen.h"

#define CONFIG_MAPS (&v1_config_map_resource)
#define LEASES (&coordination_v1_lease_resource) /* lazy */

static inline struct object *make_draft(
	const struct schema_resource *res, const char *ns, const char *name, const char *value)
{
	struct str_pair v = {S("v"), str_c(value)};
	struct meta_v1_object_meta meta = {
		.name = str_c(name),
		.namespace = str_c(ns),
		.uid = S("11111111-2222-3333-4444-555555555555"),
		.annotations = {&v, 1},
	};
	struct v1_config_map config_map = {.metadata = meta};
	struct coordination_v1_lease lease = {.metadata = meta};
	struct object *o;

	assert_int_equal(
		object_draft(res, res == LEASES ? (void *)&lease : &config_map, &o, NULL), 0);
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
