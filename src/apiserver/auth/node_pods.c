#include "apiserver/auth/node_pods.h"

#include <pthread.h>

#include "base/map.h"

struct node_pods {
	struct store *store;
	pthread_mutex_t lock;
	struct map nodes; /* name -> struct pods */
	uint64_t revision;
	bool built;
};

struct pods {
	const struct object **v; /* references */
	size_t n, cap;
};

struct node_pods *node_pods_new(struct store *store)
{
	struct node_pods *n = xcalloc(1, sizeof(*n));

	n->store = store;
	pthread_mutex_init(&n->lock, NULL);
	return n;
}

static void forget(struct pods *p)
{
	for (size_t i = 0; i < p->n; i++)
		object_unref((struct object *)p->v[i]);
	free(p->v);
	free(p);
}

static void forget_all(struct node_pods *n)
{
	for (struct map_entry *e = map_first(&n->nodes); e; e = map_next(&n->nodes, e))
		forget(e->value);
	map_release(&n->nodes);
	n->nodes = (struct map){0};
	n->built = false;
}

void node_pods_free(struct node_pods *n)
{
	if (!n)
		return;
	forget_all(n);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static void remove_pod(struct node_pods *n, const struct object *o)
{
	struct str node = object_field(o, S("spec.nodeName"));
	struct pods *p = node.n ? map_get(&n->nodes, node) : NULL;

	for (size_t i = 0; p && i < p->n; i++) {
		if (!str_eq(p->v[i]->name, o->name) || !str_eq(p->v[i]->ns, o->ns))
			continue;
		object_unref((struct object *)p->v[i]);
		p->v[i] = p->v[--p->n];
		break;
	}
	if (p && p->n == 0) {
		map_remove(&n->nodes, node);
		forget(p);
	}
}

static void add_pod(struct node_pods *n, const struct object *o)
{
	struct str node = object_field(o, S("spec.nodeName"));
	struct pods *p;

	if (!node.n)
		return;
	p = map_get(&n->nodes, node);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		map_set(&n->nodes, node, p);
	}
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 8;
		p->v = xrealloc(p->v, p->cap * sizeof(*p->v));
	}
	p->v[p->n++] = object_ref(o);
}

static void changed(void *user_data, const struct store_event *ev)
{
	struct node_pods *n = user_data;

	if (ev->prev)
		remove_pod(n, ev->prev);
	if (ev->type == STORE_DELETED)
		remove_pod(n, ev->object);
	else
		add_pod(n, ev->object);
}

static void build(struct node_pods *n)
{
	struct snapshot *s = store_snapshot(n->store, &v1_pod_resource);
	struct snapshot_iter it;
	const struct object *o;

	forget_all(n);
	snapshot_iter_init(&it, s, S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		add_pod(n, o);
	n->revision = snapshot_revision(s);
	n->built = true;
	snapshot_unref(s);
}

/* A pod's JSON without the name cannot refer to it; an ephemeral volume's claim is made of two
 * names. */
static bool may_refer(const struct object *o, enum pod_ref kind, struct str name)
{
	return kind == REF_CLAIM || str_find(o->json, name) >= 0;
}

static bool refers(const struct object *o, enum pod_ref kind, struct str name)
{
	struct arena a = {0};
	const struct v1_pod *pod = object_decode(o, &a);
	bool yes = !str_map_get(&pod->metadata.annotations, S("kubernetes.io/config.mirror")) &&
		   pod_refers_to(pod, kind, name);

	arena_release(&a);
	return yes;
}

bool node_refers_to(
	struct node_pods *n, struct str node, enum pod_ref kind, struct str ns, struct str name)
{
	const struct pods *p;
	bool found = false;

	pthread_mutex_lock(&n->lock);
	if (!n->built ||
		store_read_events(n->store, &v1_pod_resource, &n->revision, changed, n) < 0)
		build(n);
	p = map_get(&n->nodes, node);
	for (size_t i = 0; p && !found && i < p->n; i++)
		found = str_eq(p->v[i]->ns, ns) && may_refer(p->v[i], kind, name) &&
			refers(p->v[i], kind, name);
	pthread_mutex_unlock(&n->lock);
	return found;
}
