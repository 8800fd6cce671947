/*
 * rotation.h: when a certificate is to be renewed. A state machine without I/O; times are Unix
 * seconds of the wall clock, asked again and again, so that a clock that jumps does no harm.
 *
 * A certificate is renewed when 70 to 90 % of its life are over (jittered, so that the nodes of a
 * cluster do not come all at once). A try that fails is repeated with growing pauses, at most five
 * minutes or a twentieth of the certificate's life.
 */
#ifndef SAMPAN_NODE_ROTATION_H
#define SAMPAN_NODE_ROTATION_H

#include "base/base.h"

enum { ROTATION_LOOK_S = 60 }; /* look at least that often: the clock may have been set */

struct rotation {
	int64_t since_s, not_after_s; /* 0: there is no certificate */
	int64_t due_s;
	int64_t failed_s, pause_s; /* the last failure, and how long to leave it at that */
	unsigned failures;
};

enum rotation_step {
	ROTATION_WAIT,  /* nothing to do */
	ROTATION_RENEW, /* while the certificate is still good: with it */
	ROTATION_ENDED, /* there is none, or it has ended: by other means */
};

/* There is a new certificate, good from since_s on: when it was issued, not what it was backdated
 * to. */
void rotation_have(struct rotation *r, int64_t since_s, int64_t not_after_s, uint64_t random);
/* *ret_wait_s: when to look again, 1 to ROTATION_LOOK_S. */
enum rotation_step rotation_look(const struct rotation *r, int64_t now_s, int64_t *ret_wait_s);
void rotation_failed(struct rotation *r, int64_t now_s);
/* The server does not take the certificate any more, whatever its dates say. */
void rotation_refused(struct rotation *r);

#endif
