#include "server/pki.h"

#include "base/base64.h"
#include "base/file.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAYS = 3650, PEM_MAX = 64 * 1024 };

static int crypto_error(struct err *err, const char *what)
{
	unsigned long e = ERR_get_error();
	char text[256] = "unknown error";

	if (e)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return err_fmt(err, 500, "InternalError", "%s: %s", what, text);
}

static struct str bio_text(struct arena *a, BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return str_n(arena_memdup(a, p, n), n);
}

static struct str cert_pem(struct arena *a, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str pem;

	PEM_write_bio_X509(bio, cert);
	pem = bio_text(a, bio);
	BIO_free(bio);
	return pem;
}

static struct str key_pem(struct arena *a, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str pem;

	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	pem = bio_text(a, bio);
	BIO_free(bio);
	return pem;
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

struct cert_spec {
	const char *common_name;
	const struct str_vec *organizations; /* may be NULL */
	bool is_ca;
	const char *usage;     /* extended key usage; NULL none */
	const char *alt_names; /* "DNS:a,IP:b"; NULL none */
};

static bool set_names(X509 *cert, const struct cert_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(cert);

	for (size_t i = 0; spec->organizations && i < spec->organizations->n; i++) {
		struct str o = spec->organizations->v[i];

		if (!X509_NAME_add_entry_by_txt(
			    name, "O", MBSTRING_UTF8, (const unsigned char *)o.p, o.n, -1, 0))
			return false;
	}
	return X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->common_name, -1, -1, 0);
}

/* issuer NULL: signs itself */
static X509 *make_cert(
	const struct cert_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	uint64_t serial;

	if (!cert || RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
		goto fail;
	X509_set_version(cert, 2);
	if (!ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) ||
		!set_names(cert, spec))
		goto fail;
	X509_gmtime_adj(
		X509_getm_notBefore(cert), -3600); /* clocks of other machines may be behind */
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * DAYS);
	X509_set_pubkey(cert, key);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	if (!add_extension(cert, issuer ? issuer : cert, NID_basic_constraints,
		    spec->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") ||
		!add_extension(cert, issuer ? issuer : cert, NID_key_usage,
			spec->is_ca ? "critical,digitalSignature,keyEncipherment,keyCertSign"
				    : "critical,digitalSignature,keyEncipherment") ||
		!add_extension(cert, issuer ? issuer : cert, NID_subject_key_identifier, "hash") ||
		(issuer && !add_extension(cert, issuer, NID_authority_key_identifier, "keyid")) ||
		(spec->usage && !add_extension(cert, issuer, NID_ext_key_usage, spec->usage)) ||
		(spec->alt_names &&
			!add_extension(cert, issuer, NID_subject_alt_name, spec->alt_names)) ||
		!X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()))
		goto fail;
	return cert;
fail:
	X509_free(cert);
	return NULL;
}

static int make_ca(struct pki *p, const char *cert_path, const char *key_path, struct err *err)
{
	const struct cert_spec spec = {.common_name = "kubernetes", .is_ca = true};
	int r;

	p->ca_key = EVP_EC_gen("P-256");
	p->ca_cert = p->ca_key ? make_cert(&spec, p->ca_key, NULL, NULL) : NULL;
	if (!p->ca_cert)
		return crypto_error(err, "cannot make the cluster CA");
	/* the key first: a certificate without its key would be found and refused at the next start
	 */
	r = file_write(key_path, key_pem(&p->arena, p->ca_key), 0600, err);
	if (r == 0)
		r = file_write(cert_path, cert_pem(&p->arena, p->ca_cert), 0644, err);
	return r;
}

static int load_ca(struct pki *p, const char *cert_path, const char *key_path, struct err *err)
{
	struct str cert, key;
	BIO *bio;
	int r = file_read(cert_path, PEM_MAX, &p->arena, &cert, err);

	if (r == 0)
		r = file_read(key_path, PEM_MAX, &p->arena, &key, err);
	if (r < 0)
		return r;
	bio = BIO_new_mem_buf(cert.p, cert.n);
	p->ca_cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	bio = BIO_new_mem_buf(key.p, key.n);
	p->ca_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!p->ca_cert)
		return crypto_error(err, cert_path);
	if (!p->ca_key || X509_check_private_key(p->ca_cert, p->ca_key) != 1)
		return crypto_error(err, key_path);
	return 0;
}

static int open_sa_key(struct pki *p, const char *path, struct err *err)
{
	EVP_PKEY *key;
	int r = 0;

	if (access(path, F_OK) == 0)
		return file_read(path, PEM_MAX, &p->arena, &p->sa_key_pem, err);
	key = EVP_EC_gen("P-256");
	if (!key)
		return crypto_error(err, "cannot make the service account key");
	p->sa_key_pem = key_pem(&p->arena, key);
	r = file_write(path, p->sa_key_pem, 0600, err);
	EVP_PKEY_free(key);
	return r;
}

int pki_open(const char *data_dir, struct pki *ret, struct err *err)
{
	char *dir CLEANUP(free_ptr) = xasprintf("%s/pki", data_dir);
	char *cert CLEANUP(free_ptr) = xasprintf("%s/ca.crt", dir);
	char *key CLEANUP(free_ptr) = xasprintf("%s/ca.key", dir);
	char *sa CLEANUP(free_ptr) = xasprintf("%s/sa.key", dir);
	struct pki p = {0};
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make %s", dir);
	r = access(cert, F_OK) == 0 ? load_ca(&p, cert, key, err) : make_ca(&p, cert, key, err);
	if (r == 0)
		r = open_sa_key(&p, sa, err);
	if (r < 0) {
		pki_release(&p);
		return r;
	}
	p.ca_cert_pem = cert_pem(&p.arena, p.ca_cert);
	p.ca_key_pem = key_pem(&p.arena, p.ca_key);
	*ret = p;
	return 0;
}

void pki_release(struct pki *p)
{
	EVP_PKEY_free(p->ca_key);
	X509_free(p->ca_cert);
	arena_release(&p->arena);
	*p = (struct pki){0};
}

static int issue(struct pki *p, struct arena *a, const struct cert_spec *spec, struct pki_pair *ret,
	struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? make_cert(spec, key, p->ca_cert, p->ca_key) : NULL;
	int r = cert ? 0 : crypto_error(err, "cannot make a certificate");

	if (cert) {
		ret->cert_pem = cert_pem(a, cert);
		ret->key_pem = key_pem(a, key);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

int pki_issue_server(struct pki *p, struct arena *a, const char *common_name,
	const struct str_vec *dns, const struct str_vec *ips, struct pki_pair *ret, struct err *err)
{
	struct buf names;
	int r;

	buf_init(&names, 16384);
	for (size_t i = 0; i < dns->n; i++)
		buf_fmt(&names, "%sDNS:" STR_FMT, names.n ? "," : "", STR_ARG(dns->v[i]));
	for (size_t i = 0; i < ips->n; i++)
		buf_fmt(&names, "%sIP:" STR_FMT, names.n ? "," : "", STR_ARG(ips->v[i]));
	r = issue(p, a,
		&(struct cert_spec){.common_name = common_name,
			.usage = "serverAuth,clientAuth",
			.alt_names = names.p},
		ret, err);
	buf_release(&names);
	return r;
}

int pki_issue_client(struct pki *p, struct arena *a, const char *user, const struct str_vec *groups,
	struct pki_pair *ret, struct err *err)
{
	const struct cert_spec spec = {
		.common_name = user, .organizations = groups, .usage = "clientAuth"};

	return issue(p, a, &spec, ret, err);
}

int kubeconfig_write(const char *path, struct str server_url, struct str ca_pem,
	const struct pki_pair *client, const char *cluster, const char *user, struct err *err)
{
	struct buf b;
	int r;

	buf_init(&b, 256 * 1024);
	buf_fmt(&b,
		"apiVersion: v1\nkind: Config\nclusters:\n- name: %s\n  cluster:\n    "
		"server: " STR_FMT "\n    certificate-authority-data: ",
		cluster, STR_ARG(server_url));
	base64_encode(ca_pem, &b);
	buf_fmt(&b, "\nusers:\n- name: %s\n  user:\n    client-certificate-data: ", user);
	base64_encode(client->cert_pem, &b);
	buf_add_c(&b, "\n    client-key-data: ");
	base64_encode(client->key_pem, &b);
	buf_fmt(&b,
		"\ncontexts:\n- name: %s\n  context:\n    cluster: %s\n    user: "
		"%s\ncurrent-context: %s\n",
		cluster, cluster, user, cluster);
	r = buf_failed(&b) ? err_errno(err, EFBIG, "%s", path)
			   : file_write(path, buf_str(&b), 0600, err);
	buf_release(&b);
	return r;
}
