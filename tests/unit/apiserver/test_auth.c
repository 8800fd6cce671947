/* test_auth.c: rules, decisions, the default policy, escalation texts, the node authorizer, tokens
 * and static tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "json/value.h"
#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/node_pods.h"
#include "apiserver/auth/policy.h"
#include "apiserver/auth/rbac_index.h"
#include "base/file.h"
#include "signing_key.h"
#include "store/backend.h"

enum { TEXT_MAX = 1 << 20 };

struct fixture {
	struct arena arena;
	struct sim_clock *clock;
	struct loop *loop;
	struct store *store;
	struct auth *auth;
};

static const char tokens[] = "admin-token,admin,a1,\"system:masters\"\n"
			     "# a comment\n"
			     "bob-token,bob,b1\n"
			     "eve-token,\"eve, the \"\"second\"\"\",e1,\"g1, g2\"\n";

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err CLEANUP(err_release) = {0};
	struct store_opts so = {.backend = backend_memory_new()};
	struct auth_opts ao = {
		.token_auth_csv = str_c(tokens), .service_account_key_pem = TEST_SIGNING_KEY};

	f->clock = sim_clock_new(1, 1700000000LL * 1000000000);
	f->loop = so.sim_loop = loop_new_sim(f->clock);
	assert_int_equal(store_open(&so, &f->store, &err), 0);
	ao.store = f->store;
	assert_int_equal(auth_new(&ao, &f->auth, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	auth_free(f->auth);
	store_close(f->store);
	loop_free(f->loop);
	sim_clock_free(f->clock);
	arena_release(&f->arena);
	free(f);
	return 0;
}

static void written(struct store_write *w)
{
	assert_int_equal(w->result, 0);
	object_unref((struct object *)w->object);
}

static void put_op(struct fixture *f, enum store_op op, const struct schema_resource *res,
	const char *ns, const char *name, const char *yaml)
{
	struct store_write w = {.op = op,
		.resource = res,
		.ns = str_c(ns),
		.name = str_c(name),
		.loop = f->loop,
		.done = written};
	struct schema_decode_opts opts = {0};
	struct err err CLEANUP(err_release) = {0};
	struct str json;
	void *typed;

	if (yaml) {
		assert_int_equal(yaml_to_json(str_c(yaml), &f->arena, &json, NULL, &err), 0);
		assert_int_equal(
			schema_decode_json(res->type, json, &f->arena, &opts, &typed, &err), 0);
		assert_int_equal(object_draft(res, typed, &w.draft, &err), 0);
	}
	store_submit(f->store, &w);
	while (sim_clock_step(f->clock, sim_clock_now_ms(f->clock) + 1000))
		;
}

static void put(struct fixture *f, const struct schema_resource *res, const char *ns,
	const char *name, const char *yaml)
{
	put_op(f, STORE_CREATE, res, ns, name, yaml);
}

static struct user_info user(struct fixture *f, const char *name, const char *groups)
{
	struct user_info u = {.name = str_c(name)};
	struct str rest = str_c(groups), one;

	while (rest.n) {
		str_cut(rest, ' ', &one, &rest);
		ARENA_PUSH(&f->arena, &u.groups, one);
	}
	return u;
}

/* "get pods/log.apps ns/name", or "get /path" */
static struct request_info question(struct fixture *f, const char *text)
{
	struct request_info i = {0};
	struct str what, where = {0};

	str_cut(str_c(text), ' ', &i.verb, &what);
	if (str_starts(what, S("/"))) {
		i.path = what;
		return i;
	}
	i.is_resource = true;
	str_cut(what, ' ', &what, &where);
	str_cut(what, '.', &what, &i.group);
	str_cut(what, '/', &i.resource, &i.subresource);
	str_cut(where, '/', &i.ns, &i.name);
	return i;
}

static struct str answer(struct fixture *f, struct user_info u, const char *text)
{
	struct request_info i = question(f, text);
	struct auth_answer a;

	auth_ask(f->auth, NULL, &f->arena, &u, &i, &a);
	return arena_fmt(&f->arena, "%s%s" STR_FMT, a.decision == AUTH_ALLOW ? "yes" : "no",
		a.reason.n ? ": " : "", STR_ARG(a.reason));
}

static void check_answer(
	struct fixture *f, struct user_info u, const char *text, const char *expected)
{
	struct str got = answer(f, u, text);

	if (!str_eqc(got, expected))
		fail_msg("%s: %s: \"" STR_FMT "\", not \"%s\"", u.name.p, text, STR_ARG(got),
			expected);
}

/* --- rules --- */

static struct str_vec list(struct fixture *f, const char *text)
{
	struct str rest = str_c(text), one;
	struct str_vec v = {0};
	bool more = text;

	while (more) {
		more = str_cut(rest, ',', &one, &rest);
		ARENA_PUSH(&f->arena, &v, one);
	}
	return v;
}

static struct rbac_v1_policy_rule rule(struct fixture *f, const char *verbs, const char *groups,
	const char *resources, const char *names, const char *urls)
{
	return (struct rbac_v1_policy_rule){
		list(f, verbs), list(f, groups), list(f, resources), list(f, names), list(f, urls)};
}

static void test_rules(void **state)
{
	struct fixture *f = *state;
	const struct {
		struct rbac_v1_policy_rule rule;
		const char *question;
		bool allowed;
	} cases[] = {
		{rule(f, "get", "", "pods", NULL, NULL), "get pods a/b", true},
		{rule(f, "get", "", "pods", NULL, NULL), "list pods a/", false},
		{rule(f, "*", "", "pods", NULL, NULL), "anything pods a/", true},
		{rule(f, "get", "", "pods", NULL, NULL), "get pods/log a/b", false},
		{rule(f, "get", "", "pods/log", NULL, NULL), "get pods a/b", false},
		{rule(f, "get", "", "pods/log", NULL, NULL), "get pods/log a/b", true},
		{rule(f, "get", "", "*/log", NULL, NULL), "get pods/log a/b", true},
		{rule(f, "get", "", "*/log", NULL, NULL), "get pods/exec a/b", false},
		{rule(f, "get", "", "*/log", NULL, NULL), "get pods a/b", false},
		{rule(f, "get", "", "*", NULL, NULL), "get pods/log a/b", true},
		{rule(f, "get", "", "pods/*", NULL, NULL), "get pods/log a/b", false},
		{rule(f, "get", "apps", "pods", NULL, NULL), "get pods a/b", false},
		{rule(f, "get", "*", "pods", NULL, NULL), "get pods.x a/b", true},
		{rule(f, "get", "", "pods", "b", NULL), "get pods a/b", true},
		{rule(f, "get", "", "pods", "b", NULL), "get pods a/c", false},
		{rule(f, "list", "", "pods", "b", NULL), "list pods a/", false},
		{rule(f, "get", NULL, NULL, NULL, "/api,/apis/*"), "get /api", true},
		{rule(f, "get", NULL, NULL, NULL, "/api,/apis/*"), "get /apis/x", true},
		{rule(f, "get", NULL, NULL, NULL, "/api,/apis/*"), "get /apis", false},
		{rule(f, "get", NULL, NULL, NULL, "*"), "get /x", true},
		{rule(f, "get", "*", "*", NULL, NULL), "get /x", false},
		{rule(f, "*", NULL, NULL, NULL, "*"), "get pods a/b", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request_info info = question(f, cases[i].question);

		if (rbac_rule_allows(&cases[i].rule, &info) != cases[i].allowed)
			fail_msg("case %zu (%s)", i, cases[i].question);
	}
}

static void check_missing(struct fixture *f, struct rbac_v1_policy_rule have,
	struct rbac_v1_policy_rule want, const char *expected)
{
	const struct rbac_v1_policy_rule_vec h = {&have, 1}, w = {&want, 1};
	const struct rbac_v1_policy_rule_vec missing = rbac_missing(&f->arena, &h, &w);
	const struct rbac_v1_policy_rule_vec compact = rbac_compact(&f->arena, &missing);
	struct str text = S("");

	for (size_t i = 0; i < compact.n; i++)
		text = arena_fmt(&f->arena, STR_FMT STR_FMT, STR_ARG(text),
			STR_ARG(rbac_rule_text(&f->arena, &compact.v[i])));
	if (!str_eqc(text, expected))
		fail_msg("\"" STR_FMT "\", not \"%s\"", STR_ARG(text), expected);
}

static void test_covers(void **state)
{
	struct fixture *f = *state;

	check_missing(f, rule(f, "get,list", "", "pods", NULL, NULL),
		rule(f, "get", "", "pods", NULL, NULL), "");
	check_missing(f, rule(f, "get", "", "pods", NULL, NULL),
		rule(f, "get,list,watch", "", "pods", NULL, NULL),
		"{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\" \"watch\"]}");
	check_missing(f, rule(f, "get", "", "pods", "a", NULL),
		rule(f, "get", "", "pods", "a,b", NULL),
		"{APIGroups:[\"\"], Resources:[\"pods\"], ResourceNames:[\"b\"], Verbs:[\"get\"]}");
	/* a right to all names is more than one to a name, and not the other way round */
	check_missing(f, rule(f, "get", "", "pods", "a", NULL),
		rule(f, "get", "", "pods", NULL, NULL),
		"{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}");
	check_missing(f, rule(f, "get", "", "pods", NULL, NULL),
		rule(f, "get", "", "pods", "a", NULL), "");
	check_missing(
		f, rule(f, "*", "*", "*", NULL, NULL), rule(f, "x", "y", "z/w", NULL, NULL), "");
	check_missing(f, rule(f, "get", "", "*/log", NULL, NULL),
		rule(f, "get", "", "pods/log,pods", NULL, NULL),
		"{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}");
	/* a star is held by a star alone */
	check_missing(f, rule(f, "get", "a,b", "pods", NULL, NULL),
		rule(f, "get", "*", "pods", NULL, NULL),
		"{APIGroups:[\"*\"], Resources:[\"pods\"], Verbs:[\"get\"]}");
	check_missing(f, rule(f, "get", NULL, NULL, NULL, "/a/*"),
		rule(f, "get", NULL, NULL, NULL, "/a/b,/c"),
		"{NonResourceURLs:[\"/c\"], Verbs:[\"get\"]}");
}

/* --- decisions --- */

static void put_rbac(struct fixture *f)
{
	put(f, &rbac_v1_role_resource, "n", "r",
		"{metadata: {name: r, namespace: 'n'}, rules: [{apiGroups: [''], resources: "
		"[pods], "
		"verbs: [list]}]}");
	put(f, &rbac_v1_cluster_role_resource, "", "c",
		"{metadata: {name: c}, rules: [{apiGroups: [''], resources: [secrets], verbs: "
		"[get]}]}");
	put(f, &rbac_v1_role_binding_resource, "n", "b",
		"{metadata: {name: b, namespace: 'n'}, roleRef: {kind: Role, name: r}, subjects: "
		"[{kind: "
		"User, name: bob}, {kind: ServiceAccount, name: s}, {kind: Group, name: g}]}");
	put(f, &rbac_v1_role_binding_resource, "n", "d",
		"{metadata: {name: d, namespace: 'n'}, roleRef: {kind: ClusterRole, name: c}, "
		"subjects: "
		"[{kind: ServiceAccount, name: s, namespace: other}]}");
	put(f, &rbac_v1_cluster_role_binding_resource, "", "e",
		"{metadata: {name: e}, roleRef: {kind: ClusterRole, name: gone}, subjects: [{kind: "
		"User, name: lost}, {kind: ServiceAccount, name: s}]}");
}

static void test_decisions(void **state)
{
	struct fixture *f = *state;
	const char *by = "yes: RBAC: allowed by RoleBinding \"b/n\" of Role \"r\" to ";

	check_answer(f, user(f, "bob", ""), "list pods n/", "no");
	put_rbac(f);
	check_answer(f, user(f, "bob", ""), "list pods n/",
		arena_fmt(&f->arena, "%sUser \"bob\"", by).p);
	check_answer(f, user(f, "bob", ""), "list pods m/", "no");
	check_answer(f, user(f, "bob", ""), "list pods", "no");
	check_answer(f, user(f, "bob", ""), "get pods n/x", "no");
	check_answer(f, user(f, "x", "a g"), "list pods n/",
		arena_fmt(&f->arena, "%sGroup \"g\"", by).p);
	check_answer(f, user(f, "system:serviceaccount:n:s", ""), "list pods n/",
		arena_fmt(&f->arena, "%sServiceAccount \"s/n\"", by).p);
	check_answer(f, user(f, "system:serviceaccount:other:s", ""), "list pods n/", "no");
	check_answer(f, user(f, "system:serviceaccount:other:s", ""), "get secrets n/x",
		"yes: RBAC: allowed by RoleBinding \"d/n\" of ClusterRole \"c\" to ServiceAccount "
		"\"s/other\"");
	check_answer(f, user(f, "system:serviceaccount:other:s", ""), "get secrets m/x", "no");
	check_answer(f, user(f, "lost", ""), "get pods n/x",
		"no: RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
	check_answer(f, user(f, "x", "system:masters"), "delete everything", "yes");
}

/* A change of any of the four kinds is seen by the next question. */
static void test_changes(void **state)
{
	struct fixture *f = *state;

	put_rbac(f);
	check_answer(f, user(f, "lost", ""), "get pods n/x",
		"no: RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
	put(f, &rbac_v1_cluster_role_resource, "", "gone",
		"{metadata: {name: gone}, rules: [{apiGroups: [''], resources: [pods], verbs: "
		"[get]}]}");
	check_answer(f, user(f, "lost", ""), "get pods n/x",
		"yes: RBAC: allowed by ClusterRoleBinding \"e\" of ClusterRole \"gone\" to User "
		"\"lost\"");
	put_op(f, STORE_UPDATE, &rbac_v1_cluster_role_resource, "", "gone",
		"{metadata: {name: gone}, rules: []}");
	check_answer(f, user(f, "lost", ""), "get pods n/x", "no");
	put_op(f, STORE_DELETE, &rbac_v1_cluster_role_binding_resource, "", "e", NULL);
	put_op(f, STORE_DELETE, &rbac_v1_role_binding_resource, "n", "b", NULL);
	check_answer(f, user(f, "lost", ""), "get pods n/x", "no");
	check_answer(f, user(f, "bob", ""), "list pods n/", "no");
}

/* --- the default policy --- */

static void describe_role(struct buf *b, const char *kind, const struct meta_v1_object_meta *m,
	const struct rbac_v1_aggregation_rule *sum, const struct rbac_v1_policy_rule_vec *rules,
	struct arena *a)
{
	buf_fmt(b, "%s " STR_FMT "/" STR_FMT " ", kind, STR_ARG(m->namespace), STR_ARG(m->name));
	for (size_t i = 0; i < m->labels.n; i++)
		buf_fmt(b, "%s" STR_FMT "=" STR_FMT, i ? "," : "", STR_ARG(m->labels.v[i].key),
			STR_ARG(m->labels.v[i].value));
	for (size_t i = 0; sum && i < sum->cluster_role_selectors.n; i++) {
		const struct str_pair *p = sum->cluster_role_selectors.v[i].match_labels.v;

		buf_fmt(b, " of " STR_FMT "=" STR_FMT, STR_ARG(p->key), STR_ARG(p->value));
	}
	buf_add_char(b, '\n');
	for (size_t i = 0; i < rules->n; i++)
		buf_fmt(b, "\t" STR_FMT "\n", STR_ARG(rbac_rule_text(a, &rules->v[i])));
}

static void describe_binding(struct buf *b, const char *kind, const struct meta_v1_object_meta *m,
	const struct rbac_v1_role_ref *ref, const struct rbac_v1_subject_vec *subjects)
{
	buf_fmt(b, "%s " STR_FMT "/" STR_FMT " " STR_FMT "=" STR_FMT " " STR_FMT "/" STR_FMT, kind,
		STR_ARG(m->namespace), STR_ARG(m->name), STR_ARG(m->labels.v[0].key),
		STR_ARG(m->labels.v[0].value), STR_ARG(ref->kind), STR_ARG(ref->name));
	for (size_t i = 0; i < subjects->n; i++) {
		const struct rbac_v1_subject *s = &subjects->v[i];

		buf_fmt(b, " " STR_FMT ":" STR_FMT ":" STR_FMT ":" STR_FMT, STR_ARG(s->kind),
			STR_ARG(s->api_group), STR_ARG(s->namespace), STR_ARG(s->name));
	}
	buf_add_char(b, '\n');
}

struct listing {
	struct buf text;
	struct arena arena;
};

static void describe(void *user_data, enum policy_kind kind, void *object)
{
	struct listing *l = user_data;
	const struct rbac_v1_cluster_role *cr = object;
	const struct rbac_v1_role *r = object;
	const struct rbac_v1_cluster_role_binding *cb = object;
	const struct rbac_v1_role_binding *b = object;

	switch (kind) {
	case POLICY_CLUSTER_ROLE:
		describe_role(&l->text, "ClusterRole", &cr->metadata, cr->aggregation_rule,
			&cr->rules, &l->arena);
		break;
	case POLICY_ROLE:
		describe_role(&l->text, "Role", &r->metadata, NULL, &r->rules, &l->arena);
		break;
	case POLICY_CLUSTER_BINDING:
		describe_binding(&l->text, "ClusterRoleBinding", &cb->metadata, &cb->role_ref,
			&cb->subjects);
		break;
	case POLICY_BINDING:
		describe_binding(&l->text, "RoleBinding", &b->metadata, &b->role_ref, &b->subjects);
		break;
	}
}

/* tests/golden/auth/bootstrap_policy.txt says what upstream's test data says. */
static void test_policy(void **state)
{
	struct fixture *f = *state;
	struct err err CLEANUP(err_release) = {0};
	struct listing l = {0};
	struct str expected;

	buf_init(&l.text, TEXT_MAX);
	assert_int_equal(file_read("tests/golden/auth/bootstrap_policy.txt", TEXT_MAX, &f->arena,
				 &expected, &err),
		0);
	policy_each(&f->arena, false, describe, &l);
	if (!str_eq(expected, buf_str(&l.text))) {
		size_t at = 0;

		while (at < expected.n && at < l.text.n && expected.p[at] == l.text.p[at])
			at++;
		fail_msg("differs at %zu: %.80s", at, l.text.p + at);
	}
	buf_release(&l.text);
	arena_release(&l.arena);
}

static void test_reconcile(void **state)
{
	struct fixture *f = *state;
	struct rbac_v1_cluster_role wanted = {.rules = {0}}, there = {.rules = {0}};
	struct rbac_v1_cluster_role_binding bw = {.role_ref = {S("g"), S("ClusterRole"), S("a")}},
					    bt = {.role_ref = {S("g"), S("ClusterRole"), S("b")}};
	void *write;

	ARENA_PUSH(&f->arena, &wanted.rules, rule(f, "get,list", "", "pods", NULL, NULL));
	ARENA_PUSH(&f->arena, &there.rules, rule(f, "get", "", "pods", NULL, NULL));
	ARENA_PUSH(&f->arena, &there.rules, rule(f, "get", "", "mine", NULL, NULL));
	assert_int_equal(policy_reconcile(&f->arena, POLICY_CLUSTER_ROLE, &there, &wanted, &write),
		POLICY_UPDATE);
	assert_int_equal(there.rules.n, 3); /* what was added by hand stays */
	assert_true(str_eqc(there.rules.v[2].verbs.v[0], "list"));
	assert_int_equal(policy_reconcile(&f->arena, POLICY_CLUSTER_ROLE, &there, &wanted, &write),
		POLICY_KEEP);
	there.rules.n = 0;
	ARENA_PUSH(&f->arena, &there.metadata.annotations,
		((struct str_pair){S("rbac.authorization.kubernetes.io/autoupdate"), S("false")}));
	assert_int_equal(policy_reconcile(&f->arena, POLICY_CLUSTER_ROLE, &there, &wanted, &write),
		POLICY_KEEP);
	assert_int_equal(policy_reconcile(&f->arena, POLICY_CLUSTER_BINDING, &bt, &bw, &write),
		POLICY_RECREATE);
}

/* --- nodes --- */

#define NO_RELATION "no: no relationship found between node 'n1' and this object"

static void test_node(void **state)
{
	struct fixture *f = *state;
	struct user_info n1 = user(f, "system:node:n1", "system:nodes"),
			 n2 = user(f, "system:node:n2", "system:nodes"),
			 none = user(f, "system:node:", "system:nodes"),
			 fake = user(f, "system:node:n1", "");
	struct request_info list_pods = question(f, "list pods");
	struct auth_answer a;

	check_answer(f, n1, "get secrets a/s", NO_RELATION);
	put(f, &v1_pod_resource, "a", "p",
		"{metadata: {name: p, namespace: a}, spec: {nodeName: n1, serviceAccountName: sa, "
		"containers: [{name: c, env: [{name: E, valueFrom: {secretKeyRef: {name: s, key: "
		"k}}}], "
		"envFrom: [{configMapRef: {name: m}}]}], volumes: [{name: v, "
		"persistentVolumeClaim: "
		"{claimName: pc}}, {name: w, ephemeral: {volumeClaimTemplate: {spec: {}}}}]}}");
	put(f, &v1_pod_resource, "a", "mirror",
		"{metadata: {name: mirror, namespace: a, annotations: "
		"{kubernetes.io/config.mirror: x}}, "
		"spec: {nodeName: n1, containers: [{name: c, envFrom: [{secretRef: {name: "
		"t}}]}]}}");
	put(f, &v1_persistent_volume_resource, "", "pv",
		"{metadata: {name: pv}, spec: {claimRef: {namespace: a, name: pc}, csi: {driver: "
		"d, "
		"volumeHandle: h, nodeStageSecretRef: {name: u, namespace: b}, "
		"controllerPublishSecretRef: {name: x, namespace: b}}}}");
	check_answer(f, n1, "get secrets a/s", "yes");
	check_answer(f, n1, "watch secrets a/s", "yes");
	check_answer(f, n1, "get secrets b/s", NO_RELATION);
	check_answer(f, n1, "get secrets a/t", NO_RELATION);
	check_answer(f, n1, "get secrets b/u", "yes");
	check_answer(f, n1, "get secrets b/x", NO_RELATION);
	check_answer(f, n1, "list secrets a/", "no: No Object name found");
	check_answer(f, n1, "list secrets", "no: can only read namespaced object of this type");
	check_answer(f, n1, "update secrets a/s", "no: can only read resources of this type");
	check_answer(f, n1, "get configmaps a/m", "yes");
	check_answer(f, n1, "get persistentvolumeclaims a/pc", "yes");
	check_answer(f, n1, "get persistentvolumeclaims a/p-w", "yes");
	check_answer(f, n1, "get persistentvolumes /pv", "yes");
	check_answer(f, n1, "create serviceaccounts/token a/sa", "yes");
	check_answer(f, n1, "create serviceaccounts/token a/other", NO_RELATION);
	check_answer(f, n1, "get pods a/p", "yes");
	check_answer(f, n2, "get secrets a/s",
		"no: no relationship found between node 'n2' and this object");
	check_answer(f, fake, "get secrets a/s", "no");
	check_answer(f, none, "get nodes /x", "no: unknown node for user \"system:node:\"");
	check_answer(f, n1, "get nodes /n1", "yes");
	check_answer(
		f, n1, "get nodes /n2", "no: node 'n1' cannot read 'n2', only its own Node object");
	check_answer(f, n1, "list nodes",
		"no: node 'n1' cannot read all nodes, only its own Node "
		"object");
	check_answer(f, n1, "get leases.coordination.k8s.io kube-node-lease/n1", "yes");
	check_answer(f, n1, "get leases.coordination.k8s.io kube-node-lease/n2",
		"no: can only access node lease with the same name as the requesting node");
	check_answer(f, n1, "get leases.coordination.k8s.io a/n1",
		"no: can only access leases in the \"kube-node-lease\" system namespace");
	check_answer(f, n1, "list services", "yes");
	check_answer(f, n1, "list deployments.apps", "no");
	check_answer(f, n1, "list pods",
		"no: can only list/watch pods with spec.nodeName field selector");
	list_pods.field_selector = S("spec.nodeName=n1");
	auth_ask(f->auth, NULL, &f->arena, &n1, &list_pods, &a);
	assert_int_equal(a.decision, AUTH_ALLOW);
	list_pods.field_selector = S("spec.nodeName!=n1");
	auth_ask(f->auth, NULL, &f->arena, &n1, &list_pods, &a);
	assert_int_equal(a.decision, AUTH_NO_OPINION);
	put_op(f, STORE_DELETE, &v1_pod_resource, "a", "p", NULL);
	check_answer(f, n1, "get secrets a/s", NO_RELATION);
}

/* --- who --- */

static void check_token(struct fixture *f, const char *token, const char *expected)
{
	struct err err CLEANUP(err_release) = {0};
	const struct str_vec any = {0};
	struct str_vec audiences;
	struct user_info u = {0};
	struct str got;
	int r = authenticate_token(
		f->auth, NULL, &f->arena, str_c(token), &any, 0, &u, &audiences, &err);

	got = r < 0 ? str_c(err_text(&err)) : u.name;
	for (size_t i = 0; r == 0 && i < u.groups.n; i++)
		got = arena_fmt(
			&f->arena, STR_FMT "|" STR_FMT, STR_ARG(got), STR_ARG(u.groups.v[i]));
	if (!str_eqc(got, expected))
		fail_msg("%s: \"" STR_FMT "\", not \"%s\"", token, STR_ARG(got), expected);
}

static void test_static_tokens(void **state)
{
	struct fixture *f = *state;
	struct err err CLEANUP(err_release) = {0};
	struct auth_opts bad = {.token_auth_csv = S("only,two\n"), .store = f->store};
	struct auth *none;

	check_token(f, "admin-token", "admin|system:masters|system:authenticated");
	check_token(f, "bob-token", "bob|system:authenticated");
	check_token(f, "eve-token", "eve, the \"second\"|g1|g2|system:authenticated");
	check_token(f, "bob-toke", "invalid bearer token");
	check_token(f, "", "invalid bearer token");
	check_token(f, "a.b.c", "invalid bearer token");
	assert_int_equal(auth_new(&bad, &none, &err), -EINVAL);
}

enum { NOW_S = 1700000000 };

/* Who the token makes of its bearer, or why nobody. */
static void check_jwt(struct fixture *f, struct str token, const char *audience, int64_t now_s,
	const char *expected)
{
	struct err err CLEANUP(err_release) = {0};
	struct str a = str_c(audience), got;
	const struct str_vec want = {&a, audience ? 1 : 0};
	struct str_vec audiences;
	struct user_info u = {0};
	int r = authenticate_token(
		f->auth, NULL, &f->arena, token, &want, now_s * 1000000000, &u, &audiences, &err);

	got = r < 0 ? str_c(err_text(&err)) : u.name;
	if (!str_eqc(got, expected))
		fail_msg("\"" STR_FMT "\", not \"%s\"", STR_ARG(got), expected);
	if (r == 0) {
		assert_true(user_in_group(&u, S("system:serviceaccounts:a")));
		assert_true(user_in_group(&u, S("system:authenticated")));
	}
}

static struct str jwt(struct fixture *f, const char *audience, const struct object *sa)
{
	struct str aud = str_c(audience);
	const struct token_claims c = {.ns = S("a"),
		.service_account = S("robot"),
		.service_account_uid = sa->uid,
		.audiences = {&aud, audience ? 1 : 0},
		.issued_s = NOW_S,
		.expires_s = NOW_S + 600};

	return token_sign(f->auth, &f->arena, &c);
}

static void test_service_account_tokens(void **state)
{
	struct fixture *f = *state;
	const char *name = "system:serviceaccount:a:robot", *wrong = "invalid bearer token";
	const struct object *sa;
	struct str token, other;

	put(f, &v1_service_account_resource, "a", "robot",
		"{metadata: {name: robot, namespace: a, uid: u-1}}");
	sa = store_get(f->store, &v1_service_account_resource, S("a"), S("robot"));
	token = jwt(f, NULL, sa);
	other = jwt(f, "vault", sa);
	check_jwt(f, token, NULL, NOW_S, name);
	check_jwt(f, token, NULL, NOW_S + 600, "service account token has expired");
	check_jwt(f, token, NULL, NOW_S - 3600, "service account token is not valid yet");
	check_jwt(f, token, "vault", NOW_S,
		"token audiences [\"https://kubernetes.default.svc\"] is invalid for the target "
		"audiences [\"vault\"]");
	check_jwt(f, other, "vault", NOW_S, name);
	check_jwt(f, other, NULL, NOW_S,
		"token audiences [\"vault\"] is invalid for the target audiences "
		"[\"https://kubernetes.default.svc\"]");
	/* a flipped bit anywhere, a part less, a part more */
	for (size_t i = 0; i < token.n; i += 7) {
		struct str bad = arena_str(&f->arena, token);

		((char *)bad.p)[i] = bad.p[i] == 'A' ? 'B' : 'A';
		if (i < (size_t)str_rchr(token, '.'))
			check_jwt(f, bad, NULL, NOW_S, wrong);
	}
	check_jwt(f, str_sub(token, 0, (size_t)str_rchr(token, '.')), NULL, NOW_S, wrong);
	check_jwt(f, arena_fmt(&f->arena, STR_FMT ".AAAA", STR_ARG(token)), NULL, NOW_S, wrong);
	put_op(f, STORE_DELETE, &v1_service_account_resource, "a", "robot", NULL);
	check_jwt(f, token, NULL, NOW_S, "service account has been deleted");
	object_unref((struct object *)sa);
}

/* A token that says to nobody whom it is for, is for nobody; one string is a list of one. */
static void test_claims(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *json;
		int result;
	} cases[] = {
		{"{}", 0},
		{"[]", 0},
		{"{\"iss\":\"https://elsewhere\",\"exp\":9}", 0},
		{"{\"iss\":\"https://kubernetes.default.svc\",\"exp\":9}", -EPERM},
		{"{\"iss\":\"https://kubernetes.default.svc\",\"exp\":9,\"kubernetes.io\":{"
		 "\"namespace\":\"a\",\"serviceaccount\":{\"name\":\"robot\",\"uid\":\"u-1\"}}}",
			0},
		{"{\"iss\":\"https://"
		 "kubernetes.default.svc\",\"exp\":9,\"aud\":\"x\",\"kubernetes.io\":"
		 "{\"namespace\":\"a\",\"serviceaccount\":{\"name\":\"robot\",\"uid\":\"u-1\"}}}",
			1},
	};

	put(f, &v1_service_account_resource, "a", "robot",
		"{metadata: {name: robot, namespace: a, uid: u-1}}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err CLEANUP(err_release) = {0};
		struct str_vec audiences = {0};
		struct user_info u = {0};
		struct json_value *claims;
		int r;

		assert_int_equal(json_parse(str_c(cases[i].json), &f->arena, &claims, NULL), 0);
		r = token_claims(f->auth, &f->arena, claims, 0, &u, &audiences, &err);

		if (r != cases[i].result && !(r < 0 && cases[i].result < 0))
			fail_msg("case %zu: %d", i, r);
		if (r == 1)
			assert_true(audiences.n == 1 && str_eqc(audiences.v[0], "x"));
	}
}

static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct err err CLEANUP(err_release) = {0};
	struct str names[] = {S("AlwaysDeny"), S("AlwaysAllow")}, wrong = S("Magic");
	struct auth_opts opts = {.store = f->store, .authz.modes = {names, 2}};
	struct auth *mine = f->auth;

	assert_int_equal(auth_new(&opts, &f->auth, &err), 0);
	check_answer(f, user(f, "bob", ""), "get pods a/b", "yes");
	auth_free(f->auth);
	opts.authz.modes.n = 1;
	assert_int_equal(auth_new(&opts, &f->auth, &err), 0);
	check_answer(f, user(f, "bob", ""), "get pods a/b", "no: Everything is forbidden.");
	auth_free(f->auth);
	f->auth = mine;
	opts.authz.modes = (struct str_vec){&wrong, 1};
	assert_int_equal(auth_new(&opts, &mine, &err), -EINVAL);
	assert_non_null(strstr(err_text(&err), "authorization-mode \"Magic\" is not a valid mode"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_covers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_decisions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reconcile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_static_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_service_account_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
