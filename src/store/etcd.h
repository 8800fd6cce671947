/*
 * etcd.h: how a store keeps its state in etcd v3 (store_opts.etcd). See README.md: the truth is
 * etcd's stream of events, which this process mirrors.
 */
#ifndef SAMPAN_STORE_ETCD_H
#define SAMPAN_STORE_ETCD_H

#include "store/etcd/value.h"

struct etcd_opts {
	struct str_vec servers;         /* "https://10.0.0.1:2379", "http://…"; tried in turn */
	struct str ca_pem;              /* of https; empty: the system's */
	struct str cert_pem, key_pem;   /* client certificate; may be empty */
	struct str prefix;              /* empty: "/registry" */
	int64_t compaction_interval_ms; /* 0: somebody else compacts */
	int64_t event_ttl_s;            /* 0: 3600 */
	int64_t patience_ms; /* how long writes and barriers wait for etcd; 0: 34 s, as upstream's
				requests */
	const struct etcd_reader *reader; /* for what upstream wrote; may be NULL */
};

#endif
