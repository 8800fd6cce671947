/* backoff.c: how long to wait before a container is started again, or an image pulled again. */
#include "node/pod.h"

enum { FIRST_MS = 10000, LONGEST_MS = 300000 };

/* After twice the longest wait without trouble it starts from the beginning. */
static bool expired(const struct backoff *b, int64_t event_ms)
{
	return event_ms - b->updated_ms > 2 * LONGEST_MS;
}

bool backoff_active(const struct backoff *b, int64_t event_ms, int64_t now_ms)
{
	return b->delay_ms && !expired(b, event_ms) && now_ms - event_ms < b->delay_ms;
}

void backoff_next(struct backoff *b, int64_t event_ms, int64_t now_ms)
{
	if (b->delay_ms == 0 || expired(b, event_ms))
		b->delay_ms = FIRST_MS;
	else
		b->delay_ms = MIN(b->delay_ms * 2, LONGEST_MS);
	b->updated_ms = now_ms;
}

struct str duration_text(struct arena *a, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		return ms ? arena_fmt(a, "%lldms", (long long)ms) : S("0s");
	if (ms % 1000) {
		int64_t frac = ms % 1000;
		int digits = 3;

		while (frac % 10 == 0) {
			frac /= 10;
			digits--;
		}
		if (s >= 60)
			return arena_fmt(a, "%lldm%lld.%0*llds", (long long)(s / 60),
				(long long)(s % 60), digits, (long long)frac);
		return arena_fmt(a, "%lld.%0*llds", (long long)s, digits, (long long)frac);
	}
	if (s >= 3600)
		return arena_fmt(a, "%lldh%lldm%llds", (long long)(s / 3600),
			(long long)(s / 60 % 60), (long long)(s % 60));
	if (s >= 60)
		return arena_fmt(a, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
	return arena_fmt(a, "%llds", (long long)s);
}
