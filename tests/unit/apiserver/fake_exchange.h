/*
 * fake_exchange.h: an API server over a memory store on a simulated clock, and requests to it
 * without sockets. Everything is deterministic: uids, names, times, revisions.
 */
#ifndef FAKE_EXCHANGE_H
#define FAKE_EXCHANGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "apiserver/apiserver.h"
#include "store/backend.h"
#include "signing_key.h"

struct fake_server {
	struct sim_clock *clock;
	struct loop *loop;
	struct store *store;
	struct apiserver *api;
};

/* An exchange and what came back. */
struct fake {
	struct http_exchange x;
	struct buf body;
	bool closed;
	struct user_info user;
	struct str groups[1];
};

/* plugins: those off by default that shall run, NULL-terminated, or NULL. */
static inline void fake_server_open_with(struct fake_server *f, const char *const *plugins)
{
	struct store_opts store = {.backend = backend_memory_new()};
	struct apiserver_opts opts = {.service_cluster_ip_range = "10.254.0.0/16",
		.service_account_key_pem = TEST_SIGNING_KEY,
		.allow_privileged = true,
		.admission.enable = plugins};
	struct err err CLEANUP(err_release) = {0};

	f->clock = sim_clock_new(1, 1700000000LL * 1000000000);
	f->loop = loop_new_sim(f->clock);
	store.sim_loop = f->loop;
	assert_int_equal(store_open(&store, &f->store, &err), 0);
	opts.store = f->store;
	opts.clock = f->loop;
	if (apiserver_new(&opts, &f->api, &err) < 0)
		fail_msg("%s", err_text(&err));
}

static inline void fake_server_open(struct fake_server *f)
{
	fake_server_open_with(f, NULL);
}

static inline void fake_run(struct fake_server *f, int64_t ms)
{
	int64_t until = sim_clock_now_ms(f->clock) + ms;

	while (sim_clock_step(f->clock, until))
		;
}

static inline void fake_server_close(struct fake_server *f)
{
	fake_run(f, 100);
	apiserver_free(f->api);
	store_close(f->store);
	loop_free(f->loop);
	sim_clock_free(f->clock);
}

static void fake_start(struct http_exchange *x)
{
}

static void fake_write(struct http_exchange *x, struct str bytes)
{
	buf_add_str(&((struct fake *)x)->body, bytes);
}

static void fake_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	fake_write(x, bytes);
}

/* What the transport does when the exchange is over, whoever ended it. */
static inline void fake_close(struct fake *f)
{
	if (f->closed)
		return;
	f->closed = true;
	if (f->x.on_close)
		f->x.on_close(&f->x);
}

static void fake_end(struct http_exchange *x)
{
	fake_close((struct fake *)x);
}

static const struct http_exchange_ops fake_ops = {
	.start = fake_start,
	.write = fake_write,
	.write_object = fake_write_object,
	.flush = fake_start,
	.end = fake_end,
	.abort = fake_end,
};

static inline struct fake *fake_new(struct fake_server *s, const char *method, const char *path)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	arena_init(&f->x.arena);
	buf_init(&f->body, 64 * 1024 * 1024);
	f->groups[0] = S("system:masters");
	f->user = (struct user_info){.name = S("admin"), .groups = {f->groups, 1}};
	f->x.peer.user = &f->user;
	f->x.loop = s->loop;
	f->x.ops = &fake_ops;
	f->x.method = arena_strc(&f->x.arena, method);
	str_cut(arena_strc(&f->x.arena, path), '?', &f->x.path, &f->x.query);
	f->x.path = arena_str(&f->x.arena, f->x.path);
	f->x.raw_path = f->x.path;
	return f;
}

static inline void fake_header(struct fake *f, const char *name, const char *value)
{
	struct {
		struct http_header *v;
		size_t n;
	} list = {f->x.headers, f->x.n_headers};
	struct http_header h = {arena_strc(&f->x.arena, name), arena_strc(&f->x.arena, value)};

	ARENA_PUSH(&f->x.arena, &list, h);
	f->x.headers = list.v;
	f->x.n_headers = list.n;
}

static inline void fake_send(struct fake_server *s, struct fake *f, const char *body)
{
	struct http_handler *h = apiserver_handler(s->api);

	f->x.body = arena_strc(&f->x.arena, body);
	h->handle(h, &f->x);
}

static inline void fake_free(struct fake *f)
{
	fake_close(f);
	buf_release(&f->body);
	arena_release(&f->x.arena);
	free(f);
}

/* A whole request; the answer's body in *f->body. */
static inline struct fake *fake_do(
	struct fake_server *s, const char *method, const char *path, const char *body)
{
	struct fake *f = fake_new(s, method, path);

	fake_send(s, f, body);
	fake_run(s, 50);
	return f;
}

/* The same, of which only the status matters. */
static inline int fake_status(
	struct fake_server *s, const char *method, const char *path, const char *body)
{
	struct fake *f = fake_do(s, method, path, body);
	int status = f->x.status;

	fake_free(f);
	return status;
}

static inline bool fake_has(const struct fake *f, const char *text)
{
	return str_find(buf_str(&f->body), str_c(text)) >= 0;
}

#endif
