#include "apiserver/auth/jwt.h"

#include <math.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#include "base/base64.h"

enum { KEYS_MAX = 256, KEY_BYTES_MAX = 2048 };

/* --- algorithms --- */

struct algorithm {
	const char *name;
	const char *digest;
	const char *key; /* RSA, EC */
	bool pss;
	size_t half; /* EC: bytes of each number */
};

static const struct algorithm algorithms[] = {
	{"RS256", "SHA256", "RSA"},
	{"RS384", "SHA384", "RSA"},
	{"RS512", "SHA512", "RSA"},
	{"PS256", "SHA256", "RSA", true},
	{"PS384", "SHA384", "RSA", true},
	{"PS512", "SHA512", "RSA", true},
	{"ES256", "SHA256", "EC", false, 32},
	{"ES384", "SHA384", "EC", false, 48},
	{"ES512", "SHA512", "EC", false, 66},
};

static const struct algorithm *algorithm_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (str_eqc(name, algorithms[i].name))
			return &algorithms[i];
	return NULL;
}

bool jwt_algorithm_known(struct str alg)
{
	return algorithm_of(alg) != NULL;
}

/* --- tokens --- */

static int part(
	struct str text, const char *what, struct arena *a, struct str *ret, struct err *err)
{
	size_t bad = base64url_decode(text, a, ret);

	return bad ? err_bad_request(
			     err, "%s: illegal base64 data at input byte %zu", what, bad - 1)
		   : 0;
}

static int object_in(struct str json, const char *what, struct arena *a,
	const struct json_value **ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct json_value *v;

	if (json_parse(json, a, &v, &why) < 0)
		return err_bad_request(err, "%s: %s", what, err_text(&why));
	if (v->kind != JSON_OBJECT)
		return err_bad_request(err, "%s is no JSON object", what);
	*ret = v;
	return 0;
}

int jwt_parse(struct str token, struct arena *a, struct jwt *ret, struct err *err)
{
	ssize_t dot = str_rchr(token, '.');
	struct str head, body, more, text;
	const struct json_value *header;
	struct jwt t = {0};
	int r;

	if (dot < 0 || token.n > JWT_MAX)
		return err_bad_request(err, "malformed token");
	t.signed_part = str_sub(token, 0, (size_t)dot);
	str_cut(t.signed_part, '.', &head, &body);
	if (!body.n || str_cut(body, '.', &body, &more))
		return err_bad_request(err, "malformed token");
	r = part(head, "header", a, &text, err);
	if (r == 0)
		r = object_in(text, "header", a, &header, err);
	if (r == 0)
		r = part(str_sub(token, (size_t)dot + 1, token.n), "signature", a, &t.signature,
			err);
	if (r == 0)
		r = part(body, "payload", a, &t.payload, err);
	if (r == 0)
		r = object_in(t.payload, "payload", a, &t.claims, err);
	if (r < 0)
		return r;
	t.alg = json_get_str(header, "alg");
	t.key_id = json_get_str(header, "kid");
	if (json_getc(header, "crit"))
		return err_bad_request(err, "unsupported crit header");
	*ret = t;
	return 0;
}

/* The two numbers side by side (RFC 7518 3.4) -> DER; {NULL,0} when they have another length. */
static struct str ec_der(struct arena *a, struct str raw, size_t half)
{
	ECDSA_SIG *sig;
	unsigned char *der = NULL;
	struct str out = {0};
	int n;

	if (raw.n != 2 * half)
		return out;
	sig = ECDSA_SIG_new();
	ECDSA_SIG_set0(sig, BN_bin2bn((const unsigned char *)raw.p, (int)half, NULL),
		BN_bin2bn((const unsigned char *)raw.p + half, (int)half, NULL));
	n = i2d_ECDSA_SIG(sig, &der);
	if (n > 0)
		out = arena_str(a, str_n((char *)der, (size_t)n));
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return out;
}

struct str jwt_ec_raw(struct arena *a, const unsigned char *der, size_t n, size_t half)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	unsigned char *raw = arena_alloc(a, 2 * half);

	if (!sig)
		return (struct str){0};
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half);
	ECDSA_SIG_free(sig);
	return str_n((char *)raw, 2 * half);
}

static bool key_fits(const struct algorithm *alg, EVP_PKEY *key)
{
	if (!EVP_PKEY_is_a(key, alg->key))
		return false;
	return !alg->half || (size_t)(EVP_PKEY_get_bits(key) + 7) / 8 == alg->half;
}

static bool verify(const struct algorithm *alg, EVP_PKEY *key, struct str text, struct str sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey = NULL;
	bool ok = EVP_DigestVerifyInit_ex(ctx, &pkey, alg->digest, NULL, NULL, key, NULL) == 1;

	if (ok && alg->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_AUTO) == 1;
	ok = ok && EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n,
			   (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

bool jwt_signature_fits(const struct jwt *t, void *key)
{
	const struct algorithm *alg = algorithm_of(t->alg);
	struct arena scratch = {0};
	struct str sig = t->signature;
	bool ok;

	if (!alg || !key_fits(alg, key))
		return false;
	if (alg->half)
		sig = ec_der(&scratch, sig, alg->half);
	ok = sig.n && verify(alg, key, t->signed_part, sig);
	arena_release(&scratch);
	return ok;
}

/* --- claims --- */

bool jwt_time(const struct json_value *claims, const char *name, int64_t *ret)
{
	const struct json_value *v = json_getc(claims, name);
	char text[64];
	double d;

	if (!v || v->kind != JSON_NUMBER || v->text.n >= sizeof(text))
		return false;
	if (str_to_i64(v->text, ret) == 0)
		return true;
	memcpy(text, v->text.p, v->text.n);
	text[v->text.n] = 0;
	d = strtod(text, NULL);
	if (!isfinite(d) || fabs(d) > 9e18)
		return false;
	*ret = (int64_t)d;
	return true;
}

bool jwt_audiences(const struct json_value *claims, struct arena *a, struct str_vec *ret)
{
	const struct json_value *aud = json_getc(claims, "aud");
	struct str_vec out = {0};

	if (!aud || (aud->kind != JSON_STRING && aud->kind != JSON_ARRAY))
		return false;
	if (aud->kind == JSON_STRING)
		ARENA_PUSH(a, &out, aud->text);
	for (size_t i = 0; aud->kind == JSON_ARRAY && i < aud->items.n; i++) {
		if (aud->items.v[i]->kind != JSON_STRING)
			return false;
		ARENA_PUSH(a, &out, aud->items.v[i]->text);
	}
	*ret = out;
	return true;
}

/* --- key sets --- */

struct jwk {
	struct str id;
	EVP_PKEY *key;
};

struct jwks {
	_Atomic unsigned refs;
	struct arena arena;
	struct {
		struct jwk *v;
		size_t n;
	} keys;
};

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *params)
{
	OSSL_PARAM *list = OSSL_PARAM_BLD_to_param(params);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!list || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, list) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(list);
	return key;
}

static bool bytes_of(const struct json_value *v, const char *name, struct arena *a, struct str *ret)
{
	struct str text = json_get_str(v, name);

	return text.n && text.n <= KEY_BYTES_MAX && base64url_decode(text, a, ret) == 0 && ret->n;
}

static EVP_PKEY *rsa_key(const struct json_value *v, struct arena *a)
{
	OSSL_PARAM_BLD *params;
	BIGNUM *bn_n, *bn_e;
	EVP_PKEY *key;
	struct str n, e;

	if (!bytes_of(v, "n", a, &n) || !bytes_of(v, "e", a, &e))
		return NULL;
	params = OSSL_PARAM_BLD_new();
	bn_n = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
	bn_e = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
	OSSL_PARAM_BLD_push_BN(params, OSSL_PKEY_PARAM_RSA_N, bn_n);
	OSSL_PARAM_BLD_push_BN(params, OSSL_PKEY_PARAM_RSA_E, bn_e);
	key = key_from("RSA", params);
	OSSL_PARAM_BLD_free(params);
	BN_free(bn_n);
	BN_free(bn_e);
	return key;
}

static EVP_PKEY *ec_key(const struct json_value *v, struct arena *a)
{
	static const struct {
		const char *curve, *group;
		size_t half;
	} curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48},
		{"P-521", "secp521r1", 66}};
	struct str x, y, curve = json_get_str(v, "crv");
	OSSL_PARAM_BLD *params;
	unsigned char point[1 + 2 * 66] = {4};
	EVP_PKEY *key = NULL;
	size_t i = 0, half;

	while (i < ARRAY_SIZE(curves) && !str_eqc(curve, curves[i].curve))
		i++;
	if (i == ARRAY_SIZE(curves) || !bytes_of(v, "x", a, &x) || !bytes_of(v, "y", a, &y))
		return NULL;
	half = curves[i].half;
	if (x.n != half || y.n != half)
		return NULL;
	memcpy(point + 1, x.p, half);
	memcpy(point + 1 + half, y.p, half);
	params = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_utf8_string(params, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0);
	OSSL_PARAM_BLD_push_octet_string(params, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half);
	key = key_from("EC", params);
	OSSL_PARAM_BLD_free(params);
	return key;
}

static void add_key(struct jwks *set, const struct json_value *v)
{
	struct str type = json_get_str(v, "kty");
	struct arena scratch = {0};
	struct jwk k = {.id = arena_str(&set->arena, json_get_str(v, "kid"))};

	if (str_eqc(type, "RSA"))
		k.key = rsa_key(v, &scratch);
	else if (str_eqc(type, "EC"))
		k.key = ec_key(v, &scratch);
	if (k.key)
		ARENA_PUSH(&set->arena, &set->keys, k);
	arena_release(&scratch);
}

int jwks_parse(struct str json, struct jwks **ret, struct err *err)
{
	struct arena scratch = {0};
	const struct json_value *v, *keys;
	struct jwks *set;
	int r = object_in(json, "key set", &scratch, &v, err);

	if (r < 0) {
		arena_release(&scratch);
		return r;
	}
	set = xcalloc(1, sizeof(*set));
	set->refs = 1;
	keys = json_getc(v, "keys");
	for (size_t i = 0; keys && keys->kind == JSON_ARRAY && i < keys->items.n; i++)
		if (i < KEYS_MAX && keys->items.v[i]->kind == JSON_OBJECT)
			add_key(set, keys->items.v[i]);
	arena_release(&scratch);
	*ret = set;
	return 0;
}

struct jwks *jwks_ref(struct jwks *k)
{
	k->refs++;
	return k;
}

struct jwks *jwks_unref(struct jwks *k)
{
	if (!k || --k->refs)
		return NULL;
	for (size_t i = 0; i < k->keys.n; i++)
		EVP_PKEY_free(k->keys.v[i].key);
	arena_release(&k->arena);
	free(k);
	return NULL;
}

bool jwks_signed(const struct jwks *k, const struct jwt *t)
{
	for (size_t i = 0; i < k->keys.n; i++)
		if ((!t->key_id.n || str_eq(k->keys.v[i].id, t->key_id)) &&
			jwt_signature_fits(t, k->keys.v[i].key))
			return true;
	return false;
}
