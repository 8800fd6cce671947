/* certs.h: certificates for tests, made when the test starts. */
#ifndef SAMPAN_TEST_CERTS_H
#define SAMPAN_TEST_CERTS_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/base.h"

struct identity {
	EVP_PKEY *key;
	X509 *cert;
	struct str cert_pem, key_pem; /* freed with identity_release */
};

static inline struct str pem_text(BIO *b)
{
	char *p, *copy;
	size_t n = BIO_get_mem_data(b, &p);

	copy = xmalloc(n + 1);
	memcpy(copy, p, n);
	copy[n] = 0;
	BIO_free(b);
	return str_n(copy, n);
}

static inline void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* issuer NULL: a CA that signs itself. */
static inline struct identity identity_new(
	const char *cn, const char *org, const struct identity *issuer)
{
	struct identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
	X509_NAME *name = X509_get_subject_name(id.cert);
	BIO *b;

	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), issuer ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
	X509_set_pubkey(id.cert, id.key);
	if (org)
		X509_NAME_add_entry_by_txt(
			name, "O", MBSTRING_UTF8, (const unsigned char *)org, -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(id.cert, issuer ? X509_get_subject_name(issuer->cert) : name);
	if (issuer) {
		add_extension(
			id.cert, issuer->cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
		add_extension(id.cert, issuer->cert, NID_ext_key_usage, "serverAuth,clientAuth");
	} else {
		add_extension(id.cert, id.cert, NID_basic_constraints, "critical,CA:TRUE");
	}
	X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256());
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, id.cert);
	id.cert_pem = pem_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, id.key, NULL, NULL, 0, NULL, NULL);
	id.key_pem = pem_text(b);
	return id;
}

static inline void identity_release(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	free((char *)id->cert_pem.p);
	free((char *)id->key_pem.p);
}

#endif
