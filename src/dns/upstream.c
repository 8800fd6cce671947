/* upstream.c: see upstream.h. */
#include "dns/upstream.h"

static bool put_address(struct str ip, uint16_t port, struct sockaddr_in6 *ret)
{
	struct dns_addr a;

	if (dns_addr_parse(ip, &a) < 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	if (a.n == 16) {
		ret->sin6_family = AF_INET6;
		ret->sin6_port = htons(port);
		memcpy(&ret->sin6_addr, a.b, 16);
	} else {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a.b, 4);
	}
	return true;
}

int dns_server_parse(struct str text, struct sockaddr_in6 *ret, struct err *err)
{
	struct str ip = text, port = {0};
	ssize_t colon = str_rchr(text, ':'), close = str_rchr(text, ']');
	uint64_t number = DNS_PORT;

	if (text.n && text.p[0] == '[' && close > 0) {
		ip = str_sub(text, 1, close);
		port = str_sub(text, close + 1, text.n);
	} else if (colon >= 0 && str_chr(text, ':') == colon) {
		ip = str_sub(text, 0, colon);
		port = str_sub(text, colon, text.n);
	}
	if ((port.n && (port.p[0] != ':' || str_to_u64(str_sub(port, 1, port.n), &number) < 0 ||
			       number < 1 || number > UINT16_MAX)) ||
		!put_address(ip, number, ret))
		return err_bad_request(err, "\"" STR_FMT "\" is not IP or IP:PORT", STR_ARG(text));
	return 0;
}

int dns_servers_parse(struct str list, struct dns_servers *ret, struct err *err)
{
	struct dns_servers s = {0};
	struct str one;
	int r;

	while (list.n) {
		str_cut(list, ',', &one, &list);
		if (s.n == DNS_SERVERS_MAX)
			return err_bad_request(
				err, "more than %d name servers", (int)DNS_SERVERS_MAX);
		r = dns_server_parse(str_trim(one), &s.v[s.n++], err);
		if (r < 0)
			return r;
	}
	*ret = s;
	return 0;
}

static struct dns_stub *stub_of(struct dns_upstreams *u, const struct dns_name *domain)
{
	for (size_t i = 0; i < u->n_stubs; i++)
		if (dns_name_eq(&u->stubs[i].domain, domain))
			return &u->stubs[i];
	if (u->n_stubs == DNS_STUBS_MAX)
		return NULL;
	u->stubs = xrealloc(u->stubs, (u->n_stubs + 1) * sizeof(*u->stubs));
	u->stubs[u->n_stubs] = (struct dns_stub){.domain = *domain};
	return &u->stubs[u->n_stubs++];
}

int dns_stubs_parse(struct dns_upstreams *u, struct str list, struct err *err)
{
	while (list.n) {
		struct str one, domain, ip;
		struct sockaddr_in6 server;
		struct dns_name name;
		struct dns_stub *stub;
		int r;

		str_cut(list, ',', &one, &list);
		if (!str_cut(str_trim(one), '=', &domain, &ip) ||
			dns_name_from(domain, &name) < 0 || !name.labels)
			return err_bad_request(
				err, "\"" STR_FMT "\" is not DOMAIN=IP[:PORT]", STR_ARG(one));
		r = dns_server_parse(ip, &server, err);
		if (r < 0)
			return r;
		stub = stub_of(u, &name);
		if (!stub || stub->servers.n == DNS_SERVERS_MAX)
			return err_bad_request(err, "too many stub domains or servers of one");
		stub->servers.v[stub->servers.n++] = server;
	}
	return 0;
}

static bool is_own(struct str ip, const struct dns_addr *own, size_t n_own)
{
	struct dns_addr a;

	for (size_t i = 0; i < n_own; i++)
		if (dns_addr_parse(ip, &a) == 0 && dns_addr_eq(&a, &own[i]))
			return true;
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The first word of a line, taken off it. */
static struct str take_word(struct str *line)
{
	size_t i = 0, from;

	while (i < line->n && is_space(line->p[i]))
		i++;
	from = i;
	while (i < line->n && !is_space(line->p[i]))
		i++;
	struct str word = str_sub(*line, from, i);

	*line = str_sub(*line, i, line->n);
	return word;
}

size_t dns_servers_from_resolv_conf(
	struct str text, const struct dns_addr *own, size_t n_own, struct dns_servers *ret)
{
	size_t skipped = 0;
	struct str line;

	*ret = (struct dns_servers){0};
	while (text.n) {
		struct str ip;

		str_cut(text, '\n', &line, &text);
		if (!str_eqc(take_word(&line), "nameserver"))
			continue;
		ip = take_word(&line);
		if (is_own(ip, own, n_own))
			skipped++;
		else if (ret->n < DNS_SERVERS_MAX && put_address(ip, DNS_PORT, &ret->v[ret->n]))
			ret->n++;
	}
	return skipped;
}

struct dns_servers *dns_upstreams_for(struct dns_upstreams *u, const struct dns_name *name)
{
	struct dns_servers *best = &u->servers;
	size_t labels = 0;

	for (size_t i = 0; i < u->n_stubs; i++) {
		struct dns_stub *s = &u->stubs[i];

		if (s->domain.labels > labels && dns_name_within(name, &s->domain)) {
			best = &s->servers;
			labels = s->domain.labels;
		}
	}
	return best;
}

void dns_upstreams_release(struct dns_upstreams *u)
{
	free(u->stubs);
	*u = (struct dns_upstreams){0};
}
