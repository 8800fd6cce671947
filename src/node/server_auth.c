/* server_auth.c: who may use the kubelet's API: the API server by its certificate, others by the
 * API server's word. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "client/kubeconfig.h"
#include "json/value.h"
#include "node/server.h"

enum { CERTIFICATE_DAYS = 3650, FILE_MAX = 1 << 20 };

/* --- authorization --- */

struct asking {
	struct kubelet_server *s;
	struct http_exchange *x; /* NULL: the client left */
	void (*go_on)(struct kubelet_server *s, struct http_exchange *x);
	struct arena arena;
	struct str user, uid;
	struct str_vec groups;
};

static void asking_free(struct asking *q)
{
	if (q->x) {
		q->x->on_close = NULL;
		q->x->user_data = NULL;
	}
	arena_release(&q->arena);
	free(q);
}

static void left(struct http_exchange *x)
{
	struct asking *q = x->user_data;

	q->x = NULL; /* freed when the answer is there */
}

static void unauthorized(struct asking *q)
{
	struct http_exchange *x = q->x;

	asking_free(q);
	if (x)
		server_error(x, 401, "Unauthorized");
}

static struct str subresource(struct str path)
{
	static const struct {
		const char *prefix, *subresource;
	} all[] = {{"/stats", "stats"}, {"/metrics", "metrics"}, {"/logs", "log"},
		{"/pods", "pods"}, {"/runningpods", "pods"}, {"/healthz", "healthz"},
		{"/configz", "configz"}, {"/flagz", "configz"}, {"/statusz", "statusz"}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (str_starts(path, str_c(all[i].prefix)))
			return str_c(all[i].subresource);
	return S("proxy");
}

static struct str verb_of(struct str method)
{
	static const char *const verbs[][2] = {
		{"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (str_eqc(method, verbs[i][0]))
			return str_c(verbs[i][1]);
	return S("get");
}

static void access_reviewed(struct client_call *call)
{
	struct asking *q = call->user_data;
	struct authorization_v1_subject_access_review *sar = NULL;
	struct http_exchange *x = q->x;
	struct kubelet_server *s = q->s;
	void (*go_on)(struct kubelet_server *, struct http_exchange *) = q->go_on;
	struct str user = x ? arena_str(&x->arena, q->user) : S("");

	if (call->result == 0)
		(void)schema_decode_json(&authorization_v1_subject_access_review_schema,
			call->answer, &call->arena, NULL, (void **)&sar, &call->err);
	asking_free(q);
	if (!x)
		return;
	if (sar && sar->status.allowed)
		go_on(s, x);
	else if (!sar)
		server_error(x, 500, "Authorization error (user=" STR_FMT ")", STR_ARG(user));
	else
		server_error(x, 403,
			"Forbidden (user=" STR_FMT ", verb=" STR_FMT
			", resource=nodes, subresource(s)=[" STR_FMT "])\n",
			STR_ARG(user), STR_ARG(verb_of(x->method)), STR_ARG(subresource(x->path)));
}

static void review_access(struct asking *q)
{
	struct client_call *call;
	struct authorization_v1_subject_access_review *sar;

	if (!q->x) {
		asking_free(q);
		return;
	}
	call = client_call_new(q->s->k->client);
	sar = ARENA_NEW(&call->arena, struct authorization_v1_subject_access_review);
	sar->spec.user = q->user;
	sar->spec.uid = q->uid;
	sar->spec.groups = q->groups;
	sar->spec.resource_attributes =
		ARENA_NEW(&call->arena, struct authorization_v1_resource_attributes);
	sar->spec.resource_attributes->verb = verb_of(q->x->method);
	sar->spec.resource_attributes->version = S("v1");
	sar->spec.resource_attributes->resource = S("nodes");
	sar->spec.resource_attributes->subresource = subresource(q->x->path);
	sar->spec.resource_attributes->name = q->s->k->node_name;
	call->verb = "create";
	call->resource = &authorization_v1_subject_access_review_resource;
	call->object = sar;
	call->done = access_reviewed;
	call->user_data = q;
	client_do(q->s->k->client, call);
}

static void token_reviewed(struct client_call *call)
{
	struct asking *q = call->user_data;
	struct authentication_v1_token_review *t = NULL;

	if (call->result == 0)
		(void)schema_decode_json(&authentication_v1_token_review_schema, call->answer,
			&call->arena, NULL, (void **)&t, &call->err);
	if (!t || !t->status.authenticated) {
		unauthorized(q);
		return;
	}
	q->user = arena_str(&q->arena, t->status.user.username);
	q->uid = arena_str(&q->arena, t->status.user.uid);
	for (size_t i = 0; i < t->status.user.groups.n; i++)
		ARENA_PUSH(&q->arena, &q->groups, arena_str(&q->arena, t->status.user.groups.v[i]));
	review_access(q);
}

static void review_token(struct asking *q, struct str token)
{
	struct client_call *call = client_call_new(q->s->k->client);
	struct authentication_v1_token_review *t =
		ARENA_NEW(&call->arena, struct authentication_v1_token_review);

	t->spec.token = token;
	call->verb = "create";
	call->resource = &authentication_v1_token_review_resource;
	call->object = t;
	call->done = token_reviewed;
	call->user_data = q;
	client_do(q->s->k->client, call);
}

/* The names of a kind in a certificate's subject. */
static void subject_names(X509 *cert, int nid, struct arena *a, struct str_vec *ret)
{
	X509_NAME *name = X509_get_subject_name(cert);

	for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
		const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

		ARENA_PUSH(a, ret,
			arena_str(a, str_n((const char *)ASN1_STRING_get0_data(s),
					     (size_t)ASN1_STRING_length(s))));
	}
}

void server_authorize(struct kubelet_server *s, struct http_exchange *x,
	void (*go_on)(struct kubelet_server *s, struct http_exchange *x))
{
	struct str header = http_get_header(x, "Authorization");
	struct str_vec names = {0}, groups = {0};
	struct asking *q;

	if (x->peer.x509) {
		subject_names(x->peer.x509, NID_commonName, &x->arena, &names);
		subject_names(x->peer.x509, NID_organizationName, &x->arena, &groups);
		if (str_vec_has(&groups, S("system:masters")) ||
			str_vec_has(&names, S("kube-apiserver-kubelet-client"))) {
			go_on(s, x);
			return;
		}
	}
	if (names.n == 0 && !str_starts(header, S("Bearer "))) {
		server_error(x, 401, "Unauthorized");
		return;
	}
	q = xcalloc(1, sizeof(*q));
	arena_init(&q->arena);
	q->s = s;
	q->x = x;
	q->go_on = go_on;
	x->user_data = q;
	x->on_close = left;
	if (names.n) {
		q->user = arena_str(&q->arena, names.v[0]);
		for (size_t i = 0; i < groups.n; i++)
			ARENA_PUSH(&q->arena, &q->groups, arena_str(&q->arena, groups.v[i]));
		ARENA_PUSH(&q->arena, &q->groups, S("system:authenticated"));
		review_access(q);
	} else {
		review_token(q, arena_str(&q->arena, str_trim(str_sub(header, 7, header.n))));
	}
}

/* --- certificates --- */

static struct str pem_of(struct arena *a, BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return arena_str(a, str_n(p, (size_t)n));
}

static int add_names(struct kubelet *k, X509 *cert, struct arena *a)
{
	struct str names = arena_fmt(a, "DNS:" STR_FMT, STR_ARG(k->node_name));
	X509_EXTENSION *ext;
	int r;

	for (size_t i = 0; i < k->node_ips.n; i++)
		names = arena_fmt(
			a, STR_FMT ",IP:" STR_FMT, STR_ARG(names), STR_ARG(k->node_ips.v[i]));
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names.p);
	r = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return r;
}

/* A certificate of the node's own, as upstream's kubelet makes when it is given none. */
static int self_sign(
	struct kubelet *k, struct arena *a, struct tls_server_opts *ret, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	X509_NAME *name;
	struct str common = arena_fmt(a, STR_FMT "@sampan", STR_ARG(k->node_name));
	bool ok = key && cert && cert_bio && key_bio;

	if (ok) {
		ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), loop_random(k->loop) >> 1);
		X509_set_version(cert, X509_VERSION_3);
		X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
		X509_time_adj_ex(X509_getm_notAfter(cert), CERTIFICATE_DAYS, 0, NULL);
		name = X509_get_subject_name(cert);
		X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
			(const unsigned char *)common.p, (int)common.n, -1, 0);
		X509_set_issuer_name(cert, name);
		ok = X509_set_pubkey(cert, key) && add_names(k, cert, a) &&
		     X509_sign(cert, key, EVP_sha256()) && PEM_write_bio_X509(cert_bio, cert) &&
		     PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
	}
	if (ok) {
		ret->cert_pem = pem_of(a, cert_bio);
		ret->key_pem = pem_of(a, key_bio);
	}
	BIO_free(cert_bio);
	BIO_free(key_bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? 0 : err_internal(err, "cannot make a serving certificate");
}

/* The cluster's CA, which also signs the API server's client certificate, as the kubeconfig has it.
 */
static struct str cluster_ca(struct kubelet *k, struct arena *a)
{
	struct kubeconfig c CLEANUP(kubeconfig_release) = {0};
	struct str text;

	if (k->opts.ca_file)
		return file_read(k->opts.ca_file, FILE_MAX, a, &text, NULL) == 0 ? text : S("");
	if (!k->opts.kubeconfig || kubeconfig_read(k->opts.kubeconfig, NULL, &c, NULL) < 0)
		return S("");
	return arena_str(a, c.ca_pem);
}

int server_certificate(
	struct kubelet *k, struct tls_server_opts *ret, struct arena *a, struct err *err)
{
	const struct kubelet_opts *o = &k->opts;
	int r = 0;

	if (o->client_ca_file)
		r = file_read(o->client_ca_file, FILE_MAX, a, &ret->client_ca_pem, err);
	else
		ret->client_ca_pem = cluster_ca(k, a);
	if (r < 0 || !o->tls_cert_file)
		return r < 0 ? r : self_sign(k, a, ret, err);
	r = file_read(o->tls_cert_file, FILE_MAX, a, &ret->cert_pem, err);
	return r < 0 ? r : file_read(o->tls_key_file, FILE_MAX, a, &ret->key_pem, err);
}
