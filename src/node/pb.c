#include "node/pb.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, LENGTH_ROOM = 5 };

void pb_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_add_char(b, (char)(v | 0x80));
		v >>= 7;
	}
	buf_add_char(b, (char)v);
}

static void tag(struct buf *b, int field, int type)
{
	pb_varint(b, (uint64_t)field << 3 | type);
}

void pb_int(struct buf *b, int field, int64_t v)
{
	if (!v)
		return;
	tag(b, field, VARINT);
	pb_varint(b, v);
}

void pb_bytes(struct buf *b, int field, struct str v)
{
	tag(b, field, BYTES);
	pb_varint(b, v.n);
	buf_add_str(b, v);
}

void pb_str(struct buf *b, int field, struct str v)
{
	if (v.n)
		pb_bytes(b, field, v);
}

void pb_strs(struct buf *b, int field, const struct str_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		pb_bytes(b, field, v->v[i]);
}

void pb_pairs(struct buf *b, int field, const struct str_pair *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = pb_open(b, field);

		pb_str(b, 1, v[i].key);
		pb_str(b, 2, v[i].value);
		pb_close(b, at);
	}
}

/* The length is written when it is known, padded to a fixed size, which every reader takes. */
size_t pb_open(struct buf *b, int field)
{
	static const char room[LENGTH_ROOM];

	tag(b, field, BYTES);
	buf_add(b, room, LENGTH_ROOM);
	return b->n;
}

void pb_close(struct buf *b, size_t at)
{
	uint64_t n = b->n - at;

	if (buf_failed(b))
		return;
	for (int i = 0; i < LENGTH_ROOM; i++) {
		b->p[at - LENGTH_ROOM + i] = (char)((n & 0x7f) | (i + 1 < LENGTH_ROOM ? 0x80 : 0));
		n >>= 7;
	}
}

static bool read_varint(struct str *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 64 && s->n; shift += 7) {
		unsigned char c = *s->p;

		*s = str_sub(*s, 1, s->n);
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

bool pb_next(struct str *text, struct pb_field *f)
{
	uint64_t key, n;

	*f = (struct pb_field){0};
	if (!text->n || !read_varint(text, &key) || key >> 3 == 0 || key >> 3 > INT32_MAX)
		return false;
	f->number = key >> 3;
	switch (key & 7) {
	case VARINT:
		if (!read_varint(text, &n))
			return false;
		f->value = n;
		return true;
	case BYTES:
		if (!read_varint(text, &n))
			return false;
		break;
	case FIXED64:
		n = 8;
		break;
	case FIXED32:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > text->n)
		return false;
	f->bytes = str_sub(*text, 0, n);
	*text = str_sub(*text, n, text->n);
	return true;
}

int64_t pb_get_int(struct str text, int number)
{
	struct pb_field f;

	while (pb_next(&text, &f))
		if (f.number == number)
			return f.value;
	return 0;
}

struct str pb_get(struct str text, int number)
{
	struct pb_field f;

	while (pb_next(&text, &f))
		if (f.number == number)
			return f.bytes;
	return (struct str){0};
}
