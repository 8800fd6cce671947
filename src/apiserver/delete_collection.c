/* delete_collection.c: DELETE of everything that a list would show. */
#include "apiserver/delete.h"
#include "apiserver/list.h"

enum { AT_ONCE = 32 };

struct collection {
	struct request *r;
	struct delete_options o;
	struct object_list list;
	size_t next, running;
	bool advancing;
	struct err err; /* the first that was not NotFound */
};

static void advance(struct collection *c);

static void finish(struct collection *c)
{
	if (err_set(&c->err))
		respond_error(c->r, &c->err);
	else
		list_respond(c->r, &c->list);
	err_release(&c->err);
	list_release(&c->list);
	request_unref(c->r);
}

static void one_done(
	struct deletion *d, bool gone, const struct object *o, void *typed, struct err *err)
{
	struct collection *c = d->user_data;

	if (err && err->code != 404 && !err_set(&c->err))
		err_move(&c->err, err);
	c->running--;
	advance(c);
}

static void start_one(struct collection *c, const struct object *o)
{
	struct deletion *d = ARENA_NEW(c->r->arena, struct deletion);

	*d = (struct deletion){.r = c->r,
		.o = c->o,
		.ns = o->ns,
		.name = o->name,
		.done = one_done,
		.user_data = c};
	c->running++;
	deletion_start(d);
}

/* A deletion may be done before deletion_start returns: `advancing` keeps this from recursing. */
static void advance(struct collection *c)
{
	if (c->advancing)
		return;
	c->advancing = true;
	while (c->running < AT_ONCE && c->next < c->list.n && !err_set(&c->err))
		start_one(c, c->list.v[c->next++]);
	c->advancing = false;
	if (!c->running)
		finish(c);
}

void handle_delete_collection(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct collection *c = ARENA_NEW(r->arena, struct collection);
	struct list_options o;

	if (negotiate_output(r, &err) < 0 || list_options_read(r, false, &o, &err) < 0 ||
		delete_options_read(r, &c->o, &err) < 0 || list_read(r, &o, &c->list, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	c->r = request_ref(r);
	advance(c);
}
