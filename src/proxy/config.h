/*
 * config.h: the settings of the service proxy: upstream's KubeProxyConfiguration
 * (kubeproxy.config.k8s.io/v1alpha1), from flags or from a file.
 *
 * Strings live in the config's arena. proxy_config_init gives the defaults; the loop's thread may
 * change `local_cidr` and `node_ips` later, when the Node object says so.
 */
#ifndef SAMPAN_PROXY_CONFIG_H
#define SAMPAN_PROXY_CONFIG_H

#include "base/base.h"

enum proxy_mode { PROXY_NFTABLES, PROXY_IPTABLES };

/* How to tell what comes from a pod of this machine from what comes from elsewhere. */
enum proxy_detect {
	PROXY_DETECT_NONE,
	PROXY_DETECT_CLUSTER_CIDR,
	PROXY_DETECT_NODE_CIDR,
	PROXY_DETECT_BRIDGE,
	PROXY_DETECT_PREFIX,
};

struct proxy_config {
	struct arena arena;
	enum proxy_mode mode;
	struct str node_name;
	struct str bind_address;    /* the node's own address; empty: the Node object's */
	struct str healthz_address; /* "0.0.0.0:10256"; empty: none */
	struct str flags_text; /* "name: value" lines for /flagz; NULL: there is no such page */
	struct str metrics_address; /* "127.0.0.1:10249"; empty: none */
	bool bind_hard_fail;        /* a port in use ends the program */
	bool ipv6;                  /* serve IPv6, too */
	bool masquerade_all;
	int masquerade_bit;
	bool localhost_node_ports; /* IPv4 */
	enum proxy_detect detect;
	struct str local_cidr[2]; /* IPv4, IPv6: what pods have, for the two CIDR modes */
	struct str interface;     /* for the other two */
	/* Where node ports answer: CIDRs; none: every address of the machine. */
	struct str_vec node_port_cidrs;
	bool node_port_primary; /* instead: the node's own addresses, node_ips */
	struct str node_ips[2]; /* IPv4, IPv6 */
	int64_t sync_period_ms; /* how often to look whether somebody has flushed the rules */
	const char *kubeconfig, *master;
};

void proxy_config_init(struct proxy_config *c);
void proxy_config_release(struct proxy_config *c);

/* A mode's name; an error of one line for those that are gone. "" is the default, nftables. */
int proxy_config_set_mode(struct proxy_config *c, struct str mode, struct err *err);
int proxy_config_set_detect(struct proxy_config *c, struct str mode, struct err *err);
/* "10.244.0.0/16,fd00::/48" */
int proxy_config_set_cluster_cidr(struct proxy_config *c, struct str cidrs, struct err *err);
int proxy_config_add_node_port_address(struct proxy_config *c, struct str s, struct err *err);
/* What no single setting can tell: ranges, and modes that lack their operand. */
int proxy_config_check(const struct proxy_config *c, struct err *err);
/* Reads a KubeProxyConfiguration (YAML or JSON). Unknown fields are errors, those without meaning
 * here are accepted. */
int proxy_config_load(struct proxy_config *c, const char *path, struct err *err);

/* "0.0.0.0:10256", "[::]:10256", "10.0.0.1" (then with `port`) -> address and port. */
int proxy_config_address(struct str s, int default_port, struct arena *a, struct str *ret_address,
	int *ret_port, struct err *err);

/* Whether the address is in the range. False when either does not parse. */
bool proxy_cidr_has(struct str cidr, struct str ip);
bool proxy_cidr_valid(struct str cidr);

#endif
