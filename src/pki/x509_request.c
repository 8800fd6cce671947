/* x509_request.c: requests for certificates, and signing them. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <time.h>

#include "pki/x509_int.h"

enum { SERIAL_BYTES = 16 };

int x509_key_new(struct arena *a, struct str *ret_pem, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio;

	if (!key)
		return x509_crypto_error(err, "cannot make a key");
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	EVP_PKEY_free(key);
	*ret_pem = x509_take_bio(bio, a);
	return 0;
}

/* --- making a request --- */

static bool add_subject(X509_NAME *to, const struct x509_names *names)
{
	for (size_t i = 0; i < names->organizations.n; i++) {
		struct str o = names->organizations.v[i];

		if (!X509_NAME_add_entry_by_NID(to, NID_organizationName, MBSTRING_UTF8,
			    (const unsigned char *)o.p, (int)o.n, -1, 0))
			return false;
	}
	return X509_NAME_add_entry_by_NID(to, NID_commonName, MBSTRING_UTF8,
		       (const unsigned char *)names->common_name.p, (int)names->common_name.n, -1,
		       0) == 1;
}

static bool push_name(GENERAL_NAMES *list, int type, struct str value)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];
	ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	int n = (int)value.n;
	const void *bytes = value.p;

	if (type == GEN_IPADD) {
		snprintf(text, sizeof(text), STR_FMT, STR_ARG(value));
		n = inet_pton(AF_INET, text, address) == 1    ? 4
		    : inet_pton(AF_INET6, text, address) == 1 ? 16
							      : 0;
		bytes = address;
	}
	if (n == 0 || !ASN1_STRING_set(s, bytes, n)) {
		ASN1_STRING_free(s);
		GENERAL_NAME_free(name);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, s);
	return sk_GENERAL_NAME_push(list, name) > 0;
}

static GENERAL_NAMES *make_alt_names(const struct x509_names *names, bool *ok)
{
	const struct {
		int type;
		const struct str_vec *v;
	} all[] = {{GEN_DNS, &names->dns}, {GEN_IPADD, &names->ips}, {GEN_EMAIL, &names->emails},
		{GEN_URI, &names->uris}};
	GENERAL_NAMES *list = GENERAL_NAMES_new();

	for (size_t k = 0; k < ARRAY_SIZE(all); k++)
		for (size_t i = 0; i < all[k].v->n; i++)
			*ok = *ok && push_name(list, all[k].type, all[k].v->v[i]);
	return list;
}

static bool add_alt_names(X509_REQ *req, const struct x509_names *names)
{
	bool ok = true;
	GENERAL_NAMES *list = make_alt_names(names, &ok);
	STACK_OF(X509_EXTENSION) *extensions = NULL;

	if (ok && sk_GENERAL_NAME_num(list) > 0)
		ok = X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, 0) == 1 &&
		     X509_REQ_add_extensions(req, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(list);
	return ok;
}

int x509_request_new(struct str key_pem, const struct x509_names *names, struct arena *a,
	struct str *ret_pem, struct err *err)
{
	EVP_PKEY *key = x509_read_key(key_pem);
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = key && X509_REQ_set_version(req, 0) &&
		  add_subject(X509_REQ_get_subject_name(req), names) && add_alt_names(req, names) &&
		  X509_REQ_set_pubkey(req, key) && X509_REQ_sign(req, key, EVP_sha256()) &&
		  PEM_write_bio_X509_REQ(bio, req);
	struct str pem = x509_take_bio(bio, a);

	X509_REQ_free(req);
	EVP_PKEY_free(key);
	if (!ok)
		return x509_crypto_error(err, "cannot make a certificate request");
	*ret_pem = pem;
	return 0;
}

/* --- reading one --- */

static X509_REQ *read_request(struct str pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	const unsigned char *at;
	X509_REQ *req = NULL;
	long n;

	if (PEM_read_bio(bio, &name, &header, &data, &n) != 1 ||
		strcmp(name, "CERTIFICATE REQUEST") != 0) {
		err_bad_request(err, "PEM block type must be CERTIFICATE REQUEST");
	} else {
		at = data;
		req = d2i_X509_REQ(NULL, &at, n);
		if (req && at != data + n) {
			X509_REQ_free(req);
			req = NULL;
			err_bad_request(err, "asn1: syntax error: trailing data");
		} else if (!req) {
			err_bad_request(err, "asn1: structure error: not a certificate request");
		}
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
	ERR_clear_error();
	return req;
}

static bool is_signed(X509_REQ *req)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);
	bool good = key && X509_REQ_verify(req, key) == 1;

	ERR_clear_error();
	return good;
}

static GENERAL_NAMES *requested_names(X509_REQ *req)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);

	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return names;
}

int x509_request_parse(struct str pem, struct arena *a, struct x509_names *ret, struct err *err)
{
	struct x509_names names = {0};
	X509_REQ *req = read_request(pem, err);
	GENERAL_NAMES *alt;

	if (!req)
		return -EINVAL;
	if (!is_signed(req)) {
		X509_REQ_free(req);
		return err_bad_request(err, "x509: signature of the request does not verify");
	}
	if (ret) {
		x509_read_subject(X509_REQ_get_subject_name(req), a, &names);
		alt = requested_names(req);
		x509_read_alt_names(alt, a, &names);
		GENERAL_NAMES_free(alt);
		*ret = names;
	}
	X509_REQ_free(req);
	return 0;
}

/* --- signing --- */

int x509_ca_open(struct str cert_pem, struct str key_pem, struct x509_ca *ret, struct err *err)
{
	struct x509_ca ca = {.cert = x509_read_cert(cert_pem), .key = x509_read_key(key_pem)};
	struct arena a = {0};
	struct x509_info info;
	int r = 0;

	if (!ca.cert || !ca.key || X509_check_private_key(ca.cert, ca.key) != 1) {
		ERR_clear_error();
		r = err_bad_request(err, "the CA's certificate and key do not belong together");
	} else if (x509_info_read(cert_pem, &a, &info, err) == 0) {
		ca.not_after_s = info.not_after_s;
		*ret = ca;
	}
	arena_release(&a);
	if (r < 0)
		x509_ca_release(&ca);
	return r;
}

void x509_ca_release(struct x509_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	*ca = (struct x509_ca){0};
}

/* Words of certificates.k8s.io KeyUsage and what they are called in X.509. */
static const struct {
	const char *word, *key_usage, *extended;
} usage_words[] = {
	{"signing", "digitalSignature", NULL},
	{"digital signature", "digitalSignature", NULL},
	{"content commitment", "nonRepudiation", NULL},
	{"key encipherment", "keyEncipherment", NULL},
	{"key agreement", "keyAgreement", NULL},
	{"data encipherment", "dataEncipherment", NULL},
	{"cert sign", "keyCertSign", NULL},
	{"crl sign", "cRLSign", NULL},
	{"encipher only", "encipherOnly", NULL},
	{"decipher only", "decipherOnly", NULL},
	{"any", NULL, "2.5.29.37.0"},
	{"server auth", NULL, "serverAuth"},
	{"client auth", NULL, "clientAuth"},
	{"code signing", NULL, "codeSigning"},
	{"email protection", NULL, "emailProtection"},
	{"s/mime", NULL, "emailProtection"},
	{"ipsec end system", NULL, "1.3.6.1.5.5.7.3.5"},
	{"ipsec tunnel", NULL, "1.3.6.1.5.5.7.3.6"},
	{"ipsec user", NULL, "1.3.6.1.5.5.7.3.7"},
	{"timestamping", NULL, "timeStamping"},
	{"ocsp signing", NULL, "OCSPSigning"},
	{"microsoft sgc", NULL, "msSGC"},
	{"netscape sgc", NULL, "nsSGC"},
};

bool x509_usage_known(struct str usage)
{
	for (size_t i = 0; i < ARRAY_SIZE(usage_words); i++)
		if (str_eqc(usage, usage_words[i].word))
			return true;
	return false;
}

/* "digitalSignature,keyEncipherment" of the words that mean a key usage, or an extended one. */
static int usage_text(
	const struct str_vec *usages, bool extended, char *text, size_t size, struct err *err)
{
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < usages->n; i++)
		if (!x509_usage_known(usages->v[i]))
			return err_bad_request(err, "unrecognized usage values: [\"" STR_FMT "\"]",
				STR_ARG(usages->v[i]));
	for (size_t w = 0; w < ARRAY_SIZE(usage_words); w++) {
		const char *name = extended ? usage_words[w].extended : usage_words[w].key_usage;

		if (!name || !str_vec_has(usages, str_c(usage_words[w].word)) || strstr(text, name))
			continue;
		n += (size_t)snprintf(text + n, size - n, "%s%s", n ? "," : "", name);
		assert(n < size);
	}
	return 0;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

static bool fill(X509 *cert, X509_REQ *req, const struct x509_ca *ca, int64_t not_before_s,
	int64_t not_after_s)
{
	GENERAL_NAMES *alt = requested_names(req);
	bool ok = X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
		  X509_set_subject_name(cert, X509_REQ_get_subject_name(req)) &&
		  X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) &&
		  X509_set_pubkey(cert, X509_REQ_get0_pubkey(req)) &&
		  X509_time_adj_ex(X509_getm_notBefore(cert), 0, 0, &(time_t){not_before_s}) &&
		  X509_time_adj_ex(X509_getm_notAfter(cert), 0, 0, &(time_t){not_after_s}) &&
		  add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
		  add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid") &&
		  (!alt || X509_add1_ext_i2d(cert, NID_subject_alt_name, alt, 0, 0) == 1);

	GENERAL_NAMES_free(alt);
	return ok;
}

static X509 *make_leaf(X509_REQ *req, const struct x509_ca *ca, const char *key_usage,
	const char *extended, int64_t not_before_s, int64_t not_after_s)
{
	X509 *cert = X509_new();
	char critical[512];

	snprintf(critical, sizeof(critical), "critical,%s", key_usage);
	if (fill(cert, req, ca, not_before_s, not_after_s) &&
		(!*key_usage || add_extension(cert, ca->cert, NID_key_usage, critical)) &&
		(!*extended || add_extension(cert, ca->cert, NID_ext_key_usage, extended)) &&
		X509_sign(cert, ca->key,
			EVP_PKEY_get_id(ca->key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

int x509_sign(const struct x509_ca *ca, struct str request_pem, const struct str_vec *usages,
	int64_t not_before_s, int64_t not_after_s, struct arena *a, struct str *ret_pem,
	struct err *err)
{
	char key_usage[256], extended[512];
	X509_REQ *req;
	X509 *cert;
	int r = usage_text(usages, false, key_usage, sizeof(key_usage), err);

	if (r == 0)
		r = usage_text(usages, true, extended, sizeof(extended), err);
	if (r == 0)
		r = x509_request_parse(request_pem, a, NULL, err);
	if (r < 0)
		return r;
	if (not_before_s >= ca->not_after_s)
		return err_internal(err, "the signer has expired");
	req = read_request(request_pem, err);
	cert = make_leaf(
		req, ca, key_usage, extended, not_before_s, MIN(not_after_s, ca->not_after_s));
	X509_REQ_free(req);
	if (!cert)
		return x509_crypto_error(err, "cannot sign the certificate");
	*ret_pem = x509_cert_text(cert, a);
	X509_free(cert);
	return 0;
}
