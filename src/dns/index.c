/* index.c: see index.h. */
#include "dns/index.h"

#include <arpa/inet.h>

#include "base/map.h"
#include "types.gen.h"

enum { KEY_MAX = 2 * DNS_LABEL_MAX + 2 };

struct entry {
	struct str ns, name; /* in the same block */
	const struct object *service;
	struct map slices; /* name -> const struct object * */
	struct dns_service *records;
};

/* The entries that have something under an address; nearly always one. */
struct holders {
	size_t n;
	struct entry *v[];
};

struct dns_index {
	struct map entries;    /* "ns/name" */
	struct map namespaces; /* -> number of services, as a pointer */
	struct map addresses;  /* bytes of the address -> struct holders */
};

struct dns_index *dns_index_new(void)
{
	return xcalloc(1, sizeof(struct dns_index));
}

/* --- addresses --- */

static struct str addr_key(const struct dns_addr *ip)
{
	return str_n((const char *)ip->b, ip->n);
}

static void hold(struct dns_index *x, const struct dns_addr *ip, struct entry *e)
{
	struct holders *h = map_get(&x->addresses, addr_key(ip));
	size_t n = h ? h->n : 0;

	for (size_t i = 0; i < n; i++)
		if (h->v[i] == e)
			return;
	h = xrealloc(h, sizeof(*h) + (n + 1) * sizeof(struct entry *));
	h->v[n] = e;
	h->n = n + 1;
	map_set(&x->addresses, addr_key(ip), h);
}

static void let_go(struct dns_index *x, const struct dns_addr *ip, struct entry *e)
{
	struct holders *h = map_get(&x->addresses, addr_key(ip));
	size_t n = 0;

	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i] != e)
			h->v[n++] = h->v[i];
	h->n = n;
	if (n == 0)
		free(map_remove(&x->addresses, addr_key(ip)));
}

static void each_address(struct dns_index *x, struct entry *e,
	void (*fn)(struct dns_index *x, const struct dns_addr *ip, struct entry *e))
{
	const struct dns_service *s = e->records;

	for (size_t i = 0; s && i < ARRAY_SIZE(s->ips); i++)
		if (s->ips[i].n)
			fn(x, &s->ips[i], e);
	for (size_t i = 0; s && i < s->n_endpoints; i++)
		if (s->endpoints[i].named)
			fn(x, &s->endpoints[i].ip, e);
}

struct str dns_dashed(const struct dns_addr *ip, char *buf)
{
	size_t n;

	inet_ntop(ip->n == 4 ? AF_INET : AF_INET6, ip->b, buf, INET6_ADDRSTRLEN);
	n = strlen(buf);
	for (size_t i = 0; i < n; i++)
		if (buf[i] == '.' || buf[i] == ':')
			buf[i] = '-';
	/* a label neither begins nor ends with a dash */
	if (buf[0] == '-') {
		memmove(buf + 1, buf, n++);
		buf[0] = '0';
	}
	if (buf[n - 1] == '-')
		buf[n++] = '0';
	return str_n(buf, n);
}

/* --- from objects to records --- */

/* What is collected in scratch memory before it is packed into one block. */
struct draft {
	struct dns_service s;
	struct {
		struct dns_port *v;
		size_t n;
	} ports;
	struct {
		struct dns_endpoint *v;
		size_t n;
	} endpoints;
	struct map hosts; /* with a hostname, seen so far */
	struct arena *arena;
};

static const char *protocol_label(struct str p)
{
	return str_eqc(p, "UDP") ? "_udp" : str_eqc(p, "SCTP") ? "_sctp" : "_tcp";
}

static void add_port(struct draft *d, struct str name, struct str protocol, int port, size_t group)
{
	ARENA_PUSH(d->arena, &d->ports,
		((struct dns_port){name, protocol_label(protocol), port, group}));
}

static void add_endpoint(struct draft *d, const struct discovery_v1_endpoint *e, size_t group)
{
	struct dns_endpoint out = {.group = group, .named = e->hostname.n > 0};
	char buf[48];

	if (!e->addresses.n || dns_addr_parse(e->addresses.v[0], &out.ip) < 0 ||
		e->hostname.n > DNS_LABEL_MAX)
		return;
	out.host = out.named ? e->hostname : arena_str(d->arena, dns_dashed(&out.ip, buf));
	out.again = map_set(&d->hosts, out.host, d) != NULL;
	ARENA_PUSH(d->arena, &d->endpoints, out);
}

static void add_slice(struct draft *d, const struct discovery_v1_endpoint_slice *s, size_t group,
	bool unready_too)
{
	if (str_eqc(s->address_type, "FQDN"))
		return;
	for (size_t i = 0; i < s->ports.n; i++)
		if (s->ports.v[i].port)
			add_port(d, s->ports.v[i].name, s->ports.v[i].protocol, *s->ports.v[i].port,
				group);
	for (size_t i = 0; i < s->endpoints.n; i++) {
		const bool *ready = s->endpoints.v[i].conditions.ready;

		if (!ready || *ready || unready_too)
			add_endpoint(d, &s->endpoints.v[i], group);
	}
}

static bool fill_draft(struct draft *d, const struct entry *e)
{
	const struct v1_service *svc = object_decode(e->service, d->arena);
	const struct v1_service_spec *spec = &svc->spec;
	size_t group = 0, n = 0;

	if (str_eqc(spec->type, "ExternalName")) {
		d->s.kind = DNS_SERVICE_EXTERNAL;
		d->s.external = spec->external_name;
		return true;
	}
	if (str_eqc(spec->cluster_ip, "None")) {
		d->s.kind = DNS_SERVICE_HEADLESS;
		for (struct map_entry *m = map_first(&e->slices); m; m = map_next(&e->slices, m))
			add_slice(d, object_decode(m->value, d->arena), group++,
				spec->publish_not_ready_addresses);
		return true;
	}
	d->s.kind = DNS_SERVICE_CLUSTER;
	for (size_t i = 0; i < spec->cluster_ips.n && n < ARRAY_SIZE(d->s.ips); i++)
		n += dns_addr_parse(spec->cluster_ips.v[i], &d->s.ips[n]) == 0;
	if (n == 0)
		n += dns_addr_parse(spec->cluster_ip, &d->s.ips[0]) == 0;
	for (size_t i = 0; i < spec->ports.n; i++)
		add_port(d, spec->ports.v[i].name, spec->ports.v[i].protocol, spec->ports.v[i].port,
			0);
	return n > 0; /* else it has no address yet */
}

static struct str pack_str(struct str s, char **at)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return str_n(p, s.n);
}

static struct dns_service *pack(const struct draft *d)
{
	size_t ports = d->ports.n * sizeof(struct dns_port);
	size_t endpoints = d->endpoints.n * sizeof(struct dns_endpoint);
	size_t size = sizeof(struct dns_service) + ports + endpoints + d->s.external.n;
	struct dns_service *s;
	char *at;

	for (size_t i = 0; i < d->ports.n; i++)
		size += d->ports.v[i].name.n;
	for (size_t i = 0; i < d->endpoints.n; i++)
		size += d->endpoints.v[i].host.n;
	s = xmalloc(size);
	*s = d->s;
	s->endpoints = (struct dns_endpoint *)(s + 1);
	s->ports = (struct dns_port *)((char *)s->endpoints + endpoints);
	s->n_ports = d->ports.n;
	s->n_endpoints = d->endpoints.n;
	at = (char *)s->ports + ports;
	s->external = pack_str(d->s.external, &at);
	for (size_t i = 0; i < s->n_ports; i++) {
		s->ports[i] = d->ports.v[i];
		s->ports[i].name = pack_str(d->ports.v[i].name, &at);
	}
	for (size_t i = 0; i < s->n_endpoints; i++) {
		s->endpoints[i] = d->endpoints.v[i];
		s->endpoints[i].host = pack_str(d->endpoints.v[i].host, &at);
	}
	return s;
}

static void rebuild(struct dns_index *x, struct entry *e)
{
	struct arena a = {0};
	struct draft d = {.arena = &a};

	each_address(x, e, let_go);
	free(e->records);
	e->records = e->service && fill_draft(&d, e) ? pack(&d) : NULL;
	each_address(x, e, hold);
	map_release(&d.hosts);
	arena_release(&a);
}

/* --- entries --- */

/* Empty when they cannot be a name. */
static struct str key_of(struct str ns, struct str name, char buf[static KEY_MAX])
{
	if (ns.n > DNS_LABEL_MAX || name.n > DNS_LABEL_MAX || !ns.n || !name.n)
		return (struct str){0};
	memcpy(buf, ns.p, ns.n);
	buf[ns.n] = '/';
	memcpy(buf + ns.n + 1, name.p, name.n);
	return str_n(buf, ns.n + 1 + name.n);
}

static struct entry *entry_of(struct dns_index *x, struct str ns, struct str name)
{
	char buf[KEY_MAX];
	struct str key = key_of(ns, name, buf);
	struct entry *e = key.n ? map_get(&x->entries, key) : NULL;

	if (e || !key.n)
		return e;
	e = xcalloc(1, sizeof(*e) + key.n);
	memcpy(e + 1, key.p, key.n);
	e->ns = str_n((char *)(e + 1), ns.n);
	e->name = str_n((char *)(e + 1) + ns.n + 1, name.n);
	map_set(&x->entries, key, e);
	return e;
}

static void entry_free(struct entry *e)
{
	for (struct map_entry *m = map_first(&e->slices); m; m = map_next(&e->slices, m))
		object_unref(m->value);
	map_release(&e->slices);
	object_unref(e->service);
	free(e->records);
	free(e);
}

static void drop_if_empty(struct dns_index *x, struct entry *e)
{
	char buf[KEY_MAX];

	if (e->service || e->slices.n)
		return;
	map_remove(&x->entries, key_of(e->ns, e->name, buf));
	entry_free(e);
}

static void count_namespace(struct dns_index *x, struct str ns, int by)
{
	intptr_t n = (intptr_t)map_get(&x->namespaces, ns) + by;

	if (n > 0)
		map_set(&x->namespaces, ns, (void *)n);
	else
		map_remove(&x->namespaces, ns);
}

void dns_index_put_service(struct dns_index *x, const struct object *o, bool there)
{
	struct entry *e = entry_of(x, o->ns, o->name);

	if (!e)
		return;
	count_namespace(x, e->ns, (there ? 1 : 0) - (e->service ? 1 : 0));
	object_unref(e->service);
	e->service = there ? object_ref(o) : NULL;
	rebuild(x, e);
	drop_if_empty(x, e);
}

void dns_index_put_slice(struct dns_index *x, const struct object *o, bool there)
{
	const struct str *name = str_map_get(&o->labels, S("kubernetes.io/service-name"));
	struct entry *e = name ? entry_of(x, o->ns, *name) : NULL;

	if (!e)
		return;
	object_unref(there ? map_set(&e->slices, o->name, object_ref(o))
			   : map_remove(&e->slices, o->name));
	/* a service with an address of its own is told without its endpoints */
	if (!e->records || e->records->kind == DNS_SERVICE_HEADLESS)
		rebuild(x, e);
	drop_if_empty(x, e);
}

void dns_index_free(struct dns_index *x)
{
	for (struct map_entry *m = map_first(&x->addresses); m; m = map_next(&x->addresses, m))
		free(m->value);
	for (struct map_entry *m = map_first(&x->entries); m; m = map_next(&x->entries, m))
		entry_free(m->value);
	map_release(&x->addresses);
	map_release(&x->entries);
	map_release(&x->namespaces);
	free(x);
}

/* --- reading --- */

const struct dns_service *dns_index_find(const struct dns_index *x, struct str ns, struct str name)
{
	char buf[KEY_MAX];
	struct str key = key_of(ns, name, buf);
	const struct entry *e = key.n ? map_get(&x->entries, key) : NULL;

	return e ? e->records : NULL;
}

bool dns_index_has_namespace(const struct dns_index *x, struct str ns)
{
	return map_get(&x->namespaces, ns);
}

bool dns_index_reverse(
	const struct dns_index *x, const struct dns_addr *ip, size_t at, struct dns_reverse *ret)
{
	const struct holders *h = map_get(&x->addresses, addr_key(ip));

	for (size_t i = 0; h && i < h->n; i++) {
		const struct dns_service *s = h->v[i]->records;

		*ret = (struct dns_reverse){.ns = h->v[i]->ns, .name = h->v[i]->name};
		for (size_t j = 0; j < ARRAY_SIZE(s->ips); j++)
			if (dns_addr_eq(&s->ips[j], ip) && at-- == 0)
				return true;
		for (size_t j = 0; j < s->n_endpoints; j++) {
			if (!s->endpoints[j].named || !dns_addr_eq(&s->endpoints[j].ip, ip))
				continue;
			ret->host = s->endpoints[j].host;
			if (at-- == 0)
				return true;
		}
	}
	return false;
}
