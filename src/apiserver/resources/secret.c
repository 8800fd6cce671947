/* secret.c: secrets and the keys that their types demand (ValidateSecret). */
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "apiserver/resources/data.h"
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "json/value.h"

static void secret_default(struct strategy_ctx *ctx, void *obj)
{
	struct v1_secret *s = obj;

	/* stringData is written only: it becomes data, and wins. */
	for (size_t i = 0; i < s->string_data.n; i++)
		str_map_put(
			ctx->arena, &s->data, s->string_data.v[i].key, s->string_data.v[i].value);
	s->string_data = (struct str_map){0};
}

static void secret_prepare_update(struct strategy_ctx *ctx, void *obj, const void *old)
{
	const struct v1_secret *was = old;
	struct v1_secret *s = obj;

	if (s->type.n == 0)
		s->type = was->type;
}

static void require_key(const struct v1_secret *s, const char *key, const struct field_path *p,
	struct field_errors *e)
{
	if (!str_map_get(&s->data, str_c(key)))
		field_required(e, AT_KEY(p, str_c(key)), "");
}

/* A JSON object must stand under the key. */
static void require_json(const struct v1_secret *s, const char *key, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const kinds[] = {[JSON_BOOL] = "bool",
		[JSON_NUMBER] = "number",
		[JSON_STRING] = "string",
		[JSON_ARRAY] = "array"};
	const struct str *v = str_map_get(&s->data, str_c(key));
	struct err err CLEANUP(err_release) = {0};
	struct json_value *value;
	const char *why = NULL;

	if (!v) {
		field_required(e, AT_KEY(p, str_c(key)), "");
		return;
	}
	if (json_parse(*v, e->arena, &value, &err) < 0)
		why = err_text(&err);
	else if (value->kind != JSON_OBJECT && value->kind != JSON_NULL)
		why = arena_fmt(e->arena,
			"json: cannot unmarshal %s into Go value of type map[string]interface {}",
			kinds[value->kind])
			      .p;
	if (why)
		field_invalid(e, AT_KEY(p, str_c(key)), S("<secret contents redacted>"), "%s", why);
}

static void validate_type(
	const struct v1_secret *s, const struct field_path *p, struct field_errors *e)
{
	struct field_path meta = FIELD(NULL, "metadata"), annotations = FIELD(&meta, "annotations");
	struct str account = S("kubernetes.io/service-account.name");
	const struct str *v;

	if (str_eqc(s->type, "kubernetes.io/service-account-token")) {
		v = str_map_get(&s->metadata.annotations, account);
		if (!v || v->n == 0)
			field_required(e, AT_KEY(&annotations, account), "");
	} else if (str_eqc(s->type, "kubernetes.io/dockercfg")) {
		require_json(s, ".dockercfg", p, e);
	} else if (str_eqc(s->type, "kubernetes.io/dockerconfigjson")) {
		require_json(s, ".dockerconfigjson", p, e);
	} else if (str_eqc(s->type, "kubernetes.io/basic-auth")) {
		if (!str_map_get(&s->data, S("username")) &&
			!str_map_get(&s->data, S("password"))) {
			require_key(s, "username", p, e);
			require_key(s, "password", p, e);
		}
	} else if (str_eqc(s->type, "kubernetes.io/ssh-auth")) {
		v = str_map_get(&s->data, S("ssh-privatekey"));
		if (!v || v->n == 0)
			field_required(e, AT_KEY(p, S("ssh-privatekey")), "");
	} else if (str_eqc(s->type, "kubernetes.io/tls")) {
		require_key(s, "tls.crt", p, e);
		require_key(s, "tls.key", p, e);
	}
}

static void secret_validate(struct strategy_ctx *ctx, const void *obj, struct field_errors *e)
{
	const struct v1_secret *s = obj;
	struct field_path data = FIELD(NULL, "data");

	if (validate_data_keys(&s->data, &data, e) > SECRET_SIZE_MAX)
		field_too_long(e, &data, SECRET_SIZE_MAX);
	validate_type(s, &data, e);
}

static void secret_validate_update(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct field_errors *e)
{
	static const char why[] = "field is immutable when `immutable` is set";
	const struct v1_secret *s = obj, *was = old;

	validate_immutable_str(s->type, was->type, AT(NULL, "type"), e);
	if (was->immutable && *was->immutable) {
		if (!s->immutable || !*s->immutable)
			field_forbidden(e, AT(NULL, "immutable"), why);
		if (!str_maps_equal(&s->data, &was->data))
			field_forbidden(e, AT(NULL, "data"), why);
	}
	revalidate_meta(ctx, &s->metadata, e);
	secret_validate(ctx, obj, e);
}

static X509 *read_certificate(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *crt = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return crt;
}

static EVP_PKEY *read_key(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key;
}

/* What Go's tls.X509KeyPair would say; NULL when certificate and key belong together. */
static const char *key_pair_error(struct str crt_pem, struct str key_pem)
{
	X509 *crt = crt_pem.n ? read_certificate(crt_pem) : NULL;
	EVP_PKEY *key = key_pem.n ? read_key(key_pem) : NULL;
	const char *why = NULL;

	if (!crt)
		why = "tls: failed to find any PEM data in certificate input";
	else if (!key)
		why = "tls: failed to find any PEM data in key input";
	else if (X509_check_private_key(crt, key) != 1)
		why = "tls: private key does not match public key";
	X509_free(crt);
	EVP_PKEY_free(key);
	return why;
}

static void secret_warn(struct strategy_ctx *ctx, const void *obj, const void *old)
{
	const struct v1_secret *s = obj;
	const struct str *crt = str_map_get(&s->data, S("tls.crt")),
			 *key = str_map_get(&s->data, S("tls.key"));
	const char *why;

	if (!str_eqc(s->type, "kubernetes.io/tls"))
		return;
	why = key_pair_error(crt ? *crt : S(""), key ? *key : S(""));
	if (why)
		ctx_warn(ctx, "%s", why);
}

const struct strategy secret_strategy = {
	.resource = &v1_secret_resource,
	.name_errors = name_is_dns_subdomain,
	.default_ = secret_default,
	.prepare_update = secret_prepare_update,
	.validate = secret_validate,
	.validate_update = secret_validate_update,
	.warn = secret_warn,
	.table_row = print_secret,
};
