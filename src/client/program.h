/* program.h: what kube-controller-manager and kube-scheduler have in common: a loop, a client over
 * HTTPS, signals. */
#ifndef SAMPAN_CLIENT_PROGRAM_H
#define SAMPAN_CLIENT_PROGRAM_H

#include "client/client.h"

struct client_program {
	const char *name;       /* "kube-scheduler" */
	const char *kubeconfig; /* NULL: `master` alone, without credentials */
	const char *master;     /* URL of the API server; NULL: the kubeconfig's */
	/* Takes the client over, also on failure. */
	int (*start)(struct client_program *p, struct loop *loop, struct client *client,
		struct err *err);
	void (*stop)(struct client_program *p);
	void *user_data;
};

/* Runs until SIGTERM or SIGINT; the program's exit code. */
int client_program_run(struct client_program *p);

#endif
