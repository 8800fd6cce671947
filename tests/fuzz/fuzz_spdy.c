/* SPDY frames as a client might send them. */
#include "http/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore_output(void *arg, struct str bytes)
{
}

static void on_stream(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	for (size_t i = 0; i < n; i++)
		*(size_t *)arg += str_hash(h[i].name) ^ str_hash(h[i].value); /* reads every byte */
}

static void on_data(void *arg, uint32_t id, struct str part, bool fin)
{
	*(size_t *)arg += str_hash(part);
}

static void on_reset(void *arg, uint32_t id, uint32_t status)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct spdy_callbacks cb = {.output = ignore_output,
		.on_stream = on_stream,
		.on_data = on_data,
		.on_reset = on_reset};
	struct str in = str_n((const char *)data, size);
	size_t sum = 0;
	struct spdy *s = spdy_new(&cb, &sum);

	if (spdy_read(s, str_sub(in, 0, size / 3)) == 0)
		spdy_read(s, str_sub(in, size / 3, size));
	spdy_free(s);
	return 0;
}
