/* The HTTP/1.1 reader: what it takes, what it refuses, and that cutting the input anywhere changes
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/http1.h"

static const struct http1_limits limits = {.head_max = 4096, .headers_max = 20};

struct message {
	enum http1_kind kind;
	bool no_body;
	struct arena arena;
	struct http1_reader r;
	struct buf body;
	bool head;
	size_t used;
};

/* Feeds the text in pieces of `step` bytes, each time with what was not used before; then the end
 * of the connection. */
static enum http1_event feed(struct message *m, struct str text, size_t step)
{
	size_t given = 0;

	arena_init(&m->arena);
	buf_init(&m->body, 1 << 20);
	m->head = false;
	m->used = 0;
	http1_reader_init(&m->r, m->kind, &limits);
	if (m->no_body)
		http1_reader_no_body(&m->r);
	for (;;) {
		struct str part;
		size_t used = 0;

		switch (http1_read(&m->r, &m->arena, str_sub(text, m->used, given), &used, &part)) {
		case HTTP1_HEAD:
			assert_false(m->head);
			m->head = true;
			break;
		case HTTP1_BODY:
			buf_add_str(&m->body, part);
			break;
		case HTTP1_NEED_MORE:
			m->used += used;
			if (given == text.n)
				return http1_read_eof(&m->r);
			given = MIN(given + step, text.n);
			continue;
		case HTTP1_END:
			m->used += used;
			return HTTP1_END;
		case HTTP1_ERROR:
			return HTTP1_ERROR;
		}
		m->used += used;
	}
}

static void message_release(struct message *m)
{
	arena_release(&m->arena);
	buf_release(&m->body);
}

static void expect_body(enum http1_kind kind, const char *text, const char *body, size_t used)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct message m = {.kind = kind};

		assert_int_equal(feed(&m, str_c(text), step), HTTP1_END);
		assert_true(m.head);
		assert_true(str_eqc(buf_str(&m.body), body));
		assert_int_equal(m.used, used);
		message_release(&m);
	}
}

static void takes_requests(void **state)
{
	expect_body(HTTP1_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", 27);
	expect_body(HTTP1_REQUEST, "\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n", "", 27);
	expect_body(HTTP1_REQUEST,
		"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET", "hello", 53);
	expect_body(HTTP1_REQUEST,
		"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
		"5\r\nhello\r\n00a;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
		"hello0123456789", 104);
	expect_body(HTTP1_REQUEST, "GET / HTTP/1.0\r\n\r\n", "", 18);
}

static void takes_responses(void **state)
{
	struct message m = {.kind = HTTP1_RESPONSE, .no_body = true};

	expect_body(HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 40);
	expect_body(HTTP1_RESPONSE, "HTTP/1.1 204 \r\nContent-Length: 2\r\n\r\n", "", 36);
	expect_body(HTTP1_RESPONSE, "HTTP/1.1 304\r\n\r\n", "", 16);
	expect_body(HTTP1_RESPONSE, "HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", 32);
	assert_int_equal(feed(&m, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), 1), HTTP1_END);
	assert_int_equal(m.r.head.status, 200);
	message_release(&m);
}

static void reads_what_the_head_says(void **state)
{
	struct message m = {.kind = HTTP1_REQUEST};

	assert_int_equal(feed(&m,
				 S("GET /api?x=1 HTTP/1.1\r\nHost: h \r\nX-Empty:\r\nConnection: "
				   "keep-alive, Upgrade\r\n"
				   "Upgrade: websocket\r\nExpect: 100-Continue\r\n\r\n"),
				 7),
		HTTP1_END);
	assert_true(str_eqc(m.r.head.method, "GET"));
	assert_true(str_eqc(m.r.head.target, "/api?x=1"));
	assert_int_equal(m.r.head.n_headers, 5);
	assert_true(str_eqc(m.r.head.headers[0].value, "h"));
	assert_true(str_eqc(m.r.head.headers[1].value, ""));
	assert_true(m.r.head.upgrade && m.r.head.keep_alive && m.r.head.expect_continue);
	message_release(&m);
	assert_int_equal(feed(&m, S("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), 7),
		HTTP1_END);
	assert_false(m.r.head.keep_alive);
	message_release(&m);
}

static void refuses(void **state)
{
	static const struct {
		int status;
		const char *text;
	} bad[] = {
		{400, "GET / HTTP/1.1\nHost: a\n\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"},
		{400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\r\n\r\n"},
		{400, "GET / a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTX/1.1\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\001b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: "
		      "1\r\n\r\nx"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n0\r\n\r\n"},
		{501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, "
		      "chunked\r\n\r\n0\r\n\r\n"},
		{501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		      "chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n1\nx\r\n0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 "
		      "\r\nx\r\n0\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n1000000000000000\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad "
		      "trailer\r\n\r\n"},
		{400, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"},
		{400, "GET / HTTP/1.1\r\nHost"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (size_t step = 1; step <= strlen(bad[i].text); step += 3) {
			struct message m = {.kind = HTTP1_REQUEST};
			enum http1_event e = feed(&m, str_c(bad[i].text), step);

			if (e != HTTP1_ERROR || m.r.error_status != bad[i].status)
				print_error("case %zu, step %zu: %s\n", i, step, bad[i].text);
			assert_int_equal(e, HTTP1_ERROR);
			assert_int_equal(m.r.error_status, bad[i].status);
			message_release(&m);
		}
	}
}

static void limits_the_head(void **state)
{
	struct message m = {.kind = HTTP1_REQUEST};
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_add_c(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	for (int i = 0; i < 5000; i++)
		buf_add_char(&b, 'x');
	assert_int_equal(feed(&m, buf_str(&b), 100), HTTP1_ERROR); /* no end in sight */
	assert_int_equal(m.r.error_status, 431);
	message_release(&m);
	buf_add_c(&b, "\r\n\r\n");
	assert_int_equal(feed(&m, buf_str(&b), 10000), HTTP1_ERROR);
	assert_int_equal(m.r.error_status, 431);
	message_release(&m);
	buf_reset(&b);
	buf_add_c(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 20; i++)
		buf_add_c(&b, "X: y\r\n");
	buf_add_c(&b, "\r\n");
	assert_int_equal(feed(&m, buf_str(&b), 10000), HTTP1_ERROR);
	assert_int_equal(m.r.error_status, 431);
	message_release(&m);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_requests),
		cmocka_unit_test(takes_responses),
		cmocka_unit_test(reads_what_the_head_says),
		cmocka_unit_test(refuses),
		cmocka_unit_test(limits_the_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
