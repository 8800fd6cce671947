#include "store/store.h"

static int order(const struct object *a, const struct object *b)
{
	if (!a || !b)
		return a ? -1 : 1;
	return key_cmp(a->ns, a->name, b->ns, b->name);
}

void snapshot_diff(struct snapshot *from, struct snapshot *to,
	void (*fn)(void *user_data, const struct store_event *ev), void *user_data)
{
	struct snapshot_iter old_it, new_it;
	const struct object *o, *n;
	uint64_t revision = snapshot_revision(to);

	snapshot_iter_init(&old_it, from, S(""), S(""), S(""));
	snapshot_iter_init(&new_it, to, S(""), S(""), S(""));
	o = snapshot_next(&old_it);
	n = snapshot_next(&new_it);
	while (o || n) {
		int c = order(o, n);

		if (c < 0) {
			fn(user_data, &(struct store_event){STORE_DELETED, o, o, revision});
			o = snapshot_next(&old_it);
			continue;
		}
		if (c > 0)
			fn(user_data, &(struct store_event){STORE_ADDED, n, NULL, n->revision});
		else if (o->revision != n->revision)
			fn(user_data, &(struct store_event){STORE_MODIFIED, n, o, n->revision});
		if (c == 0)
			o = snapshot_next(&old_it);
		n = snapshot_next(&new_it);
	}
}
