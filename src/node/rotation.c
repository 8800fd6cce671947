#include "node/rotation.h"

enum { PAUSE_MAX_S = 5 * 60, SHARE_FROM = 70, SHARE_SPAN = 20, PAUSES_PER_LIFE = 20 };

void rotation_have(struct rotation *r, int64_t since_s, int64_t not_after_s, uint64_t random)
{
	int64_t life = MAX(not_after_s - since_s, (int64_t)1);
	int64_t thousandths = SHARE_FROM * 10 + (int64_t)(random % (SHARE_SPAN * 10 + 1));

	*r = (struct rotation){.since_s = since_s, .not_after_s = not_after_s};
	r->due_s = since_s + life / 1000 * thousandths + life % 1000 * thousandths / 1000;
}

/* A pause counts only while the clock is where it can be in it. */
static int64_t pause_left(const struct rotation *r, int64_t now_s)
{
	int64_t gone = now_s - r->failed_s;

	return r->failures && gone >= 0 && gone < r->pause_s ? r->pause_s - gone : 0;
}

enum rotation_step rotation_look(const struct rotation *r, int64_t now_s, int64_t *ret_wait_s)
{
	int64_t wait = pause_left(r, now_s);

	if (wait == 0 && now_s < r->due_s)
		wait = r->due_s - now_s;
	*ret_wait_s = MAX((int64_t)1, MIN(wait, (int64_t)ROTATION_LOOK_S));
	if (wait > 0)
		return ROTATION_WAIT;
	return now_s >= r->not_after_s ? ROTATION_ENDED : ROTATION_RENEW;
}

void rotation_failed(struct rotation *r, int64_t now_s)
{
	int64_t life = r->not_after_s - r->since_s, max = PAUSE_MAX_S;

	if (life > 0)
		max = MAX((int64_t)1, MIN(max, life / PAUSES_PER_LIFE));
	r->pause_s = MIN((int64_t)1 << MIN(r->failures, 16u), max);
	r->failed_s = now_s;
	r->failures++;
}

void rotation_refused(struct rotation *r)
{
	r->due_s = r->not_after_s = r->since_s;
}
