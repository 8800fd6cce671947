/*
 * wire.h: the messages of etcd v3 that the store exchanges (etcdserverpb rpc.proto, mvccpb
 * kv.proto), as bytes. No I/O. Numbers of fields stand in wire.c.
 *
 * Decoding makes views into the given bytes; lists live in the arena. Unknown fields are passed
 * over. Everything malformed is -EINVAL and leaves the output undefined.
 */
#ifndef SAMPAN_STORE_ETCD_WIRE_H
#define SAMPAN_STORE_ETCD_WIRE_H

#include "base/base.h"

/* --- requests, appended to `out` --- */

struct etcd_range {
	struct str key, end; /* [key, end); end empty: key alone */
	int64_t limit;       /* 0: none */
	int64_t revision;    /* 0: newest */
	bool keys_only, count_only;
};
void etcd_put_range(struct buf *out, const struct etcd_range *r);

enum etcd_compare_what { ETCD_VERSION = 0, ETCD_MOD = 2 };
enum etcd_compare_how { ETCD_EQUAL = 0, ETCD_GREATER = 1, ETCD_LESS = 2 };

/* A transaction, in this order: compares, what happens when all hold, what when not. */
void etcd_txn_compare(struct buf *out, enum etcd_compare_what what, enum etcd_compare_how how,
	struct str key, int64_t value);
void etcd_txn_put(struct buf *out, struct str key, struct str value, int64_t lease);
void etcd_txn_delete(struct buf *out, struct str key);
void etcd_txn_else_get(struct buf *out, struct str key);

void etcd_put_watch_create(struct buf *out, struct str key, struct str end, int64_t start_revision);
void etcd_put_watch_progress(struct buf *out);
void etcd_put_compaction(struct buf *out, int64_t revision);
void etcd_put_lease_grant(struct buf *out, int64_t ttl_s);

/* --- answers --- */

struct etcd_header {
	uint64_t cluster_id;
	int64_t revision;
};

struct etcd_kv {
	struct str key, value;
	int64_t create_revision, mod_revision, version, lease;
};

struct etcd_kvs {
	struct etcd_kv *v;
	size_t n;
};

struct etcd_range_answer {
	struct etcd_header header;
	struct etcd_kvs kvs;
	bool more;
};
int etcd_get_range(struct str bytes, struct arena *a, struct etcd_range_answer *ret);

struct etcd_txn_answer {
	struct etcd_header header;
	bool succeeded;
	struct etcd_range_answer *ranges; /* of the gets that were carried out, in order */
	size_t n_ranges;
};
int etcd_get_txn(struct str bytes, struct arena *a, struct etcd_txn_answer *ret);

struct etcd_event {
	bool deleted;
	struct etcd_kv kv;
};

struct etcd_watch_answer {
	struct etcd_header header;
	int64_t watch_id;
	bool created, canceled, fragment;
	int64_t compact_revision;
	struct str cancel_reason;
	struct {
		struct etcd_event *v;
		size_t n;
	} events;
};
int etcd_get_watch(struct str bytes, struct arena *a, struct etcd_watch_answer *ret);

int etcd_get_lease(struct str bytes, int64_t *ret_id, int64_t *ret_ttl_s);
/* Of Maintenance.Status: "3.4.23", a view. */
int etcd_get_version(struct str bytes, struct str *ret);

#endif
