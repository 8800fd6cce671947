/* daemonset_update.c: rolling update of a daemon set, by deleting old pods or, with maxSurge, by
 * adding new ones first. */
#include "controllers/daemonset.h"

struct pair {
	const struct daemon_pod *new, *old;
	bool excess; /* more than one of a kind: the main pass cleans up first */
};

static struct pair pair_of(const struct daemon_node *n)
{
	struct pair p = {0};

	for (size_t i = 0; i < n->n; i++) {
		const struct daemon_pod **slot = n->pods[i].current ? &p.new : &p.old;

		if (n->pods[i].going)
			continue;
		p.excess |= *slot != NULL;
		*slot = &n->pods[i];
	}
	return p;
}

/* Unavailable old pods go at any rate; available ones as long as few enough nodes are without. */
static void replace(struct daemon *d)
{
	int32_t unavailable = 0;

	for (size_t i = 0; i < d->nodes.n; i++) {
		struct pair p = pair_of(&d->nodes.v[i]);

		if (!d->nodes.v[i].should_run)
			continue;
		if (p.excess || !p.new == !p.old || (p.new && !p.new->available) ||
			(p.old && !p.new && !p.old->available))
			unavailable++;
	}
	for (size_t i = 0; i < d->nodes.n; i++) {
		struct pair p = pair_of(&d->nodes.v[i]);

		if (p.excess || p.new || !p.old)
			continue;
		if (p.old->available && unavailable >= d->max_unavailable)
			continue;
		unavailable += p.old->available;
		daemon_delete_pod(d, p.old);
	}
}

static void surge(struct daemon *d)
{
	int32_t extra = 0;

	for (size_t i = 0; i < d->nodes.n; i++) {
		struct pair p = pair_of(&d->nodes.v[i]);

		extra += p.excess || (p.new &&p.old && !p.new->available);
	}
	for (size_t i = 0; i < d->nodes.n; i++) {
		const struct daemon_node *n = &d->nodes.v[i];
		struct pair p = pair_of(n);

		if (p.excess || !p.old)
			continue;
		if (p.new) {
			if (p.new->available)
				daemon_delete_pod(d, p.old);
			continue;
		}
		if (!n->should_run) {
			daemon_delete_pod(d, p.old);
		} else if (!p.old->available || extra < d->max_surge) {
			extra += p.old->available;
			daemon_create_pod(d, n->name);
		}
	}
}

void daemon_rolling_update(struct daemon *d)
{
	if (d->max_surge > 0)
		surge(d);
	else
		replace(d);
}
