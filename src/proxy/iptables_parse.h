/*
 * iptables_parse.h: a rule in the language of iptables-restore, as far as this proxy writes it
 * (iptables_rules.h), taken apart.
 */
#ifndef SAMPAN_PROXY_IPTABLES_PARSE_H
#define SAMPAN_PROXY_IPTABLES_PARSE_H

#include "base/base.h"

enum { IPTABLES_MATCHES_MAX = 8, IPTABLES_LINE_MAX = 1024, IPTABLES_NAME_MAX = 64 };

struct iptables_address {
	bool set, negated;
	unsigned char addr[16], mask[16];
	unsigned bits; /* of the mask */
};

enum iptables_match_kind {
	IPTABLES_COMMENT,
	IPTABLES_PORTS, /* of the rule's protocol */
	IPTABLES_RECENT,
	IPTABLES_STATISTIC,
	IPTABLES_ADDRTYPE,
	IPTABLES_MARK,
	IPTABLES_CONNTRACK,
};

struct iptables_match {
	enum iptables_match_kind kind;
	bool negated;
	struct str text;          /* the comment, or recent's name */
	bool remember, reap;      /* recent: --set; --reap */
	bool source, destination; /* addrtype: which of them is LOCAL */
	uint32_t value, mask;     /* mark; recent: seconds */
	uint16_t ports[2];        /* from, to */
	uint16_t states;          /* XT_CONNTRACK_STATE_… */
	double probability;
};

struct iptables_rule {
	uint8_t protocol; /* 0 = any */
	struct iptables_address source, destination;
	struct str interface; /* "veth+": any that begins so */
	bool interface_negated;
	struct iptables_match matches[IPTABLES_MATCHES_MAX];
	size_t n;
	struct str target;              /* a chain, or DROP, DNAT, …; empty: only counts */
	uint32_t mark_value, mark_mask; /* MARK: mark = mark & ~mask ^ value */
	unsigned char to[16];           /* DNAT */
	uint16_t to_port;
	/* the words, unquoted and NUL-terminated */
	char text[IPTABLES_LINE_MAX + 1];
};

/* `spec`: what stands after "-A CHAIN ". Strings in *ret are in *ret. -EINVAL when a word is not
 * understood. */
int iptables_parse(struct str spec, bool ipv6, struct iptables_rule *ret);

#endif
