#include "apiserver/consistent.h"

#include "apiserver/options.h"

struct wait {
	struct store_barrier barrier;
	struct request *r; /* a reference */
	void (*go_on)(struct request *r);
};

int err_request_timeout(struct err *err)
{
	err_fmt(err, 504, "Timeout",
		"Timeout: request did not complete within requested timeout - context deadline "
		"exceeded");
	err_details(err, S(""), S(""), S(""), S(""));
	return -ETIMEDOUT;
}

static void on_barrier(struct store_barrier *b)
{
	struct wait *w = container_of(b, struct wait, barrier);
	struct request *r = w->r;
	struct err err CLEANUP(err_release) = {0};

	if (!r->x && !r->detached) {
		; /* the reader is gone, and what it asked with it */
	} else if (b->result == -ETIMEDOUT) {
		err_request_timeout(&err);
		respond_error(r, &err);
	} else {
		w->go_on(r);
	}
	request_unref(r);
}

enum need { NOTHING, EVERYTHING, REVISION };

/* Of a read, what its resourceVersion asks for: "0" is content with anything. */
static enum need need_of_read(struct request *r, uint64_t *ret_revision)
{
	struct str text = query_get(&r->query, "resourceVersion");
	bool watch = str_eqc(r->info.verb, "watch");

	if (!text.n) /* a continued list, too: another server may have begun it */
		return EVERYTHING;
	if (str_eqc(text, "0") || !parse_version(text, ret_revision))
		return NOTHING;
	return watch && !query_bool(&r->query, "sendInitialEvents") ? NOTHING : REVISION;
}

/* A new object needs its namespace; what others have allocated counts, too, and a pod needs its
 * service account, classes and quota, any of which another server may have made just now. */
static bool creates_blindly(struct request *r)
{
	const struct object *ns;

	if (r->sub || r->storage == &v1_pod_resource || (r->strategy && r->strategy->allocate))
		return false;
	if (!r->ctx.ns.n)
		return true;
	ns = store_get(r->s->store, &v1_namespace_resource, S(""), r->ctx.ns);
	object_unref((struct object *)ns);
	return ns != NULL;
}

static enum need need_of(struct request *r, uint64_t *ret_revision)
{
	struct str verb = r->info.verb;

	if (str_eqc(verb, "get") || str_eqc(verb, "list") || str_eqc(verb, "watch"))
		return need_of_read(r, ret_revision);
	if (str_eqc(verb, "create"))
		return creates_blindly(r) ? NOTHING : EVERYTHING;
	return EVERYTHING;
}

bool consistent_wait(struct request *r, void (*go_on)(struct request *r))
{
	struct wait *w;
	uint64_t revision = 0;

	if (!store_is_shared(r->s->store) || need_of(r, &revision) == NOTHING)
		return false;
	w = ARENA_NEW(r->arena, struct wait);
	*w = (struct wait){
		.barrier = {.revision = revision, .loop = r->loop, .done = on_barrier},
		.r = request_ref(r),
		.go_on = go_on,
	};
	if (store_barrier(r->s->store, &w->barrier))
		return true;
	request_unref(r);
	return false;
}
