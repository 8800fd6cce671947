/*
 * csr_request.h: asks the cluster for a certificate: makes a key, creates a
 * CertificateSigningRequest, waits until it is approved and signed. One thread: the client's loop.
 */
#ifndef SAMPAN_NODE_CSR_REQUEST_H
#define SAMPAN_NODE_CSR_REQUEST_H

#include "client/client.h"
#include "pki/x509.h"

#define SIGNER_KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define SIGNER_KUBELET_SERVING "kubernetes.io/kubelet-serving"

struct csr_request;

struct csr_request_opts {
	struct client *client; /* borrowed, must outlive the request */
	const char *signer;    /* one of the two; the usages follow from it */
	const struct x509_names *names;
	int64_t timeout_ms; /* for a person to approve it, too; 0: 15 min */
	/* Once, unless it is cancelled, on a later turn; the request is freed after it. `pem`: the
	 * certificate and its key one after the other; empty with err otherwise (its code is the
	 * HTTP status, 0: no answer). The client must not be freed inside. */
	void (*done)(void *user_data, struct str pem, struct err *err);
	void *user_data;
};

int csr_request_start(
	const struct csr_request_opts *opts, struct csr_request **ret, struct err *err);
/* Before its client is freed. */
void csr_request_cancel(struct csr_request *q);

#endif
