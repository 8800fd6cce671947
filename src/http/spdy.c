#include <zlib.h>

#include "http/spdy.h"
#include "http/spdy_dictionary.h"

enum {
	FRAME_HEAD = 8,
	CONTROL_MAX = 64 * 1024, /* bytes of a control frame */
	BLOCK_MAX = 64 * 1024,   /* bytes of a header block, decompressed */
	HEADERS_MAX = 100,
	VERSION = 3,
	FLAG_FIN = 1,
	DATA_MAX = 64 * 1024, /* what we put in one data frame */
};

enum type {
	SYN_STREAM = 1,
	SYN_REPLY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7,
	HEADERS = 8
};

struct spdy {
	const struct spdy_callbacks *cb;
	void *arg;
	z_stream inflate, deflate;
	unsigned char dictionary[SPDY_DICTIONARY_SIZE];
	struct buf in;    /* head of a frame, or a whole control frame, so far */
	uint32_t data_id; /* inside a data frame: its stream … */
	size_t data_left; /* … and bytes to come */
	bool in_data, data_fin, broken, stopped;
};

static uint32_t get32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put32(char *p, uint32_t v)
{
	p[0] = (char)(v >> 24);
	p[1] = (char)(v >> 16);
	p[2] = (char)(v >> 8);
	p[3] = (char)v;
}

struct spdy *spdy_new(const struct spdy_callbacks *cb, void *arg)
{
	struct spdy *s = xcalloc(1, sizeof(*s));

	s->cb = cb;
	s->arg = arg;
	buf_init(&s->in, CONTROL_MAX + FRAME_HEAD);
	spdy_dictionary_make(s->dictionary);
	/* A small window is enough for our few headers, and costs a hundredth of the memory. */
	if (inflateInit(&s->inflate) != Z_OK ||
		deflateInit2(&s->deflate, 6, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK ||
		deflateSetDictionary(&s->deflate, s->dictionary, sizeof(s->dictionary)) != Z_OK)
		abort(); /* out of memory */
	return s;
}

void spdy_free(struct spdy *s)
{
	if (!s)
		return;
	inflateEnd(&s->inflate);
	deflateEnd(&s->deflate);
	buf_release(&s->in);
	free(s);
}

void spdy_stop(struct spdy *s)
{
	s->stopped = true;
}

/* Reading. */

/* Decompresses a block into the arena. */
static bool expand(struct spdy *s, struct str packed, struct arena *a, struct str *ret)
{
	char *out = arena_alloc(a, BLOCK_MAX);
	z_stream *z = &s->inflate;

	z->next_in = (Bytef *)packed.p;
	z->avail_in = (uInt)packed.n;
	z->next_out = (Bytef *)out;
	z->avail_out = BLOCK_MAX;
	while (z->avail_in) {
		int rc = inflate(z, Z_SYNC_FLUSH);

		if (rc == Z_NEED_DICT)
			rc = inflateSetDictionary(z, s->dictionary, sizeof(s->dictionary));
		if (rc != Z_OK || (z->avail_out == 0 && z->avail_in))
			return false;
	}
	*ret = str_n(out, BLOCK_MAX - z->avail_out);
	return true;
}

static bool take_string(struct str *in, struct str *ret)
{
	size_t n;

	if (in->n < 4)
		return false;
	n = get32(in->p);
	if (n > in->n - 4)
		return false;
	*ret = str_sub(*in, 4, 4 + n);
	*in = str_sub(*in, 4 + n, in->n);
	return true;
}

struct block {
	struct http_header *v;
	size_t n;
};

static bool parse_block(struct spdy *s, struct str packed, struct arena *a, struct block *ret)
{
	struct str in;
	uint32_t count;

	if (!expand(s, packed, a, &in) || in.n < 4)
		return false;
	count = get32(in.p);
	in = str_sub(in, 4, in.n);
	if (count > HEADERS_MAX)
		return false;
	ret->v = arena_alloc(a, (count + 1) * sizeof(ret->v[0]));
	for (ret->n = 0; ret->n < count; ret->n++) {
		struct http_header *h = &ret->v[ret->n];

		if (!take_string(&in, &h->name) || !take_string(&in, &h->value) || !h->name.n)
			return false;
	}
	return in.n == 0;
}

static bool on_headers(struct spdy *s, enum type type, struct str body, bool fin)
{
	size_t at = type == SYN_STREAM ? 10 : 4;
	struct arena a;
	struct block b = {0};
	bool ok;

	if (body.n < at)
		return false;
	arena_init(&a);
	ok = parse_block(s, str_sub(body, at, body.n), &a, &b);
	if (ok) {
		uint32_t id = get32(body.p) & 0x7fffffff;

		if (type == SYN_STREAM)
			s->cb->on_stream(s->arg, id, b.v, b.n, fin);
		else if (type == SYN_REPLY && s->cb->on_reply)
			s->cb->on_reply(s->arg, id, b.v, b.n, fin);
	}
	arena_release(&a);
	return ok;
}

/* A whole control frame. */
static bool on_control(struct spdy *s, struct str frame)
{
	uint32_t head = get32(frame.p);
	unsigned flags = (unsigned char)frame.p[4];
	struct str body = str_sub(frame, FRAME_HEAD, frame.n);

	if ((head >> 16 & 0x7fff) != VERSION)
		return false;
	switch ((enum type)(head & 0xffff)) {
	case SYN_STREAM:
	case SYN_REPLY:
	case HEADERS:
		return on_headers(s, head & 0xffff, body, flags & FLAG_FIN);
	case RST_STREAM:
		if (body.n != 8)
			return false;
		s->cb->on_reset(s->arg, get32(body.p) & 0x7fffffff, get32(body.p + 4));
		return true;
	case PING:
		if (body.n != 4)
			return false;
		if (get32(body.p) & 1) /* the client's are odd: give it back */
			s->cb->output(s->arg, frame);
		return true;
	case GOAWAY:
		if (s->cb->on_goaway)
			s->cb->on_goaway(s->arg);
		return true;
	case SETTINGS:
		return true;
	}
	return true; /* WINDOW_UPDATE and what else there may be */
}

/* Collects bytes until `want` are there. */
static bool collect(struct spdy *s, struct str *input, size_t want)
{
	size_t n = MIN(input->n, want - MIN(s->in.n, want));

	buf_add(&s->in, input->p, n);
	*input = str_sub(*input, n, input->n);
	return s->in.n >= want;
}

/* In a data frame: passes on what is there. */
static void pass_data(struct spdy *s, struct str *input)
{
	size_t n = MIN(input->n, s->data_left);
	struct str part = str_sub(*input, 0, n);
	bool fin;

	s->data_left -= n;
	*input = str_sub(*input, n, input->n);
	fin = s->data_fin && s->data_left == 0;
	s->in_data = s->data_left > 0;
	if (n || fin)
		s->cb->on_data(s->arg, s->data_id, part, fin);
}

/* False: the frame is not complete, or broken. */
static bool read_frame(struct spdy *s, struct str *input)
{
	size_t length;
	uint32_t head;

	if (!collect(s, input, FRAME_HEAD))
		return false;
	head = get32(s->in.p);
	length = get32(s->in.p + 4) & 0xffffff;
	if (!(head & 0x80000000)) {
		s->data_id = head;
		s->data_left = length;
		s->data_fin = s->in.p[4] & FLAG_FIN;
		s->in_data = true;
		buf_reset(&s->in);
		if (length == 0)
			pass_data(s, input);
		return true;
	}
	if (length > CONTROL_MAX) {
		s->broken = true;
		return false;
	}
	if (!collect(s, input, FRAME_HEAD + length))
		return false;
	s->broken = !on_control(s, buf_str(&s->in));
	buf_reset(&s->in);
	return !s->broken;
}

int spdy_read(struct spdy *s, struct str input)
{
	while (input.n && !s->broken && !s->stopped) {
		if (s->in_data)
			pass_data(s, &input);
		else if (!read_frame(s, &input))
			break;
	}
	return s->broken ? -EPROTO : 0;
}

/* Writing. */

static void write_frame(struct spdy *s, uint32_t head, unsigned flags, struct str body)
{
	char h[FRAME_HEAD];

	put32(h, head);
	put32(h + 4, (uint32_t)flags << 24 | (uint32_t)body.n);
	s->cb->output(s->arg, str_n(h, sizeof(h)));
	s->cb->output(s->arg, body);
}

static uint32_t control(enum type type)
{
	return 0x80000000 | VERSION << 16 | type;
}

static void add32(struct buf *b, uint32_t v)
{
	char p[4];

	put32(p, v);
	buf_add(b, p, 4);
}

static void compress_block(struct spdy *s, struct buf *out, const struct http_header *h, size_t n)
{
	z_stream *z = &s->deflate;
	struct buf plain;
	size_t room;

	buf_init(&plain, BLOCK_MAX);
	add32(&plain, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		add32(&plain, (uint32_t)h[i].name.n);
		buf_add_str(&plain, h[i].name);
		add32(&plain, (uint32_t)h[i].value.n);
		buf_add_str(&plain, h[i].value);
	}
	room = deflateBound(z, plain.n) + 64;
	z->next_in = (Bytef *)plain.p;
	z->avail_in = (uInt)plain.n;
	z->next_out = (Bytef *)buf_reserve(out, room);
	z->avail_out = (uInt)room;
	assert(z->next_out);
	if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in)
		abort(); /* the bound promised room */
	out->n += room - z->avail_out;
	buf_release(&plain);
}

void spdy_write_stream(struct spdy *s, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct buf b;

	buf_init(&b, 2 * BLOCK_MAX);
	add32(&b, id);
	add32(&b, 0);           /* associated with none */
	buf_add(&b, "\0\0", 2); /* priority, slot */
	compress_block(s, &b, h, n);
	write_frame(s, control(SYN_STREAM), fin ? FLAG_FIN : 0, buf_str(&b));
	buf_release(&b);
}

void spdy_write_reply(struct spdy *s, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct buf b;

	buf_init(&b, 2 * BLOCK_MAX);
	add32(&b, id);
	compress_block(s, &b, h, n);
	write_frame(s, control(SYN_REPLY), fin ? FLAG_FIN : 0, buf_str(&b));
	buf_release(&b);
}

void spdy_write_data(struct spdy *s, uint32_t id, struct str bytes, bool fin)
{
	do {
		size_t n = MIN(bytes.n, (size_t)DATA_MAX);
		bool last = n == bytes.n;

		if (n || fin)
			write_frame(s, id, last && fin ? FLAG_FIN : 0, str_sub(bytes, 0, n));
		bytes = str_sub(bytes, n, bytes.n);
	} while (bytes.n);
}

static void write_two(struct spdy *s, enum type type, uint32_t a, uint32_t b)
{
	char body[8];

	put32(body, a);
	put32(body + 4, b);
	write_frame(s, control(type), 0, str_n(body, sizeof(body)));
}

void spdy_write_reset(struct spdy *s, uint32_t id, uint32_t status)
{
	write_two(s, RST_STREAM, id, status);
}

void spdy_write_goaway(struct spdy *s, uint32_t last_id)
{
	write_two(s, GOAWAY, last_id, 0);
}
