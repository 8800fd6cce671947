/* server.c: what the sockets have in common: other name servers, who waits for them. */
#include "dns/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dns/server_int.h"

enum { RESOLV_CONF_MAX = 1 << 16 };

struct dns_server *dns_server_new(const struct dns_server_opts *opts)
{
	struct dns_server *s = xcalloc(1, sizeof(*s));

	s->loop = opts->loop;
	s->engine.zone.index = opts->index;
	s->engine.zone.origin = opts->origin;
	s->engine.zone.random = loop_random(s->loop) | 1;
	s->engine.cache = dns_cache_new(DNS_CACHE_BYTES_MAX);
	s->upstreams = opts->upstreams;
	s->given_upstreams = opts->upstreams.servers.n > 0;
	s->resolv_conf =
		opts->resolv_conf && opts->resolv_conf[0] ? xstrdup(opts->resolv_conf) : NULL;
	s->checked_ms = -DNS_RESOLV_CONF_CHECK_MS;
	s->forward = dns_forward_new(s->loop);
	return s;
}

void dns_server_set_synced(struct dns_server *s)
{
	s->engine.synced = true;
}

/* --- name servers --- */

static void read_resolv_conf(struct dns_server *s)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct dns_servers servers = {0};
	struct str text;

	if (file_read(s->resolv_conf, RESOLV_CONF_MAX, &a, &text, NULL) == 0 &&
		dns_servers_from_resolv_conf(
			text, s->engine.zone.servers, s->engine.zone.n_servers, &servers))
		log_warn("dns: %s names this DNS server itself as its upstream: left out",
			s->resolv_conf);
	s->upstreams.servers = servers;
}

/* The check costs one stat(2) now and then, and nothing while nobody asks. */
void server_refresh(struct dns_server *s)
{
	struct stat st = {0};

	s->engine.now_ms = loop_now_ms(s->loop);
	if (s->engine.now_ms - s->checked_ms < DNS_RESOLV_CONF_CHECK_MS)
		return;
	s->checked_ms = s->engine.now_ms;
	if (!s->given_upstreams && s->resolv_conf) {
		stat(s->resolv_conf, &st);
		if (memcmp(&st.st_mtim, &s->resolv_mtime, sizeof(st.st_mtim))) {
			s->resolv_mtime = st.st_mtim;
			read_resolv_conf(s);
		}
	}
	s->engine.recursive = s->upstreams.servers.n || s->upstreams.n_stubs;
}

/* --- who waits --- */

static void on_answer(struct dns_waiter *base, struct str message)
{
	struct waiting *w = container_of(base, struct waiting, base);
	struct dns_server *s = w->server;
	size_t n;

	if (message.n) {
		s->engine.now_ms = loop_now_ms(s->loop);
		dns_cache_put(s->engine.cache, &w->ask.name, w->ask.type, w->ask.dnssec_ok, message,
			s->engine.now_ms);
	}
	n = dns_engine_reply(&s->engine, &w->ask, message, w->listener != NULL, s->out);
	if (w->listener) {
		udp_reply(w->listener, &w->from, w->from_n, s->out, n);
	} else {
		tcp_reply(w->connection, s->out, n);
		tcp_unreference(w->connection);
	}
	free(w);
}

bool server_forward(
	struct dns_server *s, const struct dns_engine_ask *ask, const struct waiting *who)
{
	struct waiting *w = xmalloc(sizeof(*w));

	*w = *who;
	w->base.done = on_answer;
	w->server = s;
	w->ask = *ask;
	if (dns_forward_ask(s->forward, dns_upstreams_for(&s->upstreams, &ask->name), &ask->name,
		    ask->type, ask->dnssec_ok, &w->base) < 0) {
		free(w);
		return false;
	}
	if (w->connection)
		tcp_reference(w->connection);
	return true;
}

/* --- listeners --- */

static socklen_t socket_address(const struct dns_addr *ip, uint16_t port, struct sockaddr_in6 *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (ip->n == 16) {
		ret->sin6_family = AF_INET6;
		ret->sin6_port = htons(port);
		memcpy(&ret->sin6_addr, ip->b, 16);
		return sizeof(*ret);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	memcpy(&v4->sin_addr, ip->b, 4);
	return sizeof(*v4);
}

static void note_own_address(struct dns_server *s, const struct dns_addr *ip)
{
	struct dns_zone *z = &s->engine.zone;

	if (z->n_servers < DNS_ZONE_SERVERS_MAX)
		z->servers[z->n_servers++] = *ip;
	memset(&s->resolv_mtime, 0, sizeof(s->resolv_mtime)); /* it may name this one */
	s->checked_ms = -DNS_RESOLV_CONF_CHECK_MS;
}

static void on_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->open_handles)
		return;
	close(l->fd);
	free(l);
}

static void listener_close(struct listener *l)
{
	bool with_tcp = l->open_handles > 1;

	uv_close((uv_handle_t *)&l->udp, on_closed);
	if (with_tcp)
		uv_close((uv_handle_t *)&l->tcp, on_closed);
}

int dns_server_listen(
	struct dns_server *s, const struct dns_addr *ip, uint16_t port, struct err *err)
{
	struct sockaddr_in6 at;
	socklen_t n = socket_address(ip, port, &at);
	struct listener *l;
	int r;

	for (l = s->listeners; l; l = l->next)
		if (dns_addr_eq(&l->ip, ip))
			return 0;
	l = xcalloc(1, sizeof(*l));
	l->server = s;
	l->ip = *ip;
	r = udp_open(l, &at, n);
	if (r < 0) {
		free(l);
		return err_errno(err, -r, "dns: UDP port %d", port);
	}
	r = tcp_open(l, &at);
	if (r < 0) { /* both or none: who asks again over TCP must find us */
		listener_close(l);
		return err_errno(err, -r, "dns: TCP port %d", port);
	}
	l->next = s->listeners;
	s->listeners = l;
	note_own_address(s, ip);
	return 0;
}

void dns_server_free(struct dns_server *s)
{
	struct listener *l, *next;

	tcp_close_all(s);
	for (l = s->listeners; l; l = next) {
		next = l->next;
		listener_close(l);
	}
	dns_forward_free(s->forward);
	dns_cache_free(s->engine.cache);
	dns_upstreams_release(&s->upstreams);
	free(s->batch);
	free(s->resolv_conf);
	free(s);
}
