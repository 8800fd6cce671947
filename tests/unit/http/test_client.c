/* Client and server over real sockets, plain and TLS: pool, retries, streams, upgrades,
 * certificates, garbage. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "http/client.h"
#include "http/server.h"

struct world {
	struct loop *loop;
	struct identity ca, other_ca, server_id, client_id;
	void *server_ctx, *client_ctx;
	struct http_handler handler;
	struct http_server *server;
	struct http_client *client;
	/* what the server saw */
	int requests, closes;
	struct str last_cn, last_cert_error;
	char cn[64], cert_error[128], last_peer[64];
	bool same_connection;
	struct http_exchange *kept;
	struct conn *upgraded;
	bool drop_next;
	/* what the client saw */
	int answers, waiting;
	int status;
	struct buf body;
	char error[256];
	bool ended;
	struct conn *tunnel;
};

static void kept_closed(struct http_exchange *x)
{
	struct world *w = x->user_data;

	w->kept = NULL;
	w->closes++;
	loop_stop(w->loop);
}

static void note_peer(struct world *w, struct http_exchange *x)
{
	X509 *cert = x->peer.x509;

	*w->cn = 0;
	if (cert)
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(cert), NID_commonName, w->cn, sizeof(w->cn));
	snprintf(w->cert_error, sizeof(w->cert_error), "%s",
		x->peer.x509_error ? x->peer.x509_error : "");
	w->same_connection = str_eqc(x->peer.address, w->last_peer);
	snprintf(w->last_peer, sizeof(w->last_peer), STR_FMT, STR_ARG(x->peer.address));
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct world *w = container_of(h, struct world, handler);
	struct err err CLEANUP(err_release) = {0};

	w->requests++;
	note_peer(w, x);
	if (w->drop_next) {
		w->drop_next = false;
		http_abort(x);
	} else if (str_eqc(x->path, "/echo")) {
		http_respond(x, 200, "text/plain", x->body);
	} else if (str_eqc(x->path, "/token")) {
		http_respond(x, 200, "text/plain", http_get_header(x, "Authorization"));
	} else if (str_eqc(x->path, "/large")) {
		char *p = arena_alloc(&x->arena, 10000000);

		memset(p, 'x', 10000000);
		http_respond(x, 200, NULL, str_n(p, 10000000));
	} else if (str_eqc(x->path, "/upgrade")) {
		http_header(x, "Upgrade", S("echo"));
		w->upgraded = x->ops->upgrade(x, &err);
		assert_non_null(w->upgraded);
		loop_stop(w->loop);
	} else if (str_eqc(x->path, "/stream") || str_eqc(x->path, "/never")) {
		w->kept = x;
		x->user_data = w;
		x->on_close = kept_closed;
		if (str_eqc(x->path, "/stream")) {
			http_start(x, 200);
			http_write(x, S("first "));
		}
	} else {
		http_respond(x, 404, "text/plain", S("no such path"));
	}
}

static void start(struct world *w, bool tls, const struct tls_client_opts *client)
{
	struct err err = {0};
	char url[64];

	if (tls) {
		assert_int_equal(tls_server_ctx(&(struct tls_server_opts){w->server_id.cert_pem,
							w->server_id.key_pem, w->ca.cert_pem},
					 &w->server_ctx, &err),
			0);
		assert_int_equal(tls_client_ctx(client, &w->client_ctx, &err), 0);
	}
	assert_int_equal(http_server_new(w->loop,
				 &(struct http_server_opts){.bind_address = "127.0.0.1",
					 .ssl_ctx = w->server_ctx,
					 .header_timeout_ms = 1000,
					 .handler = &w->handler},
				 &w->server, &err),
		0);
	snprintf(url, sizeof(url), "%s://127.0.0.1:%d", tls ? "https" : "http",
		http_server_port(w->server));
	assert_int_equal(http_client_new(w->loop,
				 &(struct http_client_opts){.url = str_c(url),
					 .ssl_ctx = w->client_ctx,
					 .bearer_token = S("secret")},
				 &w->client, &err),
		0);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->loop = loop_new_uv();
	w->ca = identity_new("ca", NULL, NULL);
	w->other_ca = identity_new("other ca", NULL, NULL);
	w->server_id = identity_new("server", NULL, &w->ca);
	w->client_id = identity_new("alice", "devs", &w->ca);
	w->handler.handle = handle;
	buf_init(&w->body, 64 << 20);
	*state = w;
	return 0;
}

static void server_gone(void *arg)
{
	struct world *w = arg;

	w->server = NULL;
	loop_stop(w->loop);
}

static void stop_soon(struct loop_timer *t)
{
	loop_stop(t->loop);
}

/* Lets what was closed go. */
static void settle(struct world *w)
{
	struct loop_timer t;

	loop_timer_init(&t, w->loop, stop_soon);
	loop_timer_start(&t, 10);
	while (loop_timer_armed(&t))
		loop_run(w->loop);
}

static int teardown(void **state)
{
	struct world *w = *state;

	http_client_free(w->client);
	if (w->server) {
		http_server_close(w->server, 0, server_gone, w);
		while (w->server)
			loop_run(w->loop);
	}
	settle(w);
	SSL_CTX_free(w->server_ctx);
	SSL_CTX_free(w->client_ctx);
	buf_release(&w->body);
	loop_free(w->loop);
	identity_release(&w->ca);
	identity_release(&w->other_ca);
	identity_release(&w->server_id);
	identity_release(&w->client_id);
	free(w);
	return 0;
}

static void on_response(void *user_data, const struct http_response *r, struct err *err)
{
	struct world *w = user_data;

	w->answers++;
	w->status = r ? r->status : 0;
	snprintf(w->error, sizeof(w->error), "%s", err_text(err));
	buf_reset(&w->body);
	if (r)
		buf_add_str(&w->body, r->body);
	if (--w->waiting == 0)
		loop_stop(w->loop);
}

static struct http_call *ask(
	struct world *w, const char *method, const char *path, const char *body)
{
	w->waiting++;
	return http_client_do(w->client, &(struct http_request){.method = method,
						 .path = str_c(path),
						 .body = str_c(body),
						 .on_response = on_response,
						 .user_data = w});
}

static void get(struct world *w, const char *path)
{
	ask(w, "GET", path, NULL);
	loop_run(w->loop);
}

static struct tls_client_opts trusting(const struct world *w)
{
	return (struct tls_client_opts){.ca_pem = w->ca.cert_pem};
}

static void plain_and_pooled(void **state)
{
	struct world *w = *state;

	start(w, false, NULL);
	get(w, "/nothing");
	assert_int_equal(w->status, 404);
	assert_true(str_eqc(buf_str(&w->body), "no such path"));
	get(w, "/token");
	assert_true(str_eqc(buf_str(&w->body), "Bearer secret"));
	assert_true(w->same_connection);
	ask(w, "POST", "/echo", "some body");
	loop_run(w->loop);
	assert_true(str_eqc(buf_str(&w->body), "some body"));
	assert_true(w->same_connection);
	w->answers = 0;
	for (int i = 0; i < 50; i++) /* more than there may be connections */
		ask(w, "GET", "/token", NULL);
	loop_run(w->loop);
	assert_int_equal(w->answers, 50);
}

static void tls_and_large(void **state)
{
	struct world *w = *state;
	struct tls_client_opts o = trusting(w);

	start(w, true, &o);
	for (int i = 0; i < 3; i++) {
		get(w, "/large");
		assert_int_equal(w->status, 200);
		assert_int_equal(w->body.n, 10000000);
		assert_int_equal(w->body.p[9999999], 'x');
	}
	assert_string_equal(w->cn, "");
	assert_string_equal(w->cert_error, "");
}

static void client_certificates(void **state)
{
	struct world *w = *state;
	struct tls_client_opts o = trusting(w);

	o.cert_pem = w->client_id.cert_pem;
	o.key_pem = w->client_id.key_pem;
	start(w, true, &o);
	get(w, "/echo");
	assert_int_equal(w->status, 200);
	assert_string_equal(w->cn, "alice");
}

static void wrong_client_certificates_reach_the_handler(void **state)
{
	struct world *w = *state;
	struct tls_client_opts o = trusting(w);
	struct identity mallory = identity_new("mallory", NULL, &w->other_ca);

	o.cert_pem = mallory.cert_pem;
	o.key_pem = mallory.key_pem;
	start(w, true, &o);
	get(w, "/echo");
	assert_int_equal(w->status, 200);
	assert_string_equal(w->cn, "");
	assert_true(strlen(w->cert_error) > 0);
	identity_release(&mallory);
}

static void untrusted_servers_are_refused(void **state)
{
	struct world *w = *state;

	start(w, true, &(struct tls_client_opts){.ca_pem = w->other_ca.cert_pem});
	get(w, "/echo");
	assert_int_equal(w->status, 0);
	assert_non_null(strstr(w->error, "certificate verify failed"));
	assert_int_equal(w->requests, 0);
}

static void bad_pem_is_refused(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	void *ctx = NULL;

	assert_true(tls_server_ctx(&(struct tls_server_opts){S("garbage"), S("garbage"), {0}}, &ctx,
			    &err) < 0);
	assert_true(
		tls_server_ctx(&(struct tls_server_opts){w->server_id.cert_pem, w->ca.key_pem, {0}},
			&ctx, &err) < 0);
	assert_true(
		tls_client_ctx(&(struct tls_client_opts){.ca_pem = S("garbage")}, &ctx, &err) < 0);
	assert_null(ctx);
	err_release(&err);
}

static void nobody_there(void **state)
{
	struct world *w = *state;
	struct err err = {0};

	assert_int_equal(
		http_client_new(w->loop, &(struct http_client_opts){.url = S("http://127.0.0.1:1")},
			&w->client, &err),
		0);
	get(w, "/");
	assert_int_equal(w->answers, 1);
	assert_non_null(strstr(w->error, "dial 127.0.0.1:1"));
	assert_non_null(strstr(w->error, "Connection refused"));
	assert_true(http_client_new(w->loop, &(struct http_client_opts){.url = S("gopher://x")},
			    &w->client, &err) < 0);
	err_release(&err);
}

static void stale_connections_are_tried_again(void **state)
{
	struct world *w = *state;

	start(w, false, NULL);
	get(w, "/echo");
	w->drop_next = true;
	get(w, "/echo");
	assert_int_equal(w->status, 200);
	assert_int_equal(w->requests, 3);
	w->drop_next = true;
	ask(w, "POST", "/echo", "once");
	loop_run(w->loop);
	assert_int_equal(w->status, 0); /* may have been done */
	assert_int_equal(w->requests, 4);
}

static void timeouts(void **state)
{
	struct world *w = *state;

	start(w, false, NULL);
	w->waiting = 2; /* the answer, and the exchange's end at the server */
	http_client_do(w->client,
		&(struct http_request){.path = S("/never"),
			.timeout_ms =
				1000, /* the request gets there, however busy the machine is */
			.on_response = on_response,
			.user_data = w});
	while (!w->closes || !w->answers)
		loop_run(w->loop);
	assert_int_equal(w->status, 0);
	assert_non_null(strstr(w->error, "timeout"));
}

static void on_data(void *user_data, struct str bytes)
{
	struct world *w = user_data;

	buf_add_str(&w->body, bytes);
	loop_stop(w->loop);
}

static void on_end(void *user_data, struct err *err)
{
	struct world *w = user_data;

	w->ended = true;
	snprintf(w->error, sizeof(w->error), "%s", err_text(err));
	loop_stop(w->loop);
}

static struct http_call *open_stream(struct world *w)
{
	struct http_call *call;

	w->waiting = 2;
	buf_reset(&w->body);
	call = http_client_do(w->client, &(struct http_request){.path = S("/stream"),
						 .on_response = on_response,
						 .on_data = on_data,
						 .on_end = on_end,
						 .user_data = w});
	while (!w->body.n)
		loop_run(w->loop);
	assert_true(str_eqc(buf_str(&w->body), "first "));
	return call;
}

static void streams(void **state)
{
	struct world *w = *state;

	start(w, false, NULL);
	open_stream(w);
	http_write(w->kept, S("second"));
	loop_run(w->loop);
	assert_true(str_eqc(buf_str(&w->body), "first second"));
	http_end(w->kept);
	while (!w->ended)
		loop_run(w->loop);
	assert_string_equal(w->error, "");
	w->ended = false;
	open_stream(w);
	http_abort(w->kept);
	while (!w->ended)
		loop_run(w->loop);
	assert_string_not_equal(w->error, "");
}

static void a_cancelled_stream_ends_at_the_server(void **state)
{
	struct world *w = *state;

	start(w, false, NULL);
	http_call_cancel(open_stream(w));
	while (!w->closes)
		loop_run(w->loop);
	assert_false(w->ended);
}

static void on_upgrade(
	void *user_data, struct conn *c, const struct http_response *r, struct err *err)
{
	struct world *w = user_data;

	w->tunnel = c;
	w->status = r ? r->status : 0;
	loop_stop(w->loop);
}

static void tunnel_data(struct conn *c, struct str bytes)
{
	struct world *w = c->user_data;

	buf_add_str(&w->body, bytes);
	if (c == w->upgraded)
		conn_write(c, bytes); /* echo */
	loop_stop(w->loop);
}

static void tunnel_close(struct conn *c, int status)
{
	struct world *w = c->user_data;

	*(c == w->upgraded ? &w->upgraded : &w->tunnel) = NULL;
	loop_stop(w->loop);
}

static void tunnel_eof(struct conn *c)
{
	conn_close(c);
}

static const struct conn_events tunnel_events = {
	.on_data = tunnel_data, .on_eof = tunnel_eof, .on_close = tunnel_close};

static void upgrades(void **state)
{
	struct world *w = *state;
	struct tls_client_opts o = trusting(w);

	start(w, true, &o);
	http_client_upgrade(
		w->client, &(struct http_request){.path = S("/upgrade")}, "echo", on_upgrade, w);
	while (!w->tunnel || !w->upgraded)
		loop_run(w->loop);
	assert_int_equal(w->status, 101);
	w->tunnel->events = w->upgraded->events = &tunnel_events;
	w->tunnel->user_data = w->upgraded->user_data = w;
	conn_read_start(w->tunnel);
	conn_read_start(w->upgraded);
	conn_write(w->tunnel, S("ping"));
	while (w->body.n < 8)
		loop_run(w->loop);
	assert_true(str_eqc(buf_str(&w->body), "pingping"));
	conn_close(w->tunnel);
	while (w->tunnel || w->upgraded)
		loop_run(w->loop);
	http_client_upgrade(
		w->client, &(struct http_request){.path = S("/echo")}, "echo", on_upgrade, w);
	loop_run(w->loop);
	assert_int_equal(w->status, 200);
	assert_null(w->tunnel);
}

static void stop_on_close(struct conn *c, int status)
{
	struct world *w = c->user_data;

	w->tunnel = NULL;
	w->ended = true;
	loop_stop(w->loop);
}

static const struct conn_events raw_events = {
	.on_data = tunnel_data, .on_eof = tunnel_eof, .on_close = stop_on_close};

static void on_dialled(void *user_data, struct conn *c, struct err *err)
{
	struct world *w = user_data;

	assert_non_null(c);
	w->tunnel = c;
	c->events = &raw_events;
	c->user_data = w;
	conn_read_start(c);
	loop_stop(w->loop);
}

/* Sends bytes to the TLS port as they are and waits until the server ends the connection. */
static void send_raw(struct world *w, struct str bytes)
{
	char address[32];

	buf_reset(&w->body);
	w->ended = false;
	snprintf(address, sizeof(address), "127.0.0.1:%d", http_server_port(w->server));
	conn_connect(
		w->loop, &(struct conn_connect_opts){.address = str_c(address)}, on_dialled, w);
	loop_run(w->loop);
	conn_write(w->tunnel, bytes);
	while (!w->ended)
		loop_run(w->loop);
}

static void tls_garbage(void **state)
{
	struct world *w = *state;
	struct tls_client_opts o = trusting(w);
	static const char half_hello[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\xfc";

	start(w, true, &o);
	send_raw(w, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_true(str_find(buf_str(&w->body),
			    S("Client sent an HTTP request to an HTTPS server.")) > 0);
	send_raw(w,
		S("\x01\x02\x03\x04 complete garbage, long enough to be read as a record header"));
	send_raw(w, str_n(half_hello, sizeof(half_hello) - 1));
	get(w, "/echo");
	assert_int_equal(w->status, 200);
	assert_int_equal(w->requests, 1);
}

/* A machine that lost its power closes nothing: a connection on which nothing is said is asked
 * after. */
static void silent_peers_are_asked_after(void **state)
{
	struct world *w = *state;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 0, idle = 0, every = 0,
	    times = 0;
	socklen_t size = sizeof(int);
	struct conn *c = conn_from_fd(w->loop, fd);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, &size), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, &size), 0);
	assert_int_equal(on, 1);
	assert_true(idle + every * times <= 30);
	c->events = &tunnel_events;
	c->user_data = w;
	w->tunnel = c;
	conn_abort(c);
	while (w->tunnel)
		loop_run(w->loop);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_and_pooled),
		TEST(tls_and_large),
		TEST(client_certificates),
		TEST(wrong_client_certificates_reach_the_handler),
		TEST(untrusted_servers_are_refused),
		TEST(bad_pem_is_refused),
		TEST(nobody_there),
		TEST(stale_connections_are_tried_again),
		TEST(timeouts),
		TEST(streams),
		TEST(a_cancelled_stream_ends_at_the_server),
		TEST(upgrades),
		TEST(tls_garbage),
		TEST(silent_peers_are_asked_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
