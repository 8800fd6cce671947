#include "apiserver/server.h"

#include <openssl/ssl.h>

#include "apiserver/cluster_ips.h"
#include "apiserver/discovery.h"
#include "apiserver/masters.h"
#include "apiserver/openapi_documents.h"
#include "apiserver/resources/node_port_record.h"
#include "apiserver/resources/service_books.h"
#include "apiserver/retained.h"
#include "http/server.h"

static const char *copy(struct arena *a, const char *s)
{
	return s ? arena_cstr(a, str_c(s)) : NULL;
}

static void copy_opts(struct apiserver *s, const struct apiserver_opts *from)
{
	struct apiserver_opts *to = &s->opts;
	struct arena *a = &s->arena;

	*to = *from;
	to->service_cluster_ip_range = copy(a, from->service_cluster_ip_range);
	to->advertise_address = copy(a, from->advertise_address);
	to->service_account_issuer = copy(
		a, from->service_account_issuer ? from->service_account_issuer
						: "https://kubernetes.default.svc.cluster.local");
	to->service_account_key_pem = arena_str(a, from->service_account_key_pem);
	to->ca_pem = arena_str(a, from->ca_pem);
	to->client_ca_pem = arena_str(a, from->client_ca_pem);
	to->token_auth_csv = arena_str(a, from->token_auth_csv);
	to->kubelet_ca_pem = arena_str(a, from->kubelet_ca_pem);
	to->cluster_cidr = copy(a, from->cluster_cidr);
	to->kubelet_client_cert_pem = arena_str(a, from->kubelet_client_cert_pem);
	to->kubelet_client_key_pem = arena_str(a, from->kubelet_client_key_pem);
	if (!to->kubelet_port)
		to->kubelet_port = 10250;
	if (!to->node_port_min) {
		to->node_port_min = 30000;
		to->node_port_max = 32767;
	}
}

static int open_auth(struct apiserver *s, const struct auth_opts *from, struct err *err)
{
	struct auth_opts opts = *from;

	opts.token_auth_csv = s->opts.token_auth_csv;
	opts.service_account_issuer = s->opts.service_account_issuer;
	opts.service_account_key_pem = s->opts.service_account_key_pem;
	opts.store = s->store;
	opts.bootstrap_tokens = s->opts.enable_bootstrap_token_auth;
	return auth_new(&opts, &s->auth, err);
}

/* The client certificate proves us to kubelets. Nothing proves them to us unless a CA is named, as
 * with upstream: they may serve with certificates that they made themselves. */
static int open_kubelet_tls(struct apiserver *s, struct err *err)
{
	struct tls_client_opts opts = {
		.cert_pem = s->opts.kubelet_client_cert_pem,
		.key_pem = s->opts.kubelet_client_key_pem,
		.ca_pem = s->opts.kubelet_ca_pem,
		.insecure = !s->opts.kubelet_ca_pem.n,
	};

	if (!opts.cert_pem.n)
		return 0;
	return tls_client_ctx(&opts, &s->kubelet_ssl_ctx, err);
}

static struct str server_address(struct apiserver *s)
{
	return arena_fmt(&s->arena, "%s:%d",
		s->opts.advertise_address ? s->opts.advertise_address : "127.0.0.1",
		s->opts.advertise_port);
}

int apiserver_new(const struct apiserver_opts *opts, struct apiserver **ret, struct err *err)
{
	struct apiserver *s = xcalloc(1, sizeof(*s));
	int r;

	arena_init(&s->arena);
	s->store = opts->store;
	s->bootstrapped = !opts->bootstrapped_later;
	copy_opts(s, opts);
	pipeline_init(s);
	s->retained = retained_new();
	s->metrics = server_metrics_new();
	metrics_pages_init(s);
	s->openapi = openapi_documents_new();
	s->discovery = discovery_new(server_address(s).p);
	r = open_auth(s, &opts->auth, err);
	if (r >= 0 && opts->audit.policy.n)
		r = audit_sink_new(&opts->audit, &s->audit, err);
	if (r >= 0)
		r = open_kubelet_tls(s, err);
	if (r >= 0)
		r = service_books_new(s->opts.service_cluster_ip_range, s->opts.node_port_min,
			s->opts.node_port_max, &s->service_books, err);
	if (r >= 0)
		r = admission_new(s, &opts->admission, &s->admission, err);
	if (r < 0) {
		apiserver_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void apiserver_free(struct apiserver *s)
{
	if (!s)
		return;
	if (s->auth)
		auth_free(s->auth);
	audit_sink_free(s->audit);
	admission_free(s->admission);
	masters_free(s->masters);
	node_port_repair_free(s->node_port_repair);
	cluster_ips_free(s->cluster_ips);
	discovery_free(s->discovery);
	openapi_documents_free(s->openapi);
	service_books_free(s->service_books);
	component_release(&s->pages);
	server_metrics_free(s->metrics);
	retained_free(s->retained);
	if (s->kubelet_ssl_ctx)
		SSL_CTX_free(s->kubelet_ssl_ctx);
	arena_release(&s->arena);
	free(s);
}

struct http_handler *apiserver_handler(struct apiserver *s)
{
	return &s->handler;
}
