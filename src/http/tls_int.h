/* tls_int.h: the parts of TLS that connections use. Private. */
#ifndef SAMPAN_TLS_INT_H
#define SAMPAN_TLS_INT_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "http/exchange.h"

/* The BIO that works on a struct sock (conn_sock.c). One per context, freed with it. */
BIO_METHOD *tls_bio_method_new(void);
BIO_METHOD *tls_context_bio(SSL_CTX *ctx);

struct tls_server_opts;

/* tls_server.c: parts of tls_server_ctx. */
int tls_restrict(SSL_CTX *ctx, const struct tls_server_opts *o, struct err *err);
int tls_serve_names(SSL_CTX *ctx, const struct tls_server_opts *o, struct err *err);

/* Takes renewed files in (tls_ctx_follow); how often that has happened. */
unsigned tls_ctx_refresh(SSL_CTX *ctx);
void tls_peer_fill(SSL *ssl, struct http_peer *peer, struct str *alpn);
/* SNI, the name or address that the server's certificate must be for, and ALPN ("h2,http/1.1", NULL
 * = none). */
void tls_client_expect(SSL *ssl, const char *server_name, const char *alpn);
/* The oldest error of the queue, or why the certificate did not verify, in words. */
void tls_error_text(SSL *ssl, char *p, size_t size);

#endif
