/*
 * write.c: a write is a transaction that compares the key's revision, and is done when readers of
 * this process can see it. Writes on different keys run side by side, those on one key in order.
 *
 * When the connection breaks, or etcd says that it could not in time, nobody knows whether the
 * write happened: it is sent again, and what is found then (our own bytes, or nothing where we
 * deleted) tells.
 */
#include <stdio.h>

#include "store/etcd/etcd_int.h"
#include "store/etcd/keys.h"
#include "types.gen.h"

enum {
	KEY_MAX = 4096,
	VALUE_MAX = OBJECT_JSON_MAX + 4096,
	ALONG_MAX = 64 * 1024,
	RETRY_MS = 100,
	REMADE_MAX = 256,        /* what stands beside a write, because others were faster */
	LEASE_EXTRA_S_MAX = 60,  /* how long one lease is given to new events … */
	LEASE_EXTRA_PERCENT = 5, /* … but no longer than that of its life */
	LEASE_OBJECTS_MAX = 1000,
};

/* --- the list --- */

static void list_add(struct etcd *e, struct etcd_write *x)
{
	x->next = NULL;
	x->prev = e->last_write == &e->writes
			  ? NULL
			  : container_of(e->last_write, struct etcd_write, next);
	*e->last_write = x;
	e->last_write = &x->next;
}

static void list_remove(struct etcd *e, struct etcd_write *x)
{
	if (x->next)
		x->next->prev = x->prev;
	else
		e->last_write = x->prev ? &x->prev->next : &e->writes;
	if (x->prev)
		x->prev->next = x->next;
	else
		e->writes = x->next;
}

struct etcd_write *etcd_write_on(struct etcd *e, struct str key)
{
	return map_get(&e->by_key, key);
}

static void write_free(struct etcd_write *x)
{
	buf_release(&x->key);
	buf_release(&x->value);
	buf_release(&x->beside_value);
	object_unref((struct object *)x->published);
	free(x);
}

/* Out of the books; what waits behind it on the key takes its place. */
static void retire(struct etcd_write *x)
{
	struct etcd *e = x->e;

	list_remove(e, x);
	if (e->beside == x)
		e->beside = NULL;
	if (x->behind) {
		map_set(&e->by_key, buf_str(&x->key), x->behind);
		list_add(e, x->behind);
	} else {
		map_remove(&e->by_key, buf_str(&x->key));
	}
	e->n_writes--;
}

static void post_done(struct etcd_write *x, int result, const struct object *o)
{
	struct store_write *w = x->w;

	w->result = result;
	w->object = o ? object_ref(o) : NULL;
	w->draft = object_unref(w->draft);
	loop_post(w->loop, &w->task);
}

static void done(struct etcd_write *x, int result, const struct object *o)
{
	struct etcd *e = x->e;

	retire(x);
	post_done(x, result, o);
	write_free(x);
	etcd_writes_take(e);
	etcd_writes_send(e);
}

/* --- results --- */

static const struct object *current(struct etcd_write *x)
{
	return store_get(x->e->store, x->w->resource, x->w->ns, x->w->name);
}

/* A success, visible to readers. */
static void succeed(struct etcd_write *x)
{
	const struct object *o = NULL;

	if (x->published && x->published->revision == x->wait_revision)
		o = object_ref(x->published);
	else if (x->w->op != STORE_DELETE)
		o = object_commit(x->w->draft, x->wait_revision);
	else if (x->published)
		o = object_ref(x->published);
	done(x, o ? 0 : -ENOENT, o);
	object_unref((struct object *)o);
}

static void refuse(struct etcd_write *x)
{
	const struct object *o = x->w->result == -ENOENT ? NULL : current(x);

	done(x, x->w->result, o);
	object_unref((struct object *)o);
}

void etcd_writes_finish(struct etcd *e)
{
	uint64_t revision = etcd_revision(e);
	struct etcd_write *x = e->writes;

	bool again = false;

	while (x) {
		if (!x->answered || x->wait_revision > revision) {
			again = again || (x->resend_revision && x->resend_revision <= revision);
			x = x->next;
			continue;
		}
		if (x->w->result == 0)
			succeed(x);
		else
			refuse(x);
		x = e->writes; /* the list has changed */
	}
	if (again)
		etcd_writes_send(e);
}

/* `revision`: where readers must be before the writer hears of it. */
static void answered(struct etcd_write *x, int result, uint64_t revision)
{
	x->answered = true;
	x->w->result = result;
	x->wait_revision = revision;
	if (revision <= etcd_revision(x->e))
		etcd_writes_finish(x->e);
	else if (result == -ENOENT || result == -EADDRINUSE)
		etcd_want(x->e, revision); /* else it is our key's, and its event will come */
}

/* Whether the key itself is as the write wants it: then another of its comparisons did not hold. */
static bool key_as_expected(const struct store_write *w, const struct etcd_kv *kv)
{
	if (w->op == STORE_CREATE || !kv)
		return w->op == STORE_CREATE && !kv;
	return !w->expect_revision || w->expect_revision == (uint64_t)kv->mod_revision;
}

/* Whether somebody else has changed the object beside the write since it was made. */
static bool beside_moved(const struct etcd_write *x, const struct etcd_txn_answer *t)
{
	const struct etcd_kv *kv =
		t->n_ranges > 1 && t->ranges[1].kvs.n ? t->ranges[1].kvs.v : NULL;

	return x->w->beside && x->beside_revision != (uint64_t)(kv ? kv->mod_revision : 0);
}

/* Sent anew, with the object beside it made from what is there, once readers see that. */
static void make_again(struct etcd_write *x, uint64_t revision)
{
	x->has_beside = x->sent = false;
	if (++x->remade > REMADE_MAX) {
		snprintf(x->w->why, sizeof(x->w->why),
			"%s " STR_FMT " changes too often, or cannot be read",
			x->w->beside->resource->plural, STR_ARG(x->w->beside->name));
		done(x, -EIO, NULL);
		return;
	}
	x->resend_revision = revision;
	if (revision <= etcd_revision(x->e))
		etcd_writes_finish(x->e);
	else
		etcd_want(x->e, revision);
}

/* The comparison did not hold, and this is what is there. */
static void not_as_expected(struct etcd_write *x, const struct etcd_txn_answer *t)
{
	enum store_op op = x->w->op;
	const struct etcd_kv *kv = t->n_ranges && t->ranges[0].kvs.n ? t->ranges[0].kvs.v : NULL;
	uint64_t at = (uint64_t)(kv ? kv->mod_revision : t->header.revision);

	if (beside_moved(x, t) && key_as_expected(x->w, kv)) {
		make_again(x, (uint64_t)t->header.revision);
		return;
	}
	if (x->uncertain && (kv ? op != STORE_DELETE && str_eq(kv->value, buf_str(&x->value))
				: op == STORE_DELETE))
		answered(x, 0, at); /* it had happened */
	else if (key_as_expected(x->w, kv))
		answered(x, -EADDRINUSE, (uint64_t)t->header.revision);
	else if (!kv)
		answered(x, -ENOENT, at);
	else
		answered(x, op == STORE_CREATE ? -EEXIST : -EBUSY, at);
}

static void on_retry(struct loop_timer *t)
{
	etcd_writes_send(container_of(t, struct etcd, write_retry));
}

void etcd_write_init(struct etcd *e)
{
	loop_timer_init(&e->write_retry, e->loop, on_retry);
}

/* Without a connection, the next one sends them. */
static void retry_soon(struct etcd *e)
{
	if (e->state == ETCD_UP && !loop_timer_armed(&e->write_retry))
		loop_timer_start(&e->write_retry, RETRY_MS);
}

static bool may_pass(int status)
{
	return status == GRPC_UNAVAILABLE || status == GRPC_DEADLINE_EXCEEDED ||
	       status == GRPC_CANCELLED;
}

static void send_again(struct etcd_write *x)
{
	struct etcd *e = x->e;

	x->sent = false;
	if (loop_now_ms(e->loop) >= x->deadline_ms) {
		done(x, -ETIMEDOUT, NULL);
		return;
	}
	retry_soon(e);
}

static bool is_no_space(struct str text)
{
	return str_find(text, S("database space exceeded")) >= 0;
}

static void failed(struct etcd_write *x, int status, struct str text)
{
	if (may_pass(status)) { /* no connection, no leader, or it took etcd too long */
		x->uncertain = true;
		send_again(x);
	} else if (status == GRPC_NOT_FOUND) { /* the lease: it ended, or etcd lost it */
		x->e->lease_id = x->lease = 0;
		send_again(x);
	} else {
		snprintf(x->w->why, sizeof(x->w->why), STR_FMT, STR_ARG(text));
		done(x, is_no_space(text) ? -ENOSPC : -EIO, NULL);
	}
}

static void on_answer(void *user_data, int status, struct str text, struct str message)
{
	struct etcd_write *x = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct etcd_txn_answer t;

	if (status == GRPC_OK && etcd_get_txn(message, &a, &t) < 0) {
		status = GRPC_INTERNAL;
		text = S("malformed answer");
	}
	if (status != GRPC_OK)
		failed(x, status, text);
	else if (t.succeeded)
		answered(x, 0, (uint64_t)t.header.revision);
	else
		not_as_expected(x, &t);
}

/* --- leases of events --- */

static bool wants_lease(const struct etcd_write *x)
{
	return x->w->op != STORE_DELETE && x->w->resource->storage_resource == &v1_event_resource;
}

static int64_t lease_extra_s(const struct etcd *e)
{
	return MIN(e->lease_ttl_s * LEASE_EXTRA_PERCENT / 100, LEASE_EXTRA_S_MAX);
}

static void on_lease(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	int64_t ttl_s;

	e->lease_asked = false;
	if (status == GRPC_OK && etcd_get_lease(message, &e->lease_id, &ttl_s) == 0) {
		e->lease_until_ms = loop_now_ms(e->loop) + lease_extra_s(e) * 1000;
		e->lease_used = 0;
		etcd_writes_send(e);
		return;
	}
	e->lease_id = 0;
	if (may_pass(status)) {
		retry_soon(e);
		return;
	}
	for (struct etcd_write *x = e->writes; x;) {
		if (!wants_lease(x) || x->sent || x->answered) {
			x = x->next;
			continue;
		}
		failed(x, status ? status : GRPC_INTERNAL, text);
		x = e->writes; /* the list has changed */
	}
}

/* One lease serves many events, for a while; false: there is none yet. */
static bool take_lease(struct etcd *e, struct etcd_write *x)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (e->lease_id && loop_now_ms(e->loop) <= e->lease_until_ms &&
		e->lease_used < LEASE_OBJECTS_MAX) {
		e->lease_used++;
		x->lease = e->lease_id;
		return true;
	}
	if (!e->lease_asked) {
		e->lease_asked = true;
		buf_init(&b, 64);
		etcd_put_lease_grant(&b, e->lease_ttl_s + lease_extra_s(e));
		etcd_call(
			e, "/etcdserverpb.Lease/LeaseGrant", &b, ETCD_CALL_TIMEOUT_MS, on_lease, e);
	}
	return false;
}

/* --- sending --- */

static struct str along_key(struct etcd *e, struct arena *a, const struct store_along *along)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, KEY_MAX);
	etcd_key(str_c(e->prefix), along->resource, along->ns, along->name, &b);
	return arena_str(a, buf_str(&b));
}

static struct str beside_key(struct etcd *e, struct arena *a, const struct store_beside *b)
{
	const struct store_along as = {.resource = b->resource, .ns = b->ns, .name = b->name};

	return along_key(e, a, &as);
}

static void compare_more(const struct etcd_write *x, struct arena *a, struct buf *out)
{
	const struct store_write *w = x->w;

	for (size_t i = 0; i < w->n_along; i++)
		if (w->along[i].draft)
			etcd_txn_compare(
				out, ETCD_MOD, ETCD_EQUAL, along_key(x->e, a, &w->along[i]), 0);
	if (w->beside)
		etcd_txn_compare(out, ETCD_MOD, ETCD_EQUAL, beside_key(x->e, a, w->beside),
			(int64_t)x->beside_revision);
}

static void put_more(const struct etcd_write *x, struct arena *a, struct buf *out)
{
	const struct store_write *w = x->w;

	for (size_t i = 0; i < w->n_along; i++) {
		struct buf value CLEANUP(buf_release) = {0};
		struct str key = along_key(x->e, a, &w->along[i]);

		if (!w->along[i].draft) {
			etcd_txn_delete(out, key);
			continue;
		}
		buf_init(&value, ALONG_MAX);
		etcd_value(w->along[i].draft, &value);
		etcd_txn_put(out, key, buf_str(&value), 0);
	}
	if (w->beside && x->beside_value.n)
		etcd_txn_put(out, beside_key(x->e, a, w->beside), buf_str(&x->beside_value), 0);
}

static void put_txn(const struct etcd_write *x, struct buf *out)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str key = buf_str(&x->key);
	const struct store_write *w = x->w;

	if (w->op == STORE_CREATE)
		etcd_txn_compare(out, ETCD_MOD, ETCD_EQUAL, key, 0);
	else if (w->expect_revision)
		etcd_txn_compare(out, ETCD_MOD, ETCD_EQUAL, key, (int64_t)w->expect_revision);
	else
		etcd_txn_compare(out, ETCD_MOD, ETCD_GREATER, key, 0);
	compare_more(x, &a, out);
	if (w->op == STORE_DELETE)
		etcd_txn_delete(out, key);
	else
		etcd_txn_put(out, key, buf_str(&x->value), x->lease);
	put_more(x, &a, out);
	etcd_txn_else_get(out, key);
	if (w->beside)
		etcd_txn_else_get(out, beside_key(x->e, &a, w->beside));
}

/* --- the object beside a write --- */

/* Makes it from what readers see now. An answer that was not heard is asked for with the same
 * bytes. */
static int make_beside(struct etcd_write *x)
{
	const struct store_beside *b = x->w->beside;
	const struct object *now;
	struct object *draft = NULL;
	int r;

	if (!b || x->has_beside)
		return 0;
	now = store_get(x->e->store, b->resource, b->ns, b->name);
	x->beside_revision = now ? now->revision : 0;
	buf_reset(&x->beside_value);
	r = b->make(b, now, &draft);
	if (r == 0 && draft)
		etcd_value(draft, &x->beside_value);
	x->has_beside = r == 0;
	object_unref(draft);
	object_unref(now);
	return r;
}

/* One at a time: each begins where the one before it ended. */
static bool must_wait(const struct etcd_write *x)
{
	return x->w->beside && x->e->beside && x->e->beside != x;
}

static void send(struct etcd_write *x)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, VALUE_MAX + ALONG_MAX + 4 * KEY_MAX);
	put_txn(x, &b);
	x->sent = true;
	etcd_call(x->e, "/etcdserverpb.KV/Txn", &b, ETCD_CALL_TIMEOUT_MS, on_answer, x);
}

static void refuse_beside(struct etcd_write *x)
{
	answered(x, -EADDRINUSE, etcd_revision(x->e));
}

void etcd_writes_send(struct etcd *e)
{
	if (e->state != ETCD_UP)
		return;
	for (struct etcd_write *x = e->writes; x; x = x->next) {
		if (x->sent || x->answered)
			continue;
		if (x->resend_revision > etcd_revision(e))
			continue;
		x->resend_revision = 0;
		if (must_wait(x) || (wants_lease(x) && !x->lease && !take_lease(e, x)))
			continue;
		if (make_beside(x) < 0) {
			refuse_beside(x);
			return; /* the list has changed, and was gone through again */
		}
		if (x->w->beside)
			e->beside = x;
		send(x);
	}
}

/* --- taking them over --- */

static struct etcd_write *write_new(struct etcd *e, struct store_write *w)
{
	struct etcd_write *x = xcalloc(1, sizeof(*x));

	x->e = e;
	x->w = w;
	x->deadline_ms = loop_now_ms(e->loop) + e->patience_ms;
	buf_init(&x->key, KEY_MAX);
	etcd_key(str_c(e->prefix), w->resource, w->ns, w->name, &x->key);
	buf_init(&x->value, VALUE_MAX);
	if (w->op != STORE_DELETE)
		etcd_value(w->draft, &x->value);
	buf_init(&x->beside_value, ALONG_MAX);
	return x;
}

static void enqueue(struct etcd *e, struct store_write *w)
{
	struct etcd_write *x = write_new(e, w), *first, *last;

	e->n_writes++;
	first = map_get(&e->by_key, buf_str(&x->key));
	if (!first) {
		map_set(&e->by_key, buf_str(&x->key), x);
		list_add(e, x);
		return;
	}
	for (last = first; last->behind; last = last->behind)
		;
	last->behind = x;
}

void etcd_writes_take(struct etcd *e)
{
	struct store_write *list = NULL, *next;

	pthread_mutex_lock(&e->store->queue_lock);
	if (e->n_writes < ETCD_IN_FLIGHT_MAX)
		list = store_take(e->store, ETCD_IN_FLIGHT_MAX - e->n_writes);
	pthread_mutex_unlock(&e->store->queue_lock);
	if (!list)
		return;
	for (; list; list = next) {
		next = list->next;
		enqueue(e, list);
	}
	etcd_writes_send(e);
}

uint64_t etcd_writes_wanted(const struct etcd *e)
{
	uint64_t revision = 0;

	for (const struct etcd_write *x = e->writes; x; x = x->next)
		if (x->answered && (x->w->result == -ENOENT || x->w->result == -EADDRINUSE))
			revision = MAX(revision, x->wait_revision);
		else if (!x->answered)
			revision = MAX(revision, x->resend_revision);
	return revision;
}

/* --- the end --- */

void etcd_writes_expire(struct etcd *e)
{
	int64_t now_ms = e->broken ? INT64_MAX : loop_now_ms(e->loop);
	struct etcd_write *x = e->writes;

	while (x) {
		if (x->sent && !x->answered) {
			x = x->next; /* its call will end */
		} else if (now_ms < x->deadline_ms) {
			x = x->next;
		} else {
			done(x, -ETIMEDOUT, NULL);
			x = e->writes;
		}
	}
}

static void end_all(struct etcd *e, bool tell)
{
	struct etcd_write *x;

	while ((x = e->writes)) {
		retire(x);
		if (tell) {
			post_done(x, -EIO, NULL);
		} else {
			object_unref(x->w->draft);
			x->w->draft = NULL;
		}
		write_free(x);
	}
}

void etcd_writes_fail(struct etcd *e)
{
	struct store_write *list, *next;

	end_all(e, true);
	pthread_mutex_lock(&e->store->queue_lock);
	list = store_take(e->store, SIZE_MAX);
	pthread_mutex_unlock(&e->store->queue_lock);
	for (; list; list = next) {
		next = list->next;
		list->result = -EIO;
		list->draft = object_unref(list->draft);
		loop_post(list->loop, &list->task);
	}
}

void etcd_writes_drop(struct etcd *e)
{
	end_all(e, false);
}
