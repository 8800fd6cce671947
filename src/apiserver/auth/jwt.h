/*
 * jwt.h: JSON Web Tokens in their compact form (RFC 7515, 7519), signatures (RFC 7518 §3: RS, PS
 * and ES with 256, 384, 512) and key sets (RFC 7517). No I/O, no clock; any thread.
 */
#ifndef SAMPAN_AUTH_JWT_H
#define SAMPAN_AUTH_JWT_H

#include "base/base.h"
#include "json/value.h"

enum { JWT_MAX = 16 * 1024 };

struct jwt {
	struct str signed_part, signature; /* signature: bytes */
	struct str alg, key_id;            /* of the header */
	struct str payload;                /* JSON */
	const struct json_value *claims;   /* an object; nothing in it is to be believed before the
					      signature is checked */
};

/* 400 with what is wrong ("token contains an invalid number of segments" …). All in the arena or
 * views into token. */
int jwt_parse(struct str token, struct arena *a, struct jwt *ret, struct err *err);
/* Whether `key` (EVP_PKEY *) made the signature, by the algorithm that the header names. */
bool jwt_signature_fits(const struct jwt *t, void *key);
bool jwt_algorithm_known(struct str alg);
/* DER of an ECDSA signature -> r and s side by side, each of `half` bytes. */
struct str jwt_ec_raw(struct arena *a, const unsigned char *der, size_t n, size_t half);

/* The number in a claim (seconds of Unix time; a fraction is cut off); false: it is none. */
bool jwt_time(const struct json_value *claims, const char *name, int64_t *ret);
/* RFC 7519 4.1.3: one string, or a list of them; false: neither. */
bool jwt_audiences(const struct json_value *claims, struct arena *a, struct str_vec *ret);

/* --- key sets --- */

struct jwks; /* immutable, reference-counted */
int jwks_parse(struct str json, struct jwks **ret, struct err *err);
struct jwks *jwks_ref(struct jwks *k);
struct jwks *jwks_unref(struct jwks *k); /* NULL; NULL-safe */
/* Whether one of the keys (those of that id, when the token names one) made the signature. */
bool jwks_signed(const struct jwks *k, const struct jwt *t);

#endif
