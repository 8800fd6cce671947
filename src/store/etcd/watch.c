/* watch.c: etcd's events, in the order of their revisions, become snapshots and histories. */
#include <stdio.h>

#include "store/etcd/etcd_int.h"
#include "store/etcd/keys.h"

enum { REQUEST_MAX = 1024 };

/* What is being written with just these bytes is at hand already, and need not be decoded. */
static struct object *object_of(struct etcd *e, struct etcd_write *mine,
	const struct schema_resource *res, struct str ns, struct str name, const struct etcd_kv *kv)
{
	struct object *o;

	if (!mine || mine->w->op == STORE_DELETE || !str_eq(buf_str(&mine->value), kv->value))
		return etcd_object(e, res, ns, name, kv);
	o = object_commit(mine->w->draft, (uint64_t)kv->mod_revision);
	o->created = (uint64_t)kv->create_revision;
	return o;
}

/* A deletion carries the last state; its writer may know a later one than readers do. */
static struct object *last_state(
	struct etcd_write *mine, const struct object *prev, uint64_t revision)
{
	bool has_draft = mine && mine->w->op == STORE_DELETE && mine->w->draft;
	struct object *o = object_commit(has_draft ? mine->w->draft : prev, revision);

	o->created = prev->created;
	return o;
}

static void apply(struct etcd *e, const struct etcd_event *ev)
{
	const struct etcd_kv *kv = &ev->kv;
	struct str ns, name;
	const struct schema_resource *res = etcd_key_parse(str_c(e->prefix), kv->key, &ns, &name);
	struct etcd_write *mine = etcd_write_on(e, kv->key);
	struct store_resource *rs;
	const struct object *prev;
	struct object *o;

	if (!res) {
		etcd_presence_saw(e, kv->key, !ev->deleted);
		return;
	}
	rs = store_resource(e->store, res);
	changes_touch(&e->changes, rs);
	prev = tree_get(&rs->work, ns, name);
	if (prev && prev->revision >= (uint64_t)kv->mod_revision)
		return;
	if (ev->deleted && !prev)
		return;
	o = ev->deleted ? last_state(mine, prev, (uint64_t)kv->mod_revision)
			: object_of(e, mine, res, ns, name, kv);
	if (!o)
		return;
	if (mine && (mine->w->op == STORE_DELETE) == ev->deleted) {
		object_unref((struct object *)mine->published);
		mine->published = object_ref(o);
	}
	changes_add(&e->changes, rs,
		ev->deleted ? STORE_DELETED
		: prev      ? STORE_MODIFIED
			    : STORE_ADDED,
		o, prev);
}

static void on_events(struct etcd *e, const struct etcd_watch_answer *w)
{
	uint64_t revision = 0;

	for (size_t i = 0; i < w->events.n; i++) {
		apply(e, &w->events.v[i]);
		revision = (uint64_t)w->events.v[i].kv.mod_revision;
	}
	/* Answers that are one fragment of several end in the middle of a revision. */
	if (w->fragment && revision)
		revision--;
	changes_publish(e->store, &e->changes, revision);
	changes_clear(&e->changes);
}

static void on_canceled(struct etcd *e, const struct etcd_watch_answer *w)
{
	char why[200];

	if (w->compact_revision) {
		grpc_call_cancel(e->watch);
		e->watch = NULL;
		atomic_store(&e->healthy, false);
		etcd_load_start(e);
		return;
	}
	snprintf(why, sizeof(why), "watch: " STR_FMT,
		STR_ARG(w->cancel_reason.n ? w->cancel_reason : S("canceled")));
	etcd_lost(e, why);
}

static void on_watch(void *user_data, struct str message)
{
	struct etcd *e = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct etcd_watch_answer w;

	if (etcd_get_watch(message, &a, &w) < 0) {
		etcd_lost(e, "watch: malformed answer");
		return;
	}
	if (w.canceled) {
		on_canceled(e, &w);
	} else if (w.created) {
		etcd_is_up(e);
	} else if (w.events.n) {
		on_events(e, &w);
		etcd_published(e);
	} else { /* a sign of progress: everything up to there was sent */
		changes_publish(e->store, &e->changes, (uint64_t)w.header.revision);
		etcd_published(e);
	}
}

static void on_watch_end(void *user_data, int status, struct str text)
{
	char why[200];

	snprintf(why, sizeof(why), STR_FMT, STR_ARG(text.n ? text : S("the watch ended")));
	etcd_lost(user_data, why);
}

void etcd_watch_start(struct etcd *e)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};
	struct grpc_request r = {
		.method = "/etcdserverpb.Watch/Watch",
		.timeout_ms = -1,
		.keep_open = true,
		/* a member that lost its leader ends the watch instead of falling silent */
		.metadata_name = "hasleader",
		.metadata_value = "true",
		.on_message = on_watch,
		.on_end = on_watch_end,
		.user_data = e,
	};

	buf_init(&b, REQUEST_MAX);
	etcd_put_watch_create(&b, arena_fmt(&a, "%s/", e->prefix), arena_fmt(&a, "%s0", e->prefix),
		(int64_t)etcd_revision(e) + 1);
	r.message = buf_str(&b);
	e->watch = grpc_call_new(e->grpc, &r);
}
