/* The HTTP/1.1 reader: requests and responses, whole and cut in two; both ways must agree. */
#include "http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum http1_event last;
	size_t used, body;
};

static struct outcome read_all(enum http1_kind kind, struct str in, size_t cut)
{
	struct http1_limits limits = {4096, 50};
	struct http1_reader r;
	struct outcome o = {0};
	size_t given = MIN(cut, in.n);
	struct arena a;

	arena_init(&a);
	http1_reader_init(&r, kind, &limits);
	for (;;) {
		struct str part = {0};
		size_t used = 0;

		o.last = http1_read(&r, &a, str_sub(in, o.used, given), &used, &part);
		assert(used <= given - o.used);
		o.used += used;
		if (o.last == HTTP1_BODY)
			o.body += part.n;
		if (o.last == HTTP1_END || o.last == HTTP1_ERROR)
			break;
		if (o.last == HTTP1_NEED_MORE) {
			if (given == in.n)
				break;
			given = in.n;
		}
	}
	if (o.last == HTTP1_NEED_MORE)
		o.last = http1_read_eof(&r);
	arena_release(&a);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n((const char *)data, size);

	for (int kind = HTTP1_REQUEST; kind <= HTTP1_RESPONSE; kind++) {
		struct outcome whole = read_all(kind, in, size), cut = read_all(kind, in, size / 2);

		assert(whole.last == cut.last);
		assert(whole.last == HTTP1_ERROR ||
			(whole.used == cut.used && whole.body == cut.body));
	}
	return 0;
}
