/* csr_signing.c: certificatesigningrequest-signing-controller: makes the certificates of approved
 * requests with the cluster's CA, for upstream's four signers. */
#include "controllers/csr.h"

enum {
	BACKDATE_S = 5 * 60, /* clocks of other machines may be behind */
	SHORT_S = 8 * 3600,  /* a life so short is not shortened further by backdating */
	REQUESTED_MIN_S = 10 * 60,
	DEFAULT_S = 365 * 24 * 3600,
};

static const char *const signer_names[SIGNERS] = {
	[SIGNER_OF_CLIENTS] = SIGNER_API_CLIENT,
	[SIGNER_OF_KUBELET_CLIENTS] = SIGNER_KUBELET_CLIENT,
	[SIGNER_OF_KUBELETS] = SIGNER_KUBELET_SERVING,
	[SIGNER_OF_UNKNOWN] = SIGNER_LEGACY,
};

static bool wanted(const struct controllers_opts *opts)
{
	for (int i = 0; i < SIGNERS; i++)
		if (opts->signing[i].key_pem.n)
			return true;
	return false;
}

static void *init(const struct controllers_opts *opts)
{
	struct x509_ca *cas = xcalloc(SIGNERS, sizeof(*cas));

	for (int i = 0; i < SIGNERS; i++) {
		struct err err CLEANUP(err_release) = {0};

		if (opts->signing[i].key_pem.n &&
			x509_ca_open(opts->signing[i].cert_pem, opts->signing[i].key_pem, &cas[i],
				&err) < 0)
			log_error("%s does not sign: %s", signer_names[i], err_text(&err));
	}
	return cas;
}

static void release(void *state)
{
	struct x509_ca *cas = state;

	for (int i = 0; i < SIGNERS; i++)
		x509_ca_release(&cas[i]);
	free(cas);
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

/* The CA of the request's signer; NULL when we have none. */
static const struct x509_ca *signer_of(const struct view *v, const csr_t *csr)
{
	const struct x509_ca *cas = v->state;

	for (int i = 0; i < SIGNERS; i++)
		if (str_eqc(csr->spec.signer_name, signer_names[i]))
			return cas[i].key ? &cas[i] : NULL;
	return NULL;
}

/* Why the signer refuses; NULL when it does not. */
static const char *refusal(const csr_t *csr, const struct x509_names *names, struct arena *a)
{
	struct str signer = csr->spec.signer_name;

	if (str_eqc(signer, SIGNER_KUBELET_CLIENT))
		return csr_not_kubelet_client(csr, names);
	if (str_eqc(signer, SIGNER_KUBELET_SERVING))
		return csr_not_kubelet_serving(csr, names);
	return str_eqc(signer, SIGNER_API_CLIENT) ? not_api_client(csr, a) : NULL;
}

static int64_t life_s(const struct controllers_opts *opts, const csr_t *csr)
{
	int64_t max = opts->signing_duration_ms ? opts->signing_duration_ms / 1000 : DEFAULT_S;

	if (!csr->spec.expiration_seconds || *csr->spec.expiration_seconds > max)
		return max;
	return MAX(*csr->spec.expiration_seconds, REQUESTED_MIN_S);
}

static int sign(struct view *v, struct plan *p, const struct x509_ca *ca, csr_t *csr,
	struct err *err)
{
	int64_t now = v->now_ns / 1000000000, life = life_s(v->opts, csr);
	int64_t backdate = life < REQUESTED_MIN_S ? life / 10 : BACKDATE_S;
	struct plan_write *w;
	int r;

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
	const struct x509_ca *ca = csr ? signer_of(v, csr) : NULL;
	struct x509_names names;
	const char *why;

	if (!ca || csr->metadata.deletion_timestamp.set || csr->status.certificate.n ||
		!csr_condition(csr, "Approved") || csr_condition(csr, "Denied") ||
		csr_condition(csr, "Failed") ||
		x509_request_parse(csr->spec.request, v->arena, &names, NULL) < 0)
		return 0;
	why = refusal(csr, &names, v->arena);
	if (!why)
		return sign(v, p, ca, csr, err);
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
