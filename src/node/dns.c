/* dns.c: name servers, search paths and options of a pod. */
#include "base/file.h"
#include "node/dns.h"

enum { SERVERS_MAX = 3, SEARCHES_MAX = 32, RESOLV_MAX = 64 * 1024 };

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
					ARENA_PUSH(a, &ret->searches, arena_str(a, word));
		} else if (str_eq(key, S("options"))) {
			while ((word = next_word(&line)).n)
				ARENA_PUSH(a, &ret->options, arena_str(a, word));
		}
	}
}

static void add_once(struct arena *a, struct str_vec *v, struct str s)
{
	if (!str_vec_has(v, s))
		ARENA_PUSH(a, v, s);
}

static void cluster_first(
	struct pod *p, struct arena *a, const struct dns_config *host, struct dns_config *ret)
{
	struct str domain = str_c(p->k->opts.cluster_domain);

	ret->servers = p->k->cluster_dns;
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

static void add_option(struct arena *a, struct str_vec *options, struct str name, struct str value)
{
	struct str text =
		str_empty(value) ? name
				 : arena_fmt(a, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(value));

	for (size_t i = 0; i < options->n; i++) {
		struct str head, rest;

		str_cut(options->v[i], ':', &head, &rest);
		if (str_eq(head, name)) {
			options->v[i] = text;
			return;
		}
	}
	ARENA_PUSH(a, options, text);
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

void pod_dns(struct pod *p, const struct v1_pod *spec, struct arena *a, struct dns_config *ret)
{
	struct str policy = spec->spec.dns_policy, text;
	struct dns_config host = {0};
	bool cluster;

	*ret = (struct dns_config){0};
	if (p->k->opts.resolv_conf[0] &&
		file_read(p->k->opts.resolv_conf, RESOLV_MAX, a, &text, NULL) == 0)
		resolv_conf_parse(text, a, &host);
	cluster = str_eq(policy, S("ClusterFirstWithHostNet")) ||
		  ((str_empty(policy) || str_eq(policy, S("ClusterFirst"))) &&
			  !spec->spec.host_network);
	if (cluster && p->k->cluster_dns.n == 0) {
		pod_event(p, (struct str){0}, "Warning", "MissingClusterDNS",
			"pod: \"" STR_FMT "\". kubelet does not have ClusterDNS IP configured and "
			"cannot create Pod using "
			"\"ClusterFirst\" policy. Falling back to \"Default\" policy.",
			STR_ARG(pod_text(p, a)));
		cluster = false;
	}
	if (cluster)
		cluster_first(p, a, &host, ret);
	else if (!str_eq(policy, S("None")))
		*ret = host;
	if (spec->spec.dns_config)
		add_config(a, spec->spec.dns_config, ret);
	ret->servers.n = MIN(ret->servers.n, (size_t)SERVERS_MAX);
	ret->searches.n = MIN(ret->searches.n, (size_t)SEARCHES_MAX);
}
