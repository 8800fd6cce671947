/* Messages that are wrong, names, name servers by text, the cache, answers of others passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "dns/engine.h"
#include "dns/upstream.h"

static struct dns_name name_of(const char *text)
{
	struct dns_name n;

	assert_int_equal(dns_name_from(str_c(text), &n), 0);
	return n;
}

static void names(void **state)
{
	struct dns_name n, zone = name_of("cluster.local");
	char text[DNS_NAME_MAX + 1], longest[300];

	n = name_of("Web.Default.svc.CLUSTER.local.");
	assert_string_equal(dns_name_text(&n, text).p, "web.default.svc.cluster.local");
	assert_int_equal(n.labels, 5);
	assert_true(dns_name_within(&n, &zone));
	n = name_of("xcluster.local");
	assert_false(dns_name_within(&n, &zone));
	n = name_of("local");
	assert_false(dns_name_within(&n, &zone));
	assert_true(dns_name_within(&zone, &zone));
	assert_int_equal(dns_name_from(S("a..b"), &n), -EINVAL);
	assert_int_equal(dns_name_from(S(".a"), &n), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(dns_name_from(str_n(longest, 64), &n), -EINVAL);
	for (size_t i = 1; i < sizeof(longest); i += 2)
		longest[i] = '.';
	assert_int_equal(dns_name_from(str_n(longest, 253), &n), 0);
	assert_int_equal(n.n, DNS_NAME_MAX);
	assert_int_equal(dns_name_from(str_n(longest, 255), &n), -EINVAL);
}

static int parse(const char *bytes, size_t n, struct dns_query *q)
{
	/* exactly as large as the message, so that a sanitizer sees a read behind it */
	char *copy = memcpy(xmalloc(n), bytes, n);
	int r = dns_query_parse(str_n(copy, n), q);

	free(copy);
	return r;
}
#define PARSE(literal, q) parse(literal, sizeof(literal) - 1, q)
#define HEADER(flags, qd, ar) "\x12\x34" flags "\0" qd "\0\0\0\0\0" ar

static void queries_that_are_wrong(void **state)
{
	struct dns_query q;

	assert_int_equal(PARSE(HEADER("\x01\0", "\1", "\0") "\1a\0\0\1\0\1", &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(PARSE("\x12\x34\0", &q), -EBADMSG);
	assert_int_equal(PARSE(HEADER("\x81\0", "\1", "\0") "\1a\0\0\1\0\1", &q), -EBADMSG);
	assert_int_equal(PARSE(HEADER("\x29\0", "\1", "\0") "\1a\0\0\1\0\1", &q), DNS_NOTIMP);
	assert_int_equal(PARSE(HEADER("\1\0", "\0", "\0"), &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\2", "\0") "\1a\0\0\1\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\1a\0\0\1\0", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\5a\0\0\1\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\xc0\x0c\0\1\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\1a\xc0\x00\0\1\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\1") "\1a\0\0\1\0\1", &q), DNS_FORMERR);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\1a\0\0\1\0\3", &q), DNS_REFUSED);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\0") "\1a\0\0\xfc\0\1", &q), DNS_REFUSED);
}

static void extended_queries(void **state)
{
	struct dns_query q;

	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\1") "\1a\0\0\1\0\1"
							  "\0\0\x29\x10\0\0\0\x80\0\0\0",
				 &q),
		0);
	assert_true(q.edns && q.dnssec_ok);
	assert_int_equal(q.udp_max, DNS_UDP_MAX);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\1") "\1a\0\0\1\0\1"
							  "\0\0\x29\0\7\0\0\0\0\0\0",
				 &q),
		0);
	assert_int_equal(q.udp_max, DNS_UDP_PLAIN_MAX);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\1") "\1a\0\0\1\0\1"
							  "\0\0\x29\x10\0\0\1\0\0\0\0",
				 &q),
		DNS_BADVERS);
	assert_int_equal(PARSE(HEADER("\1\0", "\1", "\2") "\1a\0\0\1\0\1"
							  "\0\0\x29\x10\0\0\0\0\0\0\0"
							  "\0\0\x29\x10\0\0\0\0\0\0\0",
				 &q),
		DNS_FORMERR);
}

/* --- name servers --- */

static void servers_by_text(void **state)
{
	struct err err CLEANUP(err_release) = {0};
	struct dns_upstreams u = {0};
	struct dns_servers s;
	struct dns_addr own;
	struct dns_name n;

	assert_int_equal(
		dns_servers_parse(S("10.0.0.1,10.0.0.2:5353,[fd00::1]:54,fd00::2"), &s, NULL), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(ntohs(((struct sockaddr_in *)&s.v[1])->sin_port), 5353);
	assert_int_equal(ntohs(s.v[2].sin6_port), 54);
	assert_int_equal(ntohs(s.v[3].sin6_port), 53);
	assert_int_equal(dns_servers_parse(S("10.0.0.1:x"), &s, &err), -EINVAL);
	assert_string_equal(err_text(&err), "\"10.0.0.1:x\" is not IP or IP:PORT");
	assert_int_equal(dns_servers_parse(S("10.0.0"), &s, NULL), -EINVAL);
	assert_int_equal(
		dns_stubs_parse(&u,
			S("corp.test=10.0.0.3,lab.corp.test=10.0.0.4,corp.test=10.0.0.5"), NULL),
		0);
	assert_int_equal(dns_stubs_parse(&u, S("corp.test"), NULL), -EINVAL);
	n = name_of("a.corp.test");
	assert_int_equal(dns_upstreams_for(&u, &n)->n, 2);
	n = name_of("a.lab.corp.test");
	assert_int_equal(dns_upstreams_for(&u, &n)->n, 1);
	n = name_of("a.test");
	assert_ptr_equal(dns_upstreams_for(&u, &n), &u.servers);
	dns_upstreams_release(&u);
	assert_int_equal(dns_addr_parse(S("10.96.0.10"), &own), 0);
	assert_int_equal(dns_servers_from_resolv_conf(S("# x\nnameserver 10.96.0.10\nsearch a\n "
							"nameserver\t192.0.2.1 \nnameserver x"),
				 &own, 1, &s),
		1);
	assert_int_equal(s.n, 1);
}

/* --- the cache --- */

enum { A_RECORD = 16, MESSAGE_MAX = 512 };

/* An answer to `name` with one address, or a SOA in the authority section. */
static struct str answer(const struct dns_name *name, uint32_t ttl, bool soa, int rcode, uint8_t *p)
{
	size_t n = dns_query_write(name, DNS_A, 7, 0x8180 | rcode, false, p) - DNS_EDNS_SIZE;
	uint8_t head[] = {0xc0, 12, 0, soa ? DNS_SOA : DNS_A, 0, 1, ttl >> 24, ttl >> 16, ttl >> 8,
		ttl, 0, soa ? 22 : 4};

	p[7] = !soa;
	p[9] = soa;
	p[11] = 0;
	memcpy(p + n, head, sizeof(head));
	n += sizeof(head);
	memset(p + n, 0, 22);
	if (soa)
		p[n + 21] = 20; /* may be remembered for 20 s */
	else
		p[n] = 10;
	return str_n((char *)p, n + head[11]);
}

static void how_long_answers_are_kept(void **state)
{
	struct dns_name n = name_of("www.example.test");
	uint8_t p[MESSAGE_MAX];

	assert_int_equal(dns_cache_ttl(answer(&n, 10, false, 0, p)), 10);
	assert_int_equal(dns_cache_ttl(answer(&n, 1000000, false, 0, p)), DNS_CACHE_TTL_MAX_S);
	assert_int_equal(dns_cache_ttl(answer(&n, 0, false, 0, p)), 0);
	assert_int_equal(dns_cache_ttl(answer(&n, 100, true, DNS_NXDOMAIN, p)), 20);
	assert_int_equal(dns_cache_ttl(answer(&n, 5, true, DNS_NOERROR, p)), 5);
	assert_int_equal(dns_cache_ttl(answer(&n, 100, false, DNS_SERVFAIL, p)), 0);
}

static void the_cache_forgets(void **state)
{
	struct dns_cache *c = dns_cache_new(4096);
	struct dns_name n = name_of("www.example.test");
	uint8_t p[MESSAGE_MAX];
	uint32_t age;

	dns_cache_put(c, &n, DNS_A, false, answer(&n, 10, false, 0, p), 1000);
	assert_int_equal(dns_cache_get(c, &n, DNS_AAAA, false, 1000, &age).n, 0);
	assert_true(dns_cache_get(c, &n, DNS_A, false, 10999, &age).n > 0);
	assert_int_equal(age, 9);
	assert_int_equal(dns_cache_get(c, &n, DNS_A, false, 11000, &age).n, 0);
	assert_int_equal(dns_cache_bytes(c), 0);
	for (int i = 0; i < 100; i++) { /* no more than fits, the newest stay */
		char text[32];

		snprintf(text, sizeof(text), "n%d.example.test", i);
		n = name_of(text);
		dns_cache_put(c, &n, DNS_A, false, answer(&n, 10, false, 0, p), 20000);
		assert_true(dns_cache_bytes(c) <= 4096);
	}
	assert_true(dns_cache_get(c, &n, DNS_A, false, 20000, &age).n > 0);
	n = name_of("n0.example.test");
	assert_int_equal(dns_cache_get(c, &n, DNS_A, false, 20000, &age).n, 0);
	dns_cache_free(c);
}

/* --- what others say --- */

static void answers_are_passed_on(void **state)
{
	struct dns_engine e = {.synced = true, .recursive = true, .now_ms = 1000};
	struct dns_name n = name_of("www.example.test");
	uint8_t q[MESSAGE_MAX], p[MESSAGE_MAX], out[DNS_MESSAGE_MAX];
	size_t q_n = dns_query_write(&n, DNS_A, 0x4242, DNS_RECURSION_DESIRED, false, q), size;
	struct dns_engine_ask ask;
	struct str m;

	e.zone.index = dns_index_new();
	e.zone.origin = name_of("cluster.local");
	e.cache = dns_cache_new(1 << 16);
	q[DNS_HEADER + 1] = 'W'; /* its spelling comes back */
	assert_int_equal(dns_engine_query(&e, str_n((char *)q, q_n), true, out, &size, &ask),
		DNS_ENGINE_ASK);
	assert_true(dns_name_eq(&ask.name, &n));
	m = answer(&n, 100, false, 0, p);
	assert_true(dns_engine_is_answer(m, 7, &n, DNS_A));
	assert_false(dns_engine_is_answer(m, 8, &n, DNS_A));
	assert_false(dns_engine_is_answer(m, 7, &n, DNS_AAAA));
	size = dns_engine_reply(&e, &ask, m, true, out);
	assert_int_equal(size, m.n + DNS_EDNS_SIZE);
	assert_int_equal(out[0], 0x42);
	assert_int_equal(out[DNS_HEADER + 1], 'W');
	assert_int_equal(out[11], 1); /* OPT, for a client that knows it */
	assert_int_equal(out[m.n - 5 - 2], DNS_CACHE_TTL_MAX_S); /* not as long as they say */
	/* the same from the cache, older */
	dns_cache_put(e.cache, &n, DNS_A, false, m, 1000);
	e.now_ms = 6000;
	assert_int_equal(dns_engine_query(&e, str_n((char *)q, q_n), true, out, &size, &ask),
		DNS_ENGINE_REPLY);
	/* nobody answered */
	size = dns_engine_reply(&e, &ask, (struct str){0}, true, out);
	assert_int_equal(out[3] & 15, DNS_SERVFAIL);
	dns_index_free(e.zone.index);
	dns_cache_free(e.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(queries_that_are_wrong),
		cmocka_unit_test(extended_queries),
		cmocka_unit_test(servers_by_text),
		cmocka_unit_test(how_long_answers_are_kept),
		cmocka_unit_test(the_cache_forgets),
		cmocka_unit_test(answers_are_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
