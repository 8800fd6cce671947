/* usage.c: see usage.h. */
#include "node/usage.h"

#define MS 1000000ll

struct sample {
	int64_t time_ns;
	uint64_t cpu_ns;
};

struct samples {
	struct sample old, mid; /* rates are from `old` to now; `mid` is the next `old` */
	uint64_t round;
};

void usage_release(struct usage_history *h)
{
	for (struct map_entry *e = map_first(&h->samples); e; e = map_next(&h->samples, e))
		free(e->value);
	map_release(&h->samples);
}

void usage_begin(struct usage_history *h)
{
	h->round++;
}

struct usage_rate usage_note(
	struct usage_history *h, struct str key, int64_t time_ns, uint64_t cpu_ns)
{
	struct samples *s = map_get(&h->samples, key);
	struct sample now = {time_ns, cpu_ns};
	struct usage_rate rate = {0};

	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->old = s->mid = now;
		map_set(&h->samples, key, s);
	}
	s->round = h->round;
	if (time_ns - s->mid.time_ns > USAGE_STALE_MS * MS || time_ns < s->mid.time_ns ||
		cpu_ns < s->old.cpu_ns) {
		s->old = s->mid = now;
		return rate;
	}
	if (time_ns - s->old.time_ns >= USAGE_FIRST_MS * MS) {
		rate.window_ns = time_ns - s->old.time_ns;
		rate.nano_cores = (double)(cpu_ns - s->old.cpu_ns) * 1e9 / (double)rate.window_ns;
	}
	if (time_ns - s->mid.time_ns >= USAGE_WINDOW_MS * MS) {
		s->old = s->mid;
		s->mid = now;
	}
	return rate;
}

void usage_end(struct usage_history *h)
{
	struct map_entry *e = map_first(&h->samples);

	/* taking one out may move others: begin again each time, which is rare */
	while (e) {
		struct samples *s = e->value;

		if (s->round == h->round) {
			e = map_next(&h->samples, e);
			continue;
		}
		free(map_remove(&h->samples, str_n(e->key, e->key_len)));
		e = map_first(&h->samples);
	}
}
