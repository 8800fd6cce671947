/*
 * compact.c: etcd keeps every past revision until it is told not to. Every interval, one of all API
 * servers on it (upstream's among them) compacts away what is older than the interval. They agree
 * by the version of one key, as upstream does (apiserver storage/etcd3/compact.go): who finds it as
 * it was an interval ago moves it on and compacts; the others take note of the new version.
 */
#include <stdio.h>

#include "store/etcd/etcd_int.h"

#define COMPACT_KEY S("compact_rev_key")

enum { REQUEST_MAX = 512 };

static void on_compacted(void *user_data, int status, struct str text, struct str message)
{
	if (status != GRPC_OK && status != GRPC_UNAVAILABLE && status != GRPC_OUT_OF_RANGE)
		log_warn("store: etcd: cannot compact: " STR_FMT, STR_ARG(text));
}

static void on_turn(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};
	struct etcd_txn_answer t;
	int64_t old = e->compact_revision;

	if (status != GRPC_OK || etcd_get_txn(message, &a, &t) < 0)
		return; /* next time */
	e->compact_revision = t.header.revision;
	if (!t.succeeded) {
		if (t.n_ranges && t.ranges[0].kvs.n)
			e->compact_time = t.ranges[0].kvs.v[0].version;
		return;
	}
	e->compact_time++;
	if (old == 0)
		return; /* what is older than an interval is not known yet */
	buf_init(&b, REQUEST_MAX);
	etcd_put_compaction(&b, old);
	etcd_call(e, "/etcdserverpb.KV/Compact", &b, ETCD_CALL_TIMEOUT_MS, on_compacted, e);
}

static void on_interval(struct loop_timer *t)
{
	struct etcd *e = container_of(t, struct etcd, compact_timer);
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};

	loop_timer_start(t, e->compact_interval_ms);
	if (e->state != ETCD_UP)
		return;
	buf_init(&b, REQUEST_MAX);
	etcd_txn_compare(&b, ETCD_VERSION, ETCD_EQUAL, COMPACT_KEY, e->compact_time);
	etcd_txn_put(&b, COMPACT_KEY, arena_fmt(&a, "%lld", (long long)e->compact_revision), 0);
	etcd_txn_else_get(&b, COMPACT_KEY);
	etcd_call(e, "/etcdserverpb.KV/Txn", &b, ETCD_CALL_TIMEOUT_MS, on_turn, e);
}

void etcd_compact_init(struct etcd *e)
{
	loop_timer_init(&e->compact_timer, e->loop, on_interval);
	if (e->compact_interval_ms > 0)
		loop_timer_start(&e->compact_timer, e->compact_interval_ms);
}
