/*
 * hollow.h: nodes that are none: they register, send heartbeats and report the pods bound to them
 * as running, without running anything. For scale tests over HTTPS (`sampan hollow`), and for the
 * simulator in process.
 *
 * One thread: the client's loop. What a node knows is in the API: it may be stopped and started
 * anew at any time.
 */
#ifndef SAMPAN_NODE_HOLLOW_H
#define SAMPAN_NODE_HOLLOW_H

#include "client/client.h"

struct hollow;

struct hollow_opts {
	struct client *client;   /* taken over */
	const char *name_prefix; /* nodes are called <prefix>0, <prefix>1 …; NULL = "hollow-" */
	int nodes;
	const char *cpu, *memory, *pods; /* of each node; NULL = "8", "32Gi", "110" */
	int pod_start_max_ms;            /* a pod takes a random time up to this to run; 0 = 1 s */
	int pod_stop_max_ms;             /* … and to end; 0 = 500 ms */
};

struct hollow *hollow_start(const struct hollow_opts *opts);
void hollow_stop(struct hollow *h);
/* A dead node does nothing; when it comes back it goes on with the pods that are its own by then.
 */
void hollow_set_alive(struct hollow *h, int node, bool alive);

/* The program: sampan hollow --kubeconfig F --nodes N. */
int hollow_main(int argc, char **argv);

#endif
