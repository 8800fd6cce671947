/*
 * load.c: everything that etcd has, page by page at one revision. The first time it becomes what
 * readers see; later, when the events in between are compacted away, the difference to what they
 * see is published as events.
 */
#include <stdio.h>

#include "store/etcd/etcd_int.h"
#include "store/etcd/keys.h"

enum {
	PAGE_KEYS = 500,
	PAGE_KEYS_MIN = 1,
	REQUEST_MAX = 8192,
};

struct etcd_load {
	struct tree *fresh; /* by the resource's index */
	uint64_t revision;  /* 0: the first page tells */
	int64_t page;
	struct buf next; /* the key where the next page begins */
	size_t n_objects, n_foreign;
};

static void ask(struct etcd *e);

static void load_free(struct etcd_load *l)
{
	for (size_t i = 0; i < schema_n_resources; i++)
		tree_release(&l->fresh[i]);
	free(l->fresh);
	buf_release(&l->next);
	free(l);
}

void etcd_load_drop(struct etcd *e)
{
	if (e->load)
		load_free(e->load);
	e->load = NULL;
}

struct object *etcd_object(struct etcd *e, const struct schema_resource *res, struct str ns,
	struct str name, const struct etcd_kv *kv)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o;

	if (etcd_value_parse(res, ns, name, kv->value, e->reader, (uint64_t)kv->mod_revision, &o,
		    &err) == 0) {
		o->created = (uint64_t)kv->create_revision;
		return o;
	}
	if (!map_set(&e->undecodable, str_c(res->plural), e))
		log_error("store: etcd: " STR_FMT
			  " cannot be read and is left out: %s; more %s may "
			  "follow without a line",
			STR_ARG(kv->key), err_text(&err), res->plural);
	return NULL;
}

/* What readers see already need not be read again. */
static struct object *known(struct etcd *e, const struct schema_resource *res, struct str ns,
	struct str name, const struct etcd_kv *kv)
{
	struct store_resource *rs = store_resource(e->store, res);
	struct tree t = published_tree(rs);
	const struct object *o = tree_get(&t, ns, name);
	struct object *ret = NULL;

	if (o && o->revision == (uint64_t)kv->mod_revision)
		ret = object_ref(o);
	tree_release(&t);
	return ret;
}

static void add(struct etcd *e, const struct etcd_kv *kv)
{
	struct etcd_load *l = e->load;
	struct str ns, name;
	const struct schema_resource *res = etcd_key_parse(str_c(e->prefix), kv->key, &ns, &name);
	struct object *o;

	if (!res) {
		etcd_presence_saw(e, kv->key, true);
		l->n_foreign++; /* stays where it is */
		return;
	}
	o = e->loaded ? known(e, res, ns, name, kv) : NULL;
	if (!o)
		o = etcd_object(e, res, ns, name, kv);
	if (!o)
		return;
	tree_put(&l->fresh[res->index], o);
	object_unref(o);
	l->n_objects++;
}

/* --- the first time --- */

static void adopt(struct etcd *e)
{
	struct store *s = e->store;
	struct etcd_load *l = e->load;

	for (size_t i = 0; i < schema_n_resources; i++) {
		struct store_resource *rs = &s->resources[i];

		pthread_mutex_lock(&rs->lock);
		snapshot_unref(rs->current);
		rs->current = snapshot_of(rs->resource, &l->fresh[i], l->revision);
		rs->history.floor = l->revision;
		pthread_mutex_unlock(&rs->lock);
	}
	atomic_store_explicit(&s->revision, l->revision, memory_order_release);
	log_info("store: etcd: %zu objects at revision %llu, %zu other keys", l->n_objects,
		(unsigned long long)l->revision, l->n_foreign);
}

/* --- later: the difference --- */

struct difference {
	struct store_resource *rs;
	enum store_event_type type;
	struct object *object; /* a reference */
};

struct differences {
	struct difference *v;
	size_t n;
};

static void differ(struct arena *a, struct differences *d, struct store_resource *rs,
	enum store_event_type type, struct object *o)
{
	struct difference one = {rs, type, o};

	ARENA_PUSH(a, d, one);
}

static void compare_resource(struct etcd *e, struct store_resource *rs, struct tree *now,
	struct arena *a, struct differences *d)
{
	struct tree before = published_tree(rs);
	const struct object *o, *other;
	struct tree_iter it;

	tree_seek(&it, &before, S(""), S(""), false);
	while ((o = tree_next(&it))) {
		other = tree_get(now, o->ns, o->name);
		if (!other || !str_eq(other->uid, o->uid))
			differ(a, d, rs, STORE_DELETED, object_commit(o, e->load->revision));
	}
	tree_seek(&it, now, S(""), S(""), false);
	while ((o = tree_next(&it))) {
		other = tree_get(&before, o->ns, o->name);
		if (other && str_eq(other->uid, o->uid) && other->revision == o->revision)
			continue;
		differ(a, d, rs, other && str_eq(other->uid, o->uid) ? STORE_MODIFIED : STORE_ADDED,
			object_ref(o));
	}
	tree_release(&before);
}

/* By revision. One that was deleted and made again is deleted at the revision of what it became,
 * just before. */
static int by_revision(const void *a, const void *b)
{
	const struct difference *x = a, *y = b;

	if (x->object->revision != y->object->revision)
		return x->object->revision < y->object->revision ? -1 : 1;
	return (y->type == STORE_DELETED) - (x->type == STORE_DELETED);
}

/* The deletion of something that is there again comes before its return. */
static void date_replaced(struct differences *d, struct tree *fresh)
{
	for (size_t i = 0; i < d->n; i++) {
		struct difference *x = &d->v[i];
		const struct object *again;

		if (x->type != STORE_DELETED)
			continue;
		again = tree_get(&fresh[x->rs->resource->index], x->object->ns, x->object->name);
		if (again) {
			struct object *o = object_commit(x->object, again->revision);

			object_unref(x->object);
			x->object = o;
		}
	}
}

static void publish_difference(struct etcd *e)
{
	struct etcd_load *l = e->load;
	struct arena a CLEANUP(arena_release) = {0};
	struct differences d = {0};

	for (size_t i = 0; i < schema_n_resources; i++)
		compare_resource(e, &e->store->resources[i], &l->fresh[i], &a, &d);
	date_replaced(&d, l->fresh);
	if (d.n)
		qsort(d.v, d.n, sizeof(*d.v), by_revision);
	for (size_t i = 0; i < d.n; i++) {
		struct difference *x = &d.v[i];
		const struct object *prev;

		changes_touch(&e->changes, x->rs);
		prev = tree_get(&x->rs->work, x->object->ns, x->object->name);
		changes_add(&e->changes, x->rs, x->type, x->object, prev);
	}
	changes_publish(e->store, &e->changes, l->revision);
	changes_clear(&e->changes);
	log_info("store: etcd: its history was compacted: loaded anew at revision %llu, %zu "
		 "differences",
		(unsigned long long)l->revision, d.n);
}

/* --- the pages --- */

static void finish(struct etcd *e)
{
	if (e->loaded)
		publish_difference(e);
	else
		adopt(e);
	etcd_load_drop(e);
	etcd_published(e);
	etcd_watch_start(e);
}

static void begin_again(struct etcd *e)
{
	etcd_load_drop(e);
	etcd_load_start(e);
}

static void page_failed(struct etcd *e, int status, struct str text)
{
	struct etcd_load *l = e->load;
	char why[200];

	if (status == GRPC_RESOURCE_EXHAUSTED && l->page > PAGE_KEYS_MIN) {
		l->page = MAX(l->page / 4, PAGE_KEYS_MIN); /* large values */
		ask(e);
	} else if (status == GRPC_OUT_OF_RANGE) {
		begin_again(e); /* compacted while we read */
	} else {
		snprintf(why, sizeof(why), "cannot load: " STR_FMT "%s", STR_ARG(text),
			status == GRPC_PERMISSION_DENIED || status == GRPC_UNAUTHENTICATED ||
					status == GRPC_INVALID_ARGUMENT
				? " (see --etcd-certfile and etcd's roles)"
				: "");
		etcd_lost(e, why);
	}
}

static void on_page(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct etcd_load *l = e->load;
	struct arena a CLEANUP(arena_release) = {0};
	struct etcd_range_answer page;
	const struct etcd_kv *last;

	if (!l)
		return;
	if (status == GRPC_OK && etcd_get_range(message, &a, &page) < 0) {
		status = GRPC_INTERNAL;
		text = S("malformed answer");
	}
	if (status != GRPC_OK) {
		page_failed(e, status, text);
		return;
	}
	if (!l->revision)
		l->revision = (uint64_t)page.header.revision;
	for (size_t i = 0; i < page.kvs.n; i++)
		add(e, &page.kvs.v[i]);
	if (!page.more || page.kvs.n == 0) {
		finish(e);
		return;
	}
	last = &page.kvs.v[page.kvs.n - 1];
	buf_reset(&l->next);
	buf_add_str(&l->next, last->key);
	buf_add_char(&l->next, '\0');
	ask(e);
}

static void ask(struct etcd *e)
{
	struct etcd_load *l = e->load;
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};
	const struct etcd_range range = {
		.key = buf_str(&l->next),
		.end = arena_fmt(&a, "%s0", e->prefix), /* '0' follows '/' */
		.limit = l->page,
		.revision = (int64_t)l->revision,
	};

	buf_init(&b, REQUEST_MAX);
	etcd_put_range(&b, &range);
	etcd_call(e, "/etcdserverpb.KV/Range", &b, ETCD_CALL_TIMEOUT_MS, on_page, e);
}

void etcd_load_start(struct etcd *e)
{
	struct etcd_load *l = xcalloc(1, sizeof(*l));

	l->fresh = xcalloc(schema_n_resources, sizeof(*l->fresh));
	l->page = PAGE_KEYS;
	buf_init(&l->next, REQUEST_MAX);
	buf_fmt(&l->next, "%s/", e->prefix);
	e->load = l;
	e->state = ETCD_LOADING;
	etcd_presence_forget(e);
	ask(e);
}
