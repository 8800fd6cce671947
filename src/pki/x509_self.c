/* x509_self.c: certificates that sign themselves, for who has no CA at hand. */
#include "pki/x509_int.h"

static X509_EXTENSION *extension(int nid, const char *value)
{
	return X509V3_EXT_conf_nid(NULL, NULL, nid, value);
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = extension(nid, value);
	bool ok = ext && X509_add_ext(cert, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

static bool add_names(X509 *cert, const struct x509_names *names, struct arena *a)
{
	struct str text = S("");

	for (size_t i = 0; i < names->dns.n; i++)
		text = arena_fmt(a, STR_FMT "%sDNS:" STR_FMT, STR_ARG(text), text.n ? "," : "",
			STR_ARG(names->dns.v[i]));
	for (size_t i = 0; i < names->ips.n; i++)
		text = arena_fmt(a, STR_FMT "%sIP:" STR_FMT, STR_ARG(text), text.n ? "," : "",
			STR_ARG(names->ips.v[i]));
	return !text.n || add_extension(cert, NID_subject_alt_name, text.p);
}

static bool fill(X509 *cert, EVP_PKEY *key, const struct x509_names *names, int64_t not_before_s,
	int64_t not_after_s, struct arena *a)
{
	X509_NAME *name = X509_get_subject_name(cert);
	BIGNUM *serial = BN_new();
	bool ok = serial && BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));

	BN_free(serial);
	return ok && X509_set_version(cert, X509_VERSION_3) == 1 &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), not_before_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), not_after_s) &&
	       X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
		       (const unsigned char *)names->common_name.p, (int)names->common_name.n, -1,
		       0) == 1 &&
	       X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
	       add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(cert, NID_ext_key_usage, "serverAuth") && add_names(cert, names, a) &&
	       X509_sign(cert, key, EVP_sha256()) > 0;
}

int x509_self_sign(const struct x509_names *names, int64_t not_before_s, int64_t not_after_s,
	struct arena *a, struct str *ret_cert_pem, struct str *ret_key_pem, struct err *err)
{
	struct str key_pem;
	EVP_PKEY *key;
	X509 *cert;
	int r = x509_key_new(a, &key_pem, err);

	if (r < 0)
		return r;
	key = x509_read_key(key_pem);
	cert = X509_new();
	if (!key || !cert || !fill(cert, key, names, not_before_s, not_after_s, a)) {
		r = x509_crypto_error(err, "cannot make a certificate");
	} else {
		*ret_cert_pem = x509_cert_text(cert, a);
		*ret_key_pem = key_pem;
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}
