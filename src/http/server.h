/*
 * server.h: HTTP/1.1 and HTTP/2 (by ALPN) over TLS or plain TCP, on one loop. For several I/O threads make one server
 * per loop with `reuse_port`, or hand accepted sockets around with http_server_add_fd().
 */
#ifndef SAMPAN_HTTP_SERVER_H
#define SAMPAN_HTTP_SERVER_H

#include "http/exchange.h"

struct http_server;

struct http_server_opts {
	const char *bind_address; /* numeric, v4 or v6 */
	int port;                 /* 0: any free one, see http_server_port; -1: none, only http_server_add_fd */
	void *ssl_ctx;            /* SSL_CTX *, NULL = plain */
	bool reuse_port;
	size_t body_max;          /* 0 = 3 MiB; above: 413 Status */
	size_t connections_max;   /* 0 = 4096 */
	int header_timeout_ms;    /* 0 = 10 s to send a head or a body's next bytes; idle keep-alive 180 s */
	struct http_handler *handler;
	const struct user_info *user; /* who every peer is, NULL = as it proves; borrowed */
};

int http_server_new(struct loop *loop, const struct http_server_opts *opts, struct http_server **ret, struct err *err);
int http_server_port(const struct http_server *s);
/* A socket accepted elsewhere; takes it over. The loop's thread. */
void http_server_add_fd(struct http_server *s, int fd);
/* The same with a connection of any kind (conn_pair). */
void http_server_add_conn(struct http_server *s, struct conn *c);
/* Stops accepting, ends idle connections, lets running requests finish up to grace_ms, then closes; done(user_data) is
 * called on the loop when nothing is left, and the server is freed. */
void http_server_close(struct http_server *s, int grace_ms, void (*done)(void *), void *user_data);

/* A server context from PEM texts: certificate chain, key, optional client CA (verified when presented, never required;
 * a certificate that does not verify is a peer without one, so that the API server answers 401), session tickets, ALPN
 * h2 and http/1.1. Free with SSL_CTX_free. */
struct tls_named_cert {
	struct str cert_pem, key_pem;
	struct str_vec patterns; /* "example.com", "*.example.com"; none: the names in the certificate */
};
struct tls_server_opts {
	struct str cert_pem, key_pem, client_ca_pem;
	int min_version;             /* tls_version_parse(); 0: TLS 1.2 */
	const char *ciphers, *curves; /* tls_ciphers_parse(), tls_curves_parse(); NULL: ours */
	const struct tls_named_cert *names; /* by the name that a client asks for (SNI); the first that fits */
	size_t n_names;
};
/* By the names that upstream's flags have for them; 400 in upstream's words. */
int tls_version_parse(struct str name, int *ret, struct err *err);
int tls_ciphers_parse(const struct str_vec *names, struct arena *a, const char **ret, struct err *err);
int tls_curves_parse(const struct str_vec *ids, struct arena *a, const char **ret, struct err *err);
/* The first server context with names must be made before there are threads that make others. */
int tls_server_ctx(const struct tls_server_opts *opts, void **ret_ssl_ctx, struct err *err);
/* One more client CA, for connections from now on. For a context that one thread uses. */
int tls_server_trust(void *ssl_ctx, struct str client_ca_pem, struct err *err);

struct tls_client_opts {
	struct str ca_pem;            /* empty = the system's */
	struct str cert_pem, key_pem; /* client certificate; may be empty */
	bool insecure;                /* skip verification */
};
int tls_client_ctx(const struct tls_client_opts *opts, void **ret_ssl_ctx, struct err *err);
/* From now on the context (client's or server's) has the certificate and key of these files (PEM; may be the same file),
 * read again whenever they have changed and a connection begins, so that renewed certificates are taken without a restart.
 * Files that are missing or do not fit together leave what there is. For a context that one thread uses. The files are
 * small and local: looking at them does not count as blocking. */
void tls_ctx_follow(void *ssl_ctx, const char *cert_path, const char *key_path);

#endif
