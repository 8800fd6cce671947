/* WebSocket frames as a peer might send them, in two parts. */
#include "http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t sum;
	bool closed;
};

static void on_message(struct websocket *w, void *owner, struct str message, bool text)
{
	struct seen *s = owner;

	assert(message.n <= WEBSOCKET_MESSAGE_MAX && !s->closed);
	s->sum += str_hash(message); /* reads every byte */
}

static void on_close(struct websocket *w, void *owner, int code)
{
	struct seen *s = owner;

	assert(!s->closed);
	s->closed = true;
}

static void peer_closed(struct conn *c, int status)
{
	*(struct conn **)c->user_data = NULL; /* it is freed after this */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct websocket_events events = {
		.on_message = on_message, .on_close = on_close};
	static const struct conn_events peer_events = {.on_close = peer_closed};
	struct sim_clock *clock = sim_clock_new(1, 0);
	struct loop *loop = loop_new_sim(clock);
	struct str in = str_n((const char *)data, size);
	struct seen seen = {0};
	struct conn *ours, *peer;
	struct websocket *w;

	conn_pair(loop, loop, &ours, &peer);
	peer->events = &peer_events;
	peer->user_data = &peer;
	w = websocket_client(ours, &events, &seen);
	conn_write(peer, str_sub(in, 0, size / 3));
	while (sim_clock_step(clock, sim_clock_now_ms(clock) + 100))
		;
	if (peer)
		conn_write(peer, str_sub(in, size / 3, size));
	while (sim_clock_step(clock, sim_clock_now_ms(clock) + 100))
		;
	websocket_abort(w);
	if (peer)
		conn_close(peer);
	while (sim_clock_step(clock, sim_clock_now_ms(clock) + 100))
		;
	loop_free(loop);
	sim_clock_free(clock);
	return 0;
}
