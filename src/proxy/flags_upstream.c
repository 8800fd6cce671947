/* flags_upstream.c: flags of upstream's kube-proxy that mean nothing here or that we cannot honour.
 * main.c has the others. */
#include "proxy/flags.h"

#define CONNTRACK "the kernel's own settings of connection tracking stay"
#define IPVS "there is no ipvs mode"

const struct flag upstream_flags_kube_proxy[] = {
	{"conntrack-udp-timeout", FLAG_UNUSED, NULL, NULL, CONNTRACK},
	{"conntrack-udp-timeout-stream", FLAG_UNUSED, NULL, NULL, CONNTRACK},
	{"conntrack-tcp-be-liberal", FLAG_REFUSED, NULL, NULL, CONNTRACK},
	{"ipvs-exclude-cidrs", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-min-sync-period", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-scheduler", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-strict-arp", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-sync-period", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-tcp-timeout", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-tcpfin-timeout", FLAG_UNUSED, NULL, NULL, IPVS},
	{"ipvs-udp-timeout", FLAG_UNUSED, NULL, NULL, IPVS},
	{"boot-id-file", FLAG_UNUSED, NULL, NULL, "it belongs to cAdvisor"},
	{"machine-id-file", FLAG_UNUSED, NULL, NULL, "it belongs to cAdvisor"},
	{"init-only", FLAG_REFUSED, NULL, NULL, "nothing has to be done before it starts"},
	{"write-config-to", FLAG_REFUSED, NULL, NULL, "the configuration is what --config holds"},
	{NULL},
};
