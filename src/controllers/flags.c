/* flags.c: the flags that `sampan control` and kube-controller-manager have in common. */
#include "controllers/flags.h"

void controllers_flags_table(struct controllers_opts *o, struct flag table[CONTROLLERS_FLAGS_MAX])
{
	const struct flag flags[] = {
		{"controllers", FLAG_STRING, &o->controllers, "LIST",
			"which run: *, foo, -foo with commas"},
		{"node-monitor-grace-period", FLAG_DURATION, &o->node_monitor_grace_ms, "T",
			"how long a node may be silent [50s]"},
		{"node-startup-grace-period", FLAG_DURATION, &o->node_startup_grace_ms, "T",
			"how long a new node may be silent [1m]"},
		{"terminated-pod-gc-threshold", FLAG_INT, &o->terminated_pod_gc_threshold, "N",
			"finished pods that are kept [12500]"},
		{"cluster-cidr", FLAG_STRING, &o->cluster_cidr, "CIDR",
			"addresses of pods, or of each family with a comma"},
		{"node-cidr-mask-size", FLAG_INT, &o->node_cidr_mask_ipv4, "BITS",
			"of a node's part of them [24]"},
		{"node-cidr-mask-size-ipv4", FLAG_INT, &o->node_cidr_mask_ipv4, "BITS", "the same"},
		{"node-cidr-mask-size-ipv6", FLAG_INT, &o->node_cidr_mask_ipv6, "BITS",
			"of its IPv6 part [64]"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= CONTROLLERS_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}
