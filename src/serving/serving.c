#include "serving/serving.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/x509.h"

enum { FILE_MAX = 1 << 20, CONNECTIONS_MAX = 64, CERTIFICATE_DAYS = 3650 };

struct serving {
	struct http_handler handler;
	struct http_server *http;
	SSL_CTX *ssl;
	struct delegated *delegated;
	struct component *component;
};

static void show(void *user_data, struct http_exchange *x)
{
	struct serving *s = user_data;

	http_header(x, "Cache-Control", S("no-cache, private"));
	if (!component_serve(s->component, x))
		component_not_found(x);
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct serving *s = container_of(h, struct serving, handler);

	delegated_ask(s->delegated, x, show, s);
}

int serving_start(const struct serving_opts *opts, struct serving **ret, struct err *err)
{
	struct serving *s = xcalloc(1, sizeof(*s));
	struct delegated_opts delegated = opts->delegated;
	struct http_server_opts http = {
		.bind_address = opts->bind_address,
		.port = opts->port,
		.ssl_ctx = opts->ssl_ctx,
		.reuse_port = opts->share_port,
		.connections_max = CONNECTIONS_MAX,
		.handler = &s->handler,
	};
	int r;

	delegated.loop = opts->loop;
	s->handler.handle = handle;
	s->component = opts->component;
	s->delegated = delegated_new(&delegated);
	r = http_server_new(opts->loop, &http, &s->http, err);
	if (r < 0) {
		serving_free(s);
		return r;
	}
	if (opts->ssl_ctx) {
		s->ssl = opts->ssl_ctx;
		SSL_CTX_up_ref(s->ssl);
	}
	*ret = s;
	return 0;
}

int serving_port(const struct serving *s)
{
	return http_server_port(s->http);
}

static void closed(void *user_data)
{
	struct serving *s = user_data;

	SSL_CTX_free(s->ssl);
	free(s);
}

void serving_free(struct serving *s)
{
	if (!s)
		return;
	delegated_free(s->delegated);
	s->delegated = NULL;
	if (s->http)
		http_server_close(s->http, 0, closed, s);
	else
		closed(s);
}

/* --- from flags --- */

static int make_certificate(struct arena *a, const struct serving_flags *f, struct str *cert,
	struct str *key, struct err *err)
{
	struct x509_names names = {0};
	char host[256] = "";
	int64_t now_s = time(NULL);

	gethostname(host, sizeof(host) - 1);
	names.common_name = arena_fmt(a, "%s@%lld", host, (long long)now_s);
	ARENA_PUSH(a, &names.dns, S("localhost"));
	if (host[0])
		ARENA_PUSH(a, &names.dns, arena_strc(a, host));
	ARENA_PUSH(a, &names.ips, S("127.0.0.1"));
	if (strcmp(f->bind_address, "0.0.0.0") && strcmp(f->bind_address, "::") &&
		strcmp(f->bind_address, "127.0.0.1"))
		ARENA_PUSH(a, &names.ips, arena_strc(a, f->bind_address));
	return x509_self_sign(
		&names, now_s - 3600, now_s + CERTIFICATE_DAYS * INT64_C(86400), a, cert, key, err);
}

/* What --cert-dir keeps from the last time, or what is made and kept now. */
static int kept_certificate(struct arena *a, const struct serving_flags *f, const char *name,
	struct str *cert, struct str *key, struct err *err)
{
	const char *cert_path = arena_fmt(a, "%s/%s.crt", f->cert_dir, name).p;
	const char *key_path = arena_fmt(a, "%s/%s.key", f->cert_dir, name).p;
	int r;

	if (file_read(cert_path, FILE_MAX, a, cert, NULL) == 0 &&
		file_read(key_path, FILE_MAX, a, key, NULL) == 0)
		return 0;
	r = make_certificate(a, f, cert, key, err);
	if (r == 0)
		r = file_write(key_path, *key, 0600, err);
	return r < 0 ? r : file_write(cert_path, *cert, 0644, err);
}

static int make_context(struct arena *a, const struct serving_flags *f, const char *name,
	SSL_CTX **ret, struct err *err)
{
	struct tls_server_opts tls = {0};
	void *ctx;
	int r = 0;

	if (f->client_ca_file)
		r = file_read(f->client_ca_file, FILE_MAX, a, &tls.client_ca_pem, err);
	if (r == 0 && f->cert_file) {
		r = file_read(f->cert_file, FILE_MAX, a, &tls.cert_pem, err);
		if (r == 0)
			r = file_read(f->key_file, FILE_MAX, a, &tls.key_pem, err);
	} else if (r == 0 && f->cert_dir && f->cert_dir[0]) {
		r = kept_certificate(a, f, name, &tls.cert_pem, &tls.key_pem, err);
	} else if (r == 0) {
		r = make_certificate(a, f, &tls.cert_pem, &tls.key_pem, err);
	}
	if (r == 0)
		r = tls_server_ctx(&tls, &ctx, err);
	if (r < 0)
		return r;
	if (f->cert_file)
		tls_ctx_follow(ctx, f->cert_file, f->key_file);
	*ret = ctx;
	return 0;
}

static int client_of(struct loop *loop, const char *kubeconfig, const char *name,
	struct client **ret, struct err *err)
{
	char *agent CLEANUP(free_ptr) = xasprintf("%s/" SAMPAN_VERSION, name);
	const struct client_http_opts opts = {.kubeconfig = kubeconfig, .user_agent = agent};

	return kubeconfig && kubeconfig[0] ? client_http_new(loop, &opts, ret, err) : 0;
}

static void open_paths(const struct serving_flags *f, struct arena *a, struct str_vec *ret)
{
	if (!f->open_paths.n) {
		ARENA_PUSH(a, ret, S("/healthz"));
		ARENA_PUSH(a, ret, S("/readyz"));
		ARENA_PUSH(a, ret, S("/livez"));
	}
	for (size_t i = 0; i < f->open_paths.n; i++)
		ARENA_PUSH(a, ret, f->open_paths.v[i]);
}

static int start_with(struct loop *loop, const struct serving_flags *f, struct arena *a,
	struct component *component, struct serving **ret, struct err *err)
{
	struct serving_opts opts = {.loop = loop,
		.bind_address = f->bind_address,
		.port = f->port,
		.share_port = f->share_port,
		.component = component,
		.delegated = {.token_ttl_ms = f->token_ttl_ms,
			.allowed_ttl_ms = f->allowed_ttl_ms,
			.denied_ttl_ms = f->denied_ttl_ms}};
	struct delegated_opts *d = &opts.delegated;
	SSL_CTX *ssl = NULL;
	int r = make_context(a, f, component->name, &ssl, err);

	if (r == 0)
		r = client_of(loop, f->authentication_kubeconfig, component->name,
			&d->authentication, err);
	if (r == 0)
		r = client_of(
			loop, f->authorization_kubeconfig, component->name, &d->authorization, err);
	if (r < 0) {
		if (d->authentication)
			client_free(d->authentication);
		SSL_CTX_free(ssl);
		return r;
	}
	open_paths(f, a, &d->open_paths);
	opts.ssl_ctx = ssl;
	d->ssl_ctx = f->skip_lookup ? NULL : ssl;
	r = serving_start(&opts, ret, err);
	SSL_CTX_free(ssl); /* the server has its own reference */
	return r;
}

int serving_start_flags(struct loop *loop, const struct serving_flags *f,
	struct component *component, struct serving **ret, struct err *err)
{
	struct err inner CLEANUP(err_release) = {0};
	struct arena a = {0};
	int r;

	*ret = NULL;
	if (f->port == 0)
		return 0;
	r = start_with(loop, f, &a, component, ret, &inner);
	if (r < 0)
		err_fmt(err, 500, "", "%s (--bind-address, --secure-port, --tls-cert-file)",
			err_text(&inner));
	arena_release(&a);
	return r;
}
