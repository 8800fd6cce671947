/* test_audit.c: which requests a policy chooses, what policies are refused, and how the log's file
 * is rotated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "apiserver/audit/audit.h"
#include "base/file.h"

#define HEAD "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

static struct audit_v1_policy *parse(struct arena *a, const char *text)
{
	struct err err CLEANUP(err_release) = {0};
	struct audit_v1_policy *p = NULL;
	struct str_vec warnings;

	if (audit_policy_parse(a, str_c(text), &p, &warnings, &err) < 0)
		fail_msg("%s: %s", text, err_text(&err));
	return p;
}

static struct request_info resource(const char *verb, const char *group, const char *resource,
	const char *sub, const char *ns, const char *name)
{
	return (struct request_info){.is_resource = true,
		.verb = str_c(verb),
		.group = str_c(group),
		.resource = str_c(resource),
		.subresource = str_c(sub),
		.ns = str_c(ns),
		.name = str_c(name)};
}

static struct request_info path(const char *p)
{
	return (struct request_info){.verb = S("get"), .path = str_c(p)};
}

static void test_decide(void **state)
{
	struct str groups[] = {S("g1"), S("g2")};
	const struct user_info bob = {.name = S("bob"), .groups = {groups, 2}},
			       ann = {.name = S("ann")};
	const struct {
		const char *rule;
		const struct user_info *user;
		struct request_info info;
		bool fits;
	} cases[] = {
		{"{}", &bob, path("/x"), true},
		{"{users: [bob]}", &bob, path("/x"), true},
		{"{users: [bob]}", &ann, path("/x"), false},
		{"{users: [bob]}", NULL, path("/x"), false},
		{"{userGroups: [g2]}", &bob, path("/x"), true},
		{"{userGroups: [g2]}", &ann, path("/x"), false},
		{"{verbs: [list]}", &bob, path("/x"), false},
		{"{nonResourceURLs: ['/x*']}", &bob, path("/xy"), true},
		{"{nonResourceURLs: ['/x']}", &bob, path("/xy"), false},
		{"{nonResourceURLs: ['*']}", &bob, resource("get", "", "pods", "", "n1", "p"),
			false},
		{"{namespaces: [n1]}", &bob, resource("get", "", "pods", "", "n1", "p"), true},
		{"{namespaces: ['']}", &bob, resource("get", "", "nodes", "", "", "p"), true},
		{"{namespaces: [n2]}", &bob, resource("get", "", "pods", "", "n1", "p"), false},
		{"{namespaces: [n2]}", &bob, path("/x"), false},
		{"{resources: [{group: ''}]}", &bob, resource("get", "", "pods", "", "n1", "p"),
			true},
		{"{resources: [{group: apps}]}", &bob, resource("get", "", "pods", "", "n1", "p"),
			false},
		{"{resources: [{resources: [pods]}]}", &bob,
			resource("get", "", "pods", "log", "n1", "p"), false},
		{"{resources: [{resources: [pods/log]}]}", &bob,
			resource("get", "", "pods", "log", "n1", "p"), true},
		{"{resources: [{resources: ['pods/*']}]}", &bob,
			resource("get", "", "pods", "log", "n1", "p"), true},
		{"{resources: [{resources: ['pods/*']}]}", &bob,
			resource("get", "", "pods", "", "n1", "p"), true},
		{"{resources: [{resources: ['*/log']}]}", &bob,
			resource("get", "", "pods", "log", "n1", "p"), true},
		{"{resources: [{resources: ['*/log']}]}", &bob,
			resource("get", "", "pods", "", "n1", "p"), false},
		{"{resources: [{group: '*', resources: ['*']}]}", &bob,
			resource("get", "apps", "deployments", "scale", "n1", "p"), true},
		{"{resources: [{resources: [pods], resourceNames: [q]}]}", &bob,
			resource("get", "", "pods", "", "n1", "p"), false},
		{"{resources: [{resources: [pods], resourceNames: [p]}]}", &bob,
			resource("get", "", "pods", "", "n1", "p"), true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a = {0};
		struct str rule = str_c(cases[i].rule);
		const char *inner = rule.n > 2 ? ", " : "";
		struct str text = arena_fmt(&a, HEAD "rules:\n- {level: Request%s" STR_FMT "\n",
			inner, STR_ARG(str_sub(rule, 1, rule.n)));
		struct audit_verdict v =
			audit_policy_decide(parse(&a, text.p), cases[i].user, &cases[i].info);

		if ((v.level == AUDIT_REQUEST) != cases[i].fits)
			fail_msg("case %zu: %s", i, cases[i].rule);
		arena_release(&a);
	}
}

static void test_first_rule_wins(void **state)
{
	struct arena a = {0};
	const struct request_info info = path("/x");
	const struct audit_v1_policy *p = parse(&a, HEAD
		"omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
		"- {level: None, users: [ann]}\n"
		"- {level: Metadata, users: [bob], omitStages: [Panic], omitManagedFields: false}\n"
		"- {level: RequestResponse}\n");
	const struct user_info ann = {.name = S("ann")}, bob = {.name = S("bob")},
			       eve = {.name = S("eve")};
	struct audit_verdict v = audit_policy_decide(p, &bob, &info);

	assert_int_equal(v.level, AUDIT_METADATA);
	assert_int_equal(v.omit, AUDIT_RECEIVED | AUDIT_PANIC);
	assert_false(v.omit_managed_fields);
	v = audit_policy_decide(p, &eve, &info);
	assert_int_equal(v.level, AUDIT_REQUEST_RESPONSE);
	assert_int_equal(v.omit, AUDIT_RECEIVED);
	assert_true(v.omit_managed_fields);
	assert_int_equal(audit_policy_decide(p, &ann, &info).level, AUDIT_NONE);
	arena_release(&a);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"kind: Policy\nrules: [{level: None}]\n", "'apiVersion' is missing"},
		{"apiVersion: v1\nkind: Policy\nrules: [{level: None}]\n",
			"unknown group version field v1, Kind=Policy in policy"},
		{HEAD, "loaded illegal policy with 0 rules"},
		{HEAD "rules: [{}]\n", "rules[0].level: Required value"},
		{HEAD "rules: [{level: x}]\n",
			"rules[0].level: Unsupported value: \"x\": supported values: \"None\", "
			"\"Metadata\", \"Request\", \"RequestResponse\""},
		{HEAD "omitStages: [Never]\nrules: [{level: None}]\n",
			"omitStages[0]: Invalid value: \"Never\": allowed stages are "
			"RequestReceived,ResponseStarted,ResponseComplete,Panic"},
		{HEAD "rules: [{level: None, nonResourceURLs: [x, '/*/a']}]\n",
			"[rules[0].nonResourceURLs[0]: Invalid value: \"x\": non-resource URL "
			"rules must "
			"begin with a '/' character, rules[0].nonResourceURLs[1]: Invalid value: "
			"\"/*/a\": non-resource URL wildcards '*' must be the final character of "
			"the "
			"rule]"},
		{HEAD "rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]\n",
			"rules cannot apply to both regular resources and non-resource URLs"},
		{HEAD "rules: [{level: None, resources: [{group: a/b}]}]\n",
			"rules[0].resources.group"},
		{HEAD "rules: [{level: None, resources: [{resourceNames: [a]}]}]\n",
			"using resourceNames requires at least one resource"},
		{HEAD "rules: 5\n", "failed decoding: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err CLEANUP(err_release) = {0};
		struct arena a = {0};
		struct audit_v1_policy *p;
		struct str_vec warnings;

		assert_int_equal(
			audit_policy_parse(&a, str_c(cases[i].text), &p, &warnings, &err), -EINVAL);
		if (!strstr(err_text(&err), cases[i].why))
			fail_msg("%s: %s, not %s", cases[i].text, err_text(&err), cases[i].why);
		arena_release(&a);
	}
}

static int count_files(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* A file of a megabyte is full with the 21st line of 50 kB; two old ones are kept. */
static void test_rotation(void **state)
{
	char dir[] = "/tmp/sampan-audit-XXXXXX", *path_, *command;
	struct audit_log_opts opts = {.max_size_mb = 1, .max_backups = 2};
	struct err err CLEANUP(err_release) = {0};
	struct audit_log *l;
	struct arena a = {0};
	struct str line, left;

	assert_non_null(mkdtemp(dir));
	path_ = xasprintf("%s/audit.log", dir);
	opts.path = path_;
	line = str_n(arena_alloc(&a, 50000), 50000);
	memset((char *)line.p, 'x', line.n);
	assert_int_equal(audit_log_open(&opts, &l, &err), 0);
	for (int i = 0; i < 20; i++)
		audit_log_write(l, line);
	assert_int_equal(count_files(dir), 1);
	for (int i = 0; i < 100; i++) {
		audit_log_write(l, line);
		if (i % 20 == 0)
			usleep(2000); /* a name for each: they tell milliseconds */
	}
	assert_int_equal(count_files(dir), 3);
	audit_log_close(l);
	assert_int_equal(file_read(path_, 1 << 21, &a, &left, &err), 0);
	assert_true(left.n > 0 && left.n <= 1 << 20 && left.n % (line.n + 1) == 0);
	opts.path = "/nonexistent/audit.log";
	assert_true(audit_log_open(&opts, &l, &err) < 0);
	assert_non_null(strstr(err_text(&err), "--audit-log-path"));
	command = xasprintf("rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	free(path_);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_first_rule_wins),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
