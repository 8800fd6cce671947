/* x509.c: reading certificates, keys and pins. */
#include "pki/x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <time.h>

#include "pki/x509_int.h"

int x509_crypto_error(struct err *err, const char *what)
{
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return err_internal(err, "%s: %s", what, reason ? reason : "unknown error");
}

/* A key behind a passphrase is refused, not asked for on the terminal. */
static int no_passphrase(char *p, int size, int writing, void *arg)
{
	return -1;
}

X509 *x509_read_cert(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

EVP_PKEY *x509_read_key(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

struct str x509_take_bio(BIO *bio, struct arena *a)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	struct str s = arena_str(a, str_n(p, (size_t)n));

	BIO_free(bio);
	return s;
}

struct str x509_cert_text(X509 *cert, struct arena *a)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, cert);
	return x509_take_bio(bio, a);
}

/* --- names --- */

static struct str utf8(ASN1_STRING *s, struct arena *a)
{
	unsigned char *p;
	int n = ASN1_STRING_to_UTF8(&p, s);
	struct str out = S("");

	if (n < 0)
		return out;
	out = arena_str(a, str_n((char *)p, (size_t)n));
	OPENSSL_free(p);
	return out;
}

void x509_read_subject(X509_NAME *subject, struct arena *a, struct x509_names *ret)
{
	for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
		X509_NAME_ENTRY *e = X509_NAME_get_entry(subject, i);
		struct str text = utf8(X509_NAME_ENTRY_get_data(e), a);

		switch (OBJ_obj2nid(X509_NAME_ENTRY_get_object(e))) {
		case NID_commonName:
			ret->common_name = text; /* of several the last, as Go reads it */
			break;
		case NID_organizationName:
			ARENA_PUSH(a, &ret->organizations, text);
			break;
		}
	}
}

struct str x509_ip_text(const unsigned char *bytes, size_t n, struct arena *a)
{
	char text[INET6_ADDRSTRLEN];

	if (n != 4 && n != 16)
		return S("");
	inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
	return arena_strc(a, text);
}

void x509_read_alt_names(GENERAL_NAMES *list, struct arena *a, struct x509_names *ret)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		int type;
		const ASN1_STRING *s =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);
		struct str text;

		if (type != GEN_DNS && type != GEN_IPADD && type != GEN_EMAIL && type != GEN_URI)
			continue;
		text = str_n((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
		if (type == GEN_IPADD)
			text = x509_ip_text((const unsigned char *)text.p, text.n, a);
		else
			text = arena_str(a, text);
		if (type == GEN_DNS)
			ARENA_PUSH(a, &ret->dns, text);
		else if (type == GEN_IPADD)
			ARENA_PUSH(a, &ret->ips, text);
		else if (type == GEN_EMAIL)
			ARENA_PUSH(a, &ret->emails, text);
		else
			ARENA_PUSH(a, &ret->uris, text);
	}
}

/* --- certificates --- */

static int64_t unix_time(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int x509_info_read(struct str pem, struct arena *a, struct x509_info *ret, struct err *err)
{
	X509 *cert = x509_read_cert(pem);
	struct x509_info info = {0};
	GENERAL_NAMES *alt;

	if (!cert)
		return err_bad_request(err, "there is no certificate in PEM form");
	x509_read_subject(X509_get_subject_name(cert), a, &info.names);
	alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	x509_read_alt_names(alt, a, &info.names);
	GENERAL_NAMES_free(alt);
	info.not_before_s = unix_time(X509_get0_notBefore(cert));
	info.not_after_s = unix_time(X509_get0_notAfter(cert));
	X509_free(cert);
	*ret = info;
	return 0;
}

/* One block of the chain; false with err when it is no certificate. */
static bool check_block(
	const char *name, const char *header, const unsigned char *data, long n, struct err *err)
{
	X509 *cert;

	if (strcmp(name, "CERTIFICATE") != 0) {
		err_bad_request(err, "only CERTIFICATE PEM blocks are allowed, found \"%s\"", name);
		return false;
	}
	if (*header) {
		err_bad_request(err, "no PEM block headers are permitted");
		return false;
	}
	if (n == 0) {
		err_bad_request(err, "found CERTIFICATE PEM block containing 0 certificates");
		return false;
	}
	cert = d2i_X509(NULL, &data, n);
	if (!cert)
		err_bad_request(err, "x509: malformed certificate");
	X509_free(cert);
	return cert;
}

int x509_check_chain(struct str pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	char *name, *header;
	unsigned char *data;
	bool good = true;
	int blocks = 0;
	long n;

	while (good && PEM_read_bio(bio, &name, &header, &data, &n) == 1) {
		good = check_block(name, header, data, n, err);
		blocks++;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!good)
		return -EINVAL;
	return blocks ? 0 : err_bad_request(err, "must contain at least one CERTIFICATE PEM block");
}

bool x509_key_fits(struct str cert_pem, struct str key_pem)
{
	X509 *cert = x509_read_cert(cert_pem);
	EVP_PKEY *key = x509_read_key(key_pem);
	bool fits = cert && key && X509_check_private_key(cert, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return fits;
}

/* --- pins --- */

static struct str pin_of(X509 *cert, struct arena *a)
{
	unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
	char hex[2 * sizeof(hash) + 1];
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (n < 0)
		return S("");
	SHA256(der, (size_t)n, hash);
	OPENSSL_free(der);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	return arena_fmt(a, "sha256:%s", hex);
}

struct str x509_public_key_pin(struct str cert_pem, struct arena *a, struct err *err)
{
	X509 *cert = x509_read_cert(cert_pem);
	struct str pin = S("");

	if (cert)
		pin = pin_of(cert, a);
	if (!pin.n)
		err_bad_request(err, "there is no certificate in PEM form");
	X509_free(cert);
	return pin;
}

static bool is_pin(struct str pin)
{
	if (!str_starts(pin, S("sha256:")) || pin.n != 7 + 2 * SHA256_DIGEST_LENGTH)
		return false;
	for (size_t i = 7; i < pin.n; i++)
		if (!strchr("0123456789abcdefABCDEF", pin.p[i]))
			return false;
	return true;
}

int x509_find_pinned(
	struct str pem, struct str pin, struct arena *a, struct str *ret_pem, struct err *err)
{
	BIO *bio;
	X509 *cert;
	int r = -ENOENT;

	if (!is_pin(pin))
		return err_bad_request(err,
			"\"" STR_FMT "\" is not a CA hash: it is sha256: and 64 hexadecimal digits",
			STR_ARG(pin));
	bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	while (r < 0 && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (str_ieq(pin_of(cert, a), pin)) {
			*ret_pem = x509_cert_text(cert, a);
			r = 0;
		}
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	return r;
}
