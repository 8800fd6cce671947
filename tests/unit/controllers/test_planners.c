/*
 * Golden tests of all controllers: tests/golden/controllers/<controller>/<case>.yaml holds the
 * objects of a cluster, <case>.out what the controller wants written about one key. GOLDEN_UPDATE=1
 * in the environment writes the .out files: read the difference before you commit it.
 *
 *     # key: default/web              what is reconciled; namespace/name
 *     # now: 1767225600               Unix seconds; that is the default, too
 *     # wait: 41                      seconds between the objects' arrival and the reconcile
 *     # answer: {…}                  what the last round's review was answered with
 *     # failure: create pods Forbidden message …     how the last round ended
 *     kind: …                         objects, separated by ---
 *     ---
 *     # deleted                       this one came and went
 */
#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "controllers/cidr.h"
#include "controllers/planner.h"
#include "pki/x509.h"
#include "types.gen.h"

#define GOLDEN "tests/golden/controllers"
enum { FILE_MAX = 1 << 20, NOW = 1767225600 };

struct fixture {
	struct arena arena;
	struct controllers_opts opts;
	const struct planner *planner;
	struct snapshot **snapshots;
	struct owner_index *owners;
	void *state;
	uint64_t revision;
	struct str key;
	int64_t now_s, wait_s;
	struct plan_failure failure;
};

static struct str header(struct str text, const char *name)
{
	char tag[64];
	struct str line;

	snprintf(tag, sizeof(tag), "# %s: ", name);
	while (!str_empty(text)) {
		str_cut(text, '\n', &line, &text);
		if (str_starts(line, str_c(tag)))
			return str_sub(line, strlen(tag), line.n);
	}
	return (struct str){0};
}

static struct str field(struct str text, const char *name)
{
	struct str line;

	while (!str_empty(text)) {
		str_cut(text, '\n', &line, &text);
		if (str_starts(line, str_c(name)))
			return str_trim(str_sub(line, strlen(name), line.n));
	}
	return (struct str){0};
}

static struct object *parse_object(struct fixture *f, struct str doc)
{
	struct err err CLEANUP(err_release) = {0};
	struct str api = field(doc, "apiVersion:"), group, version, json;
	struct schema_decode_opts opts = {.flags = SCHEMA_DECODE_STRICT};
	struct object *draft = NULL, *o;
	void *typed;

	if (!str_cut(api, '/', &group, &version)) {
		version = group;
		group = S("");
	}
	const struct schema_resource *res =
		schema_resource_by_kind(group, version, field(doc, "kind:"));
	if (!res)
		fail_msg("unknown kind in: " STR_FMT, STR_ARG(doc));
	if (yaml_to_json(doc, &f->arena, &json, NULL, &err) < 0 ||
		schema_decode_json(res->type, json, &f->arena, &opts, &typed, &err) < 0)
		fail_msg("%s in: " STR_FMT, err_text(&err), STR_ARG(doc));
	if (opts.warnings.n)
		fail_msg(STR_FMT " in: " STR_FMT, STR_ARG(opts.warnings.v[0]), STR_ARG(doc));
	schema_default(res->type, typed, &f->arena);
	if (object_draft(res, typed, &draft, &err) < 0)
		fail_msg("%s", err_text(&err));
	o = object_commit(draft, ++f->revision);
	object_unref(draft);
	return o;
}

static void ignore_key(void *user_data, struct str ns, struct str name)
{
}

static void deliver(struct fixture *f, struct view *v, const struct store_event *ev)
{
	const struct planner *p = f->planner;
	const struct schema_resource *res = ev->object->resource;
	struct snapshot **s = &f->snapshots[res->index], *old = *s;
	bool watched = false;

	*s = ev->type == STORE_DELETED
		     ? snapshot_without(old, ev->object->ns, ev->object->name, ev->revision)
		     : snapshot_with(old, ev->object, ev->revision);
	snapshot_unref(old);
	owner_index_apply(f->owners, ev);
	for (const struct plan_watch *w = p->watches; w->resource; w++) {
		if (w->resource != res)
			continue;
		watched = true;
		if (w->keys)
			w->keys(v, ev, ignore_key, NULL);
	}
	if (p->watch_all && !watched)
		p->watch_all(v, ev, ignore_key, NULL);
}

static void load_objects(struct fixture *f, struct view *v, struct str text)
{
	while (!str_empty(text)) {
		ssize_t at = str_find(text, S("\n---\n"));
		struct str doc = at < 0 ? text : str_sub(text, 0, (size_t)at);
		struct object *o = parse_object(f, doc);
		struct store_event ev = {.type = STORE_ADDED, .object = o, .revision = o->revision};

		text = at < 0 ? S("") : str_sub(text, (size_t)at + 5, text.n);
		deliver(f, v, &ev);
		if (str_find(doc, S("# deleted\n")) >= 0) {
			ev.type = STORE_DELETED;
			ev.revision = ++f->revision;
			deliver(f, v, &ev);
		}
		object_unref(o);
	}
}

static const char *op_name(enum plan_op op)
{
	static const char *const names[] = {"create", "update", "update status", "patch", "delete",
		"delete collection", "verify absent"};

	return names[op];
}

/* A certificate differs from run to run; what it says does not. */
static void write_certificate(const struct plan_write *w, struct buf *out)
{
	struct certificates_v1_certificate_signing_request *csr = (void *)w->object;
	struct x509_info info;
	struct arena a = {0};

	if (w->resource != &certificates_v1_certificate_signing_request_resource ||
		!csr->status.certificate.n)
		return;
	assert_int_equal(x509_info_read(csr->status.certificate, &a, &info, NULL), 0);
	buf_fmt(out, "\tcertificate of " STR_FMT ", %zu names, %zu addresses, from %" PRId64
		" to %" PRId64 "\n",
		STR_ARG(info.names.common_name), info.names.dns.n, info.names.ips.n,
		info.not_before_s, info.not_after_s);
	csr->status.certificate = S("(certificate)");
	arena_release(&a);
}

static void write_plan(const struct plan *p, int result, const struct err *err, struct buf *out)
{
	for (size_t i = 0; i < p->writes.n; i++) {
		const struct plan_write *w = &p->writes.v[i];

		if (i && w[-1].wave != w->wave)
			buf_add_c(out, "then\n");
		buf_fmt(out, "%s %s " STR_FMT "/" STR_FMT " " STR_FMT "\n", op_name(w->op),
			w->resource->plural, STR_ARG(w->ns), STR_ARG(w->name),
			STR_ARG(w->subresource));
		if (w->object) {
			write_certificate(w, out);
			buf_add_c(out, "\t");
			schema_encode_json(w->type ? w->type : w->resource->type, w->object, out);
			buf_add_c(out, "\n");
		}
		if (w->patch.n)
			buf_fmt(out, "\t" STR_FMT "\n", STR_ARG(w->patch));
		if (w->op == PLAN_DELETE)
			buf_fmt(out, "\tuid " STR_FMT " grace %" PRId64 " %s\n", STR_ARG(w->uid),
				w->grace_s, w->propagation ? w->propagation : "");
		if (w->event.about && w->event.reason)
			buf_fmt(out, "\tevent %s %s" STR_FMT "\n", w->event.reason,
				w->event.text ? w->event.text : "",
				STR_ARG(w->event.text ? w->name : w->event.message));
	}
	for (size_t i = 0; i < p->events.n; i++)
		buf_fmt(out, "event %s " STR_FMT ": " STR_FMT "\n", p->events.v[i].type,
			STR_ARG(p->events.v[i].reason), STR_ARG(p->events.v[i].message));
	if (p->requeue_ms)
		buf_fmt(out, "again in %" PRId64 " ms\n", p->requeue_ms);
	if (result < 0)
		buf_fmt(out, "error: %s\n", err_text(err));
}

static void parse_header(struct fixture *f, struct str text)
{
	struct str failure = header(text, "failure"), word;

	f->key = header(text, "key");
	f->now_s = NOW;
	if (header(text, "now").n)
		str_to_i64(header(text, "now"), &f->now_s);
	if (header(text, "wait").n)
		str_to_i64(header(text, "wait"), &f->wait_s);
	if (!failure.n)
		return;
	str_cut(failure, ' ', &word, &failure);
	f->failure.op = str_eq(word, S("create")) ? PLAN_CREATE : PLAN_DELETE;
	str_cut(failure, ' ', &word, &failure);
	for (size_t i = 0; i < schema_n_resources; i++)
		if (schema_resources[i]->storage && str_eqc(word, schema_resources[i]->plural))
			f->failure.resource = schema_resources[i];
	str_cut(failure, ' ', &f->failure.reason, &failure);
	str_cut(failure, ' ', &f->failure.name, &f->failure.message);
	f->failure.code = 403;
}

static void setup(struct fixture *f, const struct planner *p)
{
	*f = (struct fixture){.planner = p, .owners = owner_index_new()};
	arena_init(&f->arena);
	f->opts = (struct controllers_opts){
		.root_ca_pem = S("-----BEGIN CERTIFICATE-----\n"),
		.cluster_cidr = "10.244.0.0/16",
		.service_cidr = "10.244.4.0/24",
		.node_cidr_mask_ipv4 = 24,
		.node_cidr_mask_ipv6 = 64,
		.node_monitor_grace_ms = 40000,
		.node_startup_grace_ms = 60000,
		.terminated_pod_gc_threshold = 2,
	};
	for (int i = 0; i < SIGNERS; i++) {
		assert_int_equal(file_read(GOLDEN "/ca.crt", FILE_MAX, &f->arena,
					 &f->opts.signing[i].cert_pem, NULL),
			0);
		assert_int_equal(file_read(GOLDEN "/ca.key", FILE_MAX, &f->arena,
					 &f->opts.signing[i].key_pem, NULL),
			0);
	}
	f->snapshots = xcalloc(schema_n_resources, sizeof(struct snapshot *));
	for (size_t i = 0; i < schema_n_resources; i++)
		f->snapshots[i] = snapshot_new(schema_resources[i]);
	f->state = p->init ? p->init(&f->opts) : NULL;
}

static void teardown(struct fixture *f)
{
	arena_release(&f->arena);
	for (size_t i = 0; i < schema_n_resources; i++)
		snapshot_unref(f->snapshots[i]);
	free(f->snapshots);
	owner_index_free(f->owners);
	if (f->planner->free)
		f->planner->free(f->state);
}

static void run_case(const struct planner *p, struct str text, struct buf *out)
{
	struct err err CLEANUP(err_release) = {0};
	struct fixture f;

	setup(&f, p);
	parse_header(&f, text);
	struct view v = {
		.arena = &f.arena,
		.opts = &f.opts,
		.state = f.state,
		.now_ns = f.now_s * 1000000000,
		.random_state = 1,
		.snapshots = f.snapshots,
		.owners = f.owners,
	};
	struct plan plan = {.arena = &f.arena};
	struct plan_key key;
	load_objects(&f, &v, text);
	v.now_ns += f.wait_s * 1000000000;
	v.failure = f.failure.code ? &f.failure : NULL;
	v.answer = header(text, "answer");
	if (!str_cut(f.key, '/', &key.ns, &key.name))
		fail_msg("# key: namespace/name is missing");
	/* The garbage collector's names begin with the resource. */
	struct str plural, name;
	if (p->watch_all && str_cut(key.name, '/', &plural, &name))
		for (size_t i = 0; i < schema_n_resources; i++)
			if (str_eqc(plural, schema_resources[i]->plural) &&
				schema_resources[i]->storage)
				key.name = arena_fmt(&f.arena, "%zu/" STR_FMT, i, STR_ARG(name));
	key.ns = arena_str(&f.arena, key.ns);
	key.name = arena_str(&f.arena, key.name);
	int r = p->reconcile(&v, key, &plan, &err);
	write_plan(&plan, r, &err, out);
	teardown(&f);
}

static void check(const struct planner *p, const char *path)
{
	struct arena a;
	struct str text = {0}, expected = {0};
	struct buf out;
	struct err err CLEANUP(err_release) = {0};
	char *golden = xasprintf("%.*s.out", (int)strlen(path) - 5, path);

	arena_init(&a);
	buf_init(&out, FILE_MAX);
	if (file_read(path, FILE_MAX, &a, &text, &err) < 0)
		fail_msg("%s: %s", path, err_text(&err));
	run_case(p, text, &out);
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
	free(golden);
}

static int is_case(const struct dirent *d)
{
	return str_ends(str_c(d->d_name), S(".yaml"));
}

static void test_planner(void **state)
{
	const struct planner *p = *state;
	struct dirent **cases;
	char *dir = xasprintf(GOLDEN "/%s", p->name);
	int n = scandir(dir, &cases, is_case, alphasort);

	if (n <= 0)
		fail_msg("%s has no golden test", p->name);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, cases[i]->d_name);

		check(p, path);
		free(path);
		free(cases[i]);
	}
	free(cases);
	free(dir);
}

static void test_cidr(void **state)
{
	struct cidr c, sub, many[CIDRS_MAX];
	struct arena a;

	arena_init(&a);
	assert_int_equal(cidr_parse(S("10.244.7.9/16"), &c), 0);
	assert_int_equal(cidr_count(&c, 24), 256);
	sub = cidr_sub(&c, 24, 255);
	assert_string_equal(cidr_format(&sub, &a).p, "10.244.255.0/24");
	assert_int_equal(cidr_index(&c, &sub, 24), 255);
	assert_int_equal(cidr_parse(S("10.245.1.0/24"), &sub), 0);
	assert_int_equal(cidr_index(&c, &sub, 24), -1);
	assert_int_equal(cidrs_check_apart(S("10.244.0.0/16"), S("10.254.0.0/16"), NULL), 0);
	assert_true(cidrs_check_apart(S("10.244.0.0/16"), S("10.244.9.0/24"), NULL) < 0);
	assert_true(cidrs_check_apart(S("10.244.0.0/16"), S("10.0.0.0/8"), NULL) < 0);
	assert_int_equal(
		cidrs_check_apart(S("10.244.0.0/16,fd00::/48"), S("fd00:0:1::/108"), NULL), 0);
	assert_true(cidrs_check_apart(S("10.244.0.0/16,fd00::/48"), S("fd00::/108"), NULL) < 0);
	assert_int_equal(cidr_parse(S("10.244.0.0"), &c), -EINVAL);
	assert_int_equal(cidr_parse(S("10.244.0.0/33"), &c), -EINVAL);
	assert_int_equal(cidrs_parse(S("10.244.0.0/16,fd00::/48"), many, NULL), 2);
	sub = cidr_sub(&many[1], 64, 5);
	assert_string_equal(cidr_format(&sub, &a).p, "fd00:0:0:5::/64");
	assert_true(cidrs_parse(S("10.244.0.0/16,10.0.0.0/8"), many, NULL) < 0);
	arena_release(&a);
}

int main(void)
{
	struct CMUnitTest tests[64] = {{.name = "cidr", .test_func = test_cidr}};
	size_t n = 1;

	for (size_t i = 0; planners[i]; i++)
		tests[n++] = (struct CMUnitTest){.name = planners[i]->name,
			.test_func = test_planner,
			.initial_state = (void *)planners[i]};
	return _cmocka_run_group_tests("planners", tests, n, NULL, NULL);
}
