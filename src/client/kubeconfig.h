/*
 * kubeconfig.h: where a cluster is and who we are, from a kubeconfig file (v1 Config). Reads the
 * current context: server, CA, client certificate and key (embedded or in files beside it), token,
 * tokenFile. Blocks; for start-up.
 */
#ifndef SAMPAN_KUBECONFIG_H
#define SAMPAN_KUBECONFIG_H

#include "base/base.h"

struct kubeconfig {
	struct str server, ca_pem, cert_pem, key_pem, token, ns, tls_server_name;
	struct str cert_file, key_file; /* where cert_pem and key_pem were read; empty: embedded */
	bool insecure;
	struct arena arena; /* owns all of the above */
};

/* Errors name the file and what is wrong in it. `context`: NULL = current-context. Release with
 * kubeconfig_release, also after a failure. */
int kubeconfig_read(const char *path, const char *context, struct kubeconfig *ret, struct err *err);
void kubeconfig_release(struct kubeconfig *k);

#endif
