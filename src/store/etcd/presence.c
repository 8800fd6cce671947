/*
 * presence.c: which API servers there are: each keeps a key with a lease below masterleases, as
 * upstream's do (pkg/controlplane/reconcilers/lease.go), and renews it long before it ends.
 */
#include <stdio.h>

#include "store/etcd/etcd_int.h"

enum {
	TTL_S = 15,
	RENEW_MS = 10 * 1000,
	RETRY_MS = 1000,
	PUT_MAX = 8192,
	SERVERS_MAX = 64, /* shown */
};

static struct str place(struct etcd *e, struct arena *a, struct str name)
{
	return arena_fmt(a, "%s/masterleases/" STR_FMT, e->prefix, STR_ARG(name));
}

/* --- the others --- */

void etcd_presence_saw(struct etcd *e, struct str key, bool there)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str prefix = place(e, &a, S(""));

	if (!str_starts(key, prefix))
		return;
	key = str_sub(key, prefix.n, key.n);
	pthread_mutex_lock(&e->open_lock);
	if (there && e->servers.n < SERVERS_MAX)
		map_set(&e->servers, key, e);
	else if (!there)
		map_remove(&e->servers, key);
	pthread_mutex_unlock(&e->open_lock);
}

void etcd_presence_forget(struct etcd *e)
{
	pthread_mutex_lock(&e->open_lock);
	map_release(&e->servers);
	e->servers = (struct map){0};
	pthread_mutex_unlock(&e->open_lock);
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str_vec etcd_servers(struct etcd *e, struct arena *a)
{
	struct str_vec v = {0};

	pthread_mutex_lock(&e->open_lock);
	for (struct map_entry *m = map_first(&e->servers); m; m = map_next(&e->servers, m))
		ARENA_PUSH(a, &v, arena_str(a, str_n(m->key, m->key_len)));
	pthread_mutex_unlock(&e->open_lock);
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_text);
	return v;
}

/* --- our own --- */

static void again(struct etcd *e, int64_t delay_ms)
{
	loop_timer_start(&e->presence_timer, delay_ms);
}

static void on_put(void *user_data, int status, struct str text, struct str message)
{
	again(user_data, status == GRPC_OK ? RENEW_MS : RETRY_MS);
}

static void on_lease(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};
	int64_t id, ttl_s;

	if (status != GRPC_OK || etcd_get_lease(message, &id, &ttl_s) < 0 || !e->grpc) {
		again(e, RETRY_MS);
		return;
	}
	buf_init(&b, PUT_MAX);
	etcd_txn_put(&b, place(e, &a, str_c(e->announced)),
		arena_fmt(&a,
			"{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{},\"subsets\":"
			"[{"
			"\"addresses\":[{\"ip\":\"%s\"}]}]}",
			e->announced),
		id);
	etcd_call(e, "/etcdserverpb.KV/Txn", &b, ETCD_CALL_TIMEOUT_MS, on_put, e);
}

static void on_timer(struct loop_timer *t)
{
	struct etcd *e = container_of(t, struct etcd, presence_timer);
	struct buf b CLEANUP(buf_release) = {0};

	if (e->closing || e->state != ETCD_UP) {
		again(e, RETRY_MS);
		return;
	}
	buf_init(&b, 64);
	etcd_put_lease_grant(&b, TTL_S);
	etcd_call(e, "/etcdserverpb.Lease/LeaseGrant", &b, ETCD_CALL_TIMEOUT_MS, on_lease, e);
}

static void on_announce(struct loop_task *t)
{
	struct etcd *e = container_of(t, struct etcd, announce_task);

	again(e, 0);
}

void etcd_announce(struct etcd *e, struct str name)
{
	assert(!e->announced);
	e->announced = xasprintf(STR_FMT, STR_ARG(name));
	loop_post(e->loop, &e->announce_task);
}

static void on_left(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;

	e->leaving = false;
	etcd_published(e);
}

/* A server that stops says so; of one that was killed the lease tells. */
void etcd_presence_leave(struct etcd *e)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};

	loop_timer_stop(&e->presence_timer);
	if (!e->announced || e->state != ETCD_UP)
		return;
	e->leaving = true;
	buf_init(&b, PUT_MAX);
	etcd_txn_delete(&b, place(e, &a, str_c(e->announced)));
	etcd_call(e, "/etcdserverpb.KV/Txn", &b, ETCD_CALL_TIMEOUT_MS, on_left, e);
}

void etcd_presence_init(struct etcd *e)
{
	e->announce_task.fn = on_announce;
	loop_timer_init(&e->presence_timer, e->loop, on_timer);
}
