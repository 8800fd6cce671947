/* volume_projected.c: files that a pod gets from several sources in one directory. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "apiserver/validation/signer.h"

enum {
	TOKEN_SECONDS_MIN = 600,
	CERTIFICATE_SECONDS_MIN = 3600,
	CERTIFICATE_SECONDS_MAX = 91 * 86400,
	CERTIFICATE_SECONDS_MAX_KUBERNETES = 86400,
};
#define TOKEN_SECONDS_MAX (1LL << 32)

struct projection {
	const struct field_path *p; /* of the volume */
	struct str_vec paths;
	struct field_errors *e;
};

/* Two files in one place; `shown` is what upstream's message names. */
static void take_path(struct projection *pr, struct str path, struct str shown)
{
	if (str_vec_has(&pr->paths, path))
		field_invalid(pr->e, pr->p, shown, "conflicting duplicate paths");
	else
		ARENA_PUSH(pr->e->arena, &pr->paths, path);
}

void validate_downward_api_file(const struct v1_downward_api_volume_file *f,
	const struct field_path *p, struct field_errors *e)
{
	if (f->path.n == 0)
		field_required(e, AT(p, "path"), "");
	validate_local_non_reserved_path(f->path, AT(p, "path"), e);
	if (f->field_ref) {
		validate_field_ref(f->field_ref, true, AT(p, "fieldRef"), e);
		if (f->resource_field_ref)
			field_invalid(e, p, S("resource"),
				"fieldRef and resourceFieldRef can not be specified "
				"simultaneously");
	} else if (f->resource_field_ref) {
		validate_resource_field_ref(
			f->resource_field_ref, true, AT(p, "resourceFieldRef"), e);
	} else {
		field_required(e, p, "one of fieldRef and resourceFieldRef is required");
	}
	validate_file_mode(f->mode, AT(p, "mode"), e);
}

static void validate_keys(struct projection *pr, struct str name,
	const struct v1_key_to_path_vec *items, const struct field_path *p)
{
	struct field_path list = FIELD(p, "items");

	if (name.n == 0)
		field_required(pr->e, AT(p, "name"), "");
	for (size_t i = 0; i < items->n; i++) {
		validate_key_to_path(&items->v[i], AT_INDEX(&list, i), pr->e);
		if (items->v[i].path.n)
			take_path(pr, items->v[i].path, name);
	}
}

static void validate_token(struct projection *pr,
	const struct v1_service_account_token_projection *t, const struct field_path *p)
{
	int64_t seconds = t->expiration_seconds ? *t->expiration_seconds : 0;
	struct field_path at = FIELD(p, "expirationSeconds");

	if (seconds < TOKEN_SECONDS_MIN)
		field_invalid_int(
			pr->e, &at, seconds, "may not specify a duration less than 10 minutes");
	if (seconds > TOKEN_SECONDS_MAX)
		field_invalid_int(
			pr->e, &at, seconds, "may not specify a duration larger than 2^32 seconds");
	if (t->path.n == 0)
		field_required(pr->e, AT(pr->p, "path"), "");
	else
		validate_local_non_reserved_path(t->path, AT(pr->p, "path"), pr->e);
}

static void validate_bundle(struct projection *pr,
	const struct v1_cluster_trust_bundle_projection *b, const struct field_path *p)
{
	struct field_errors *e = pr->e;

	if (b->name.p && b->signer_name.p) {
		field_invalid_raw(e, p,
			go_json(e->arena, &v1_cluster_trust_bundle_projection_schema, b),
			"only one of name and signerName may be used");
	} else if (b->name.p) {
		if (b->name.n == 0)
			field_required(e, AT(p, "name"), "must be a valid object name");
		struct str_vec msgs = trust_bundle_name_errors(e->arena, b->name);
		for (size_t i = 0; i < msgs.n; i++)
			field_invalid(e, AT(p, "name"), b->name,
				"not a valid clustertrustbundlename: " STR_FMT, STR_ARG(msgs.v[i]));
		if (b->label_selector)
			field_invalid_raw(e, AT(p, "labelSelector"),
				go_json(e->arena, &meta_v1_label_selector_schema,
					b->label_selector),
				"labelSelector must be unset if name is specified");
	} else if (b->signer_name.p) {
		if (b->signer_name.n == 0)
			field_required(e, AT(p, "signerName"), "must be a valid signer name");
		validate_signer_name(b->signer_name, AT(p, "signerName"), e);
		validate_label_selector(b->label_selector, AT(p, "labelSelector"), e);
	} else {
		field_required(e, p, "either name or signerName must be specified");
	}
	if (b->path.n == 0)
		field_required(e, AT(p, "path"), "");
	validate_local_non_reserved_path(b->path, AT(p, "path"), e);
	take_path(pr, b->path, b->path);
}

static void validate_user_annotations(
	const struct str_map *m, const struct field_path *p, struct field_errors *e)
{
	size_t total = 0;

	for (size_t i = 0; i < m->n; i++) {
		validate_domain_prefixed_key(str_lower(e->arena, m->v[i].key), p, e);
		total += m->v[i].key.n + m->v[i].value.n;
	}
	if (total > ANNOTATIONS_SIZE_MAX)
		field_too_long(e, p, ANNOTATIONS_SIZE_MAX);
}

static size_t certificate_path(struct projection *pr, struct str path, const struct field_path *p)
{
	if (path.n == 0)
		return 0;
	validate_local_non_reserved_path(path, p, pr->e);
	take_path(pr, path, path);
	return 1;
}

static void validate_certificate(struct projection *pr,
	const struct v1_pod_certificate_projection *c, const struct field_path *p)
{
	static const char *const keys[] = {
		"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", NULL};
	struct field_path seconds = FIELD(p, "maxExpirationSeconds");
	size_t n;

	validate_signer_name(c->signer_name, AT(p, "signerName"), pr->e);
	validate_user_annotations(&c->user_annotations, AT(p, "userAnnotations"), pr->e);
	field_one_of(pr->e, AT(p, "keyType"), c->key_type, keys);
	if (c->max_expiration_seconds) {
		int max = signer_is_kubernetes(c->signer_name) ? CERTIFICATE_SECONDS_MAX_KUBERNETES
							       : CERTIFICATE_SECONDS_MAX;
		if (*c->max_expiration_seconds < CERTIFICATE_SECONDS_MIN)
			field_invalid_int(pr->e, &seconds, *c->max_expiration_seconds,
				"if provided, maxExpirationSeconds must be >= %d",
				CERTIFICATE_SECONDS_MIN);
		if (*c->max_expiration_seconds > max)
			field_invalid_int(pr->e, &seconds, *c->max_expiration_seconds,
				"if provided, maxExpirationSeconds must be <= %d", max);
	}
	n = certificate_path(pr, c->credential_bundle_path, AT(p, "credentialBundlePath"));
	n += certificate_path(pr, c->key_path, AT(p, "keyPath"));
	n += certificate_path(pr, c->certificate_chain_path, AT(p, "certificateChainPath"));
	if (n == 0)
		field_required(pr->e, p,
			"specify at least one of credentialBundlePath, keyPath, and "
			"certificateChainPath");
}

static void validate_source(
	struct projection *pr, const struct v1_volume_projection *s, const struct field_path *p)
{
	size_t n = 0;

	if (s->secret && ++n)
		validate_keys(pr, s->secret->name, &s->secret->items, AT(p, "secret"));
	if (s->config_map && ++n)
		validate_keys(pr, s->config_map->name, &s->config_map->items, AT(p, "configMap"));
	if (s->downward_api && ++n)
		for (size_t i = 0; i < s->downward_api->items.n; i++) {
			const struct v1_downward_api_volume_file *f = &s->downward_api->items.v[i];
			validate_downward_api_file(f, AT(p, "downwardAPI"), pr->e);
			if (f->path.n)
				take_path(pr, f->path, f->path);
		}
	if (s->service_account_token && ++n)
		validate_token(pr, s->service_account_token, AT(p, "serviceAccountToken"));
	if (s->cluster_trust_bundle && ++n)
		validate_bundle(pr, s->cluster_trust_bundle, AT(p, "clusterTrustBundle"));
	if (s->pod_certificate && ++n)
		validate_certificate(pr, s->pod_certificate, AT(p, "podCertificate"));
	if (n > 1)
		field_forbidden(pr->e, p, "may not specify more than 1 volume type per source");
}

void validate_projected(const struct v1_projected_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	struct projection pr = {.p = p, .e = e};
	struct field_path list = FIELD(p, "sources");

	validate_file_mode(v->default_mode, AT(p, "defaultMode"), e);
	for (size_t i = 0; i < v->sources.n; i++)
		validate_source(&pr, &v->sources.v[i], AT_INDEX(&list, i));
}
