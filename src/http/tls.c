/* TLS contexts from PEM texts, and what a finished handshake says about the peer. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/file.h"
#include "http/server.h"
#include "http/tls_int.h"

enum { FOLLOWED_MAX = 256 * 1024 };

static void free_bio(BIO **b)
{
	BIO_free(*b);
}

static void free_x509(X509 **x)
{
	X509_free(*x);
}

static void free_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static BIO *pem_bio(struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);

	assert(b);
	return b;
}

static int fail(struct err *err, const char *what)
{
	char text[160];

	tls_error_text(NULL, text, sizeof(text));
	ERR_clear_error();
	err_internal(err, "%s: %s", what, text);
	return -EINVAL;
}

/* A key behind a passphrase is refused, not asked for on the terminal. */
static int no_passphrase(char *p, int size, int writing, void *arg)
{
	return -1;
}

static int use_cert(SSL_CTX *ctx, struct str cert_pem, struct str key_pem, struct err *err)
{
	BIO *cert CLEANUP(free_bio) = pem_bio(cert_pem), *key CLEANUP(free_bio) = pem_bio(key_pem);
	X509 *leaf CLEANUP(free_x509) = PEM_read_bio_X509(cert, NULL, no_passphrase, NULL), *x;
	EVP_PKEY *pkey CLEANUP(free_key) = NULL;

	if (!leaf)
		return fail(err, "certificate");
	if (SSL_CTX_use_certificate(ctx, leaf) != 1)
		return fail(err, "certificate");
	while ((x = PEM_read_bio_X509(cert, NULL, no_passphrase, NULL)))
		SSL_CTX_add0_chain_cert(ctx, x);
	ERR_clear_error(); /* the end of the file counts as an error */
	pkey = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL);
	if (!pkey)
		return fail(err, "private key");
	if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return fail(err, "private key does not belong to the certificate");
	return 0;
}

static int use_cas(SSL_CTX *ctx, struct str pem, bool announce, struct err *err)
{
	BIO *b CLEANUP(free_bio) = pem_bio(pem);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *x;
	int n = 0;

	while ((x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL))) {
		X509_STORE_add_cert(store, x);
		if (announce)
			SSL_CTX_add_client_CA(ctx, x);
		X509_free(x);
		n++;
	}
	if (n == 0)
		return fail(err, "CA certificates");
	ERR_clear_error();
	return 0;
}

/* Index of our BIO method among a context's data; the same for the whole process. */
static void free_method(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	BIO_meth_free(ptr);
}

/* Files that are followed (tls_ctx_follow), among a context's data. */
struct follow {
	char *cert_path, *key_path;
	struct stat seen; /* of the certificate */
	unsigned renewed;
};

static void free_follow(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct follow *f = ptr;

	if (!f)
		return;
	free(f->cert_path);
	free(f->key_path);
	free(f);
}

static int bio_index = -1, follow_index = -1; /* constant once made */

static void make_bio_index(void)
{
	bio_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_method);
	follow_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_follow);
}

BIO_METHOD *tls_context_bio(SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, bio_index);
}

/* --- files that are renewed --- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Both or neither: a context never has one's certificate with the other's key. */
static bool take_files(SSL_CTX *ctx, const struct follow *f)
{
	struct arena a = {0};
	struct str cert, key;
	SSL_CTX *trial = SSL_CTX_new(TLS_method());
	bool good = file_read(f->cert_path, FOLLOWED_MAX, &a, &cert, NULL) == 0 &&
		    file_read(f->key_path, FOLLOWED_MAX, &a, &key, NULL) == 0 &&
		    use_cert(trial, cert, key, NULL) == 0;

	if (good) {
		SSL_CTX_clear_chain_certs(ctx);
		good = use_cert(ctx, cert, key, NULL) == 0;
	}
	SSL_CTX_free(trial);
	arena_release(&a);
	return good;
}

unsigned tls_ctx_refresh(SSL_CTX *ctx)
{
	struct follow *f = follow_index < 0 ? NULL : SSL_CTX_get_ex_data(ctx, follow_index);
	struct stat now;

	if (!f)
		return 0;
	if (stat(f->cert_path, &now) == 0 && !same_file(&now, &f->seen)) {
		f->seen = now;
		f->renewed += take_files(ctx, f);
	}
	return f->renewed;
}

void tls_ctx_follow(void *ssl_ctx, const char *cert_path, const char *key_path)
{
	struct follow *f = xcalloc(1, sizeof(*f));

	f->cert_path = xstrdup(cert_path);
	f->key_path = xstrdup(key_path);
	free_follow(NULL, SSL_CTX_get_ex_data(ssl_ctx, follow_index), NULL, 0, 0, NULL);
	SSL_CTX_set_ex_data(ssl_ctx, follow_index, f);
	tls_ctx_refresh(ssl_ctx);
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !CRYPTO_THREAD_run_once(&once, make_bio_index))
		abort(); /* out of memory */
	SSL_CTX_set_ex_data(ctx, bio_index, tls_bio_method_new());
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
			SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
	const unsigned char *in, unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";

	if (SSL_select_next_proto((unsigned char **)out, out_n, ours, sizeof(ours) - 1, in, in_n) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK; /* as if the client had not asked: HTTP/1.1 */
	return SSL_TLSEXT_ERR_OK;
}

/* A client certificate that does not verify is let through: the API answers it with 401, in words.
 */
static int let_through(int ok, X509_STORE_CTX *ctx)
{
	return 1;
}

int tls_server_trust(void *ssl_ctx, struct str client_ca_pem, struct err *err)
{
	int rc = use_cas(ssl_ctx, client_ca_pem, true, err);

	if (rc < 0)
		return rc;
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, let_through);
	X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(ssl_ctx), X509_PURPOSE_SSL_CLIENT);
	return 0;
}

int tls_server_ctx(const struct tls_server_opts *o, void **ret_ssl_ctx, struct err *err)
{
	SSL_CTX *ctx = context_new(TLS_server_method());
	int rc;

	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"sampan", 6);
	SSL_CTX_set_session_cache_mode(
		ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing to keep here */
	SSL_CTX_set_num_tickets(ctx, 1);
	rc = use_cert(ctx, o->cert_pem, o->key_pem, err);
	if (rc == 0 && o->client_ca_pem.n)
		rc = tls_server_trust(ctx, o->client_ca_pem, err);
	if (rc == 0)
		rc = tls_restrict(ctx, o, err);
	if (rc == 0)
		rc = tls_serve_names(ctx, o, err);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret_ssl_ctx = ctx;
	return 0;
}

int tls_client_ctx(const struct tls_client_opts *o, void **ret_ssl_ctx, struct err *err)
{
	SSL_CTX *ctx = context_new(TLS_client_method());
	int rc = 0;

	if (o->insecure)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	else
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (o->ca_pem.n)
		rc = use_cas(ctx, o->ca_pem, false, err);
	else
		SSL_CTX_set_default_verify_paths(ctx);
	if (rc == 0 && o->cert_pem.n)
		rc = use_cert(ctx, o->cert_pem, o->key_pem, err);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret_ssl_ctx = ctx;
	return 0;
}

void tls_peer_fill(SSL *ssl, struct http_peer *peer, struct str *alpn)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	const unsigned char *p;
	unsigned n;

	peer->tls = true;
	if (cert && SSL_get_verify_result(ssl) == X509_V_OK)
		peer->x509 = cert; /* lives as long as the SSL */
	else if (cert)
		peer->x509_error = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
	SSL_get0_alpn_selected(ssl, &p, &n);
	*alpn = str_n((const char *)p, n);
}

/* "h2,http/1.1" as length-prefixed names. */
static void offer_alpn(SSL *ssl, struct str list)
{
	unsigned char wire[64];
	size_t n = 0;
	struct str name;
	bool more;

	do {
		more = str_cut(list, ',', &name, &list);
		assert(n + 1 + name.n <= sizeof(wire) && name.n > 0);
		wire[n++] = (unsigned char)name.n;
		memcpy(wire + n, name.p, name.n);
		n += name.n;
	} while (more);
	SSL_set_alpn_protos(ssl, wire, (unsigned)n);
}

void tls_client_expect(SSL *ssl, const char *server_name, const char *alpn)
{
	unsigned char address[16];
	bool numeric = server_name && (inet_pton(AF_INET, server_name, address) == 1 ||
					      inet_pton(AF_INET6, server_name, address) == 1);

	if (numeric) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name);
	} else if (server_name && *server_name) {
		SSL_set_tlsext_host_name(ssl, server_name);
		SSL_set1_host(ssl, server_name);
	}
	if (alpn)
		offer_alpn(ssl, str_c(alpn));
}

void tls_error_text(SSL *ssl, char *p, size_t size)
{
	unsigned long e = ERR_peek_error();
	long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	const char *reason = ERR_reason_error_string(e);

	if (ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
		snprintf(p, size, "certificate verify failed: %s",
			X509_verify_cert_error_string(verify));
	else
		snprintf(p, size, "%s", reason ? reason : "unknown error");
}
