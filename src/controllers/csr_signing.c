/* csr_signing.c: certificatesigningrequest-signing-controller: makes the certificates of approved
 * requests with the cluster's CA, for upstream's four signers. */
#include "controllers/csr.h"

enum {
	BACKDATE_S = 5 * 60, /* clocks of other machines may be behind */
	SHORT_S = 8 * 3600,  /* a life so short is not shortened further by backdating */
	REQUESTED_MIN_S = 10 * 60,
	DEFAULT_S = 365 * 24 * 3600,
};

static bool wanted(const struct controllers_opts *opts)
{
	return opts->signing_key_pem.n > 0;
}

static void *init(const struct controllers_opts *opts)
{
	struct x509_ca *ca = xcalloc(1, sizeof(*ca));
	struct err err CLEANUP(err_release) = {0};

	if (x509_ca_open(opts->signing_cert_pem, opts->signing_key_pem, ca, &err) < 0)
		log_error("signing certificates: %s", err_text(&err));
	return ca;
}

static void release(void *state)
{
	x509_ca_release(state);
	free(state);
}

/* Client certificates for anybody: "client auth", with what it may come with. The words are
 * upstream's. */
static const char *not_api_client(const csr_t *csr, struct arena *a)
{
	bool has_client_auth = false;

	for (size_t i = 0; i < csr->spec.usages.n; i++) {
		struct str u = csr->spec.usages.v[i];

		if (str_eq(u, S("client auth")))
			has_client_auth = true;
		else if (!str_eq(u, S("digital signature")) && !str_eq(u, S("key encipherment")))
			return arena_fmt(
				a, "invalid usage for client certificate: " STR_FMT, STR_ARG(u))
				.p;
	}
	return has_client_auth ? NULL
			       : "missing required usage for client certificate: client auth";
}

/* Whether the signer is one of ours; *ret_why: why it refuses, NULL when it does not. */
static bool is_ours(
	const csr_t *csr, const struct x509_names *names, struct arena *a, const char **ret_why)
{
	struct str signer = csr->spec.signer_name;

	*ret_why = NULL;
	if (str_eqc(signer, SIGNER_KUBELET_CLIENT))
		*ret_why = csr_not_kubelet_client(csr, names);
	else if (str_eqc(signer, SIGNER_KUBELET_SERVING))
		*ret_why = csr_not_kubelet_serving(csr, names);
	else if (str_eqc(signer, SIGNER_API_CLIENT))
		*ret_why = not_api_client(csr, a);
	else
		return str_eqc(signer, SIGNER_LEGACY);
	return true;
}

static int64_t life_s(const struct controllers_opts *opts, const csr_t *csr)
{
	int64_t max = opts->signing_duration_ms ? opts->signing_duration_ms / 1000 : DEFAULT_S;

	if (!csr->spec.expiration_seconds || *csr->spec.expiration_seconds > max)
		return max;
	return MAX(*csr->spec.expiration_seconds, REQUESTED_MIN_S);
}

static int sign(struct view *v, struct plan *p, csr_t *csr, struct err *err)
{
	const struct x509_ca *ca = v->state;
	int64_t now = v->now_ns / 1000000000, life = life_s(v->opts, csr);
	int64_t backdate = life < REQUESTED_MIN_S ? life / 10 : BACKDATE_S;
	struct plan_write *w;
	int r;

	if (!ca->key)
		return err_internal(err, "there is no CA to sign with");
	r = x509_sign(ca, csr->spec.request, &csr->spec.usages, now - backdate,
		now + life - (life < SHORT_S ? 0 : backdate), v->arena, &csr->status.certificate,
		err);
	if (r < 0)
		return r;
	w = plan_add(p, PLAN_UPDATE_STATUS, &certificates_v1_certificate_signing_request_resource,
		S(""), csr->metadata.name);
	w->subresource = S("status");
	w->object = csr;
	w->ignore_not_found = true;
	return 0;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	csr_t *csr = view_decode(
		v, &certificates_v1_certificate_signing_request_resource, S(""), key.name);
	struct x509_names names;
	const char *why;

	if (!csr || csr->metadata.deletion_timestamp.set || csr->status.certificate.n ||
		!csr_condition(csr, "Approved") || csr_condition(csr, "Denied") ||
		csr_condition(csr, "Failed") ||
		x509_request_parse(csr->spec.request, v->arena, &names, NULL) < 0 ||
		!is_ours(csr, &names, v->arena, &why))
		return 0;
	if (!why)
		return sign(v, p, csr, err);
	csr_add_condition(v, p, csr, "status", "Failed", "SignerValidationFailure", why);
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &certificates_v1_certificate_signing_request_resource},
	{0},
};

const struct planner csr_signing_planner = {
	.name = "certificatesigningrequest-signing-controller",
	.user = "certificate-controller",
	.watches = watches,
	.wanted = wanted,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
