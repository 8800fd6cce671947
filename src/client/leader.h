/*
 * leader.h: of several equal programs one works: who holds a Lease, as client-go's leaderelection
 * writes it, so that ours and upstream's can stand by for each other.
 *
 * The holder renews every retry_ms and stops working when it could not for renew_ms, counted from
 * before the last renewal that succeeded was sent; others take the Lease when it has not changed
 * for its own duration. So two never work at once as long as clocks run equally fast. A candidate
 * knows of a change only when it looks; it counts from the look before (the change came after it)
 * as long as that is safe, so that a crash costs no more than the Lease's duration.
 *
 * Whoever loses the Lease becomes a candidate again (upstream's programs exit instead and are
 * started anew).
 *
 * One thread: the client's loop.
 */
#ifndef SAMPAN_LEADER_H
#define SAMPAN_LEADER_H

#include "base/flags.h"
#include "client/client.h"

struct leader;

struct leader_opts {
	struct client *client; /* for the Lease alone; taken over */
	const char *ns, *name; /* of the Lease; copied, as is: */
	const char *identity;  /* NULL: <host name>_<uuid> */
	int64_t lease_ms, renew_ms, retry_ms;
	/* Begin working; stop at once: nothing of ours may be written any more when `stopped`
	 * returns. Called in turns, `started` first. */
	void (*started)(void *user_data);
	void (*stopped)(void *user_data);
	void *user_data;
};

struct leader *leader_new(const struct leader_opts *opts);
bool leader_leads(const struct leader *l);
/* Whether a leader has renewed its Lease not much longer ago than that lasts; who does not lead is
 * healthy. */
bool leader_healthy(const struct leader *l);
/* Stops working and gives the Lease back, so that the next one need not wait; then done(user_data),
 * after two seconds at the latest. leader_free is the caller's, not from within `done`. */
void leader_release(struct leader *l, void (*done)(void *user_data), void *user_data);
/* As if the program had died: nothing is called or written any more. */
void leader_free(struct leader *l);

/* --- flags --- */

struct leader_flags {
	bool elect;
	int64_t lease_ms, renew_ms, retry_ms;
	const char *lock, *ns, *name;
};

enum { LEADER_FLAGS_MAX = 10 };
/* Upstream's defaults: kube-system, 15 s, 10 s, 2 s. */
struct leader_flags leader_flags_default(const char *name);
void leader_flags_table(struct leader_flags *f, struct flag table[LEADER_FLAGS_MAX]);
/* Whether they go together: 0 or -EINVAL with err. */
int leader_flags_check(const struct leader_flags *f, struct err *err);

#endif
