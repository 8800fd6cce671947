/*
 * Service account tokens: JSON Web Tokens (RFC 7519) signed with the cluster's key, bound to a
 * service account and maybe to a pod, node or secret: a token ends with what it is bound to.
 */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "apiserver/auth/auth_int.h"
#include "apiserver/auth/jwt.h"
#include "base/base64.h"
#include "json/value.h"
#include "json/write.h"
#include "types.gen.h"

enum { TOKEN_MAX = 16 * 1024, EC_HALF = 32 };

static struct str base64url(struct arena *a, const void *bytes, size_t n)
{
	return base64url_encode(str_n(bytes, n), a);
}

static bool ec_point(EVP_PKEY *key, unsigned char point[1 + 2 * EC_HALF])
{
	size_t n = 0;

	return EVP_PKEY_get_octet_string_param(
		       key, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * EC_HALF, &n) == 1 &&
	       n == 1 + 2 * EC_HALF;
}

static struct str rsa_number(struct arena *a, EVP_PKEY *key, const char *name)
{
	BIGNUM *bn = NULL;
	struct str out = {0};

	if (EVP_PKEY_get_bn_param(key, name, &bn) == 1) {
		unsigned char *bytes = arena_alloc(a, BN_num_bytes(bn));

		out = base64url(a, bytes, BN_bn2bin(bn, bytes));
	}
	BN_free(bn);
	return out;
}

/* The key id is the hash of the public key, as upstream makes it. */
static void describe_key(struct auth *a)
{
	unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH], point[1 + 2 * EC_HALF];
	int n = i2d_PUBKEY(a->key, &der);
	struct arena *m = &a->arena;

	SHA256(der, n, hash);
	OPENSSL_free(der);
	a->key_id = base64url(m, hash, sizeof(hash));
	if (a->is_ec && ec_point(a->key, point))
		a->jwks = arena_fmt(m,
			"{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"" STR_FMT
			"\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"" STR_FMT
			"\",\"y\":\"" STR_FMT "\"}]}",
			STR_ARG(a->key_id), STR_ARG(base64url(m, point + 1, EC_HALF)),
			STR_ARG(base64url(m, point + 1 + EC_HALF, EC_HALF)));
	else
		a->jwks = arena_fmt(m,
			"{\"keys\":[{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"" STR_FMT
			"\",\"alg\":\"RS256\",\"n\":\"" STR_FMT "\",\"e\":\"" STR_FMT "\"}]}",
			STR_ARG(a->key_id), STR_ARG(rsa_number(m, a->key, OSSL_PKEY_PARAM_RSA_N)),
			STR_ARG(rsa_number(m, a->key, OSSL_PKEY_PARAM_RSA_E)));
}

static int check_kind(EVP_PKEY *key, struct err *err)
{
	bool ec = EVP_PKEY_is_a(key, "EC");

	if ((ec && EVP_PKEY_get_bits(key) != 256) || (!ec && !EVP_PKEY_is_a(key, "RSA")))
		return err_bad_request(err, "service account keys must be RSA or EC P-256");
	return 0;
}

/* Public and private keys, one after the other. */
static int open_verify_keys(struct auth *a, struct str pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, pem.n);
	char *name, *header;
	unsigned char *der;
	long n;
	int r = 0;

	while (r == 0 && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		const unsigned char *at = der;
		EVP_PKEY *key = strstr(name, "PUBLIC") ? d2i_PUBKEY(NULL, &at, n)
						       : d2i_AutoPrivateKey(NULL, &at, n);

		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
		if (!key)
			continue;
		r = check_kind(key, err);
		if (r == 0)
			ARENA_PUSH(&a->arena, &a->verify_keys, (void *)key);
		else
			EVP_PKEY_free(key);
	}
	BIO_free(bio);
	if (r == 0 && !a->verify_keys.n)
		r = err_bad_request(err, "--service-account-key-file has no PEM key in it");
	return r;
}

int token_keys_open(struct auth *a, struct str pem, struct str verify_pem, struct err *err)
{
	BIO *bio;
	int r = 0;

	if (verify_pem.n)
		r = open_verify_keys(a, verify_pem, err);
	if (r < 0 || !pem.n)
		return r; /* without a signing key no tokens are made */
	bio = BIO_new_mem_buf(pem.p, pem.n);
	a->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!a->key)
		return err_bad_request(
			err, "the service account signing key is not a PEM private key");
	r = check_kind(a->key, err);
	if (r < 0)
		return r;
	a->is_ec = EVP_PKEY_is_a(a->key, "EC");
	EVP_PKEY_up_ref(a->key);
	ARENA_PUSH(&a->arena, &a->verify_keys, a->key);
	describe_key(a);
	return 0;
}

void token_keys_close(struct auth *a)
{
	for (size_t i = 0; i < a->verify_keys.n; i++)
		EVP_PKEY_free(a->verify_keys.v[i]);
	a->verify_keys.n = 0;
	EVP_PKEY_free(a->key);
	a->key = NULL;
}

static struct str sign(struct auth *a, struct arena *arena, struct str text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *sig = arena_alloc(arena, EVP_PKEY_get_size(a->key));
	size_t n = EVP_PKEY_get_size(a->key);
	bool ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, a->key) == 1 &&
		  EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1;

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return (struct str){0};
	return a->is_ec ? jwt_ec_raw(arena, sig, n, EC_HALF) : str_n((char *)sig, n);
}

static bool is_signed(const struct auth *a, const struct jwt *t)
{
	for (size_t i = 0; i < a->verify_keys.n; i++)
		if (jwt_signature_fits(t, a->verify_keys.v[i]))
			return true;
	return false;
}

static void write_ref(struct buf *b, const char *key, struct str name, struct str uid)
{
	if (!name.n)
		return;
	buf_fmt(b, ",\"%s\":{\"name\":", key);
	json_write_string(b, name);
	buf_add_c(b, ",\"uid\":");
	json_write_string(b, uid);
	buf_add_char(b, '}');
}

static void write_claims(struct auth *a, const struct token_claims *c, struct buf *b)
{
	const struct str_vec *audiences = c->audiences.n ? &c->audiences : &a->audiences;
	unsigned char id[16];

	RAND_bytes(id, sizeof(id));
	buf_add_c(b, "{\"aud\":[");
	for (size_t i = 0; i < audiences->n; i++) {
		buf_add_c(b, i ? "," : "");
		json_write_string(b, audiences->v[i]);
	}
	buf_fmt(b, "],\"exp\":%lld,\"iat\":%lld,\"iss\":", (long long)c->expires_s,
		(long long)c->issued_s);
	json_write_string(b, a->issuer);
	buf_fmt(b,
		",\"jti\":\"%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x\"",
		id[0], id[1], id[2], id[3], id[4], id[5], id[6] & 15, id[7], 8 + (id[8] & 3),
		id[8] >> 4, id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
	buf_add_c(b, ",\"kubernetes.io\":{\"namespace\":");
	json_write_string(b, c->ns);
	write_ref(b, "node", c->node, c->node_uid);
	write_ref(b, "pod", c->pod, c->pod_uid);
	write_ref(b, "secret", c->secret, c->secret_uid);
	write_ref(b, "serviceaccount", c->service_account, c->service_account_uid);
	buf_fmt(b, "},\"nbf\":%lld,\"sub\":\"system:serviceaccount:" STR_FMT ":" STR_FMT "\"}",
		(long long)c->issued_s, STR_ARG(c->ns), STR_ARG(c->service_account));
}

struct str token_sign(struct auth *a, struct arena *arena, const struct token_claims *c)
{
	struct str head, body, text, sig;
	struct buf b;

	if (!a->key)
		return (struct str){0};
	head = arena_fmt(arena, "{\"alg\":\"%s\",\"kid\":\"" STR_FMT "\"}",
		a->is_ec ? "ES256" : "RS256", STR_ARG(a->key_id));
	buf_init(&b, TOKEN_MAX);
	write_claims(a, c, &b);
	body = base64url(arena, b.p, b.n);
	head = base64url(arena, head.p, head.n);
	text = arena_fmt(arena, STR_FMT "." STR_FMT, STR_ARG(head), STR_ARG(body));
	sig = buf_failed(&b) ? (struct str){0} : sign(a, arena, text);
	buf_release(&b);
	if (!sig.n)
		return sig;
	sig = base64url(arena, sig.p, sig.n);
	return arena_fmt(arena, STR_FMT "." STR_FMT, STR_ARG(text), STR_ARG(sig));
}

static int64_t number(const struct json_value *claims, const char *key)
{
	int64_t n = 0;

	return jwt_time(claims, key, &n) ? n : 0;
}

/* Whether an object that the token is bound to is still that object. */
static int check_bound(struct auth *a, const struct json_value *ref,
	const struct schema_resource *res, struct str ns, const char *what, struct err *err)
{
	const struct object *o;
	bool same;

	if (!ref)
		return 0;
	o = store_get(a->store, res, ns, json_get_str(ref, "name"));
	same = o && str_eq(o->uid, json_get_str(ref, "uid"));
	object_unref(o);
	return same ? 0 : err_fmt(err, 401, "Unauthorized", "%s has been deleted", what);
}

static int check_claims(struct auth *a, const struct json_value *claims, struct str ns,
	int64_t now_s, struct err *err)
{
	const struct json_value *k = json_getc(claims, "kubernetes.io");
	const struct json_value *account = json_getc(k, "serviceaccount");
	struct str name = json_get_str(account, "name");
	int r;

	if (!ns.n || !name.n)
		return err_fmt(err, 401, "Unauthorized", "invalid bearer token");
	if (number(claims, "exp") <= now_s)
		return err_fmt(err, 401, "Unauthorized", "service account token has expired");
	if (number(claims, "nbf") > now_s + 60)
		return err_fmt(err, 401, "Unauthorized", "service account token is not valid yet");
	r = check_bound(a, account, &v1_service_account_resource, ns, "service account", err);
	if (r == 0)
		r = check_bound(a, json_getc(k, "pod"), &v1_pod_resource, ns, "Pod", err);
	if (r == 0)
		r = check_bound(a, json_getc(k, "secret"), &v1_secret_resource, ns, "Secret", err);
	/* a node besides a pod tells where the pod runs and binds nothing */
	if (r == 0 && !json_getc(k, "pod"))
		r = check_bound(a, json_getc(k, "node"), &v1_node_resource, S(""), "Node", err);
	return r;
}

static void add_extra(struct arena *arena, struct user_info *u, const char *key, struct str value)
{
	struct user_extra e = {.key = str_c(key)};

	if (!value.n)
		return;
	ARENA_PUSH(arena, &e.values, value);
	ARENA_PUSH(arena, &u->extra, e);
}

static void describe_user(
	struct arena *arena, const struct json_value *claims, struct user_info *ret)
{
	const struct json_value *k = json_getc(claims, "kubernetes.io");
	const struct json_value *account = json_getc(k, "serviceaccount");
	struct str ns = json_get_str(k, "namespace"), id = json_get_str(claims, "jti");

	*ret = (struct user_info){.uid = json_get_str(account, "uid")};
	ret->name = arena_fmt(arena, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ns),
		STR_ARG(json_get_str(account, "name")));
	ARENA_PUSH(arena, &ret->groups, S("system:serviceaccounts"));
	ARENA_PUSH(arena, &ret->groups,
		arena_fmt(arena, "system:serviceaccounts:" STR_FMT, STR_ARG(ns)));
	if (id.n)
		add_extra(arena, ret, "authentication.kubernetes.io/credential-id",
			arena_fmt(arena, "JTI=" STR_FMT, STR_ARG(id)));
	add_extra(arena, ret, "authentication.kubernetes.io/node-name",
		json_get_str(json_getc(k, "node"), "name"));
	add_extra(arena, ret, "authentication.kubernetes.io/node-uid",
		json_get_str(json_getc(k, "node"), "uid"));
	add_extra(arena, ret, "authentication.kubernetes.io/pod-name",
		json_get_str(json_getc(k, "pod"), "name"));
	add_extra(arena, ret, "authentication.kubernetes.io/pod-uid",
		json_get_str(json_getc(k, "pod"), "uid"));
}

int token_claims(struct auth *a, struct arena *arena, const struct json_value *claims,
	int64_t now_ns, struct user_info *ret, struct str_vec *ret_audiences, struct err *err)
{
	int r;

	if (!str_vec_has(&a->issuers, json_get_str(claims, "iss")))
		return 0; /* somebody else's */
	r = check_claims(a, claims, json_get_str(json_getc(claims, "kubernetes.io"), "namespace"),
		now_ns / 1000000000, err);
	if (r < 0)
		return r;
	if (!jwt_audiences(claims, arena, ret_audiences) || !ret_audiences->n)
		return 0; /* for nobody: good for nothing */
	describe_user(arena, claims, ret);
	return 1;
}

static int verify(const struct token_question *q, struct user_info *ret,
	struct str_vec *ret_audiences, struct err *err)
{
	struct jwt t;

	if (jwt_parse(q->token, q->arena, &t, NULL) < 0 || !is_signed(q->auth, &t))
		return 0;
	return token_claims(q->auth, q->arena, t.claims, q->now_ns, ret, ret_audiences, err);
}

const struct token_authenticator service_account_tokens = {
	.name = "service account", .authenticate = verify};

struct str auth_jwks(struct auth *a)
{
	return a->jwks.n ? a->jwks : S("{\"keys\":[]}");
}

struct str auth_openid_configuration(struct auth *a, struct arena *arena)
{
	struct str jwks = a->jwks_uri;

	if (!jwks.n)
		jwks = arena_fmt(arena, STR_FMT "/openid/v1/jwks", STR_ARG(a->issuer));
	return arena_fmt(arena,
		"{\"issuer\":\"" STR_FMT "\",\"jwks_uri\":\"" STR_FMT
		"\",\"response_types_supported\":[\"id_token\"],\"subject_types_supported\":["
		"\"public\"],\"id_token_signing_alg_values_supported\":[\"%s\"]}",
		STR_ARG(a->issuer), STR_ARG(jwks), a->is_ec ? "ES256" : "RS256");
}

struct str auth_issuer(const struct auth *a)
{
	return a->issuer;
}

int64_t auth_token_seconds_max(const struct auth *a)
{
	return a->token_seconds_max;
}

const struct str_vec *auth_audiences(const struct auth *a)
{
	return &a->audiences;
}
