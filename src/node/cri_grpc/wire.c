#include "node/cri.h"
#include "node/cri_grpc/wire.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct vec { /* how a repeated field lies in memory */
	void *v;
	size_t n;
};

_Static_assert(sizeof(struct vec) == sizeof(struct str_vec), "as str_vec");
_Static_assert(sizeof(struct vec) == sizeof(struct cri_key_values), "as cri_key_values");

/* --- writing --- */

static void put_varint(struct buf *out, uint64_t v)
{
	char bytes[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (char)(v | 0x80);
	bytes[n++] = (char)v;
	buf_add(out, bytes, n);
}

static void put_key(struct buf *out, unsigned number, unsigned wire)
{
	put_varint(out, (uint64_t)number << 3 | wire);
}

static void put_number(struct buf *out, unsigned number, uint64_t v)
{
	if (!v)
		return;
	put_key(out, number, VARINT);
	put_varint(out, v);
}

static void put_bytes(struct buf *out, unsigned number, struct str s)
{
	put_key(out, number, BYTES);
	put_varint(out, s.n);
	buf_add_str(out, s);
}

/* What was written since `from` becomes the field `number`: its key and length go in front. */
static void wrap(struct buf *out, size_t from, unsigned number)
{
	size_t n = out->n - from, head;

	put_key(out, number, BYTES);
	put_varint(out, n);
	if (buf_failed(out))
		return;
	head = out->n - from - n;
	char space[16];
	memcpy(space, out->p + from + n, head);
	memmove(out->p + from + head, out->p + from, n);
	memcpy(out->p + from, space, head);
}

static void put_message(
	struct buf *out, unsigned number, const struct wire_type *t, const void *v, bool present)
{
	size_t from = out->n;

	wire_encode(t, v, out);
	if (present || out->n > from)
		wrap(out, from, number);
}

static void put_pairs(struct buf *out, unsigned number, const struct cri_key_values *pairs)
{
	for (size_t i = 0; i < pairs->n; i++) {
		size_t from = out->n;

		put_bytes(out, 1, pairs->v[i].key);
		put_bytes(out, 2, pairs->v[i].value);
		wrap(out, from, number);
	}
}

static void put_repeated(struct buf *out, const struct wire_field *f, const struct vec *vec)
{
	size_t from = out->n;

	for (size_t i = 0; i < vec->n; i++) {
		if (f->kind == WIRE_STRINGS)
			put_bytes(out, f->number, ((struct str *)vec->v)[i]);
		else if (f->kind == WIRE_INT64S)
			put_varint(out, (uint64_t)((int64_t *)vec->v)[i]);
		else
			put_message(out, f->number, f->type,
				(const char *)vec->v + i * f->type->size, true);
	}
	if (f->kind == WIRE_INT64S && vec->n)
		wrap(out, from, f->number);
}

static void put_value(struct buf *out, unsigned number, uint64_t v)
{
	size_t from = out->n;

	put_number(out, 1, v);
	wrap(out, from, number);
}

static void put_field(struct buf *out, const struct wire_field *f, const void *at)
{
	switch ((enum wire_kind)f->kind) {
	case WIRE_STRING:
		if (((const struct str *)at)->n)
			put_bytes(out, f->number, *(const struct str *)at);
		break;
	case WIRE_BOOL:
		put_number(out, f->number, *(const bool *)at);
		break;
	case WIRE_INT: /* negative numbers take ten bytes, as in protobuf */
		put_number(out, f->number, (uint64_t)(int64_t) * (const int *)at);
		break;
	case WIRE_UINT32:
		put_number(out, f->number, *(const uint32_t *)at);
		break;
	case WIRE_INT64:
		put_number(out, f->number, *(const uint64_t *)at);
		break;
	case WIRE_STRINGS:
	case WIRE_INT64S:
	case WIRE_LIST:
		put_repeated(out, f, at);
		break;
	case WIRE_PAIRS:
		put_pairs(out, f->number, at);
		break;
	case WIRE_POINTER:
		if (*(void *const *)at)
			put_message(out, f->number, f->type, *(void *const *)at, true);
		break;
	case WIRE_INLINE:
		put_message(out, f->number, f->type, at, f->present);
		break;
	case WIRE_BOXED:
		if (*(int64_t *const *)at)
			put_value(out, f->number, (uint64_t) * *(int64_t *const *)at);
		break;
	case WIRE_VALUE:
		if (*(const uint64_t *)at)
			put_value(out, f->number, *(const uint64_t *)at);
		break;
	}
}

void wire_encode(const struct wire_type *t, const void *v, struct buf *out)
{
	for (size_t i = 0; i < t->n_fields; i++)
		put_field(out, &t->fields[i], (const char *)v + t->fields[i].offset);
}

/* --- reading --- */

struct token { /* a field as it stands on the wire */
	unsigned number, wire;
	uint64_t value;
	struct str bytes;
};

static int get_varint(struct str *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < in->n && i < 10; i++) {
		unsigned char c = (unsigned char)in->p[i];

		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (!(c & 0x80)) {
			*in = str_sub(*in, i + 1, in->n);
			*ret = v;
			return 0;
		}
	}
	return -EPROTO;
}

static int get_token(struct str *in, struct token *t)
{
	uint64_t key, n = 0;

	*t = (struct token){0};
	if (get_varint(in, &key) < 0 || key >> 3 == 0 || key >> 3 > (1 << 29) - 1)
		return -EPROTO;
	t->number = (unsigned)(key >> 3);
	t->wire = key & 7;
	switch (t->wire) {
	case VARINT:
		return get_varint(in, &t->value);
	case FIXED64:
		n = 8;
		break;
	case FIXED32:
		n = 4;
		break;
	case BYTES:
		if (get_varint(in, &n) < 0)
			return -EPROTO;
		break;
	default:
		return -EPROTO;
	}
	if (n > in->n)
		return -EPROTO;
	t->bytes = str_sub(*in, 0, n);
	*in = str_sub(*in, n, in->n);
	return 0;
}

static int grow(struct vec *vec, struct arena *a, size_t size, void **ret)
{
	if (vec->n >= WIRE_ITEMS_MAX)
		return -EPROTO;
	vec->v = arena_grow(a, vec->v, vec->n, size);
	*ret = (char *)vec->v + vec->n++ * size;
	memset(*ret, 0, size);
	return 0;
}

static int get_numbers(const struct token *t, struct arena *a, struct vec *vec)
{
	struct str in = t->bytes;
	uint64_t v = t->value;
	bool packed = t->wire == BYTES;
	void *item;

	while (!packed || in.n) {
		if ((packed && get_varint(&in, &v) < 0) || grow(vec, a, sizeof(int64_t), &item) < 0)
			return -EPROTO;
		*(int64_t *)item = (int64_t)v;
		if (!packed)
			break;
	}
	return 0;
}

static int get_pair(struct str in, struct arena *a, struct cri_key_values *pairs)
{
	struct str_pair *pair;
	struct token t;
	void *item;

	if (grow((struct vec *)pairs, a, sizeof(*pair), &item) < 0)
		return -EPROTO;
	pair = item;
	while (in.n) {
		if (get_token(&in, &t) < 0 || (t.number <= 2 && t.wire != BYTES))
			return -EPROTO;
		if (t.number == 1)
			pair->key = arena_str(a, t.bytes);
		else if (t.number == 2)
			pair->value = arena_str(a, t.bytes);
	}
	return 0;
}

static int get_value(struct str in, uint64_t *ret)
{
	uint64_t v = 0;
	struct token t;

	while (in.n) {
		if (get_token(&in, &t) < 0 || (t.number == 1 && t.wire != VARINT))
			return -EPROTO;
		if (t.number == 1)
			v = t.value;
	}
	*ret = v;
	return 0;
}

static int get_number(const struct wire_field *f, const struct token *t, void *at)
{
	if (t->wire != VARINT)
		return -EPROTO;
	if (f->kind == WIRE_BOOL)
		*(bool *)at = t->value != 0;
	else if (f->kind == WIRE_INT64)
		*(uint64_t *)at = t->value;
	else
		*(uint32_t *)at = (uint32_t)t->value;
	return 0;
}

static int get_field(const struct wire_field *f, const struct token *t, struct arena *a, void *at)
{
	void *item;

	switch ((enum wire_kind)f->kind) {
	case WIRE_BOOL:
	case WIRE_INT:
	case WIRE_UINT32:
	case WIRE_INT64:
		return get_number(f, t, at);
	case WIRE_INT64S:
		return t->wire == BYTES || t->wire == VARINT ? get_numbers(t, a, at) : -EPROTO;
	default:
		break;
	}
	if (t->wire != BYTES)
		return -EPROTO;
	switch ((enum wire_kind)f->kind) {
	case WIRE_STRING:
		*(struct str *)at = arena_str(a, t->bytes);
		return 0;
	case WIRE_STRINGS:
		if (grow(at, a, sizeof(struct str), &item) < 0)
			return -EPROTO;
		*(struct str *)item = arena_str(a, t->bytes);
		return 0;
	case WIRE_PAIRS:
		return get_pair(t->bytes, a, at);
	case WIRE_LIST:
		return grow(at, a, f->type->size, &item) < 0
			       ? -EPROTO
			       : wire_decode(f->type, t->bytes, a, item);
	case WIRE_POINTER:
		if (!*(void **)at)
			*(void **)at = arena_alloc(a, f->type->size);
		return wire_decode(f->type, t->bytes, a, *(void **)at);
	case WIRE_INLINE:
		return wire_decode(f->type, t->bytes, a, at);
	case WIRE_BOXED:
		if (!*(int64_t **)at)
			*(int64_t **)at = ARENA_NEW(a, int64_t);
		return get_value(t->bytes, *(uint64_t **)at);
	default:
		return get_value(t->bytes, at);
	}
}

int wire_decode(const struct wire_type *type, struct str in, struct arena *a, void *v)
{
	struct token t;

	while (in.n) {
		if (get_token(&in, &t) < 0)
			return -EPROTO;
		for (size_t i = 0; i < type->n_fields; i++) {
			const struct wire_field *f = &type->fields[i];

			if (f->number != t.number)
				continue;
			if (get_field(f, &t, a, (char *)v + f->offset) < 0)
				return -EPROTO;
			break;
		}
	}
	return 0;
}
