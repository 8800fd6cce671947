/* Who may approve and sign which certificate signing requests, and what they may not ask for:
 * CertificateApproval, CertificateSigning, CertificateSubjectRestriction. */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/go_json.h"

#define CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

static bool concerns(const struct admission_attrs *attrs, const char *subresource)
{
	return attrs->resource == &certificates_v1_certificate_signing_request_resource &&
	       str_eqc(attrs->subresource, subresource);
}

static bool allowed(const struct admission_attrs *attrs, const char *verb, struct str name)
{
	struct request_info info = {
		.is_resource = true,
		.verb = str_c(verb),
		.api_prefix = S("apis"),
		.group = S("certificates.k8s.io"),
		.version = S("*"),
		.resource = S("signers"),
		.name = name,
	};

	return authorize(attrs->server->auth, admission_outside(attrs), &info, attrs->user, NULL) >=
	       0;
}

/* By its name, or as one of its domain ("example.com" and a star). */
static bool allowed_signer(const struct admission_attrs *attrs, const char *verb, struct str signer)
{
	struct str domain, rest;

	str_cut(signer, '/', &domain, &rest);
	return allowed(attrs, verb, signer) ||
	       allowed(attrs, verb, arena_fmt(attrs->arena, STR_FMT "/*", STR_ARG(domain)));
}

static int approval(struct admission_attrs *attrs, struct err *err)
{
	const struct certificates_v1_certificate_signing_request *old = attrs->old;

	if (!concerns(attrs, "approval") || allowed_signer(attrs, "approve", old->spec.signer_name))
		return 0;
	return admission_forbidden(attrs, err,
		"user not permitted to approve requests with signerName " STR_FMT,
		STR_ARG(go_quote(attrs->arena, old->spec.signer_name)));
}

const struct admission_plugin admission_certificate_approval = {
	.name = "CertificateApproval",
	.ops = ADMIT_UPDATE,
	.validate = approval,
};

static bool same_conditions(const struct certificates_v1_certificate_signing_request *a,
	const struct certificates_v1_certificate_signing_request *b)
{
	struct certificates_v1_certificate_signing_request x = {
		.status.conditions = a->status.conditions};
	struct certificates_v1_certificate_signing_request y = {
		.status.conditions = b->status.conditions};

	return schema_equal(&certificates_v1_certificate_signing_request_schema, &x, &y);
}

static int signing(struct admission_attrs *attrs, struct err *err)
{
	const struct certificates_v1_certificate_signing_request *now = attrs->obj;
	const struct certificates_v1_certificate_signing_request *old = attrs->old;

	if (!concerns(attrs, "status") ||
		(str_eq(now->status.certificate, old->status.certificate) &&
			same_conditions(now, old)) ||
		allowed_signer(attrs, "sign", old->spec.signer_name))
		return 0;
	return admission_forbidden(attrs, err,
		"user not permitted to sign requests with signerName " STR_FMT,
		STR_ARG(go_quote(attrs->arena, old->spec.signer_name)));
}

const struct admission_plugin admission_certificate_signing = {
	.name = "CertificateSigning",
	.ops = ADMIT_UPDATE,
	.validate = signing,
};

static bool names_group(X509_REQ *req, const char *group)
{
	X509_NAME *subject = X509_REQ_get_subject_name(req);
	int at = -1;

	while ((at = X509_NAME_get_index_by_NID(subject, NID_organizationName, at)) >= 0) {
		ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

		if (str_eqc(str_n((const char *)ASN1_STRING_get0_data(s),
				    (size_t)ASN1_STRING_length(s)),
			    group))
			return true;
	}
	return false;
}

static int subject(struct admission_attrs *attrs, struct err *err)
{
	const struct certificates_v1_certificate_signing_request *csr = attrs->obj;
	X509_REQ *req;
	BIO *bio;
	bool masters;

	if (!concerns(attrs, "") || !str_eqc(csr->spec.signer_name, CLIENT_SIGNER))
		return 0;
	bio = BIO_new_mem_buf(csr->spec.request.p, (int)csr->spec.request.n);
	req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!req)
		return admission_forbidden(attrs, err,
			"failed to parse CSR: PEM block type must be CERTIFICATE REQUEST");
	masters = names_group(req, "system:masters");
	X509_REQ_free(req);
	if (!masters)
		return 0;
	return admission_forbidden(attrs, err,
		"use of " CLIENT_SIGNER " signer with system:masters group is not allowed");
}

const struct admission_plugin admission_certificate_subject_restriction = {
	.name = "CertificateSubjectRestriction",
	.ops = ADMIT_CREATE,
	.validate = subject,
};
