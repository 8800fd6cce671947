#include "store/etcd/wire.h"

#include "schema/schema.h"

/* --- writing --- */

static void put_str(struct buf *out, uint32_t number, struct str s)
{
	if (s.n)
		schema_proto_bytes(out, number, s);
}

static void put_int(struct buf *out, uint32_t number, int64_t v)
{
	if (v)
		schema_proto_int(out, number, v);
}

void etcd_put_range(struct buf *out, const struct etcd_range *r)
{
	put_str(out, 1, r->key);
	put_str(out, 2, r->end);
	put_int(out, 3, r->limit);
	put_int(out, 4, r->revision);
	put_int(out, 8, r->keys_only);
	put_int(out, 9, r->count_only);
}

enum { TXN_COMPARE = 1, TXN_SUCCESS = 2, TXN_FAILURE = 3 };
enum { OP_RANGE = 1, OP_PUT = 2, OP_DELETE = 3 };

void etcd_txn_compare(struct buf *out, enum etcd_compare_what what, enum etcd_compare_how how,
	struct str key, int64_t value)
{
	size_t from = schema_proto_open(out, TXN_COMPARE);

	put_int(out, 1, how);
	put_int(out, 2, what);
	put_str(out, 3, key);
	/* part of a oneof: written when 0, too */
	schema_proto_int(out, what == ETCD_VERSION ? 4 : 6, value);
	schema_proto_close(out, from);
}

void etcd_txn_put(struct buf *out, struct str key, struct str value, int64_t lease)
{
	size_t op = schema_proto_open(out, TXN_SUCCESS), put = schema_proto_open(out, OP_PUT);

	put_str(out, 1, key);
	put_str(out, 2, value);
	put_int(out, 3, lease);
	schema_proto_close(out, put);
	schema_proto_close(out, op);
}

void etcd_txn_delete(struct buf *out, struct str key)
{
	size_t op = schema_proto_open(out, TXN_SUCCESS), del = schema_proto_open(out, OP_DELETE);

	put_str(out, 1, key);
	schema_proto_close(out, del);
	schema_proto_close(out, op);
}

void etcd_txn_else_get(struct buf *out, struct str key)
{
	size_t op = schema_proto_open(out, TXN_FAILURE), get = schema_proto_open(out, OP_RANGE);

	put_str(out, 1, key);
	schema_proto_close(out, get);
	schema_proto_close(out, op);
}

void etcd_put_watch_create(struct buf *out, struct str key, struct str end, int64_t start_revision)
{
	size_t from = schema_proto_open(out, 1);

	put_str(out, 1, key);
	put_str(out, 2, end);
	put_int(out, 3, start_revision);
	put_int(out, 4, true); /* progress_notify */
	put_int(out, 8, true); /* fragment: no answer is larger than the largest request */
	schema_proto_close(out, from);
}

void etcd_put_watch_progress(struct buf *out)
{
	schema_proto_close(out, schema_proto_open(out, 3));
}

void etcd_put_compaction(struct buf *out, int64_t revision)
{
	put_int(out, 1, revision);
}

void etcd_put_lease_grant(struct buf *out, int64_t ttl_s)
{
	put_int(out, 1, ttl_s);
}

/* --- reading --- */

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct reader {
	const unsigned char *p, *end;
};

struct item {
	uint32_t number;
	int wire;
	uint64_t v;
	struct str bytes;
};

static struct reader reader_of(struct str s)
{
	return (struct reader){(const unsigned char *)s.p, (const unsigned char *)s.p + s.n};
}

static bool read_varint(struct reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		v |= (uint64_t)(*r->p & 0x7f) << shift;
		if (!(*r->p++ & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool skip(struct reader *r, size_t n)
{
	if ((size_t)(r->end - r->p) < n)
		return false;
	r->p += n;
	return true;
}

/* 1 and an item, 0 at the end, -EINVAL. */
static int next(struct reader *r, struct item *i)
{
	uint64_t tag, n;

	if (r->p == r->end)
		return 0;
	if (!read_varint(r, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return -EINVAL;
	*i = (struct item){.number = (uint32_t)(tag >> 3), .wire = (int)(tag & 7)};
	switch (i->wire) {
	case WIRE_VARINT:
		return read_varint(r, &i->v) ? 1 : -EINVAL;
	case WIRE_FIXED64:
		return skip(r, 8) ? 1 : -EINVAL;
	case WIRE_FIXED32:
		return skip(r, 4) ? 1 : -EINVAL;
	case WIRE_BYTES:
		if (!read_varint(r, &n) || n > (uint64_t)(r->end - r->p))
			return -EINVAL;
		i->bytes = str_n((const char *)r->p, n);
		r->p += n;
		return 1;
	default:
		return -EINVAL;
	}
}

/* Whether it is field `number` with this wire type. One of another type is passed over. */
static bool is(const struct item *i, uint32_t number, int wire)
{
	return i->number == number && i->wire == wire;
}

static int get_header(struct str bytes, struct etcd_header *h)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_VARINT))
			h->cluster_id = i.v;
		else if (is(&i, 3, WIRE_VARINT))
			h->revision = (int64_t)i.v;
	}
	return e;
}

static int get_kv(struct str bytes, struct etcd_kv *kv)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	*kv = (struct etcd_kv){.value = S("")};
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_BYTES))
			kv->key = i.bytes;
		else if (is(&i, 2, WIRE_VARINT))
			kv->create_revision = (int64_t)i.v;
		else if (is(&i, 3, WIRE_VARINT))
			kv->mod_revision = (int64_t)i.v;
		else if (is(&i, 4, WIRE_VARINT))
			kv->version = (int64_t)i.v;
		else if (is(&i, 5, WIRE_BYTES))
			kv->value = i.bytes;
		else if (is(&i, 6, WIRE_VARINT))
			kv->lease = (int64_t)i.v;
	}
	return e;
}

int etcd_get_range(struct str bytes, struct arena *a, struct etcd_range_answer *ret)
{
	struct reader r = reader_of(bytes);
	struct etcd_kv kv;
	struct item i;
	int e;

	*ret = (struct etcd_range_answer){0};
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_BYTES)) {
			e = get_header(i.bytes, &ret->header);
		} else if (is(&i, 2, WIRE_BYTES)) {
			e = get_kv(i.bytes, &kv);
			ARENA_PUSH(a, &ret->kvs, kv);
		} else if (is(&i, 3, WIRE_VARINT)) {
			ret->more = i.v;
		}
		if (e < 0)
			return e;
	}
	return e;
}

/* One answer of a transaction: of a get, or of something else, which says nothing new. */
static int get_op(struct str bytes, struct arena *a, struct etcd_txn_answer *ret)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	while ((e = next(&r, &i)) > 0) {
		if (!is(&i, OP_RANGE, WIRE_BYTES))
			continue;
		ret->ranges = arena_grow(a, ret->ranges, ret->n_ranges, sizeof(*ret->ranges));
		e = etcd_get_range(i.bytes, a, &ret->ranges[ret->n_ranges++]);
		if (e < 0)
			return e;
	}
	return e;
}

int etcd_get_txn(struct str bytes, struct arena *a, struct etcd_txn_answer *ret)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	*ret = (struct etcd_txn_answer){0};
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_BYTES))
			e = get_header(i.bytes, &ret->header);
		else if (is(&i, 2, WIRE_VARINT))
			ret->succeeded = i.v;
		else if (is(&i, 3, WIRE_BYTES))
			e = get_op(i.bytes, a, ret);
		if (e < 0)
			return e;
	}
	return e;
}

static int get_event(struct str bytes, struct etcd_event *ev)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	*ev = (struct etcd_event){0};
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_VARINT))
			ev->deleted = i.v == 1;
		else if (is(&i, 2, WIRE_BYTES))
			e = get_kv(i.bytes, &ev->kv);
		if (e < 0)
			return e;
	}
	return e;
}

static void get_watch_number(const struct item *i, struct etcd_watch_answer *ret)
{
	switch (i->number) {
	case 2:
		ret->watch_id = (int64_t)i->v;
		break;
	case 3:
		ret->created = i->v;
		break;
	case 4:
		ret->canceled = i->v;
		break;
	case 5:
		ret->compact_revision = (int64_t)i->v;
		break;
	case 7:
		ret->fragment = i->v;
		break;
	}
}

int etcd_get_watch(struct str bytes, struct arena *a, struct etcd_watch_answer *ret)
{
	struct reader r = reader_of(bytes);
	struct etcd_event ev;
	struct item i;
	int e;

	*ret = (struct etcd_watch_answer){0};
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 1, WIRE_BYTES)) {
			e = get_header(i.bytes, &ret->header);
		} else if (is(&i, 6, WIRE_BYTES)) {
			ret->cancel_reason = i.bytes;
		} else if (is(&i, 11, WIRE_BYTES)) {
			e = get_event(i.bytes, &ev);
			ARENA_PUSH(a, &ret->events, ev);
		} else if (i.wire == WIRE_VARINT) {
			get_watch_number(&i, ret);
		}
		if (e < 0)
			return e;
	}
	return e;
}

int etcd_get_lease(struct str bytes, int64_t *ret_id, int64_t *ret_ttl_s)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	*ret_id = *ret_ttl_s = 0;
	while ((e = next(&r, &i)) > 0) {
		if (is(&i, 2, WIRE_VARINT))
			*ret_id = (int64_t)i.v;
		else if (is(&i, 3, WIRE_VARINT))
			*ret_ttl_s = (int64_t)i.v;
	}
	return e < 0 || *ret_id == 0 ? -EINVAL : 0;
}

int etcd_get_version(struct str bytes, struct str *ret)
{
	struct reader r = reader_of(bytes);
	struct item i;
	int e;

	*ret = S("");
	while ((e = next(&r, &i)) > 0)
		if (is(&i, 2, WIRE_BYTES))
			*ret = i.bytes;
	return e;
}
