/* Rules of iptables mode by netlink are those that iptables-restore makes: in network namespaces of
 * their own; skipped, loudly, without the rights or without iptables of the nft variant. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "proxy/iptables_parse.h"
#include "proxy/iptables_rules.h"
#include "proxy/iptables_run.h"
#include "proxy/nft_socket.h"
#include "proxy_forms.h"

enum { STEPS = 64, TEXT_MAX = 1 << 20 };

static bool possible(void)
{
	bool nft = false;

	if (iptables_variant(&nft, NULL) == 0 && nft)
		return in_own_namespace();
	fprintf(stderr, "SKIPPED: no iptables of the nft variant\n");
	return false;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* What iptables-save prints of both families, without times; sorted on demand. */
static struct str saved(struct arena *a, bool sorted)
{
	struct str_vec lines = {0};
	struct str out = S("");
	struct buf b;

	for (int v6 = 0; v6 < 2; v6++) {
		struct str rest, line;

		buf_init(&b, TEXT_MAX);
		assert_int_equal(iptables_save(v6, &b, NULL), 0);
		rest = arena_str(a, buf_str(&b));
		buf_release(&b);
		while (rest.n) {
			str_cut(rest, '\n', &line, &rest);
			if (!str_starts(line, S("#")))
				ARENA_PUSH(a, &lines, line);
		}
	}
	if (sorted)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_text);
	for (size_t i = 0; i < lines.n; i++)
		out = arena_fmt(a, STR_FMT STR_FMT "\n", STR_ARG(out), STR_ARG(lines.v[i]));
	return out;
}

/* As a proxy without netlink would have it. */
static void restore(const struct proxy_config *c, const struct ruleset *rules, bool ipv6)
{
	struct err err CLEANUP(err_release) = {0};
	struct iptables_batch batch;
	struct iptables_top top = {0};
	struct ruleset none = {0};
	bool missing[IPTABLES_JUMPS];
	struct buf input;

	memset(missing, true, sizeof(missing));
	buf_init(&input, TEXT_MAX);
	buf_init(&top.filter, TEXT_MAX);
	buf_init(&top.nat, TEXT_MAX);
	iptables_batch_init(&batch);
	iptables_base(c, &input);
	iptables_diff(&none, rules, ipv6, &batch, &top);
	iptables_batch_write(&batch, &input);
	iptables_finish(c, ipv6, &top, missing, false, &input);
	if (iptables_restore(ipv6, buf_str(&input), &err) < 0)
		fail_msg("%s\n%s", err_text(&err), input.p);
	iptables_batch_release(&batch);
	buf_release(&input);
	buf_release(&top.filter);
	buf_release(&top.nat);
}

static struct ruleset rules_of(
	struct proxy_config *c, struct proxy_backend *b, struct arena *a, int step)
{
	struct proxy_service svc = service_of(a, step & 31, step & 32);
	struct ruleset rules = {0};

	if (step % 5 == 4)
		svc.ports[0].protocol = "sctp";
	with_detection(c, step);
	b->ops->render(b, &svc, &rules, a);
	ruleset_sort(&rules);
	return rules;
}

static int own_namespace(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* At first, and however the rules came about: one step after another in one namespace, each step
 * by iptables-restore in another. */
static void netlink_says_what_iptables_restore_says(void **state)
{
	struct proxy_config c;
	struct proxy_backend *b = NULL;
	struct ruleset before = {0};
	struct arena a = {0};
	int ns;

	if (!possible())
		skip();
	ns = own_namespace();
	proxy_config_init(&c);
	c.ipv6 = true;
	c.node_ips[0] = S("10.0.0.7");
	for (int step = 0; step < STEPS; step++) {
		struct str by_netlink, by_restore;
		struct ruleset rules;

		assert_int_equal(setns(ns, CLONE_NEWNET), 0);
		if (!b)
			assert_int_equal(proxy_backend_iptables_new(&c, &b, NULL), 0);
		rules = rules_of(&c, b, &a, step);
		program(b, step ? &before : NULL, &rules);
		assert_int_equal(b->ops->tidy(b, NULL), 0);
		assert_true(b->ops->intact(b));
		by_netlink = saved(&a, step > 0);
		assert_true(in_own_namespace());
		restore(&c, &rules, false);
		restore(&c, &rules, true);
		by_restore = saved(&a, step > 0);
		assert_string_equal(by_netlink.p, by_restore.p);
		before = rules;
	}
	b->ops->free(b);
	close(ns);
	arena_release(&a);
	proxy_config_release(&c);
}

static void run(const char *input)
{
	struct err err CLEANUP(err_release) = {0};

	if (iptables_restore(false, str_c(input), &err) < 0)
		fail_msg("%s", err_text(&err));
}

/* Whatever others do to our rules is noticed, what they do elsewhere is not; and a full program
 * mends it. */
static void damage_is_noticed(void **state)
{
	static const char *const harmless[] = {"*nat\n:OTHER - [0:0]\n-A OTHER -j RETURN\nCOMMIT\n",
		"*filter\n-I FORWARD -j ACCEPT\nCOMMIT\n", "*mangle\n:OTHER - [0:0]\nCOMMIT\n"};
	static const char *const damage[] = {"*nat\n-F KUBE-SERVICES\nCOMMIT\n",
		"*nat\n-D KUBE-SERVICES 1\nCOMMIT\n", "*nat\n-F\nCOMMIT\n", "*filter\n-F\nCOMMIT\n",
		"*nat\n-F OUTPUT\nCOMMIT\n", "*nat\n-F KUBE-MARK-MASQ\nCOMMIT\n",
		"*nat\n-F\n-X\nCOMMIT\n", "*filter\n-F KUBE-FORWARD\nCOMMIT\n"};
	struct proxy_config c;
	struct proxy_backend *b = NULL;
	struct ruleset rules;
	struct arena a = {0};
	struct str was;

	if (!possible())
		skip();
	proxy_config_init(&c);
	assert_int_equal(proxy_backend_iptables_new(&c, &b, NULL), 0);
	rules = rules_of(&c, b, &a, 7);
	program(b, NULL, &rules);
	assert_int_equal(b->ops->tidy(b, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		run(harmless[i]);
		assert_true(b->ops->intact(b));
	}
	was = saved(&a, true);
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		run(damage[i]);
		if (b->ops->intact(b))
			fail_msg("not noticed: %s", damage[i]);
		program(b, NULL, &rules);
		assert_int_equal(b->ops->tidy(b, NULL), 0);
		assert_true(b->ops->intact(b));
		run("*nat\n:OTHER - [0:0]\n-A OTHER -j RETURN\nCOMMIT\n");
		if (str_find(saved(&a, false), S("-A FORWARD -j ACCEPT\n")) < 0)
			run("*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n");
		assert_true(b->ops->intact(b));
		assert_string_equal(saved(&a, true).p, was.p);
	}
	b->ops->free(b);
	arena_release(&a);
	proxy_config_release(&c);
}

static void cleanup_leaves_what_is_others(void **state)
{
	struct proxy_config c;
	struct proxy_backend *b = NULL;
	struct ruleset rules;
	struct arena a = {0};
	struct str text;

	if (!possible())
		skip();
	proxy_config_init(&c);
	run("*nat\n:OTHER - [0:0]\n-A OUTPUT -j OTHER\nCOMMIT\n*filter\n-A INPUT -p icmp -j "
	    "ACCEPT\n"
	    "COMMIT\n");
	assert_int_equal(proxy_backend_iptables_new(&c, &b, NULL), 0);
	rules = rules_of(&c, b, &a, 7);
	program(b, NULL, &rules);
	b->ops->free(b);
	proxy_iptables_cleanup();
	text = saved(&a, false);
	assert_true(str_find(text, S("KUBE-")) < 0);
	assert_true(str_find(text, S("-A OUTPUT -j OTHER\n")) >= 0);
	assert_true(str_find(text, S("-A INPUT -p icmp -j ACCEPT\n")) >= 0);
	arena_release(&a);
	proxy_config_release(&c);
}

static void what_is_not_understood_is_an_error(void **state)
{
	static const char *const specs[] = {"-j", "-p icmp -j ACCEPT", "-m tcp --dport 80 -j DROP",
		"-m tcp -p tcp --dport 70000", "-s 1.2.3 -j DROP", "-s 10.0.0.0/33 -j DROP",
		"-m limit --limit 5/s", "-m mark --mark 0x4000", "-m statistic --mode nth",
		"-m statistic --mode random --probability 2", "-j DNAT --to-destination 1.2.3.4",
		"-m conntrack --ctstate SNAT", "--dport 80", "-m comment --comment",
		"-i interface-with-a-long-name -j DROP", "-m addrtype --src-type UNICAST",
		"-m recent --seconds x", "-x", "-j DNAT --to-destination fd00::1:x"};
	struct iptables_rule rule;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		if (iptables_parse(str_c(specs[i]), false, &rule) == 0)
			fail_msg("taken: %s", specs[i]);
	assert_int_equal(iptables_parse(S("-m comment --comment \"a b\" -j X"), false, &rule), 0);
	assert_true(str_eqc(rule.matches[0].text, "a b"));
	assert_true(str_eqc(rule.target, "X"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(netlink_says_what_iptables_restore_says),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(cleanup_leaves_what_is_others),
		cmocka_unit_test(what_is_not_understood_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
