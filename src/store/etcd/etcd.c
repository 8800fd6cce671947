/* etcd.c: the connection to one of the endpoints: made, lost, made again; opening and closing. */
#include "store/etcd/etcd_int.h"

#include <openssl/ssl.h>
#include <stdio.h>

#include "http/server.h"

enum {
	PATIENCE_MS = 34 * 1000, /* upstream's request timeout */
	EVENT_TTL_S = 3600,
	KEEPALIVE_MS = 5 * 1000,
	RETRY_MIN_MS = 50,
	RETRY_MAX_MS = 2 * 1000,
	TICK_MS = 500,
	CLOSE_MS = 5 * 1000,
	STATUS_TIMEOUT_MS = 5 * 1000,
	DRAIN_MS = 10, /* closed sockets say goodbye */
};

static void connect_next(struct etcd *e);

/* --- calls --- */

struct etcd_call {
	struct etcd *e;
	struct etcd_call *prev, *next;
	etcd_done_fn *done;
	void *user_data;
};

static void unlink_call(struct etcd_call *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->e->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

static void on_message(void *user_data, struct str message)
{
	struct etcd_call *c = user_data;
	etcd_done_fn *done = c->done;

	c->done = NULL;
	if (done)
		done(c->user_data, GRPC_OK, S(""), message);
}

static void on_end(void *user_data, int status, struct str text)
{
	struct etcd_call *c = user_data;

	unlink_call(c);
	if (c->done)
		c->done(c->user_data, status ? status : GRPC_INTERNAL,
			status ? text : S("no answer"), S(""));
	free(c);
}

void etcd_call(struct etcd *e, const char *method, const struct buf *message, int timeout_ms,
	etcd_done_fn *done, void *user_data)
{
	struct etcd_call *c = xcalloc(1, sizeof(*c));
	const struct grpc_request r = {
		.method = method,
		.message = buf_str(message),
		.timeout_ms = timeout_ms,
		.on_message = on_message,
		.on_end = on_end,
		.user_data = c,
	};

	assert(e->grpc);
	c->e = e;
	c->done = done;
	c->user_data = user_data;
	c->next = e->calls;
	if (c->next)
		c->next->prev = c;
	e->calls = c;
	grpc_call_new(e->grpc, &r);
}

/* --- the connection --- */

static void schedule_retry(struct etcd *e)
{
	int64_t delay_ms = 0;

	if (++e->n_failed >= e->n_endpoints) {
		size_t rounds = MIN(e->n_failed / e->n_endpoints, 10u);

		delay_ms = MIN((int64_t)RETRY_MIN_MS << (rounds - 1), RETRY_MAX_MS);
		delay_ms += (int64_t)(loop_random(e->loop) % RETRY_MIN_MS);
	}
	loop_timer_start(&e->retry, delay_ms);
}

void etcd_lost(struct etcd *e, const char *why)
{
	struct etcd_call *c;

	if (e->state == ETCD_DOWN)
		return;
	if (!e->told)
		log_warn("store: etcd at %s: %s; trying again until it answers",
			e->endpoints[e->at].address, why);
	e->told = true;
	e->state = ETCD_DOWN;
	atomic_store(&e->healthy, false);
	grpc_client_free(e->grpc);
	e->grpc = NULL;
	e->watch = NULL;
	etcd_load_drop(e);
	e->lease_asked = e->range_out = e->sync_out = false;
	while ((c = e->calls)) {
		unlink_call(c);
		if (c->done)
			c->done(c->user_data, GRPC_UNAVAILABLE, str_c(why), S(""));
		free(c);
	}
	e->at = (e->at + 1) % e->n_endpoints;
	if (!e->broken)
		schedule_retry(e);
}

void etcd_went_back(struct etcd *e, uint64_t revision)
{
	log_error("store: etcd at %s is at revision %llu, and was at %llu before: was a backup "
		  "restored? The API server has to be started again",
		e->endpoints[e->at].address, (unsigned long long)revision,
		(unsigned long long)etcd_revision(e));
	e->broken = e->told = true;
	etcd_lost(e, "its data went back");
}

/* Before 3.4.25 and 3.5.8 etcd answered a request for progress with a revision whose events it had
 * not sent yet (etcd-io/etcd issue 15220). */
static bool progress_is_safe(struct str version)
{
	int major = 0, minor = 0, patch = 0;
	char text[32];

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(version));
	if (sscanf(text, "%d.%d.%d", &major, &minor, &patch) != 3)
		return false;
	if (major != 3)
		return major > 3;
	return minor > 5 || (minor == 5 && patch >= 8) || (minor == 4 && patch >= 25);
}

/* Before anything is asked of an etcd that was away: is it the same? */
static void on_revision(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct etcd_range_answer r;
	char why[200];

	if (status != GRPC_OK || etcd_get_range(message, &a, &r) < 0) {
		snprintf(why, sizeof(why), STR_FMT, STR_ARG(status ? text : S("malformed answer")));
		etcd_lost(e, why);
	} else if ((uint64_t)r.header.revision < etcd_revision(e)) {
		etcd_went_back(e, (uint64_t)r.header.revision);
	} else {
		etcd_watch_start(e);
	}
}

static void on_status(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct str version = S("");

	if (status == GRPC_UNAVAILABLE || status == GRPC_DEADLINE_EXCEEDED ||
		status == GRPC_INTERNAL || status == GRPC_UNIMPLEMENTED) {
		char why[200];

		snprintf(why, sizeof(why), STR_FMT, STR_ARG(text));
		etcd_lost(e, why);
		return;
	}
	if (status == GRPC_OK)
		etcd_get_version(message, &version);
	e->progress_safe = progress_is_safe(version);
	e->state = ETCD_LOADING;
	if (!e->loaded)
		log_info("store: etcd at %s, version " STR_FMT, e->endpoints[e->at].address,
			STR_ARG(version.n ? version : S("unknown")));
	if (e->loaded)
		etcd_ask_revision(e, on_revision);
	else
		etcd_load_start(e);
}

static void connect_next(struct etcd *e)
{
	struct etcd_endpoint *ep = &e->endpoints[e->at];
	struct buf empty = {0};
	const struct grpc_client_opts opts = {
		.address = str_c(ep->address),
		.ssl_ctx = ep->tls ? e->ssl_ctx : NULL,
		.keepalive_ms = KEEPALIVE_MS,
	};

	e->state = ETCD_CONNECTING;
	e->grpc = grpc_client_open(e->loop, &opts);
	etcd_call(e, "/etcdserverpb.Maintenance/Status", &empty, STATUS_TIMEOUT_MS, on_status, e);
}

static void on_retry(struct loop_timer *t)
{
	connect_next(container_of(t, struct etcd, retry));
}

void etcd_is_up(struct etcd *e)
{
	e->state = ETCD_UP;
	e->n_failed = 0;
	if (e->told && e->loaded)
		log_info("store: etcd at %s answers", e->endpoints[e->at].address);
	e->told = false;
	atomic_store(&e->healthy, true);
	if (!e->loaded) {
		e->loaded = true;
		pthread_mutex_lock(&e->open_lock);
		e->opened = true;
		pthread_cond_signal(&e->open_cond);
		pthread_mutex_unlock(&e->open_lock);
	}
	etcd_writes_send(e);
	etcd_barriers_take(e);
}

bool etcd_healthy(struct etcd *e)
{
	return atomic_load(&e->healthy);
}

/* --- work from other threads --- */

void etcd_wake(struct etcd *e)
{
	if (e->wake_posted)
		return;
	e->wake_posted = true;
	loop_post(e->loop, &e->wake_task);
}

static void check_closed(struct etcd *e)
{
	if (e->closing &&
		((e->n_writes == 0 && !e->leaving) || loop_now_ms(e->loop) >= e->close_by_ms))
		loop_stop(e->loop);
}

static void on_wake(struct loop_task *t)
{
	struct etcd *e = container_of(t, struct etcd, wake_task);

	pthread_mutex_lock(&e->store->queue_lock);
	e->wake_posted = false;
	pthread_mutex_unlock(&e->store->queue_lock);
	etcd_writes_take(e);
	etcd_barriers_take(e);
}

void etcd_published(struct etcd *e)
{
	etcd_writes_finish(e);
	etcd_barriers_arrive(e);
	check_closed(e);
}

static void on_tick(struct loop_timer *t)
{
	struct etcd *e = container_of(t, struct etcd, tick);

	etcd_writes_expire(e);
	etcd_barriers_expire(e);
	check_closed(e);
	loop_timer_start(t, TICK_MS);
}

static void on_stop(struct loop_task *t)
{
	struct etcd *e = container_of(t, struct etcd, stop_task);

	e->closing = true;
	e->close_by_ms = loop_now_ms(e->loop) + CLOSE_MS;
	etcd_writes_take(e);
	etcd_presence_leave(e);
	check_closed(e);
}

/* --- opening --- */

/* "https://host:2379", "http://…", "unix:///path" */
static int parse_endpoint(struct str url, struct etcd_endpoint *ep, struct err *err)
{
	struct str rest;

	if (str_starts(url, S("unix:"))) {
		rest = str_sub(url, 5, url.n);
		if (str_starts(rest, S("//")))
			rest = str_sub(rest, 2, rest.n);
		ep->address = xasprintf("unix:" STR_FMT, STR_ARG(rest));
		return 0;
	}
	ep->tls = str_starts(url, S("https://"));
	if (!ep->tls && !str_starts(url, S("http://")))
		return err_bad_request(err,
			"--etcd-servers: \"" STR_FMT "\" is not of the form http://HOST:PORT or "
			"https://HOST:PORT",
			STR_ARG(url));
	rest = str_sub(url, ep->tls ? 8 : 7, url.n);
	if (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	if (!rest.n || str_chr(rest, '/') >= 0)
		return err_bad_request(err,
			"--etcd-servers: \"" STR_FMT "\" names no host and port", STR_ARG(url));
	ep->address = str_rchr(rest, ':') > str_rchr(rest, ']')
			      ? xasprintf(STR_FMT, STR_ARG(rest))
			      : xasprintf(STR_FMT ":2379", STR_ARG(rest));
	return 0;
}

static int parse_endpoints(struct etcd *e, const struct etcd_opts *o, struct err *err)
{
	bool tls = false;
	int r = 0;

	if (o->servers.n == 0)
		return err_bad_request(err, "--etcd-servers must be specified");
	e->endpoints = xcalloc(o->servers.n, sizeof(*e->endpoints));
	for (size_t i = 0; r == 0 && i < o->servers.n; i++) {
		r = parse_endpoint(str_trim(o->servers.v[i]), &e->endpoints[i], err);
		if (r == 0)
			e->n_endpoints++;
		tls = tls || e->endpoints[i].tls;
	}
	if (r == 0 && tls) {
		const struct tls_client_opts opts = {
			.ca_pem = o->ca_pem, .cert_pem = o->cert_pem, .key_pem = o->key_pem};

		r = tls_client_ctx(&opts, &e->ssl_ctx, err);
	}
	return r;
}

static void etcd_free(struct etcd *e)
{
	for (size_t i = 0; i < e->n_endpoints; i++)
		free(e->endpoints[i].address);
	free(e->endpoints);
	free(e->prefix);
	if (e->ssl_ctx)
		SSL_CTX_free(e->ssl_ctx);
	map_release(&e->by_key);
	map_release(&e->undecodable);
	map_release(&e->servers);
	free(e->announced);
	changes_release(&e->changes);
	pthread_mutex_destroy(&e->open_lock);
	pthread_cond_destroy(&e->open_cond);
	if (!e->keep_loop)
		loop_thread_release(&e->thread);
	free(e);
}

static struct str trimmed_prefix(struct str prefix)
{
	while (prefix.n > 1 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	return prefix.n ? prefix : S("/registry");
}

static struct etcd *etcd_new(struct store *s, const struct etcd_opts *o)
{
	struct etcd *e = xcalloc(1, sizeof(*e));
	struct str prefix = trimmed_prefix(o->prefix);

	e->store = s;
	e->prefix = xasprintf("%s" STR_FMT, prefix.p[0] == '/' ? "" : "/", STR_ARG(prefix));
	e->reader = o->reader;
	e->patience_ms = o->patience_ms ? o->patience_ms : PATIENCE_MS;
	e->lease_ttl_s = o->event_ttl_s ? o->event_ttl_s : EVENT_TTL_S;
	e->compact_interval_ms = o->compaction_interval_ms;
	e->wake_task.fn = on_wake;
	e->stop_task.fn = on_stop;
	e->last_write = &e->writes;
	pthread_mutex_init(&e->open_lock, NULL);
	pthread_cond_init(&e->open_cond, NULL);
	return e;
}

static void start_timers(struct etcd *e)
{
	e->loop = e->thread.loop;
	loop_timer_init(&e->retry, e->loop, on_retry);
	loop_timer_init(&e->tick, e->loop, on_tick);
	loop_timer_start(&e->retry, 0);
	loop_timer_start(&e->tick, TICK_MS);
	etcd_write_init(e);
	etcd_barrier_init(e);
	etcd_compact_init(e);
	etcd_presence_init(e);
}

int etcd_open(struct store *s, const struct etcd_opts *opts, struct etcd **ret, struct err *err)
{
	struct etcd *e = etcd_new(s, opts);
	int r = parse_endpoints(e, opts, err);

	if (r == 0)
		r = loop_thread_init(&e->thread, err);
	if (r == 0) {
		start_timers(e);
		r = loop_thread_start(&e->thread, "etcd", err);
	}
	if (r < 0) {
		etcd_free(e);
		return r;
	}
	pthread_mutex_lock(&e->open_lock);
	while (!e->opened)
		pthread_cond_wait(&e->open_cond, &e->open_lock);
	pthread_mutex_unlock(&e->open_lock);
	*ret = e;
	return 0;
}

/* --- closing: the thread stands still --- */

static void drained(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static void disconnect(struct etcd *e)
{
	struct loop_timer end;
	struct etcd_call *c;

	if (e->state == ETCD_CONNECTING) /* what is being dialled cannot be called back */
		e->keep_loop = true;
	loop_timer_stop(&e->retry);
	loop_timer_stop(&e->tick);
	loop_timer_stop(&e->poke);
	loop_timer_stop(&e->write_retry);
	loop_timer_stop(&e->compact_timer);
	loop_timer_stop(&e->presence_timer);
	grpc_client_free(e->grpc);
	e->grpc = NULL;
	etcd_load_drop(e);
	while ((c = e->calls)) {
		unlink_call(c);
		free(c);
	}
	e->state = ETCD_DOWN;
	if (e->keep_loop)
		return;
	loop_timer_init(&end, e->loop, drained);
	loop_timer_start(&end, DRAIN_MS);
	loop_run(e->loop);
}

void etcd_crash(struct etcd *e)
{
	loop_thread_stop(&e->thread);
	disconnect(e);
	etcd_writes_fail(e);
	etcd_barriers_fail(e);
	atomic_store(&e->healthy, false);
}

void etcd_close(struct etcd *e, enum etcd_close_how how)
{
	if (how == ETCD_FINISH && e->thread.id) {
		loop_post(e->loop, &e->stop_task);
		pthread_join(e->thread.id, NULL);
		e->thread.id = 0;
	} else {
		loop_thread_stop(&e->thread);
	}
	disconnect(e);
	if (how == ETCD_FINISH)
		etcd_writes_fail(e);
	else
		etcd_writes_drop(e);
	etcd_barriers_fail(e);
	etcd_free(e);
}
