/* A resolv.conf read as upstream reads it, and cut to what resolvers can take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "node/dns.h"

static void parsing(void **state)
{
	struct arena a = {0};
	struct dns_config c;

	resolv_conf_parse(
		S("# nameserver 192.0.2.9\nnameserver 192.0.2.1\n"
		  " nameserver\t192.0.2.2 \r\nsearch lost.test\nsearch a.test b.test. . c.test\n"
		  "options ndots:2 edns0\noptions ndots:3\nnameserver\nsortlist x"),
		&a, &c);
	assert_int_equal(c.servers.n, 2);
	assert_true(str_eqc(c.servers.v[1], "192.0.2.2"));
	assert_int_equal(c.searches.n, 3);
	assert_true(str_eqc(c.searches.v[1], "b.test")); /* the same with and without its dot */
	assert_int_equal(c.options.n, 2);
	assert_true(str_eqc(c.options.v[0], "ndots:3")); /* the later one of a name */
	resolv_conf_parse(S(""), &a, &c);
	assert_int_equal(c.servers.n + c.searches.n + c.options.n, 0);
	arena_release(&a);
}

static struct str_vec repeated(struct arena *a, struct str s, size_t n)
{
	struct str_vec v = {0};

	for (size_t i = 0; i < n; i++)
		ARENA_PUSH(a, &v, s);
	return v;
}

static void limits(void **state)
{
	struct arena a = {0};
	struct dns_config c = {0};
	char text[260];

	memset(text, 'x', sizeof(text));
	c.servers = repeated(&a, S("192.0.2.1"), 3);
	c.searches = repeated(&a, S("a.test"), 32);
	assert_false(dns_limit_servers(&c));
	assert_false(dns_limit_searches(&c));
	ARENA_PUSH(&a, &c.servers, S("192.0.2.2"));
	assert_true(dns_limit_servers(&c));
	assert_int_equal(c.servers.n, 3);
	c.searches = repeated(&a, S("a.test"), 33);
	assert_true(dns_limit_searches(&c));
	assert_int_equal(c.searches.n, 32);
	/* one that is too long goes alone */
	c.searches = repeated(&a, S("a.test"), 2);
	c.searches.v[0] = str_n(text, 254);
	assert_true(dns_limit_searches(&c));
	assert_int_equal(c.searches.n, 1);
	/* 2048 characters, with the blanks between them */
	c.searches = repeated(&a, str_n(text, 200), 11);
	assert_true(dns_limit_searches(&c));
	assert_int_equal(c.searches.n, 10);
	c.searches = repeated(&a, str_n(text, 127), 16); /* 16 * 127 + 15 */
	assert_false(dns_limit_searches(&c));
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
