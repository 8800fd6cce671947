/* Objects in, questions in, answers as text: the Kubernetes DNS specification line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "dns/engine.h"
#include "types.gen.h"

struct world {
	struct dns_index *index;
	struct dns_engine engine;
	uint8_t out[DNS_MESSAGE_MAX];
	size_t n;
};

static struct object *object(const struct schema_resource *res, const char *text)
{
	struct object *o = NULL;
	struct err err = {0};

	if (object_parse(res, str_c(text), &o, &err) < 0)
		fail_msg("%s", err_text(&err));
	return o;
}

static void put_service(struct world *w, const char *ns, const char *name, const char *spec)
{
	char *text = xasprintf(
		"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":\"%s\",\"resourceVersion\":\"1\"},\"spec\":%s}",
		name, ns, spec);
	struct object *o = object(&v1_service_resource, text);

	dns_index_put_service(w->index, o, true);
	object_unref(o);
	free(text);
}

static struct object *slice(const char *name, const char *service, const char *family,
	const char *endpoints, const char *ports)
{
	char *text = xasprintf(
		"{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{"
		"\"name\":\"%s\",\"namespace\":\"default\",\"resourceVersion\":\"1\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"%s\",\"endpoints\":%s,"
		"\"ports\":%s}",
		name, service, family, endpoints, ports);
	struct object *o = object(&discovery_v1_endpoint_slice_resource, text);

	free(text);
	return o;
}

static void put_slice(struct world *w, const char *name, const char *service, const char *family,
	const char *endpoints, const char *ports)
{
	struct object *o = slice(name, service, family, endpoints, ports);

	dns_index_put_slice(w->index, o, true);
	object_unref(o);
}

#define HTTP "[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}]"

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->index = dns_index_new();
	w->engine.zone.index = w->index;
	w->engine.zone.random = 42;
	w->engine.synced = true;
	w->engine.cache = dns_cache_new(1 << 20);
	assert_int_equal(dns_name_from(S("cluster.local"), &w->engine.zone.origin), 0);
	assert_int_equal(dns_addr_parse(S("10.96.0.10"), &w->engine.zone.servers[0]), 0);
	w->engine.zone.n_servers = 1;
	put_service(w, "default", "web",
		"{\"clusterIP\":\"10.96.0.20\",\"clusterIPs\":[\"10.96.0.20\",\"fd00::20\"],"
		"\"ports\":["
		"{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80},{\"name\":\"dns\","
		"\"protocol\":\"UDP\",\"port\":53},"
		"{\"protocol\":\"TCP\",\"port\":99}]}");
	put_service(w, "default", "pending", "{\"ports\":[{\"port\":1}]}");
	put_service(w, "default", "heads", "{\"clusterIP\":\"None\"}");
	put_slice(w, "heads-1", "heads", "IPv4",
		"[{\"addresses\":[\"10.1.0.1\"],\"hostname\":\"a\",\"conditions\":{\"ready\":true}}"
		","
		"{\"addresses\":[\"10.1.0.2\"],\"conditions\":{}},"
		"{\"addresses\":[\"10.1.0.3\"],\"conditions\":{\"ready\":false}}]",
		HTTP);
	put_slice(w, "heads-2", "heads", "IPv6",
		"[{\"addresses\":[\"fd01::1\"],\"hostname\":\"a\",\"conditions\":{\"ready\":true}}"
		"]",
		"[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}]");
	put_service(
		w, "default", "all", "{\"clusterIP\":\"None\",\"publishNotReadyAddresses\":true}");
	put_slice(w, "all-1", "all", "IPv4",
		"[{\"addresses\":[\"10.1.0.9\"],\"conditions\":{\"ready\":false}}]", HTTP);
	put_service(w, "default", "out",
		"{\"type\":\"ExternalName\",\"externalName\":\"www.example.test\"}");
	put_service(w, "default", "in",
		"{\"type\":\"ExternalName\",\"externalName\":\"web.default.svc.cluster.local\"}");
	put_service(w, "default", "round",
		"{\"type\":\"ExternalName\",\"externalName\":\"round.default.svc.cluster.local\"}");
	put_service(w, "default", "lost",
		"{\"type\":\"ExternalName\",\"externalName\":\"none.default.svc.cluster.local\"}");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	dns_index_free(w->index);
	dns_cache_free(w->engine.cache);
	free(w);
	return 0;
}

/* --- asking --- */

static size_t query(uint8_t *p, const char *name, uint16_t type, bool edns)
{
	struct dns_name n;
	size_t size;

	assert_int_equal(dns_name_from(str_c(name), &n), 0);
	size = dns_query_write(&n, type, 0x1234, DNS_RECURSION_DESIRED, false, p);
	/* as it was written, capitals too */
	for (size_t i = 0, at = DNS_HEADER + 1; name[i]; i++, at++)
		if (name[i] != '.')
			p[at] = name[i];
	if (edns)
		return size;
	p[11] = 0;
	return size - DNS_EDNS_SIZE;
}

static void add_data(struct buf *b, struct str m, const struct dns_record *r)
{
	static const char *const srv = " %u %u %u ";
	char text[DNS_NAME_MAX + 1];
	struct dns_name name;
	size_t at = r->data_at;

	if (r->type == DNS_A || r->type == DNS_AAAA) {
		inet_ntop(r->type == DNS_A ? AF_INET : AF_INET6, m.p + at, text, sizeof(text));
		buf_fmt(b, " %s", text);
		return;
	}
	if (r->type == DNS_TXT) {
		buf_fmt(b, " %.*s", m.p[at], m.p + at + 1);
		return;
	}
	if (r->type == DNS_SRV) {
		buf_fmt(b, srv, dns_message_u16(m, at), dns_message_u16(m, at + 2),
			dns_message_u16(m, at + 4));
		at += 6;
	} else {
		buf_add_c(b, " ");
	}
	assert_int_equal(dns_name_read(m, &at, &name), 0);
	buf_add_str(b, dns_name_text(&name, text));
}

static const char *type_name(uint16_t t)
{
	switch (t) {
	case DNS_A:
		return "A";
	case DNS_AAAA:
		return "AAAA";
	case DNS_SRV:
		return "SRV";
	case DNS_CNAME:
		return "CNAME";
	case DNS_PTR:
		return "PTR";
	case DNS_NS:
		return "NS";
	case DNS_SOA:
		return "SOA";
	case DNS_TXT:
		return "TXT";
	case DNS_OPT:
		return "OPT";
	}
	return "?";
}

/* "NOERROR tc: web… A 10.0.0.1 + more" with "|" before the authority and "||" before the additional
 * section. */
static char *text_of(struct str m)
{
	static const char *const rcodes[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
	uint16_t flags = dns_message_u16(m, 2);
	enum dns_section section = DNS_ANSWER;
	struct dns_reader r;
	struct dns_record rec;
	struct buf b;
	size_t end = DNS_HEADER;

	buf_init(&b, 1 << 20);
	buf_fmt(&b, "%s%s%s", rcodes[flags & 15], flags & DNS_AUTHORITATIVE ? " aa" : "",
		flags & DNS_TRUNCATED ? " tc" : "");
	assert_int_equal(dns_reader_init(&r, m, NULL, NULL), 0);
	while (dns_reader_next(&r, &rec)) {
		char text[DNS_NAME_MAX + 1];
		struct dns_name owner;
		size_t at = rec.at;

		for (; section < rec.section; section++)
			buf_add_c(&b, " |");
		assert_int_equal(dns_name_read(m, &at, &owner), 0);
		if (rec.type == DNS_OPT) {
			buf_add_c(&b, " OPT");
		} else {
			buf_fmt(&b, "\n" STR_FMT " %s", STR_ARG(dns_name_text(&owner, text)),
				type_name(rec.type));
			add_data(&b, m, &rec);
		}
		end = rec.data_at + rec.data_size;
	}
	assert_false(r.bad);
	assert_true(end == m.n || end == DNS_HEADER);
	return b.p;
}

static void expect(struct world *w, const char *name, uint16_t type, const char *want)
{
	uint8_t q[512];
	struct dns_engine_ask ask;
	size_t n = query(q, name, type, false);
	enum dns_engine_result r =
		dns_engine_query(&w->engine, str_n((char *)q, n), false, w->out, &w->n, &ask);
	char *got;

	assert_int_equal(r, DNS_ENGINE_REPLY);
	/* id and question as they were */
	assert_memory_equal(w->out, q, 2);
	assert_memory_equal(w->out + DNS_HEADER, q + DNS_HEADER, n - DNS_HEADER);
	got = text_of(str_n((char *)w->out, w->n));
	if (strcmp(got, want))
		fail_msg("%s: got\n%s\nwant\n%s", name, got, want);
	free(got);
}

#define SOA "\ncluster.local SOA ns.dns.cluster.local"
#define Z ".default.svc.cluster.local"

static void services(void **state)
{
	struct world *w = *state;

	expect(w, "web" Z, DNS_A, "NOERROR aa\nweb" Z " A 10.96.0.20");
	expect(w, "web" Z, DNS_AAAA, "NOERROR aa\nweb" Z " AAAA fd00::20");
	expect(w, "WEB.Default.svc.CLUSTER.local", DNS_A, "NOERROR aa\nweb" Z " A 10.96.0.20");
	expect(w, "web" Z, DNS_TXT, "NOERROR aa |" SOA);
	expect(w, "none" Z, DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "pending" Z, DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "web.other.svc.cluster.local", DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "a.b.c.d.e" Z, DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "_http._tcp.web" Z, DNS_SRV,
		"NOERROR aa\n_http._tcp.web" Z " SRV 0 100 80 web" Z " | |\nweb" Z
		" A 10.96.0.20\nweb" Z " AAAA fd00::20");
	expect(w, "_dns._udp.web" Z, DNS_SRV,
		"NOERROR aa\n_dns._udp.web" Z " SRV 0 100 53 web" Z " | |\nweb" Z
		" A 10.96.0.20\nweb" Z " AAAA fd00::20");
	expect(w, "_dns._tcp.web" Z, DNS_SRV, "NXDOMAIN aa |" SOA);
	expect(w, "_http._tcp.web" Z, DNS_A, "NOERROR aa |" SOA);
	expect(w, "_udp.web" Z, DNS_A, "NOERROR aa |" SOA);
	expect(w, "_sctp.web" Z, DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "_http.web" Z, DNS_A, "NXDOMAIN aa |" SOA);
}

static void headless_services(void **state)
{
	struct world *w = *state;

	expect(w, "heads" Z, DNS_AAAA, "NOERROR aa\nheads" Z " AAAA fd01::1");
	expect(w, "a.heads" Z, DNS_A, "NOERROR aa\na.heads" Z " A 10.1.0.1");
	expect(w, "10-1-0-2.heads" Z, DNS_A, "NOERROR aa\n10-1-0-2.heads" Z " A 10.1.0.2");
	expect(w, "10-1-0-3.heads" Z, DNS_A, "NXDOMAIN aa |" SOA); /* not ready */
	expect(w, "10-1-0-1.heads" Z, DNS_A, "NXDOMAIN aa |" SOA); /* has a hostname */
	expect(w, "all" Z, DNS_A, "NOERROR aa\nall" Z " A 10.1.0.9");
	expect(w, "_http._tcp.heads" Z, DNS_SRV,
		"NOERROR aa\n_http._tcp.heads" Z " SRV 0 33 8080 a.heads" Z "\n_http._tcp.heads" Z
		" SRV 0 33 8080 10-1-0-2.heads" Z " | |\na.heads" Z " A 10.1.0.1\n10-1-0-2.heads" Z
		" A 10.1.0.2");
	put_service(w, "default", "empty", "{\"clusterIP\":\"None\"}");
	expect(w, "empty" Z, DNS_A, "NOERROR aa |" SOA);
}

static void all_addresses_in_every_order(void **state)
{
	struct world *w = *state;
	bool first_seen[2] = {0};

	for (int i = 0; i < 64; i++) {
		struct dns_engine_ask ask;
		uint8_t q[512];
		size_t n = query(q, "heads" Z, DNS_A, false);

		dns_engine_query(&w->engine, str_n((char *)q, n), true, w->out, &w->n, &ask);
		assert_int_equal(w->out[7], 2);
		first_seen[w->out[n + 15] == 2] = true;
	}
	assert_true(first_seen[0] && first_seen[1]);
}

static void external_names(void **state)
{
	struct world *w = *state;

	/* without other servers: the CNAME alone */
	expect(w, "out" Z, DNS_A, "NOERROR aa\nout" Z " CNAME www.example.test");
	expect(w, "in" Z, DNS_A, "NOERROR aa\nin" Z " CNAME web" Z "\nweb" Z " A 10.96.0.20");
	expect(w, "in" Z, DNS_CNAME, "NOERROR aa\nin" Z " CNAME web" Z);
	expect(w, "lost" Z, DNS_A, "NXDOMAIN aa\nlost" Z " CNAME none" Z);
}

static void a_round_of_external_names_ends(void **state)
{
	struct world *w = *state;
	struct dns_engine_ask ask;
	uint8_t q[512];
	size_t n = query(q, "round" Z, DNS_A, false);

	assert_int_equal(
		dns_engine_query(&w->engine, str_n((char *)q, n), true, w->out, &w->n, &ask),
		DNS_ENGINE_REPLY);
	assert_in_range(w->out[7], 1, 9);
}

static void other_records(void **state)
{
	struct world *w = *state;

	expect(w, "dns-version.cluster.local", DNS_TXT,
		"NOERROR aa\ndns-version.cluster.local TXT 1.1.0");
	expect(w, "cluster.local", DNS_SOA, "NOERROR aa\ncluster.local SOA ns.dns.cluster.local");
	expect(w, "cluster.local", DNS_NS,
		"NOERROR aa\ncluster.local NS ns.dns.cluster.local | |\nns.dns.cluster.local A "
		"10.96.0.10");
	expect(w, "cluster.local", DNS_A, "NOERROR aa |" SOA);
	expect(w, "ns.dns.cluster.local", DNS_A, "NOERROR aa\nns.dns.cluster.local A 10.96.0.10");
	expect(w, "svc.cluster.local", DNS_A, "NOERROR aa |" SOA);
	expect(w, "default.svc.cluster.local", DNS_A, "NOERROR aa |" SOA);
	expect(w, "other.svc.cluster.local", DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "x.cluster.local", DNS_A, "NXDOMAIN aa |" SOA);
	expect(w, "10-1-2-3.default.pod.cluster.local", DNS_A,
		"NOERROR aa\n10-1-2-3.default.pod.cluster.local A 10.1.2.3");
	expect(w, "fd00--7.default.pod.cluster.local", DNS_AAAA,
		"NOERROR aa\nfd00--7.default.pod.cluster.local AAAA fd00::7");
	expect(w, "300-1-2-3.default.pod.cluster.local", DNS_A, "NXDOMAIN aa |" SOA);
}

static void reverse_names(void **state)
{
	struct world *w = *state;

	expect(w, "20.0.96.10.in-addr.arpa", DNS_PTR,
		"NOERROR aa\n20.0.96.10.in-addr.arpa PTR web" Z);
	expect(w, "1.0.1.10.in-addr.arpa", DNS_PTR,
		"NOERROR aa\n1.0.1.10.in-addr.arpa PTR a.heads" Z);
	/* no hostname, no name: somebody else may know */
	expect(w, "2.0.1.10.in-addr.arpa", DNS_PTR, "REFUSED");
	expect(w, "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
		DNS_PTR,
		"NOERROR "
		"aa\n0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR "
		"web" Z);
	expect(w, "www.example.test", DNS_A, "REFUSED");
}

static void changes(void **state)
{
	struct world *w = *state;
	struct object *o = slice("heads-1", "heads", "IPv4", "[]", HTTP);

	dns_index_put_slice(w->index, o, false);
	expect(w, "heads" Z, DNS_A, "NOERROR aa |" SOA);
	expect(w, "1.0.1.10.in-addr.arpa", DNS_PTR, "REFUSED");
	object_unref(o);
	put_service(w, "default", "web",
		"{\"clusterIP\":\"10.96.0.21\",\"clusterIPs\":[\"10.96.0.21\"]}");
	expect(w, "web" Z, DNS_A, "NOERROR aa\nweb" Z " A 10.96.0.21");
	expect(w, "20.0.96.10.in-addr.arpa", DNS_PTR, "REFUSED");
	expect(w, "21.0.96.10.in-addr.arpa", DNS_PTR,
		"NOERROR aa\n21.0.96.10.in-addr.arpa PTR web" Z);
	/* a slice before its service */
	put_slice(w, "late-1", "late", "IPv4", "[{\"addresses\":[\"10.1.7.7\"]}]", HTTP);
	expect(w, "late" Z, DNS_A, "NXDOMAIN aa |" SOA);
	put_service(w, "default", "late", "{\"clusterIP\":\"None\"}");
	expect(w, "late" Z, DNS_A, "NOERROR aa\nlate" Z " A 10.1.7.7");
	w->engine.synced = false;
	expect(w, "late" Z, DNS_A, "SERVFAIL");
}

/* --- sizes --- */

static void answers_are_cut_to_what_the_client_takes(void **state)
{
	struct world *w = *state;
	struct dns_engine_ask ask;
	uint8_t q[512];
	struct buf b;
	size_t n;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < 500; i++)
		buf_fmt(&b, "%s{\"addresses\":[\"10.9.%d.%d\"]}", i ? "," : "[", i / 250, i % 250);
	buf_add_c(&b, "]");
	put_service(w, "default", "many", "{\"clusterIP\":\"None\"}");
	put_slice(w, "many-1", "many", "IPv4", b.p, HTTP);
	buf_release(&b);

	n = query(q, "many" Z, DNS_A, false);
	dns_engine_query(&w->engine, str_n((char *)q, n), true, w->out, &w->n, &ask);
	assert_in_range(w->n, 400, DNS_UDP_PLAIN_MAX);
	assert_true(w->out[2] & 2);
	n = query(q, "many" Z, DNS_A, true);
	dns_engine_query(&w->engine, str_n((char *)q, n), true, w->out, &w->n, &ask);
	assert_in_range(w->n, 1100, DNS_UDP_MAX);
	assert_true(w->out[2] & 2);
	dns_engine_query(&w->engine, str_n((char *)q, n), false, w->out, &w->n, &ask);
	assert_false(w->out[2] & 2);
	assert_int_equal(dns_message_u16(str_n((char *)w->out, w->n), 6), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(services, setup, teardown),
		cmocka_unit_test_setup_teardown(headless_services, setup, teardown),
		cmocka_unit_test_setup_teardown(all_addresses_in_every_order, setup, teardown),
		cmocka_unit_test_setup_teardown(external_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_round_of_external_names_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(other_records, setup, teardown),
		cmocka_unit_test_setup_teardown(reverse_names, setup, teardown),
		cmocka_unit_test_setup_teardown(changes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			answers_are_cut_to_what_the_client_takes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
