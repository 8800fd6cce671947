/*
 * What overlays and network policies plan, as text. tests/golden/network/NAME.yaml holds the
 * objects of a cluster as node "a" is told of them, in steps ("# step: …"; "# gone" before an
 * object that was deleted); NAME.out is what is done at each. GOLDEN_UPDATE=1 writes the latter.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "network/nft_table.h"
#include "network/ovs.h"
#include "network/policy.h"
#include "schema/schema.h"
#include "types.gen.h"

#define GOLDEN "tests/golden/network"

enum { FILE_MAX = 1 << 20, NODES_MAX = 64 };

struct cluster {
	struct arena arena;
	const struct v1_node *nodes[NODES_MAX];
	size_t n_nodes;
	struct overlay_items have[3]; /* of each backend */
	struct policies *policies;
	bool nodes_changed;
};

static const struct overlay_backend *const backends[] = {
	&overlay_host_gw, &overlay_vxlan, &overlay_ovs};

static void *decode(struct cluster *c, const struct schema_type *type, struct str doc)
{
	struct err err CLEANUP(err_release) = {0};
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	struct str json;
	void *typed = NULL;

	if (yaml_to_json(doc, &c->arena, &json, NULL, &err) < 0 ||
		schema_decode_json(type, json, &c->arena, &opts, &typed, &err) < 0)
		fail_msg("%s in: " STR_FMT, err_text(&err), STR_ARG(doc));
	schema_default(type, typed, &c->arena);
	return typed;
}

static void put_node(struct cluster *c, const struct v1_node *node, bool gone)
{
	size_t at = 0;

	while (at < c->n_nodes && !str_eq(c->nodes[at]->metadata.name, node->metadata.name))
		at++;
	if (gone)
		c->nodes[at] = c->nodes[--c->n_nodes];
	else if (at < c->n_nodes)
		c->nodes[at] = node;
	else
		c->nodes[c->n_nodes++] = node;
	assert_true(c->n_nodes < NODES_MAX);
	c->nodes_changed = true;
}

static void put_object(struct cluster *c, struct str doc)
{
	bool gone = str_find(doc, S("# gone\n")) >= 0;

	if (str_find(doc, S("kind: Node\n")) >= 0) {
		put_node(c, decode(c, &v1_node_schema, doc), gone);
	} else if (str_find(doc, S("kind: Pod\n")) >= 0) {
		const struct v1_pod *pod = decode(c, &v1_pod_schema, doc);

		if (str_find(doc, S("# starts\n")) >= 0)
			policies_starts(c->policies, pod);
		else
			policies_pod(c->policies, pod, gone);
	} else if (str_find(doc, S("kind: Namespace\n")) >= 0) {
		const struct v1_namespace *ns = decode(c, &v1_namespace_schema, doc);

		policies_namespace(c->policies, ns->metadata.name, &ns->metadata.labels, gone);
	} else {
		policies_policy(
			c->policies, decode(c, &networking_v1_network_policy_schema, doc), gone);
	}
}

static void write_overlays(struct cluster *c, struct buf *out)
{
	struct overlay_view v;

	overlay_view_fill(&v, S("a"), c->nodes, c->n_nodes, &c->arena);
	for (size_t i = 0; i < v.problems.n; i++)
		buf_fmt(out, "problem: " STR_FMT "\n", STR_ARG(v.problems.v[i]));
	for (size_t b = 0; b < ARRAY_SIZE(backends); b++) {
		struct overlay_items wanted = {0};
		struct overlay_ops ops = {0}, again = {0};

		if (v.self.n_cidrs)
			backends[b]->plan(&v, &c->have[b], &wanted);
		overlay_diff(&c->have[b], &wanted, &c->arena, &ops);
		overlay_diff(&wanted, &wanted, &c->arena, &again);
		assert_int_equal(again.n, 0);
		buf_fmt(out, "%s:\n", backends[b]->name);
		for (size_t i = 0; i < ops.n; i++)
			buf_fmt(out, "  " STR_FMT "\n",
				STR_ARG(overlay_op_text(&ops.v[i], &c->arena)));
		c->have[b] = wanted;
	}
	buf_add_c(out, "flows of obr0:\n");
	ovs_flows(&v, &c->have[2], out);
}

static void run_step(struct cluster *c, struct str step, struct buf *out)
{
	struct str rest = step, doc;
	ssize_t at;

	c->nodes_changed = false;
	while (rest.n) {
		at = str_find(rest, S("---\n"));
		doc = at < 0 ? rest : str_sub(rest, 0, (size_t)at);
		rest = at < 0 ? S("") : str_sub(rest, (size_t)at + 4, rest.n);
		if (str_find(doc, S("kind:")) >= 0)
			put_object(c, doc);
	}
	if (c->nodes_changed)
		write_overlays(c, out);
	policies_changes(c->policies, out);
}

static void run_case(struct str text, struct buf *out)
{
	struct cluster c = {.policies = policies_new(S("a"))};
	const struct str mark = S("# step: ");
	struct str title, step;

	for (ssize_t at = str_find(text, mark); at >= 0; at = str_find(text, mark)) {
		str_cut(str_sub(text, (size_t)at, text.n), '\n', &title, &text);
		at = str_find(text, mark);
		step = at < 0 ? text : str_sub(text, 0, (size_t)at);
		buf_fmt(out, STR_FMT "\n", STR_ARG(title));
		run_step(&c, arena_str(&c.arena, step), out);
	}
	policies_free(c.policies);
	arena_release(&c.arena);
}

static void check(const char *name)
{
	struct err err CLEANUP(err_release) = {0};
	char *path CLEANUP(free_ptr) = xasprintf(GOLDEN "/%s", name);
	char *golden CLEANUP(free_ptr) = xasprintf("%.*s.out", (int)strlen(path) - 5, path);
	struct str text, expected;
	struct arena a = {0};
	struct buf out;

	buf_init(&out, FILE_MAX);
	if (file_read(path, FILE_MAX, &a, &text, &err) < 0)
		fail_msg("%s: %s", path, err_text(&err));
	run_case(text, &out);
	assert_false(buf_failed(&out));
	if (getenv("GOLDEN_UPDATE")) {
		assert_int_equal(file_write(golden, buf_str(&out), 0644, &err), 0);
	} else if (file_read(golden, FILE_MAX, &a, &expected, &err) < 0) {
		fail_msg("%s: %s", golden, err_text(&err));
	} else if (!str_eq(expected, buf_str(&out))) {
		print_error("%s: is now\n" STR_FMT, golden, STR_ARG(buf_str(&out)));
		fail_msg("%s differs", path);
	}
	buf_release(&out);
	arena_release(&a);
}

static int is_case(const struct dirent *d)
{
	return str_ends(str_c(d->d_name), S(".yaml"));
}

static void golden_files(void **state)
{
	struct dirent **cases;
	int n = scandir(GOLDEN, &cases, is_case, alphasort);

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		check(cases[i]->d_name);
		free(cases[i]);
	}
	free(cases);
}

/* Whatever happened before, a table that was forgotten is told as one made anew would be. */
static void a_forgotten_table_is_told_again(void **state)
{
	struct nft_table *t = nft_table_new("ip t", "chain c {\n}\n");
	struct buf first, second;

	buf_init(&first, 1 << 16);
	buf_init(&second, 1 << 16);
	nft_table_add_set(t, S("s"), "type ipv4_addr");
	nft_table_put(t, S("s"), S("10.0.0.1"), S(""));
	nft_table_set_chain(t, S("x"), S("accept\n"));
	nft_table_changes(t, &first);
	nft_table_put(t, S("s"), S("10.0.0.2"), S(""));
	nft_table_changes(t, &second);
	assert_string_equal(second.p, "add element ip t s { 10.0.0.2 }\n");
	buf_reset(&second);
	nft_table_changes(t, &second);
	assert_int_equal(second.n, 0);
	nft_table_remove(t, S("s"), S("10.0.0.2"));
	nft_table_changes(t, &second);
	assert_string_equal(second.p, "delete element ip t s { 10.0.0.2 }\n");
	buf_reset(&second);
	nft_table_forget(t);
	nft_table_changes(t, &second);
	assert_string_equal(first.p, second.p);
	buf_release(&first);
	buf_release(&second);
	nft_table_free(t);
}

static void addresses(void **state)
{
	struct ip_prefix p, q;
	struct ip_addr ip;
	char text[IP_TEXT_MAX];

	assert_int_equal(ip_prefix_parse(S("10.1.2.3/16"), &p), 0);
	assert_string_equal(ip_prefix_text(&p, text), "10.1.0.0/16");
	ip = ip_prefix_at(&p, 259);
	assert_string_equal(addr_text(&ip, text), "10.1.1.3");
	assert_int_equal(ip_prefix_offset(&p, &ip), 259);
	addr_parse(S("10.2.0.0"), &ip);
	assert_int_equal(ip_prefix_offset(&p, &ip), UINT32_MAX);
	assert_int_equal(ip_prefix_parse(S("fd00::/64"), &q), 0);
	assert_false(ip_prefixes_overlap(&p, &q));
	ip = ip_prefix_gateway(&q);
	assert_string_equal(addr_text(&ip, text), "fd00::1");
	assert_true(ip_prefix_parse(S("10.0.0.0/33"), &p) < 0);
	assert_true(ip_prefix_parse(S("10.0.0.0"), &p) < 0);
	assert_true(addr_parse(S("10.0.0"), &ip) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(a_forgotten_table_is_told_again),
		cmocka_unit_test(golden_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
