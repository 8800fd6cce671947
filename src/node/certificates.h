/*
 * certificates.h: the node's certificates while it runs: the client certificate by which it is
 * system:node:NAME, and the serving certificate of its HTTPS API. Both are files in cert_dir that
 * are replaced as a whole long before they end (rotation.h); connections that begin afterwards take
 * the new ones (tls_ctx_follow), nothing is restarted.
 *
 * A client certificate that has ended (the machine was off, the clock jumped) is asked for anew
 * with the bootstrap token or kubeconfig that the node was started with; when that is no longer
 * good either, one line says what to do.
 */
#ifndef SAMPAN_NODE_CERTIFICATES_H
#define SAMPAN_NODE_CERTIFICATES_H

#include "base/base.h"

struct kubelet;
struct certificates;

/* After the kubelet's client was made. NULL when neither certificate is to be renewed. */
struct certificates *certificates_new(struct kubelet *k);
/* Before the kubelet's client is freed. */
void certificates_free(struct certificates *c);
/* The API server answered 401: the client certificate does not count any more, whatever it says. */
void certificates_refused(struct certificates *c);
/* Where the serving certificate is kept; the file may not be there yet. NULL when it is not asked
 * for. */
const char *certificates_serving_path(const struct certificates *c);

#endif
