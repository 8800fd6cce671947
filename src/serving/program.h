/* program.h: what kube-controller-manager and kube-scheduler have in common: a loop, a client over
 * HTTPS, leader election, signals, and the port that shows what they do. */
#ifndef SAMPAN_SERVING_PROGRAM_H
#define SAMPAN_SERVING_PROGRAM_H

#include "client/client.h"
#include "client/leader.h"
#include "serving/serving.h"

struct client_program {
	const char *name;       /* "kube-scheduler" */
	const char *kubeconfig; /* NULL: `master` alone, without credentials */
	const char *master;     /* URL of the API server; NULL: the kubeconfig's */
	struct leader_flags leader;
	struct serving_flags serving;
	struct component *component; /* what is shown; borrowed, initialised; NULL: nothing is */
	struct leader **elected;     /* gets the election, once there is one; may be NULL */
	/* Takes the client over, also on failure. With election called each time the lease is won.
	 */
	int (*start)(struct client_program *p, struct loop *loop, struct client *client,
		struct err *err);
	/* What was started writes nothing any more when it returns. */
	void (*stop)(struct client_program *p);
	void *user_data;
};

/* --master of 2016 may be "host:port"; NULL stays NULL. In `a`. */
const char *client_program_url(const char *master, struct arena *a);
/* One more client like the program's; `anonymous`: without its credentials. */
int client_program_client(const struct client_program *p, struct loop *loop, bool anonymous,
	struct client **ret, struct err *err);
/* Runs until SIGTERM or SIGINT; the program's exit code. */
int client_program_run(struct client_program *p);

#endif
