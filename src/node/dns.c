/* dns.c: name servers, search paths and options of a pod. */
#include "base/file.h"
#include "node/dns.h"

enum {
	SERVERS_MAX = 3,
	SEARCHES_MAX = 32,
	SEARCH_CHARS_MAX = 2048,
	SEARCH_ONE_MAX = 253, /* glibc 2.28 ends programs over a longer one */
	RESOLV_MAX = 64 * 1024,
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct str next_word(struct str *rest)
{
	size_t i = 0, from;

	while (i < rest->n && is_blank(rest->p[i]))
		i++;
	from = i;
	while (i < rest->n && !is_blank(rest->p[i]))
		i++;
	struct str word = str_sub(*rest, from, i);

	*rest = str_sub(*rest, i, rest->n);
	return word;
}

/* "name" or "name:value"; the later one of a name counts. */
static void add_option_text(struct arena *a, struct str_vec *options, struct str text)
{
	struct str name, value, head, rest;

	str_cut(text, ':', &name, &value);
	for (size_t i = 0; i < options->n; i++) {
		str_cut(options->v[i], ':', &head, &rest);
		if (str_eq(head, name)) {
			options->v[i] = text;
			return;
		}
	}
	ARENA_PUSH(a, options, text);
}

static void add_option(struct arena *a, struct str_vec *options, struct str name, struct str value)
{
	add_option_text(a, options,
		str_empty(value)
			? name
			: arena_fmt(a, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(value)));
}

/* The same domain counts once, however it is written. */
static struct str without_dot(struct str s, struct arena *a)
{
	return arena_str(a, s.p[s.n - 1] == '.' ? str_sub(s, 0, s.n - 1) : s);
}

void resolv_conf_parse(struct str text, struct arena *a, struct dns_config *ret)
{
	struct str line, key, word;
	bool more = text.n > 0;

	*ret = (struct dns_config){0};
	while (more) {
		more = str_cut(text, '\n', &line, &text);
		key = next_word(&line);
		if (str_eq(key, S("nameserver"))) {
			word = next_word(&line);
			if (word.n)
				ARENA_PUSH(a, &ret->servers, arena_str(a, word));
		} else if (str_eq(key, S("search"))) {
			ret->searches = (struct str_vec){0}; /* the last line counts */
			while ((word = next_word(&line)).n)
				if (!str_eq(word, S(".")))
					ARENA_PUSH(a, &ret->searches, without_dot(word, a));
		} else if (str_eq(key, S("options"))) {
			while ((word = next_word(&line)).n)
				add_option_text(a, &ret->options, arena_str(a, word));
		}
	}
}

static void add_once(struct arena *a, struct str_vec *v, struct str s)
{
	if (!str_vec_has(v, s))
		ARENA_PUSH(a, v, s);
}

static void cluster_first(struct pod *p, struct arena *a, struct str_vec servers,
	const struct dns_config *host, struct dns_config *ret)
{
	struct str domain = str_c(p->k->opts.cluster_domain);

	ret->servers = servers;
	if (!str_empty(domain)) {
		add_once(a, &ret->searches,
			arena_fmt(a, STR_FMT ".svc." STR_FMT, STR_ARG(p->ns), STR_ARG(domain)));
		add_once(a, &ret->searches, arena_fmt(a, "svc." STR_FMT, STR_ARG(domain)));
		add_once(a, &ret->searches, domain);
	}
	for (size_t i = 0; i < host->searches.n; i++)
		add_once(a, &ret->searches, host->searches.v[i]);
	ARENA_PUSH(a, &ret->options, S("ndots:5"));
}

static void add_config(struct arena *a, const struct v1_pod_dns_config *c, struct dns_config *ret)
{
	struct str_vec servers = {0}, options = {0};

	for (size_t i = 0; i < ret->servers.n; i++)
		add_once(a, &servers, ret->servers.v[i]);
	for (size_t i = 0; i < c->nameservers.n; i++)
		add_once(a, &servers, c->nameservers.v[i]);
	ret->servers = servers;
	for (size_t i = 0; i < c->searches.n; i++)
		add_once(a, &ret->searches, c->searches.v[i]);
	for (size_t i = 0; i < ret->options.n; i++)
		ARENA_PUSH(a, &options, ret->options.v[i]);
	for (size_t i = 0; i < c->options.n; i++)
		add_option(a, &options, c->options.v[i].name, c->options.v[i].value);
	ret->options = options;
}

/* --- limits --- */

static struct str joined(struct arena *a, const struct str_vec *v)
{
	struct buf b;
	struct str out;

	buf_init(&b, RESOLV_MAX + SEARCHES_MAX * SEARCH_ONE_MAX);
	for (size_t i = 0; i < v->n; i++) {
		buf_add_c(&b, i ? " " : "");
		buf_add_str(&b, v->v[i]);
	}
	out = arena_str(a, buf_str(&b));
	buf_release(&b);
	return out;
}

bool dns_limit_servers(struct dns_config *c)
{
	bool cut = c->servers.n > SERVERS_MAX;

	c->servers.n = MIN(c->servers.n, (size_t)SERVERS_MAX);
	return cut;
}

bool dns_limit_searches(struct dns_config *c)
{
	struct str_vec *v = &c->searches;
	size_t n = 0, chars = 0, was = v->n;

	v->n = MIN(v->n, (size_t)SEARCHES_MAX);
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].n <= SEARCH_ONE_MAX)
			v->v[n++] = v->v[i];
	v->n = n;
	for (n = 0; n < v->n; n++) {
		chars += v->v[n].n + (n > 0);
		if (chars > SEARCH_CHARS_MAX)
			break;
	}
	v->n = n;
	return n < was;
}

static void fit_limits(struct pod *p, struct arena *a, struct dns_config *c)
{
	if (dns_limit_servers(c))
		pod_event(p, (struct str){0}, "Warning", "DNSConfigForming",
			"Nameserver limits were exceeded, some nameservers have been omitted, the "
			"applied nameserver line is: " STR_FMT,
			STR_ARG(joined(a, &c->servers)));
	if (dns_limit_searches(c))
		pod_event(p, (struct str){0}, "Warning", "DNSConfigForming",
			"Search Line limits were exceeded, some search paths have been omitted, "
			"the applied search line is: " STR_FMT,
			STR_ARG(joined(a, &c->searches)));
}

/* --- by policy --- */

/* Given by a flag, or else the addresses of the Service kube-system/kube-dns. */
static struct str_vec cluster_servers(struct pod *p, struct arena *a)
{
	struct str_vec out = p->k->cluster_dns;
	struct snapshot *s = out.n ? NULL : client_snapshot(p->k->client, &v1_service_resource);
	const struct object *o = s ? snapshot_get(s, S("kube-system"), S("kube-dns")) : NULL;

	if (o) {
		const struct v1_service *svc = object_decode(o, a);

		for (size_t i = 0; i < svc->spec.cluster_ips.n; i++)
			if (!str_eqc(svc->spec.cluster_ips.v[i], "None"))
				ARENA_PUSH(a, &out, arena_str(a, svc->spec.cluster_ips.v[i]));
	}
	snapshot_unref(s);
	return out;
}

static void missing_servers(struct pod *p, struct arena *a)
{
	pod_event(p, (struct str){0}, "Warning", "MissingClusterDNS",
		"pod: \"" STR_FMT "\". kubelet does not have ClusterDNS IP configured and cannot "
		"create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
		STR_ARG(pod_text(p, a)));
}

/* --resolv-conf="": name servers of the machine are not to be used. */
static void no_host_config(const struct kubelet *k, struct arena *a, struct dns_config *ret)
{
	for (size_t i = 0; i < k->node_ips.n; i++)
		ARENA_PUSH(a, &ret->servers,
			str_chr(k->node_ips.v[i], ':') >= 0 ? S("::1") : S("127.0.0.1"));
	if (!ret->servers.n)
		ARENA_PUSH(a, &ret->servers, S("127.0.0.1"));
	ARENA_PUSH(a, &ret->searches, S("."));
}

void pod_dns(struct pod *p, const struct v1_pod *spec, struct arena *a, struct dns_config *ret)
{
	struct str policy = spec->spec.dns_policy, text;
	bool cluster = str_eq(policy, S("ClusterFirstWithHostNet")) ||
		       ((str_empty(policy) || str_eq(policy, S("ClusterFirst"))) &&
			       !spec->spec.host_network);
	bool has_host = p->k->opts.resolv_conf[0];
	struct dns_config host = {0};
	struct str_vec servers;

	*ret = (struct dns_config){0};
	if (has_host && file_read(p->k->opts.resolv_conf, RESOLV_MAX, a, &text, NULL) == 0)
		resolv_conf_parse(text, a, &host);
	if (cluster) {
		servers = cluster_servers(p, a);
		if (!servers.n)
			missing_servers(p, a);
		cluster = servers.n > 0;
	}
	if (cluster)
		cluster_first(p, a, servers, &host, ret);
	else if (!str_eq(policy, S("None")) && has_host)
		*ret = host;
	else if (!str_eq(policy, S("None")))
		no_host_config(p->k, a, ret);
	if (spec->spec.dns_config)
		add_config(a, spec->spec.dns_config, ret);
	fit_limits(p, a, ret);
}
