/*
 * usage.h: from ever growing counters of CPU time to how fast they grow: two samples of each thing
 * (a container, a pod, the node), ten seconds or more apart as long as somebody looks that often.
 * Pure: no clock, no files. One thread.
 */
#ifndef SAMPAN_NODE_USAGE_H
#define SAMPAN_NODE_USAGE_H

#include "base/map.h"

enum {
	USAGE_WINDOW_MS =
		10000,        /* a rate covers at least this once it can, and less than twice it */
	USAGE_FIRST_MS = 900, /* the shortest that is worth a rate */
	USAGE_STALE_MS = 60000, /* nobody looked for so long: begin again */
};

struct usage_history {
	struct map samples; /* key -> struct */
	uint64_t round;
};

struct usage_rate {
	uint64_t nano_cores;
	int64_t window_ns; /* 0: not known yet */
};

void usage_release(struct usage_history *h);
/* One look at everything: begin, a note for each thing, end, which forgets what was not noted. */
void usage_begin(struct usage_history *h);
struct usage_rate usage_note(
	struct usage_history *h, struct str key, int64_t time_ns, uint64_t cpu_ns);
void usage_end(struct usage_history *h);

#endif
