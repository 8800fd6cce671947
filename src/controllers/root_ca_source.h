/* root_ca_source.h: where to find the CA that root-ca-certificate-publisher-controller publishes, when --root-ca-file
 * does not name it: that of the kubeconfig, as upstream; without one, the cluster's, as the API
 * server tells joining machines (kube-public/cluster-info). */
#ifndef SAMPAN_CONTROLLERS_ROOT_CA_SOURCE_H
#define SAMPAN_CONTROLLERS_ROOT_CA_SOURCE_H

#include "client/client.h"

/* Of a kubeconfig's current context; empty when it has none or cannot be read. Blocks. */
struct str root_ca_of_kubeconfig(const char *path, struct arena *a);
/* Asks; done comes on a later turn unless the client is freed first, with an empty text when nobody
 * knows. */
void root_ca_ask(
	struct client *client, void (*done)(void *user_data, struct str pem), void *user_data);

#endif
