/* tls_server.c: what a server's TLS is told beyond its certificate: versions, ciphers, curves, and
 * certificates for names. */
#include <openssl/x509v3.h>

#include "http/server.h"
#include "http/tls_int.h"

enum { SNI_MAX = 64 };

/* --- versions, ciphers, curves, by Go's names --- */

int tls_version_parse(struct str name, int *ret, struct err *err)
{
	static const struct {
		const char *name;
		int version;
	} known[] = {{"VersionTLS10", TLS1_VERSION}, {"VersionTLS11", TLS1_1_VERSION},
		{"VersionTLS12", TLS1_2_VERSION}, {"VersionTLS13", TLS1_3_VERSION}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!str_eqc(name, known[i].name))
			continue;
		*ret = known[i].version;
		return 0;
	}
	return err_bad_request(err, "unknown tls version \"" STR_FMT "\"", STR_ARG(name));
}

/* Those of TLS 1.3 cannot be chosen, neither there nor here: they are always on. */
static bool is_of_tls13(struct str name)
{
	return str_starts(name, S("TLS_AES_")) || str_starts(name, S("TLS_CHACHA20_"));
}

int tls_ciphers_parse(
	const struct str_vec *names, struct arena *a, const char **ret, struct err *err)
{
	struct str list = S("");

	for (size_t i = 0; i < names->n; i++) {
		struct str name = names->v[i];
		const char *ours;

		if (str_ends(name, S("_CHACHA20_POLY1305"))) /* Go's old name */
			name = arena_fmt(a, STR_FMT "_SHA256", STR_ARG(name));
		ours = OPENSSL_cipher_name(arena_cstr(a, name));
		if (!str_starts(name, S("TLS_")) || !ours || !strcmp(ours, "(NONE)"))
			return err_bad_request(err,
				"Cipher suite " STR_FMT " not supported or doesn't exist",
				STR_ARG(names->v[i]));
		if (!is_of_tls13(name))
			list = arena_fmt(a, STR_FMT "%s%s", STR_ARG(list), list.n ? ":" : "", ours);
	}
	*ret = list.n ? list.p : NULL;
	return 0;
}

int tls_curves_parse(const struct str_vec *ids, struct arena *a, const char **ret, struct err *err)
{
	static const struct {
		const char *id, *name;
	} known[] = {{"23", "P-256"}, {"24", "P-384"}, {"25", "P-521"}, {"29", "X25519"}};
	struct str list = S("");

	for (size_t i = 0; i < ids->n; i++) {
		const char *name = NULL;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			if (str_eqc(ids->v[i], known[k].id))
				name = known[k].name;
		if (!name)
			return err_bad_request(err,
				"curve preference " STR_FMT
				" is not supported: there are 23, 24, 25 "
				"and 29",
				STR_ARG(ids->v[i]));
		list = arena_fmt(a, STR_FMT "%s%s", STR_ARG(list), list.n ? ":" : "", name);
	}
	*ret = list.n ? list.p : NULL;
	return 0;
}

int tls_restrict(SSL_CTX *ctx, const struct tls_server_opts *o, struct err *err)
{
	if (o->min_version)
		SSL_CTX_set_min_proto_version(ctx, o->min_version);
	if (o->ciphers && SSL_CTX_set_cipher_list(ctx, o->ciphers) != 1)
		return err_bad_request(err, "none of the cipher suites is there: %s", o->ciphers);
	if (o->curves && SSL_CTX_set1_groups_list(ctx, o->curves) != 1)
		return err_bad_request(err, "none of the curves is there: %s", o->curves);
	return 0;
}

/* --- certificates for names --- */

struct sni {
	struct {
		SSL_CTX *ctx;
		struct str_vec names; /* none: those of the certificate */
	} v[SNI_MAX];
	size_t n;
	struct arena arena;
};

static void sni_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct sni *s = ptr;

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		SSL_CTX_free(s->v[i].ctx);
	arena_release(&s->arena);
	free(s);
}

/* "*.example.com" is any one label before it. */
static bool covers(struct str pattern, struct str name)
{
	ssize_t dot;

	if (!str_starts(pattern, S("*.")))
		return str_ieq(pattern, name);
	dot = str_chr(name, '.');
	return dot > 0 &&
	       str_ieq(str_sub(pattern, 1, pattern.n), str_sub(name, (size_t)dot, name.n));
}

static bool is_for(const struct sni *s, size_t i, const char *name)
{
	const struct str_vec *names = &s->v[i].names;

	for (size_t k = 0; k < names->n; k++)
		if (covers(names->v[k], str_c(name)))
			return true;
	return !names->n &&
	       X509_check_host(SSL_CTX_get0_certificate(s->v[i].ctx), name, 0, 0, NULL) == 1;
}

static int choose(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct sni *s = arg;

	for (size_t i = 0; name && i < s->n; i++) {
		if (!is_for(s, i, name))
			continue;
		SSL_set_SSL_CTX(ssl, s->v[i].ctx);
		break;
	}
	return SSL_TLSEXT_ERR_OK;
}

int tls_serve_names(SSL_CTX *ctx, const struct tls_server_opts *o, struct err *err)
{
	static int index = -1;
	struct sni *s;
	int r = 0;

	if (!o->n_names)
		return 0;
	if (o->n_names > SNI_MAX)
		return err_bad_request(err, "at most %d certificates for names", SNI_MAX);
	if (index < 0) /* at start, before there are threads */
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, sni_free);
	s = xcalloc(1, sizeof(*s));
	for (size_t i = 0; r == 0 && i < o->n_names; i++) {
		const struct tls_server_opts one = {.cert_pem = o->names[i].cert_pem,
			.key_pem = o->names[i].key_pem,
			.client_ca_pem = o->client_ca_pem};

		r = tls_server_ctx(&one, (void **)&s->v[i].ctx, err);
		s->n += r == 0;
		for (size_t k = 0; k < o->names[i].patterns.n; k++)
			ARENA_PUSH(&s->arena, &s->v[i].names,
				arena_str(&s->arena, o->names[i].patterns.v[k]));
	}
	if (r < 0) {
		sni_free(NULL, s, NULL, 0, 0, NULL);
		return r;
	}
	SSL_CTX_set_ex_data(ctx, index, s);
	SSL_CTX_set_tlsext_servername_arg(ctx, s);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose);
	return 0;
}
