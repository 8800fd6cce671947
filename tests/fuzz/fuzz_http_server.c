/* Bytes against the whole server: HTTP/1.1, HTTP/2 by its preface, and exec over WebSocket and SPDY
 * after an upgrade. */
#include "http/conn.h"
#include "http/server.h"
#include "http/streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_ready(struct remote_session *s, void *owner)
{
}

static void on_stdin(struct remote_session *s, void *owner, struct str bytes)
{
	remote_write_stdout(s, bytes);
}

static void on_closed(struct remote_session *s, void *owner)
{
	remote_abort(s);
}

static const struct remote_events events = {
	.on_ready = on_ready, .on_stdin = on_stdin, .on_closed = on_closed};

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct remote_options o = {
		.stdin = true, .stdout = true, .stderr = true, .tty = str_eqc(x->path, "/tty")};
	struct err err CLEANUP(err_release) = {0};
	struct remote_session *s;

	if (remote_accept(x, &o, &events, NULL, &s, &err) < 0)
		http_respond(x, 200, "text/plain", x->body);
}

static void drop_data(struct conn *c, struct str bytes)
{
}

static void close_conn(struct conn *c)
{
	conn_close(c);
}

static void gone(struct conn *c, int status)
{
	*(bool *)c->user_data = true;
}

static const struct conn_events client_events = {
	.on_data = drop_data, .on_eof = close_conn, .on_close = gone};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_handler handler = {handle};
	struct sim_clock *clock = sim_clock_new(1, 0);
	struct loop *loop = loop_new_sim(clock);
	struct http_server *server;
	struct conn *ours, *theirs;
	bool ended = false;
	struct err err = {0};

	http_server_new(loop,
		&(struct http_server_opts){.port = -1, .handler = &handler, .body_max = 4096},
		&server, &err);
	conn_pair(loop, loop, &ours, &theirs);
	ours->events = &client_events;
	ours->user_data = &ended;
	conn_read_start(ours);
	http_server_add_conn(server, theirs);
	for (size_t at = 0; at < size && !ended; at += 512) {
		conn_write(ours, str_n((const char *)data + at, MIN(size - at, (size_t)512)));
		while (sim_clock_step(clock, 0))
			;
	}
	if (!ended)
		conn_abort(ours);
	while (sim_clock_step(clock, 1000000))
		;
	http_server_close(server, 0, NULL, NULL);
	while (sim_clock_step(clock, 2000000))
		;
	loop_free(loop);
	sim_clock_free(clock);
	return 0;
}
