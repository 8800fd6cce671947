/* Any bytes as a client's query over UDP and TCP, and as another server's answer; then what we said
 * ourselves is read. */
#include "dns/engine.h"
#include "types.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_objects(struct dns_index *x)
{
	static const char *const services[] = {
		"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\","
		"\"namespace\":\"default\","
		"\"resourceVersion\":\"1\"},\"spec\":{\"clusterIP\":\"10.96.0.20\",\"ports\":[{"
		"\"name\":\"http\",\"port\":80}]}}",
		"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"out\","
		"\"namespace\":\"default\","
		"\"resourceVersion\":\"1\"},\"spec\":{\"type\":\"ExternalName\",\"externalName\":"
		"\"www.example.test\"}}"};

	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		struct object *o;

		if (object_parse(&v1_service_resource, str_c(services[i]), &o, NULL) < 0)
			abort();
		dns_index_put_service(x, o, true);
		object_unref(o);
	}
}

static struct dns_engine *engine(void)
{
	static struct dns_engine e;

	if (!e.cache) {
		e.synced = e.recursive = true;
		e.zone.index = dns_index_new();
		e.zone.random = 1;
		dns_name_from(S("cluster.local"), &e.zone.origin);
		e.cache = dns_cache_new(1 << 16);
		put_objects(e.zone.index);
	}
	return &e;
}

/* What we write must be readable to the last byte. */
static void check(const uint8_t *out, size_t n)
{
	struct dns_record rec;
	struct dns_reader r;

	if (n < DNS_HEADER || n > DNS_MESSAGE_MAX)
		abort();
	if (dns_reader_init(&r, str_n((const char *)out, n), NULL, NULL) < 0)
		return; /* an error without its question */
	while (dns_reader_next(&r, &rec))
		continue;
	if (r.bad)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[DNS_MESSAGE_MAX];
	struct str m = str_n((const char *)data, size);
	struct dns_engine *e = engine();
	struct dns_engine_ask ask;
	struct dns_name name;
	size_t n;

	for (int udp = 0; udp < 2; udp++) {
		enum dns_engine_result r = dns_engine_query(e, m, udp, out, &n, &ask);

		if (r == DNS_ENGINE_REPLY)
			check(out, n);
		else if (r == DNS_ENGINE_ASK)
			check(out, dns_engine_reply(e, &ask, (struct str){0}, udp, out));
	}
	if (size > DNS_MESSAGE_MAX || size < DNS_HEADER)
		return 0;
	/* as the answer that a client of www.example.test, or of the service "out", waits for */
	for (int chase = 0; chase < 2; chase++) {
		uint8_t q[512];
		struct dns_name target;

		dns_name_from(
			chase ? S("out.default.svc.cluster.local") : S("www.example.test"), &name);
		dns_name_from(S("www.example.test"), &target);
		n = dns_query_write(&name, DNS_A, 1, 0, false, q);
		e->now_ms += 60000; /* nothing is left in the cache */
		if (dns_engine_query(e, str_n((char *)q, n), true, out, &n, &ask) != DNS_ENGINE_ASK)
			abort();
		if (!dns_engine_is_answer(m, dns_message_u16(m, 0), &target, DNS_A))
			continue;
		dns_cache_put(e->cache, &target, DNS_A, false, m, e->now_ms);
		check(out, dns_engine_reply(e, &ask, m, true, out));
		check(out, dns_engine_reply(e, &ask, m, false, out));
	}
	return 0;
}
