/* etcd_flags.h: the flags of an API server that keeps its state in etcd, named as upstream's. */
#ifndef SAMPAN_ETCD_FLAGS_H
#define SAMPAN_ETCD_FLAGS_H

#include "base/flags.h"
#include "store/etcd.h"

struct etcd_flags {
	struct flag_list servers; /* none: the state is in --data-dir */
	const char *ca_file, *cert_file, *key_file, *prefix;
	int64_t compaction_interval_ms, event_ttl_ms;
};

/* Entries of a flag table; f: struct etcd_flags *. */
/* clang-format off */
#define ETCD_FLAGS(f)                                                                              \
	{"etcd-servers", FLAG_LIST, &(f)->servers, "URL,…",                                        \
		"etcd servers to keep the state in, instead of a file in --data-dir"},             \
	{"etcd-cafile", FLAG_STRING, &(f)->ca_file, "FILE", "CA of their certificates"},           \
	{"etcd-certfile", FLAG_STRING, &(f)->cert_file, "FILE", "our certificate towards them"},   \
	{"etcd-keyfile", FLAG_STRING, &(f)->key_file, "FILE", "its key"},                          \
	{"etcd-prefix", FLAG_STRING, &(f)->prefix, "KEY", "what all keys begin with (/registry)"}, \
	{"etcd-compaction-interval", FLAG_DURATION, &(f)->compaction_interval_ms, "T",             \
		"how often what is older is compacted away; 0: never by us"},                      \
	{"event-ttl", FLAG_DURATION, &(f)->event_ttl_ms, "T", "how long events stay in etcd"}
/* clang-format on */

/* Reads the files; strings live in the arena. */
int etcd_flags_opts(
	const struct etcd_flags *f, struct arena *a, struct etcd_opts *ret, struct err *err);

#endif
