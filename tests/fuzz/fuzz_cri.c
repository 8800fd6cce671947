/* Any bytes as each of CRI's answers: what can be read is written and read again to the same bytes.
 */
#include "node/cri_grpc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct wire_type *t, struct str message)
{
	struct buf once CLEANUP(buf_release) = {0}, twice CLEANUP(buf_release) = {0};
	struct arena a CLEANUP(arena_release);
	void *v, *again;

	arena_init(&a);
	buf_init(&once, 1 << 26);
	buf_init(&twice, 1 << 26);
	v = arena_alloc(&a, t->size);
	again = arena_alloc(&a, t->size);
	if (wire_decode(t, message, &a, v) < 0)
		return;
	wire_encode(t, v, &once);
	assert(wire_decode(t, buf_str(&once), &a, again) == 0);
	wire_encode(t, again, &twice);
	assert(str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wire_type *const types[] = {&text_message, &version_reply,
		&status_reply, &list_sandboxes_reply, &sandbox_reply, &list_containers_reply,
		&container_reply, &exec_sync_reply, &stats_reply, &event_message, &images_reply,
		&run_sandbox_request, &create_container_request};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		round_trip(types[i], str_n((const char *)data, size));
	return 0;
}
