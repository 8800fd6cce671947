/* csr.h: what approving, signing and cleaning of CertificateSigningRequests share. */
#ifndef SAMPAN_CONTROLLERS_CSR_H
#define SAMPAN_CONTROLLERS_CSR_H

#include "controllers/util.h"
#include "pki/x509.h"

#define SIGNER_API_CLIENT "kubernetes.io/kube-apiserver-client"
#define SIGNER_KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define SIGNER_KUBELET_SERVING "kubernetes.io/kubelet-serving"
#define SIGNER_LEGACY "kubernetes.io/legacy-unknown"
#define NODE_USER_PREFIX "system:node:"

typedef struct certificates_v1_certificate_signing_request csr_t;
typedef struct certificates_v1_certificate_signing_request_condition csr_condition_t;

const csr_condition_t *csr_condition(const csr_t *csr, const char *type);
static inline bool csr_decided(const csr_t *csr)
{
	return csr_condition(csr, "Approved") || csr_condition(csr, "Denied");
}
/* Why a request is not one for a kubelet's client or serving certificate, in upstream's words;
 * NULL: it is one. */
const char *csr_not_kubelet_client(const csr_t *csr, const struct x509_names *names);
const char *csr_not_kubelet_serving(const csr_t *csr, const struct x509_names *names);
/* Why the names of a serving certificate are not to be vouched for without a person; NULL: they are
 * the node's own. The rule (docs/joining.md): the request comes from the node itself; each address
 * and name is one of its Node object, none is also another node's, none is the API server's (unless
 * the Node is a control plane's). */
const char *csr_serving_names_refused(
	struct view *v, const csr_t *csr, const struct x509_names *names);
/* A condition with the time of the view added to a copy; *ret_write carries it out as an update of
 * the subresource. */
void csr_add_condition(struct view *v, struct plan *p, csr_t *csr, const char *subresource,
	const char *type, const char *reason, const char *message);

#endif
