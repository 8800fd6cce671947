/*
 * status.c: everything that runs, with its full status.
 *
 * CRI's lists lack most of it (exit codes, addresses), its status calls are one per container. The
 * kubelet looks every second, so a status is kept until the list shows another state.
 */
#include "node/cri_grpc/client.h"

/* What an exited container's status says may still change for a while: that it ran out of memory is
 * told after its end. */
enum { SETTLE_NS = 5 * 1000 * 1000 * 1000ll };

struct seen {
	struct arena arena;
	void *reply;      /* sandbox_reply, container_reply */
	int state;        /* as in lists */
	int64_t fixed_ns; /* wall clock from which on it cannot change any more */
	int64_t read_ns;
	uint64_t changes; /* cri_grpc.changes when it was asked for */
	bool listed;
};

enum kind_index { SANDBOXES, CONTAINERS };

struct kind {
	enum kind_index index;
	const char *list_method, *status_method;
	const struct wire_type *list_type, *status_type;
	/* Completes a decoded status, says its state and since when it can no longer change. */
	void (*read)(struct arena *a, void *reply, struct str sandbox_id, struct seen *s);
};

struct listing {
	struct cri_grpc *g;
	const struct kind *kind;
	struct arena arena;
	struct list_reply list;
	bool all;
	size_t waiting;
	struct err err;
	cri_sandboxes_done *sandboxes;
	cri_containers_done *containers;
	void *user_data;
};

static void read_sandbox(struct arena *a, void *reply, struct str sandbox_id, struct seen *s)
{
	struct sandbox_reply *r = reply;

	(void)sandbox_id;
	r->s.ready = r->state == 0;
	if (r->ip.n)
		ARENA_PUSH(a, &r->s.ips, r->ip);
	for (size_t i = 0; i < r->n_more_ips; i++)
		ARENA_PUSH(a, &r->s.ips, r->more_ips[i].text);
	s->state = r->state;
	s->fixed_ns = 0;
}

static void read_container(struct arena *a, void *reply, struct str sandbox_id, struct seen *s)
{
	struct container_reply *r = reply;

	r->s.sandbox_id = arena_str(a, sandbox_id);
	r->s.uid = r->user ? r->user->uid : -1;
	r->s.gid = r->user ? r->user->gid : -1;
	r->s.supplemental_groups = r->user ? r->user->groups : NULL;
	r->s.n_supplemental_groups = r->user ? r->user->n_groups : 0;
	s->state = (int)r->s.state;
	s->fixed_ns = r->s.state == CRI_EXITED ? r->s.finished_ns + SETTLE_NS : 0;
}

static const struct kind kinds[] = {
	[SANDBOXES] = {SANDBOXES, "RuntimeService/ListPodSandbox",
		"RuntimeService/PodSandboxStatus", &list_sandboxes_reply, &sandbox_reply,
		read_sandbox},
	[CONTAINERS] = {CONTAINERS, "RuntimeService/ListContainers",
		"RuntimeService/ContainerStatus", &list_containers_reply, &container_reply,
		read_container},
};

/* --- what is kept --- */

static void seen_drop(struct map *m, struct str id)
{
	struct seen *s = map_remove(m, id);

	if (!s)
		return;
	arena_release(&s->arena);
	free(s);
}

void seen_outdated(struct cri_grpc *g)
{
	g->changes++;
}

/* Drops what a complete list no longer has. */
static void seen_prune(struct map *m, const struct list_reply *list)
{
	struct arena a CLEANUP(arena_release);
	struct str_vec gone = {0};

	arena_init(&a);
	for (struct map_entry *e = map_first(m); e; e = map_next(m, e))
		((struct seen *)e->value)->listed = false;
	for (size_t i = 0; i < list->n; i++) {
		struct seen *s = map_get(m, list->v[i].id);

		if (s)
			s->listed = true;
	}
	for (struct map_entry *e = map_first(m); e; e = map_next(m, e))
		if (!((struct seen *)e->value)->listed)
			ARENA_PUSH(&a, &gone, arena_str(&a, str_n(e->key, e->key_len)));
	for (size_t i = 0; i < gone.n; i++)
		seen_drop(m, gone.v[i]);
}

void seen_free(struct cri_grpc *g)
{
	static const struct list_reply none;

	for (size_t i = 0; i < ARRAY_SIZE(g->seen); i++) {
		seen_prune(&g->seen[i], &none);
		map_release(&g->seen[i]);
	}
}

static bool still_holds(const struct listing *l, const struct list_item *item)
{
	const struct seen *s = map_get(&l->g->seen[l->kind->index], item->id);

	return s && s->state == item->state && s->changes == l->g->changes &&
	       s->read_ns >= s->fixed_ns;
}

/* --- a listing --- */

static void listing_free(struct listing *l)
{
	err_release(&l->err);
	arena_release(&l->arena);
	free(l);
}

static void dropped(struct call *c)
{
	struct listing *l = c->user_data;

	if (--l->waiting == 0)
		listing_free(l);
}

static void deliver_sandboxes(struct listing *l)
{
	struct cri_sandbox_status *v = ARENA_ARRAY(&l->arena, struct cri_sandbox_status, l->list.n);
	size_t n = 0;

	for (size_t i = 0; i < l->list.n; i++) {
		struct seen *s = map_get(&l->g->seen[SANDBOXES], l->list.v[i].id);

		if (s)
			v[n++] = ((struct sandbox_reply *)s->reply)->s;
	}
	l->sandboxes(l->user_data, v, n, NULL);
}

static void deliver_containers(struct listing *l)
{
	struct cri_container_status *v =
		ARENA_ARRAY(&l->arena, struct cri_container_status, l->list.n);
	size_t n = 0;

	for (size_t i = 0; i < l->list.n; i++) {
		struct seen *s = map_get(&l->g->seen[CONTAINERS], l->list.v[i].id);

		if (s)
			v[n++] = ((struct container_reply *)s->reply)->s;
	}
	l->containers(l->user_data, v, n, NULL);
}

static void finish(struct listing *l)
{
	bool sandboxes = l->kind->index == SANDBOXES;

	if (--l->waiting)
		return;
	if (err_set(&l->err)) {
		if (sandboxes)
			l->sandboxes(l->user_data, NULL, 0, &l->err);
		else
			l->containers(l->user_data, NULL, 0, &l->err);
	} else {
		if (l->all)
			seen_prune(&l->g->seen[l->kind->index], &l->list);
		if (sandboxes)
			deliver_sandboxes(l);
		else
			deliver_containers(l);
	}
	listing_free(l);
}

struct fetch {
	struct list_item item;
	uint64_t changes;
};

static void got_status(struct call *c, struct err *err)
{
	struct listing *l = c->user_data;
	struct map *m = &l->g->seen[l->kind->index];
	struct fetch *f = c->extra;
	struct seen *s;

	seen_drop(m, f->item.id);
	if (err && err->code != 404 && !err_set(&l->err))
		err_move(&l->err, err);
	if (!err) {
		s = xcalloc(1, sizeof(*s));
		arena_init(&s->arena);
		s->reply = arena_alloc(&s->arena, l->kind->status_type->size);
		if (wire_decode(l->kind->status_type, c->message, &s->arena, s->reply) < 0) {
			call_error(&l->err, GRPC_INTERNAL,
				S("the runtime's status is not a message of CRI v1"));
			arena_release(&s->arena);
			free(s);
		} else {
			l->kind->read(&s->arena, s->reply, f->item.sandbox_id, s);
			s->read_ns = loop_wall_ns(l->g->cri.loop);
			s->changes = f->changes;
			map_set(m, f->item.id, s);
		}
	}
	finish(l);
}

static void ask(struct listing *l, const struct list_item *item)
{
	struct text_message request = {item->id};
	struct call *c = call_start(
		l->g, l->kind->status_method, &text_message, &request, CALL_TIMEOUT_MS, got_status);
	struct fetch *f = ARENA_NEW(&c->arena, struct fetch);

	*f = (struct fetch){{arena_str(&c->arena, item->id), arena_str(&c->arena, item->sandbox_id),
				    item->state},
		l->g->changes};
	c->extra = f;
	c->dropped = dropped;
	c->user_data = l;
	l->waiting++;
}

static void got_list(struct call *c, struct err *err)
{
	struct listing *l = c->user_data;

	if (err)
		err_move(&l->err, err);
	else if (wire_decode(l->kind->list_type, c->message, &l->arena, &l->list) < 0)
		call_error(
			&l->err, GRPC_INTERNAL, S("the runtime's list is not a message of CRI v1"));
	for (size_t i = 0; !err_set(&l->err) && i < l->list.n; i++)
		if (!still_holds(l, &l->list.v[i]))
			ask(l, &l->list.v[i]);
	finish(l);
}

static struct listing *list(
	struct cri *cri, enum kind_index kind, struct str sandbox_id, void *user_data)
{
	struct list_containers_request request = {sandbox_id};
	struct listing *l = xcalloc(1, sizeof(*l));
	struct call *c;

	arena_init(&l->arena);
	l->g = cri_grpc_of(cri);
	l->kind = &kinds[kind];
	l->all = str_empty(sandbox_id);
	l->user_data = user_data;
	l->waiting = 1; /* for the list itself */
	c = call_start(l->g, l->kind->list_method, l->all ? NULL : &list_containers_request,
		&request, CALL_TIMEOUT_MS, got_list);
	c->dropped = dropped;
	c->user_data = l;
	return l;
}

void grpc_list_sandboxes(struct cri *cri, cri_sandboxes_done *done, void *user_data)
{
	list(cri, SANDBOXES, S(""), user_data)->sandboxes = done;
}

void grpc_list_containers(
	struct cri *cri, struct str sandbox_id, cri_containers_done *done, void *user_data)
{
	list(cri, CONTAINERS, sandbox_id, user_data)->containers = done;
}
