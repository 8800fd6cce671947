/* dns.c: see dns.h. */
#include "dns/dns.h"

#include "dns/address.h"
#include "dns/server.h"
#include "loop/thread.h"
#include "types.gen.h"

enum { LISTEN_RETRY_MS = 5000, ADDRESSES_MAX = DNS_ZONE_SERVERS_MAX };

struct dns {
	struct loop_thread thread;
	struct dns_index *index;
	struct dns_server *server;
	struct dns_addr addresses[ADDRESSES_MAX]; /* where to listen */
	size_t n_addresses;
	bool follow_service; /* the addresses are those of the Service */
	uint16_t port;
	bool synced;
	struct loop_timer retry;
};

/* --- on our thread --- */

static void listen_everywhere(struct dns *d)
{
	bool failed = false;

	if (!d->synced)
		return;
	for (size_t i = 0; i < d->n_addresses; i++) {
		struct err err CLEANUP(err_release) = {0};
		int r = dns_address_claim(&d->addresses[i]);

		if (r < 0)
			log_error("dns: a route to the cluster DNS address: %s", strerror(-r));
		if (dns_server_listen(d->server, &d->addresses[i], d->port, &err) < 0) {
			log_error("%s", err_text(&err));
			failed = true;
		}
	}
	if (failed)
		loop_timer_start(&d->retry, LISTEN_RETRY_MS);
}

static void on_retry(struct loop_timer *t)
{
	listen_everywhere(container_of(t, struct dns, retry));
}

static void follow(struct dns *d)
{
	const struct dns_service *s =
		dns_index_find(d->index, S(DNS_SERVICE_NAMESPACE), S(DNS_SERVICE_NAME));

	if (!d->follow_service || !s || s->kind != DNS_SERVICE_CLUSTER)
		return;
	d->n_addresses = 0;
	for (size_t i = 0; i < ARRAY_SIZE(s->ips); i++)
		if (s->ips[i].n)
			d->addresses[d->n_addresses++] = s->ips[i];
	listen_everywhere(d);
}

/* An event on its way from the client's thread to ours. */
struct change {
	struct loop_task task;
	struct dns *dns;
	const struct object *gone, *object; /* references */
	bool service;
};

static void put(struct dns *d, const struct object *o, bool service, bool there)
{
	if (!o)
		return;
	if (service)
		dns_index_put_service(d->index, o, there);
	else
		dns_index_put_slice(d->index, o, there);
	if (service && str_eqc(o->name, DNS_SERVICE_NAME) && str_eqc(o->ns, DNS_SERVICE_NAMESPACE))
		follow(d);
}

static void apply(struct loop_task *t)
{
	struct change *c = container_of(t, struct change, task);

	put(c->dns, c->gone, c->service, false);
	put(c->dns, c->object, c->service, true);
	object_unref(c->gone);
	object_unref(c->object);
	free(c);
}

static void all_is_known(struct loop_task *t)
{
	struct change *c = container_of(t, struct change, task);
	struct dns *d = c->dns;

	free(c);
	d->synced = true;
	dns_server_set_synced(d->server);
	listen_everywhere(d);
}

/* --- on the client's --- */

static struct change *change_new(struct dns *d, void (*fn)(struct loop_task *t))
{
	struct change *c = xcalloc(1, sizeof(*c));

	c->task.fn = fn;
	c->dns = d;
	return c;
}

static void on_service(void *user_data, const struct store_event *ev)
{
	struct dns *d = user_data;
	struct change *c = change_new(d, apply);

	c->service = true;
	*(ev->type == STORE_DELETED ? &c->gone : &c->object) = object_ref(ev->object);
	loop_post(d->thread.loop, &c->task);
}

static bool same_service(const struct object *a, const struct object *b)
{
	const struct str *one = str_map_get(&a->labels, S("kubernetes.io/service-name"));
	const struct str *other = str_map_get(&b->labels, S("kubernetes.io/service-name"));

	return one && other ? str_eq(*one, *other) : one == other;
}

static void on_slice(void *user_data, const struct store_event *ev)
{
	struct dns *d = user_data;
	struct change *c = change_new(d, apply);

	if (ev->type == STORE_DELETED)
		c->gone = object_ref(ev->object);
	else
		c->object = object_ref(ev->object);
	if (ev->prev && c->object && !same_service(ev->prev, c->object))
		c->gone = object_ref(ev->prev);
	loop_post(d->thread.loop, &c->task);
}

void dns_set_synced(struct dns *d)
{
	loop_post(d->thread.loop, &change_new(d, all_is_known)->task);
}

/* --- beginning --- */

static int parse_addresses(struct dns *d, struct str list, struct err *err)
{
	struct str one;

	d->follow_service = !list.n;
	while (list.n) {
		str_cut(list, ',', &one, &list);
		if (d->n_addresses == ADDRESSES_MAX ||
			dns_addr_parse(str_trim(one), &d->addresses[d->n_addresses++]) < 0)
			return err_bad_request(err,
				"cluster DNS: \"" STR_FMT "\" is not an address, or one too many",
				STR_ARG(one));
	}
	return 0;
}

static int configure(struct dns *d, const struct dns_opts *o, struct err *err)
{
	const char *domain =
		o->cluster_domain && o->cluster_domain[0] ? o->cluster_domain : "cluster.local";
	struct dns_server_opts so = {
		.loop = d->thread.loop, .index = d->index, .resolv_conf = o->resolv_conf};
	int r;

	if (dns_name_from(str_c(domain), &so.origin) < 0 || !so.origin.labels)
		return err_bad_request(err, "cluster domain \"%s\" is not a domain name", domain);
	d->port = o->port ? o->port : DNS_PORT;
	r = parse_addresses(d, str_c(o->addresses), err);
	if (r == 0)
		r = dns_servers_parse(str_c(o->upstreams), &so.upstreams.servers, err);
	if (r == 0)
		r = dns_stubs_parse(&so.upstreams, str_c(o->stub_domains), err);
	if (r == 0)
		d->server = dns_server_new(&so);
	else
		dns_upstreams_release(&so.upstreams);
	return r;
}

int dns_start(const struct dns_opts *opts, struct dns **ret, struct err *err)
{
	struct dns *d = xcalloc(1, sizeof(*d));
	int r = loop_thread_init(&d->thread, err);

	if (r < 0) {
		free(d);
		return r;
	}
	d->index = dns_index_new();
	loop_timer_init(&d->retry, d->thread.loop, on_retry);
	r = configure(d, opts, err);
	if (r == 0)
		r = loop_thread_start(&d->thread, "dns", err);
	if (r < 0) /* the program ends with this */
		return r;
	client_subscribe(opts->client, &v1_service_resource, NULL, on_service, d);
	client_subscribe(opts->client, &discovery_v1_endpoint_slice_resource, NULL, on_slice, d);
	*ret = d;
	return 0;
}
