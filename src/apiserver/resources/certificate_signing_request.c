/* certificate_signing_request.c: certificates.k8s.io/v1 CertificateSigningRequest
 * (ValidateCertificateSigningRequest…). The spec never changes; /approval changes conditions only,
 * /status everything in status but the conditions Approved and Denied. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "apiserver/table.h"
#include "apiserver/validation/signer.h"
#include "pki/x509.h"
#include "base/base64.h"
#include "schema/time.h"

#define LEGACY_SIGNER "kubernetes.io/legacy-unknown"

enum { EXPIRATION_MIN_S = 600 };

typedef struct certificates_v1_certificate_signing_request csr_t;
typedef struct certificates_v1_certificate_signing_request_condition condition_t;

static const char *const decisions[] = {"Approved", "Denied"};         /* /approval's alone */
static const char *const lasting[] = {"Approved", "Denied", "Failed"}; /* True or absent */

/* --- what a client may not set --- */

static void prepare_create(struct strategy_ctx *ctx, void *obj)
{
	csr_t *csr = obj;
	const struct user_info *u = ctx->user;

	csr->spec.username = u->name;
	csr->spec.uid = u->uid;
	csr->spec.groups = u->groups;
	csr->spec.extra.v = NULL;
	csr->spec.extra.n = 0;
	for (size_t i = 0; i < u->extra.n; i++) {
		struct certificates_v1_extra_value_pair pair = {.key = u->extra.v[i].key};

		pair.value.items = u->extra.v[i].values;
		ARENA_PUSH(ctx->arena, &csr->spec.extra, pair);
	}
	csr->status = (struct certificates_v1_certificate_signing_request_status){0};
}

static size_t count_conditions(const csr_t *csr, const char *type)
{
	size_t n = 0;

	for (size_t i = 0; i < csr->status.conditions.n; i++)
		n += str_eqc(csr->status.conditions.v[i].type, type);
	return n;
}

static const condition_t *nth_condition(const csr_t *csr, const char *type, size_t nth)
{
	for (size_t i = 0; i < csr->status.conditions.n; i++)
		if (str_eqc(csr->status.conditions.v[i].type, type) && nth-- == 0)
			return &csr->status.conditions.v[i];
	return NULL;
}

/* /status keeps what /approval said, as long as it names the same conditions. */
static void preserve_decision(csr_t *csr, const csr_t *was, const char *type)
{
	size_t n = count_conditions(csr, type);

	if (n != count_conditions(was, type))
		return;
	for (size_t i = 0; i < n; i++)
		*(condition_t *)nth_condition(csr, type, i) = *nth_condition(was, type, i);
}

static struct k8s_time since(const condition_t *c, const csr_t *was, struct k8s_time now)
{
	for (size_t i = 0; i < was->status.conditions.n; i++) {
		const condition_t *o = &was->status.conditions.v[i];

		if (str_eq(o->type, c->type) && str_eq(o->status, c->status) &&
			o->last_transition_time.set)
			return o->last_transition_time;
	}
	return now;
}

static void fill_times(const struct strategy_ctx *ctx, csr_t *csr, const csr_t *was)
{
	struct k8s_time now = k8s_time_from_ms(ctx->now_ns / 1000000);

	for (size_t i = 0; i < csr->status.conditions.n; i++) {
		condition_t *c = &csr->status.conditions.v[i];

		if (!c->last_update_time.set)
			c->last_update_time = now;
		if (!c->last_transition_time.set)
			c->last_transition_time = since(c, was, now);
	}
}

static bool is_approval(const struct strategy_ctx *ctx)
{
	return str_eq(ctx->subresource, S("approval"));
}

static void prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const csr_t *was = old;
	csr_t *csr = obj;

	csr->spec = was->spec;
	if (is_status(ctx)) {
		for (size_t i = 0; i < ARRAY_SIZE(decisions); i++)
			preserve_decision(csr, was, decisions[i]);
		fill_times(ctx, csr, was);
	} else if (is_approval(ctx)) {
		fill_times(ctx, csr, was);
		csr->status.certificate = was->status.certificate;
	} else {
		csr->status = was->status;
	}
}

/* --- validation --- */

static bool is_one_of(struct str s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(s, list[i]))
			return true;
	return false;
}

static void validate_request(const csr_t *csr, const struct field_path *p, struct field_errors *e)
{
	struct err why CLEANUP(err_release) = {0};
	struct buf text;

	if (x509_request_parse(csr->spec.request, e->arena, NULL, &why) == 0)
		return;
	buf_init(&text, 2 * csr->spec.request.n + 16);
	base64_encode(csr->spec.request, &text);
	if (!csr->spec.request.p)
		field_invalid_raw(e, p, S("null"), "%s", err_text(&why));
	else
		field_invalid(e, p, arena_str(e->arena, text.n ? buf_str(&text) : S("")), "%s",
			err_text(&why));
	buf_release(&text);
}

static void validate_usages(
	const struct str_vec *usages, const struct field_path *p, struct field_errors *e)
{
	static const char *const known[] = {"any", "cert sign", "client auth", "code signing",
		"content commitment", "crl sign", "data encipherment", "decipher only",
		"digital signature", "email protection", "encipher only", "ipsec end system",
		"ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc",
		"netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
		NULL};

	if (usages->n == 0)
		field_required(e, p, "");
	for (size_t i = 0; i < usages->n; i++)
		field_one_of(e, AT_INDEX(p, i), usages->v[i], known);
	for (size_t i = 0; i < usages->n; i++) {
		const struct str_vec before = {usages->v, i};

		if (str_vec_has(&before, usages->v[i]))
			field_duplicate(e, AT_INDEX(p, i), usages->v[i]);
	}
}

static void validate_spec(const csr_t *csr, const csr_t *was, struct field_errors *e)
{
	struct field_path p = FIELD(NULL, "spec");
	const struct certificates_v1_certificate_signing_request_spec *s = &csr->spec;

	validate_request(csr, AT(&p, "request"), e);
	validate_usages(&s->usages, AT(&p, "usages"), e);
	/* what upstream's older versions have stored is let be */
	if (str_eqc(s->signer_name, LEGACY_SIGNER) &&
		!(was && str_eqc(was->spec.signer_name, LEGACY_SIGNER)))
		field_invalid(e, AT(&p, "signerName"), s->signer_name,
			"the legacy signerName is not allowed via this API version");
	else
		validate_signer_name(s->signer_name, AT(&p, "signerName"), e);
	if (s->expiration_seconds && *s->expiration_seconds < EXPIRATION_MIN_S)
		field_invalid_int(e, AT(&p, "expirationSeconds"), *s->expiration_seconds,
			"may not specify a duration less than 600 seconds (10 minutes)");
}

static void validate_condition(
	const csr_t *csr, size_t at, const struct field_path *list, struct field_errors *e)
{
	static const char *const only_true[] = {"True", NULL}, *const any[] = {"False", "True",
								       "Unknown", NULL};
	const condition_t *c = &csr->status.conditions.v[at];
	struct field_path p = FIELD_INDEX(list, at);
	bool before[2] = {0}, repeated = false;

	for (size_t i = 0; i < at; i++) {
		repeated = repeated || str_eq(csr->status.conditions.v[i].type, c->type);
		for (size_t k = 0; k < ARRAY_SIZE(decisions); k++)
			before[k] |= str_eqc(csr->status.conditions.v[i].type, decisions[k]);
	}
	if (!c->type.n)
		field_required(e, AT(&p, "type"), "");
	if (!c->status.n)
		field_required(e, AT(&p, "status"), "");
	else
		field_one_of(e, AT(&p, "status"), c->status,
			is_one_of(c->type, lasting, ARRAY_SIZE(lasting)) ? only_true : any);
	if ((str_eqc(c->type, decisions[0]) && before[1]) ||
		(str_eqc(c->type, decisions[1]) && before[0]))
		field_invalid(
			e, list, c->type, "Approved and Denied conditions are mutually exclusive");
	if (repeated)
		field_duplicate(e, AT(&p, "type"), c->type);
}

static void validate_all(const csr_t *csr, const csr_t *was, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status"), list = FIELD(&status, "conditions");
	struct err why CLEANUP(err_release) = {0};

	validate_spec(csr, was, e);
	for (size_t i = 0; i < csr->status.conditions.n; i++)
		validate_condition(csr, i, &list, e);
	if (csr->status.certificate.n && x509_check_chain(csr->status.certificate, &why) < 0)
		field_invalid(e, AT(&status, "certificate"), S("<certificate data>"), "%s",
			err_text(&why));
}

static void validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	validate_all(obj, NULL, e);
}

static bool same_conditions(const csr_t *csr, const csr_t *was, const char *type, struct arena *a)
{
	for (size_t i = 0; i < count_conditions(csr, type); i++)
		if (!schema_equal(&certificates_v1_certificate_signing_request_condition_schema,
			    nth_condition(csr, type, i), nth_condition(was, type, i)))
			return false;
	return true;
}

static void validate_decisions(const csr_t *csr, const csr_t *was, bool may_decide,
	const struct field_path *p, struct field_errors *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
		if (count_conditions(csr, lasting[i]) < count_conditions(was, lasting[i]))
			field_forbidden(e, p, "updates may not remove a condition of type \"%s\"",
				lasting[i]);
	for (size_t i = 0; !may_decide && i < ARRAY_SIZE(decisions); i++) {
		size_t now = count_conditions(csr, decisions[i]),
		       then = count_conditions(was, decisions[i]);

		if (now > then)
			field_forbidden(e, p, "updates may not add a condition of type \"%s\"",
				decisions[i]);
		else if (now == then && !same_conditions(csr, was, decisions[i], e->arena))
			field_forbidden(e, p, "updates may not modify a condition of type \"%s\"",
				decisions[i]);
	}
}

static void validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	struct field_path status = FIELD(NULL, "status"), list = FIELD(&status, "conditions");
	const csr_t *csr = obj, *was = old;

	validate_all(csr, was, e);
	validate_decisions(csr, was, is_approval(ctx), &list, e);
	if (str_eq(csr->status.certificate, was->status.certificate))
		return;
	if (!is_status(ctx))
		field_forbidden(
			e, AT(&status, "certificate"), "updates may not set certificate content");
	else if (was->status.certificate.n)
		field_forbidden(e, AT(&status, "certificate"),
			"updates may not modify existing certificate content");
}

/* --- kubectl get csr --- */

static struct str state_text(struct arena *a, const csr_t *csr)
{
	const char *decision = count_conditions(csr, "Denied")     ? "Denied"
			       : count_conditions(csr, "Approved") ? "Approved"
								   : "Pending";

	return arena_fmt(a, "%s%s%s", decision, count_conditions(csr, "Failed") ? ",Failed" : "",
		csr->status.certificate.n ? ",Issued" : "");
}

static void print_row(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const csr_t *csr = obj;
	struct row r = {a, cells, 0, now_ns};
	struct buf duration;

	buf_init(&duration, 64);
	if (csr->spec.expiration_seconds)
		human_duration(&duration, *csr->spec.expiration_seconds);
	row_str(&r, csr->metadata.name);
	row_age(&r, &csr->metadata.creation_timestamp);
	row_str(&r, csr->spec.signer_name.n ? csr->spec.signer_name : S("<none>"));
	row_str(&r, csr->spec.username);
	row_str(&r, duration.n ? buf_str(&duration) : S("<none>"));
	row_str(&r, state_text(a, csr));
	buf_release(&duration);
}

const struct strategy certificate_signing_request_strategy = {
	.resource = &certificates_v1_certificate_signing_request_resource,
	.name_errors = name_is_anything,
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.validate = validate,
	.validate_update = validate_update,
	.table_row = print_row,
};
