/* deployment_scale.c: how many replicas each set gets: scaling in proportion, rolling update,
 * recreate. */
#include <math.h>

#include "controllers/deployment.h"

static struct set *active_or_latest(const struct rollout *r)
{
	struct sets active = sets_active(&r->all, r->v->arena);

	if (active.n > 1)
		return NULL;
	if (active.n == 1)
		return active.v[0];
	if (r->new_set)
		return r->new_set;
	return r->old.n ? r->old.v[r->old.n - 1] : NULL;
}

static bool is_saturated(const struct rollout *r)
{
	int32_t desired;

	return r->new_set && set_number(r->new_set, S(ANN_DESIRED), &desired) &&
	       desired == r->want && *r->new_set->rs->spec.replicas == r->want &&
	       r->new_set->rs->status.available_replicas == r->want;
}

bool rollout_is_scaling(const struct rollout *r)
{
	for (size_t i = 0; i < r->all.n; i++) {
		const struct set *s = r->all.v[i];
		int32_t desired;

		if (*s->rs->spec.replicas > 0 && set_number(s, S(ANN_DESIRED), &desired) &&
			desired != r->want)
			return true;
	}
	return false;
}

static int32_t fraction(const struct rollout *r, const struct set *s)
{
	int32_t size = *s->rs->spec.replicas, before = 0;

	if (r->want == 0)
		return -size;
	if (!set_number(s, S(ANN_MAX), &before) || before == 0)
		before = r->d->status.replicas;
	if (before == 0)
		return 0;
	return (int32_t)lround((double)size * (r->want + r->max_surge) / before) - size;
}

static int32_t proportion(
	const struct rollout *r, const struct set *s, int32_t to_add, int32_t added)
{
	if (to_add == 0 || to_add == added)
		return 0;
	int32_t part = fraction(r, s), allowed = to_add - added;

	return to_add > 0 ? MIN(part, allowed) : MAX(part, allowed);
}

static int compare_size_newer(const void *a, const void *b)
{
	int32_t x = *(*(struct set *const *)a)->rs->spec.replicas;
	int32_t y = *(*(struct set *const *)b)->rs->spec.replicas;

	return x != y ? (x > y ? -1 : 1) : -set_compare_creation(a, b);
}

static int compare_size_older(const void *a, const void *b)
{
	int32_t x = *(*(struct set *const *)a)->rs->spec.replicas;
	int32_t y = *(*(struct set *const *)b)->rs->spec.replicas;

	return x != y ? (x > y ? -1 : 1) : set_compare_creation(a, b);
}

void rollout_scale_proportionally(struct rollout *r)
{
	struct set *only = active_or_latest(r);
	struct sets active = sets_active(&r->all, r->v->arena);

	if (only) {
		rollout_scale(r, only, r->want, false);
		return;
	}
	if (is_saturated(r)) {
		for (size_t i = 0; i < r->old.n; i++)
			rollout_scale(r, r->old.v[i], 0, false);
		return;
	}
	if (!r->rolling || active.n == 0)
		return;
	int32_t to_add = (r->want > 0 ? r->want + r->max_surge : 0) - sets_want(&active), added = 0;
	int32_t *size = ARENA_ARRAY(r->v->arena, int32_t, active.n);
	if (to_add)
		qsort(active.v, active.n, sizeof(*active.v),
			to_add > 0 ? compare_size_newer : compare_size_older);
	for (size_t i = 0; i < active.n; i++) {
		int32_t part = proportion(r, active.v[i], to_add, added);

		size[i] = *active.v[i]->rs->spec.replicas + part;
		added += part;
	}
	size[0] = MAX(size[0] + to_add - added, 0); /* what rounding left over */
	for (size_t i = 0; i < active.n; i++)
		rollout_scale(r, active.v[i], size[i], true);
}

/* --- rolling update --- */

static bool scale_new(struct rollout *r)
{
	struct set *s = r->new_set;
	int32_t has = *s->rs->spec.replicas, room = r->want + r->max_surge - sets_want(&r->all);
	int32_t to = has;

	if (has == r->want)
		return false;
	if (has > r->want)
		to = r->want;
	else if (room > 0)
		to = has + MIN(room, r->want - has);
	rollout_scale(r, s, to, false);
	return to != has;
}

static int32_t available(const struct sets *sets)
{
	int32_t n = 0;

	for (size_t i = 0; i < sets->n; i++)
		n += sets->v[i]->rs->status.available_replicas;
	return n;
}

/* Replicas that do not work are no loss: they go first. */
static int32_t scale_down_unhealthy(struct rollout *r, const struct sets *old, int32_t max)
{
	int32_t total = 0;

	for (size_t i = 0; i < old->n && total < max; i++) {
		struct apps_v1_replica_set *rs = old->v[i]->rs;
		int32_t bad = *rs->spec.replicas - rs->status.available_replicas;
		int32_t n = MIN(max - total, bad);

		if (*rs->spec.replicas == 0 || bad == 0)
			continue;
		if (n <= 0)
			continue;
		rollout_scale(r, old->v[i], *rs->spec.replicas - n, false);
		total += n;
	}
	return total;
}

static int32_t scale_down_available(struct rollout *r, const struct sets *old)
{
	int32_t spare = available(old) + r->new_set->rs->status.available_replicas -
			(r->want - r->max_unavailable);
	int32_t total = 0;

	for (size_t i = 0; i < old->n && total < spare; i++) {
		int32_t has = *old->v[i]->rs->spec.replicas, n = MIN(has, spare - total);

		if (has == 0)
			continue;
		rollout_scale(r, old->v[i], has - n, false);
		total += n;
	}
	return total;
}

static bool scale_old(struct rollout *r)
{
	struct sets old = sets_active(&r->old, r->v->arena);
	const struct apps_v1_replica_set *rs = r->new_set->rs;

	if (old.n == 0)
		return false;
	int32_t new_unavailable = *rs->spec.replicas - rs->status.available_replicas;
	int32_t max = sets_want(&r->all) - (r->want - r->max_unavailable) - new_unavailable;
	if (max <= 0)
		return false;
	int32_t cleaned = scale_down_unhealthy(r, &old, max);

	return scale_down_available(r, &old) + cleaned > 0;
}

void rollout_rolling(struct rollout *r)
{
	if (!r->new_set)
		rollout_create_set(r);
	if (!r->new_set)
		return;
	if (!scale_new(r) && !scale_old(r) && rollout_complete(r, &r->d->status))
		rollout_cleanup(r);
	rollout_sync_progress(r);
}

/* --- recreate --- */

static bool old_pods_run(const struct rollout *r)
{
	for (size_t i = 0; i < r->old.n; i++) {
		const struct apps_v1_replica_set *rs = r->old.v[i]->rs;
		struct object_vec pods = view_controlled(r->v, &v1_pod_resource, rs->metadata.uid);

		if (rs->status.replicas > 0)
			return true;
		for (size_t k = 0; k < pods.n; k++)
			if (!pod_finished(pods.v[k]))
				return true;
	}
	return false;
}

void rollout_recreate(struct rollout *r)
{
	bool scaled = false;

	for (size_t i = 0; i < r->old.n; i++) {
		scaled |= *r->old.v[i]->rs->spec.replicas > 0;
		rollout_scale(r, r->old.v[i], 0, false);
	}
	if (!scaled && !old_pods_run(r)) {
		if (!r->new_set)
			rollout_create_set(r);
		if (!r->new_set)
			return;
		rollout_scale(r, r->new_set, r->want, false);
		if (rollout_complete(r, &r->d->status))
			rollout_cleanup(r);
	}
	rollout_sync_progress(r);
}
