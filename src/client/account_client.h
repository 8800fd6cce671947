/*
 * account_client.h: a client that writes as a service account of kube-system, as upstream's controller manager does with
 * --use-service-account-credentials: it makes the account when it is not there, asks for a token and for the next one in
 * good time. Calls wait until there is a first one.
 */
#ifndef SAMPAN_ACCOUNT_CLIENT_H
#define SAMPAN_ACCOUNT_CLIENT_H

#include "client/client.h"

/* `master` asks for tokens and must outlive it; `inner` (client_http_new with .anonymous) carries the calls and is taken
 * over. */
struct client *account_client_new(struct client *master, struct client *inner, struct str account);

#endif
