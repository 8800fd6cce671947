/*
 * request_header.c: a proxy in front of us, known by its client certificate, says whom it speaks
 * for in headers (authentication/request/headerrequest): --requestheader-*.
 */
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "apiserver/auth/auth_int.h"
#include "apiserver/validation/names.h"

int cert_store_new(struct str pem, const char *flag, void **ret, struct err *err)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new_mem_buf(pem.p, pem.n);
	X509 *cert;
	int n = 0;

	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_STORE_add_cert(store, cert);
		X509_free(cert);
		n++;
	}
	BIO_free(bio);
	if (!n) {
		X509_STORE_free(store);
		return err_bad_request(err, "%s has no certificate in it", flag);
	}
	*ret = store;
	return 0;
}

void cert_store_free(void *store)
{
	X509_STORE_free(store);
}

bool cert_is_signed_by(void *store, void *x509)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = X509_STORE_CTX_init(ctx, store, x509, NULL) == 1;

	if (ok) {
		X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
		ok = X509_verify_cert(ctx) == 1;
	}
	X509_STORE_CTX_free(ctx);
	return ok;
}

static struct str first_header(const struct http_exchange *x, const struct str_vec *names)
{
	for (size_t i = 0; i < names->n; i++) {
		struct str v = http_get_header(x, names->v[i].p);

		if (v.n)
			return v;
	}
	return S("");
}

static void all_headers(struct http_exchange *x, const struct str_vec *names, struct str_vec *ret)
{
	for (size_t i = 0; i < names->n; i++)
		for (size_t k = 0; k < x->n_headers; k++)
			if (str_ieq(x->headers[k].name, names->v[i]))
				ARENA_PUSH(&x->arena, ret, x->headers[k].value);
}

static void add_extra(struct arena *a, struct user_info *u, struct str key, struct str value)
{
	struct user_extra e = {.key = key};

	for (size_t i = 0; i < u->extra.n; i++) {
		if (str_eq(u->extra.v[i].key, key)) {
			ARENA_PUSH(a, &u->extra.v[i].values, value);
			return;
		}
	}
	ARENA_PUSH(a, &e.values, value);
	ARENA_PUSH(a, &u->extra, e);
}

static void all_extra(struct http_exchange *x, const struct str_vec *prefixes, struct user_info *u)
{
	struct arena *a = &x->arena;

	for (size_t i = 0; i < prefixes->n; i++) {
		struct str prefix = prefixes->v[i];

		for (size_t k = 0; k < x->n_headers; k++) {
			struct str name = x->headers[k].name, raw, key;

			if (name.n < prefix.n || !str_ieq(str_sub(name, 0, prefix.n), prefix))
				continue;
			raw = str_lower(a, str_sub(name, prefix.n, name.n));
			if (!http_unescape(a, raw, false, &key))
				key = raw;
			add_extra(a, u, key, x->headers[k].value);
		}
	}
}

int user_from_headers(
	struct auth *auth, struct http_exchange *x, int64_t now_ns, struct user_info *ret)
{
	const struct request_header_opts *o = &auth->request_header;
	struct user_info u = {0}, proxy = {0};

	if (!auth->request_header_ca || !x->peer.x509)
		return 0;
	if (!cert_is_signed_by(auth->request_header_ca, x->peer.x509))
		return 0;
	if (o->allowed_names.n &&
		(!user_from_certificate(&x->arena, x->peer.x509, now_ns, &proxy) ||
			!str_vec_has(&o->allowed_names, proxy.name)))
		return -EPERM;
	u.name = first_header(x, &o->username_headers);
	if (!u.name.n)
		return 0;
	u.uid = first_header(x, &o->uid_headers);
	all_headers(x, &o->group_headers, &u.groups);
	all_extra(x, &o->extra_prefixes, &u);
	*ret = u;
	return 1;
}
