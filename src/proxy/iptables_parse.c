#include "proxy/iptables_parse.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_recent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

struct reader {
	struct iptables_rule *rule;
	char *p; /* what is left of the text */
	bool ipv6, negated;
};

/* The next word, unquoted and ended in place; empty at the end. */
static struct str next(struct reader *r)
{
	char *start, *end;

	r->p += strspn(r->p, " ");
	start = r->p + (*r->p == '"');
	end = start + strcspn(start, start == r->p ? " " : "\"");
	r->p = *end ? end + 1 : end;
	*end = 0;
	return str_n(start, end - start);
}

/* "80", "0x4000" */
static bool number(struct str s, uint32_t *ret)
{
	char *end;
	unsigned long v;

	if (!s.n)
		return false;
	v = strtoul(s.p, &end, 0);
	*ret = v;
	return *end == 0 && v <= UINT32_MAX;
}

static struct iptables_match *last(struct reader *r, enum iptables_match_kind kind)
{
	for (size_t i = r->rule->n; i-- > 0;)
		if (r->rule->matches[i].kind == kind)
			return &r->rule->matches[i];
	return NULL;
}

/* --- options --- */

static bool match(struct reader *r)
{
	static const struct {
		const char *name;
		enum iptables_match_kind kind;
	} known[] = {{"comment", IPTABLES_COMMENT}, {"tcp", IPTABLES_PORTS},
		{"udp", IPTABLES_PORTS}, {"sctp", IPTABLES_PORTS}, {"recent", IPTABLES_RECENT},
		{"statistic", IPTABLES_STATISTIC}, {"addrtype", IPTABLES_ADDRTYPE},
		{"mark", IPTABLES_MARK}, {"conntrack", IPTABLES_CONNTRACK}};
	struct str name = next(r);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqc(name, known[i].name) && r->rule->n < IPTABLES_MATCHES_MAX) {
			r->rule->matches[r->rule->n++] = (struct iptables_match){
				.kind = known[i].kind, .ports = {0, UINT16_MAX}};
			return true;
		}
	return false;
}

static bool protocol(struct reader *r)
{
	struct str name = next(r);

	r->rule->protocol = str_eqc(name, "tcp")    ? IPPROTO_TCP
			    : str_eqc(name, "udp")  ? IPPROTO_UDP
			    : str_eqc(name, "sctp") ? IPPROTO_SCTP
						    : 0;
	return r->rule->protocol != 0;
}

static bool address(struct reader *r, struct iptables_address *ret)
{
	struct str host, length, word = next(r);
	size_t size = r->ipv6 ? 16 : 4;
	uint64_t bits = size * 8;
	char text[INET6_ADDRSTRLEN];

	if (str_cut(word, '/', &host, &length) && str_to_u64(length, &bits) < 0)
		return false;
	if (host.n >= sizeof(text) || bits > size * 8)
		return false;
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(host));
	if (inet_pton(r->ipv6 ? AF_INET6 : AF_INET, text, ret->addr) != 1)
		return false;
	for (size_t i = 0; i < bits; i++)
		ret->mask[i / 8] |= 0x80 >> i % 8;
	for (size_t i = 0; i < size; i++)
		ret->addr[i] &= ret->mask[i];
	ret->bits = bits;
	ret->set = true;
	ret->negated = r->negated;
	return true;
}

static bool source(struct reader *r)
{
	return address(r, &r->rule->source);
}

static bool destination(struct reader *r)
{
	return address(r, &r->rule->destination);
}

static bool interface(struct reader *r)
{
	r->rule->interface = next(r);
	r->rule->interface_negated = r->negated;
	return r->rule->interface.n != 0;
}

static bool comment(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_COMMENT);

	if (m)
		m->text = next(r);
	return m && m->text.n;
}

static bool destination_port(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_PORTS);
	uint32_t port;

	if (!m || !number(next(r), &port) || port > UINT16_MAX)
		return false;
	m->ports[0] = m->ports[1] = port;
	return true;
}

static bool recent_name(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_RECENT);

	if (m)
		m->text = next(r);
	return m;
}

static bool recent_set(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_RECENT);

	if (m)
		m->remember = true;
	return m;
}

static bool recent_check(struct reader *r)
{
	return last(r, IPTABLES_RECENT);
}

static bool recent_seconds(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_RECENT);

	return m && number(next(r), &m->value);
}

static bool recent_reap(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_RECENT);

	if (m)
		m->reap = true;
	return m;
}

static bool statistic_mode(struct reader *r)
{
	return last(r, IPTABLES_STATISTIC) && str_eqc(next(r), "random");
}

static bool probability(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_STATISTIC);
	struct str word = next(r);
	char *end;

	if (!m || !word.n)
		return false;
	m->probability = strtod(word.p, &end);
	return *end == 0 && m->probability >= 0 && m->probability <= 1;
}

static bool source_type(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_ADDRTYPE);

	return m && (m->source = str_eqc(next(r), "LOCAL"));
}

static bool destination_type(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_ADDRTYPE);

	return m && (m->destination = str_eqc(next(r), "LOCAL"));
}

static bool mark(struct reader *r)
{
	struct iptables_match *m = last(r, IPTABLES_MARK);
	char *word = (char *)next(r).p, *slash = strchr(word, '/');

	if (!m || !slash)
		return false;
	*slash = 0;
	m->negated = r->negated;
	return number(str_c(word), &m->value) && number(str_c(slash + 1), &m->mask);
}

static bool states(struct reader *r)
{
	static const struct {
		const char *name;
		uint16_t bit;
	} known[] = {{"INVALID", XT_CONNTRACK_STATE_INVALID},
		{"NEW", XT_CONNTRACK_STATE_BIT(IP_CT_NEW)},
		{"ESTABLISHED", XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)},
		{"RELATED", XT_CONNTRACK_STATE_BIT(IP_CT_RELATED)},
		{"DNAT", XT_CONNTRACK_STATE_DNAT}};
	struct iptables_match *m = last(r, IPTABLES_CONNTRACK);
	struct str rest = next(r), word;

	if (!m)
		return false;
	m->negated = r->negated;
	while (rest.n) {
		size_t i = 0;

		str_cut(rest, ',', &word, &rest);
		while (i < ARRAY_SIZE(known) && !str_eqc(word, known[i].name))
			i++;
		if (i == ARRAY_SIZE(known))
			return false;
		m->states |= known[i].bit;
	}
	return m->states != 0;
}

static bool target(struct reader *r)
{
	r->rule->target = next(r);
	return r->rule->target.n != 0;
}

static bool or_mark(struct reader *r)
{
	if (!number(next(r), &r->rule->mark_value))
		return false;
	r->rule->mark_mask = r->rule->mark_value;
	return true;
}

static bool xor_mark(struct reader *r)
{
	return number(next(r), &r->rule->mark_value);
}

/* "1.2.3.4:80" or "[fd00::1]:80" */
static bool to_destination(struct reader *r)
{
	struct str word = next(r);
	ssize_t colon = str_rchr(word, ':');
	char *host = (char *)word.p;
	uint32_t port;

	if (colon < 0 || !number(str_sub(word, colon + 1, word.n), &port) || port > UINT16_MAX)
		return false;
	host[colon] = 0;
	if (r->ipv6 && colon > 2) {
		host[colon - 1] = 0;
		host++;
	}
	r->rule->to_port = port;
	return inet_pton(r->ipv6 ? AF_INET6 : AF_INET, host, r->rule->to) == 1;
}

/* The only way in which the proxy masquerades. */
static bool random_fully(struct reader *r)
{
	return true;
}

static bool option(struct reader *r, struct str word)
{
	static const struct {
		const char *word;
		bool (*read)(struct reader *r);
	} options[] = {{"-m", match}, {"-p", protocol}, {"-s", source}, {"-d", destination},
		{"-i", interface}, {"-j", target}, {"--comment", comment},
		{"--dport", destination_port}, {"--name", recent_name}, {"--set", recent_set},
		{"--rcheck", recent_check}, {"--seconds", recent_seconds}, {"--reap", recent_reap},
		{"--mode", statistic_mode}, {"--probability", probability},
		{"--src-type", source_type}, {"--dst-type", destination_type}, {"--mark", mark},
		{"--ctstate", states}, {"--or-mark", or_mark}, {"--xor-mark", xor_mark},
		{"--to-destination", to_destination}, {"--random-fully", random_fully}};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (str_eqc(word, options[i].word))
			return options[i].read(r);
	return false;
}

/* What fits the kernel's structures. */
static bool fits(const struct iptables_rule *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct iptables_match *m = &r->matches[i];

		if ((m->kind == IPTABLES_COMMENT && m->text.n >= XT_MAX_COMMENT_LEN) ||
			(m->kind == IPTABLES_RECENT && m->text.n >= XT_RECENT_NAME_LEN) ||
			(m->kind == IPTABLES_PORTS && !r->protocol))
			return false;
	}
	return r->interface.n < IFNAMSIZ && r->target.n < IPTABLES_NAME_MAX;
}

int iptables_parse(struct str spec, bool ipv6, struct iptables_rule *ret)
{
	struct reader r = {.rule = ret, .p = ret->text, .ipv6 = ipv6};
	struct str word;

	*ret = (struct iptables_rule){0};
	if (spec.n > IPTABLES_LINE_MAX)
		return -EINVAL;
	memcpy(ret->text, spec.p, spec.n);
	ret->text[spec.n] = 0;
	while ((word = next(&r)).n) {
		r.negated = str_eqc(word, "!");
		if (!option(&r, r.negated ? next(&r) : word))
			return -EINVAL;
	}
	return fits(ret) ? 0 : -EINVAL;
}
