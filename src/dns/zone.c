/* zone.c: see zone.h. */
#include "dns/zone.h"

enum { CHASE_MAX = 8, SRV_FIXED = 6, SHUFFLE_MAX = 4096 };

/* One name that is being answered. `at`: where it stands in the message. */
struct lookup {
	struct dns_zone *z;
	struct dns_answer *w;
	const struct dns_name *name;
	size_t at, depth;
	uint16_t type;
	size_t labels; /* of the name, left of the zone */
	bool exists;   /* else NXDOMAIN */
	struct dns_zone_answer *ret;
};

static uint64_t next_random(struct dns_zone *z)
{
	z->random ^= z->random << 13;
	z->random ^= z->random >> 7;
	z->random ^= z->random << 17;
	return z->random;
}

static bool asks(const struct lookup *l, uint16_t type)
{
	return l->type == type || l->type == DNS_ANY;
}

static struct str label(const struct lookup *l, size_t i)
{
	return dns_label(l->name, i);
}

/* Label `a`, counted from the zone: 1 stands right before it. */
static struct str label_up(const struct lookup *l, size_t a)
{
	return label(l, l->labels - a);
}

/* --- names that we make --- */

/* Up to `n` labels before the zone; false when it gets too long. */
static bool make_name(
	const struct dns_zone *z, const struct str *labels, size_t n, struct dns_name *ret)
{
	size_t size = z->origin.n, at = 0;

	for (size_t i = 0; i < n; i++)
		size += labels[i].n + 1;
	if (size > DNS_NAME_MAX)
		return false;
	ret->labels = 0; /* only its wire form is used */
	for (size_t i = 0; i < n; i++) {
		ret->wire[at++] = labels[i].n;
		memcpy(ret->wire + at, labels[i].p, labels[i].n);
		at += labels[i].n;
	}
	memcpy(ret->wire + at, z->origin.wire, z->origin.n);
	ret->n = size;
	return true;
}

static bool make_service_name(const struct dns_zone *z, struct str host, struct str name,
	struct str ns, struct dns_name *ret)
{
	struct str labels[] = {host, name, ns, S("svc")};

	return make_name(z, labels + (host.n == 0), 4 - (host.n == 0), ret);
}

/* --- addresses --- */

static void add_ip(struct lookup *l, const struct dns_addr *ip)
{
	if (ip->n && asks(l, ip->n == 4 ? DNS_A : DNS_AAAA))
		dns_answer_ip(l->w, DNS_ANSWER, l->at, DNS_ZONE_TTL_S, ip);
}

/* In random order, and no more than fit. */
static void add_endpoint_ips(struct lookup *l, const struct dns_service *s)
{
	uint16_t order[SHUFFLE_MAX];
	size_t n = MIN(s->n_endpoints, (size_t)SHUFFLE_MAX);

	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = 0; i < n && !l->w->full; i++) {
		size_t j = i + next_random(l->z) % (n - i);
		uint16_t chosen = order[j];

		order[j] = order[i];
		add_ip(l, &s->endpoints[chosen].ip);
	}
}

/* --- SRV --- */

static size_t add_srv(struct lookup *l, size_t weight, uint16_t port, const struct dns_name *to)
{
	uint8_t *p = dns_answer_record(
		l->w, DNS_ANSWER, l->at, DNS_SRV, DNS_ZONE_TTL_S, SRV_FIXED + to->n);

	if (!p)
		return 0;
	p[0] = p[1] = 0; /* priority */
	p[2] = weight >> 8;
	p[3] = weight;
	p[4] = port >> 8;
	p[5] = port;
	memcpy(p + SRV_FIXED, to->wire, to->n); /* RFC 2782: not compressed */
	return p + SRV_FIXED - l->w->p;
}

struct srv_target {
	size_t at;
	const struct dns_addr *ip;
};

/* The addresses of the targets stand behind all answers. */
static void add_targets(struct lookup *l, const struct srv_target *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].at && t[i].at <= DNS_POINTER_MAX)
			dns_answer_ip(l->w, DNS_ADDITIONAL, t[i].at, DNS_ZONE_TTL_S, t[i].ip);
}

static bool is_port(const struct dns_port *p, struct str port, struct str protocol)
{
	if (!port.n)
		return true;
	return p->name.n && str_eqc(protocol, p->protocol) &&
	       str_eq(p->name, str_sub(port, 1, port.n));
}

static void srv_cluster(struct lookup *l, const struct dns_service *s, const struct dns_port *port)
{
	struct srv_target t[2] = {0};
	struct dns_name to;
	size_t at;

	if (!make_service_name(l->z, (struct str){0}, label_up(l, 3), label_up(l, 2), &to))
		return;
	at = add_srv(l, 100, port->port, &to);
	for (size_t i = 0; i < ARRAY_SIZE(s->ips); i++)
		t[i] = (struct srv_target){s->ips[i].n ? at : 0, &s->ips[i]};
	add_targets(l, t, at ? 2 : 0);
}

static void srv_headless(struct lookup *l, const struct dns_service *s, struct str port,
	struct str protocol, struct str host)
{
	enum { TARGETS_MAX = 512 };
	struct srv_target t[TARGETS_MAX];
	size_t n = 0, weight = MAX(1, 100 / MAX(1, (int)s->n_endpoints));

	for (size_t p = 0; p < s->n_ports && asks(l, DNS_SRV); p++) {
		if (!is_port(&s->ports[p], port, protocol))
			continue;
		for (size_t i = 0; i < s->n_endpoints && n < TARGETS_MAX; i++) {
			const struct dns_endpoint *e = &s->endpoints[i];
			struct dns_name to;

			if (e->group != s->ports[p].group || e->again ||
				(host.n && !str_eq(host, e->host)) ||
				!make_service_name(
					l->z, e->host, label_up(l, 3), label_up(l, 2), &to))
				continue;
			t[n].at = add_srv(l, weight, s->ports[p].port, &to);
			t[n++].ip = &e->ip;
		}
	}
	add_targets(l, t, n);
}

/* _port._protocol.name.ns.svc; without port: every port of the service, or of one host. */
static void answer_srv(struct lookup *l, const struct dns_service *s, struct str port,
	struct str protocol, struct str host)
{
	bool any = false;

	if (s->kind == DNS_SERVICE_EXTERNAL)
		return;
	for (size_t i = 0; i < s->n_ports; i++) {
		if (!is_port(&s->ports[i], port, protocol))
			continue;
		any = true;
		if (s->kind == DNS_SERVICE_CLUSTER && asks(l, DNS_SRV))
			srv_cluster(l, s, &s->ports[i]);
	}
	if (s->kind == DNS_SERVICE_HEADLESS)
		srv_headless(l, s, port, protocol, host);
	l->exists = any || !port.n;
}

/* --- services --- */

static void look_up(struct lookup *l);

/* ExternalName: a CNAME, and what it leads to if that is here. */
static void answer_external(struct lookup *l, const struct dns_service *s)
{
	struct dns_name target;
	struct lookup next = *l;

	l->exists = true;
	if (dns_name_from(s->external, &target) < 0)
		return;
	next.at = dns_answer_name(l->w, DNS_ANSWER, l->at, DNS_CNAME, DNS_ZONE_TTL_S, &target);
	if (!next.at || (l->type != DNS_A && l->type != DNS_AAAA) || l->depth == CHASE_MAX)
		return;
	if (!dns_name_within(&target, &l->z->origin)) {
		l->ret->result = DNS_ZONE_CHASE;
		l->ret->target = target;
		l->ret->target_at = next.at;
		return;
	}
	next.name = &target;
	next.depth++;
	next.exists = false;
	look_up(&next);
}

static void answer_service(struct lookup *l, const struct dns_service *s)
{
	l->exists = true;
	if (s->kind == DNS_SERVICE_EXTERNAL) {
		answer_external(l, s);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(s->ips); i++)
		add_ip(l, &s->ips[i]);
	if (s->kind == DNS_SERVICE_HEADLESS)
		add_endpoint_ips(l, s);
	if (l->type == DNS_SRV)
		answer_srv(l, s, (struct str){0}, (struct str){0}, (struct str){0});
}

/* host.name.ns.svc, or _tcp.name.ns.svc, below which there are names. */
static void answer_host(struct lookup *l, const struct dns_service *s)
{
	struct str host = label(l, 0);

	for (size_t i = 0; i < s->n_ports && host.n && host.p[0] == '_'; i++)
		l->exists |= s->ports[i].name.n && str_eqc(host, s->ports[i].protocol);
	for (size_t i = 0; i < s->n_endpoints; i++) {
		if (!str_eq(s->endpoints[i].host, host))
			continue;
		l->exists = true;
		add_ip(l, &s->endpoints[i].ip);
	}
	if (l->exists && l->type == DNS_SRV && host.p[0] != '_')
		answer_srv(l, s, (struct str){0}, (struct str){0}, host);
}

static void answer_svc(struct lookup *l)
{
	const struct dns_service *s;

	if (l->labels == 1) {
		l->exists = true;
		return;
	}
	if (l->labels == 2) {
		l->exists = dns_index_has_namespace(l->z->index, label_up(l, 2));
		return;
	}
	s = dns_index_find(l->z->index, label_up(l, 2), label_up(l, 3));
	if (!s || l->labels > 5)
		return;
	if (l->labels == 3)
		answer_service(l, s);
	else if (l->labels == 4)
		answer_host(l, s);
	else if (label(l, 0).p[0] == '_' && label(l, 1).p[0] == '_')
		answer_srv(l, s, label(l, 0), label(l, 1), (struct str){0});
}

/* --- the rest --- */

/* a-b-c-d.ns.pod: the address that the name spells, whether there is such a pod or not. */
static void answer_pod(struct lookup *l)
{
	struct dns_addr ip;
	char text[DNS_LABEL_MAX];
	struct str host;

	l->exists = l->labels <= 2;
	if (l->labels != 3)
		return;
	host = label(l, 0);
	for (size_t i = 0; i < host.n; i++)
		text[i] = host.p[i] == '-' ? '.' : host.p[i];
	if (dns_addr_parse(str_n(text, host.n), &ip) < 0) {
		for (size_t i = 0; i < host.n; i++)
			text[i] = host.p[i] == '-' ? ':' : host.p[i];
		if (dns_addr_parse(str_n(text, host.n), &ip) < 0)
			return;
	}
	l->exists = true;
	add_ip(l, &ip);
}

static void add_text(struct lookup *l, struct str text)
{
	uint8_t *p =
		dns_answer_record(l->w, DNS_ANSWER, l->at, DNS_TXT, DNS_ZONE_TTL_S, text.n + 1);

	if (p) {
		p[0] = text.n;
		memcpy(p + 1, text.p, text.n);
	}
}

static void add_soa(struct lookup *l, enum dns_section section, size_t owner)
{
	static const uint8_t numbers[] = {/* serial */ 0, 0, 0, 1, /* refresh */ 0, 0, 0x1c, 0x20,
		/* retry */ 0, 0, 7, 8, /* expire */ 0, 1, 0x51, 0x80,
		/* how long "there is none" may be remembered */ 0, 0, 0, DNS_ZONE_TTL_S};
	struct dns_name server, mailbox;
	uint8_t *p;

	if (!make_name(l->z, (struct str[]){S("ns"), S("dns")}, 2, &server) ||
		!make_name(l->z, (struct str[]){S("hostmaster")}, 1, &mailbox))
		return;
	p = dns_answer_record(l->w, section, owner, DNS_SOA, DNS_ZONE_TTL_S,
		server.n + mailbox.n + sizeof(numbers));
	if (!p)
		return;
	memcpy(p, server.wire, server.n);
	memcpy(p + server.n, mailbox.wire, mailbox.n);
	memcpy(p + server.n + mailbox.n, numbers, sizeof(numbers));
}

static void answer_apex(struct lookup *l)
{
	struct dns_name server;
	size_t at = 0;

	l->exists = true;
	if (asks(l, DNS_SOA))
		add_soa(l, DNS_ANSWER, l->at);
	if (asks(l, DNS_NS) && make_name(l->z, (struct str[]){S("ns"), S("dns")}, 2, &server))
		at = dns_answer_name(l->w, DNS_ANSWER, l->at, DNS_NS, DNS_ZONE_TTL_S, &server);
	for (size_t i = 0; at && i < l->z->n_servers; i++)
		dns_answer_ip(l->w, DNS_ADDITIONAL, at, DNS_ZONE_TTL_S, &l->z->servers[i]);
}

static void answer_dns(struct lookup *l)
{
	l->exists = l->labels == 1 || (l->labels == 2 && str_eqc(label(l, 0), "ns"));
	for (size_t i = 0; l->labels == 2 && l->exists && i < l->z->n_servers; i++)
		add_ip(l, &l->z->servers[i]);
}

static void look_up(struct lookup *l)
{
	struct str last;

	l->labels = l->name->labels - l->z->origin.labels;
	if (l->labels == 0) {
		answer_apex(l);
	} else {
		last = label_up(l, 1);
		if (str_eqc(last, "svc"))
			answer_svc(l);
		else if (str_eqc(last, "pod"))
			answer_pod(l);
		else if (str_eqc(last, "dns"))
			answer_dns(l);
		else if (l->labels == 1 && str_eqc(last, "dns-version")) {
			l->exists = true;
			if (asks(l, DNS_TXT))
				add_text(l, S("1.1.0"));
		}
	}
	if (!l->exists)
		l->ret->rcode = DNS_NXDOMAIN;
}

/* False: no service or named endpoint has that address. */
static bool answer_reverse(struct lookup *l, const struct dns_addr *ip)
{
	enum { NAMES_MAX = 64 };
	struct dns_reverse r;
	struct dns_name to;
	size_t i;

	for (i = 0; i < NAMES_MAX && dns_index_reverse(l->z->index, ip, i, &r); i++)
		if (asks(l, DNS_PTR) && make_service_name(l->z, r.host, r.name, r.ns, &to))
			dns_answer_name(l->w, DNS_ANSWER, l->at, DNS_PTR, DNS_ZONE_TTL_S, &to);
	return i > 0;
}

void dns_zone_ask(struct dns_zone *z, const struct dns_query *q, struct dns_answer *w,
	struct dns_zone_answer *ret)
{
	struct lookup l = {.z = z,
		.w = w,
		.name = &q->name,
		.at = DNS_OWNER_QUESTION,
		.type = q->type,
		.ret = ret};
	struct dns_addr ip;

	ret->result = DNS_ZONE_ANSWERED;
	ret->rcode = DNS_NOERROR;
	if (dns_name_within(&q->name, &z->origin)) {
		look_up(&l);
		/* RFC 2308: who asked may remember that there is nothing, and for how long */
		if (w->counts[DNS_ANSWER] == 0 && !w->full)
			add_soa(&l, DNS_AUTHORITY,
				DNS_OWNER_QUESTION + (l.labels ? q->name.at[l.labels] : 0));
		return;
	}
	if (!dns_addr_from_reverse(&q->name, &ip) || !answer_reverse(&l, &ip))
		ret->result = DNS_ZONE_NOT_OURS;
}
