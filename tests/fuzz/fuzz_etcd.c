/* What etcd answers: the first byte says as which message the rest is read. Then keys and values
 * out of it. */
#include "store/etcd/keys.h"
#include "store/etcd/value.h"
#include "store/etcd/wire.h"

static void use_kv(const struct etcd_kv *kv)
{
	struct err err CLEANUP(err_release) = {0};
	struct str ns, name;
	const struct schema_resource *res = etcd_key_parse(S("/registry"), kv->key, &ns, &name);
	struct buf again = {0};
	struct object *o;

	if (!res)
		return;
	buf_init(&again, kv->key.n + 64);
	etcd_key(S("/registry"), res, ns, name, &again);
	assert(str_eq(buf_str(&again), kv->key));
	buf_release(&again);
	if (etcd_value_parse(res, ns, name, kv->value, NULL, 5, &o, &err) < 0) {
		assert(err_set(&err));
		return;
	}
	buf_init(&again, o->json.n + 1);
	etcd_value(o, &again);
	assert(!buf_failed(&again) && again.n < o->json.n);
	buf_release(&again);
	object_unref(o);
}

static void use_range(const struct etcd_range_answer *r)
{
	for (size_t i = 0; i < r->kvs.n; i++)
		use_kv(&r->kvs.v[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str bytes = str_n((const char *)data + 1, size - 1), version;
	struct etcd_range_answer range;
	struct etcd_watch_answer watch;
	struct etcd_txn_answer txn;
	int64_t id, ttl_s;

	if (size == 0)
		return 0;
	switch (data[0] % 5) {
	case 0:
		if (etcd_get_range(bytes, &a, &range) == 0)
			use_range(&range);
		break;
	case 1:
		if (etcd_get_txn(bytes, &a, &txn) == 0)
			for (size_t i = 0; i < txn.n_ranges; i++)
				use_range(&txn.ranges[i]);
		break;
	case 2:
		if (etcd_get_watch(bytes, &a, &watch) == 0)
			for (size_t i = 0; i < watch.events.n; i++)
				use_kv(&watch.events.v[i].kv);
		break;
	case 3:
		etcd_get_lease(bytes, &id, &ttl_s);
		break;
	case 4:
		etcd_get_version(bytes, &version);
		break;
	}
	arena_release(&a);
	return 0;
}
