/* conn_sock.h: connections on a socket, with or without TLS, as the connector and tests see them.
 * Private. */
#ifndef SAMPAN_CONN_SOCK_H
#define SAMPAN_CONN_SOCK_H

#include "http/conn_int.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

/* The client's side of TLS; takes fd. The handshake starts with conn_sock_handshake. */
struct conn *conn_from_fd_tls_client(
	struct loop *loop, int fd, SSL_CTX *ctx, const char *server_name, const char *alpn);
/* Goes on with the handshake: 1 done, 0 waiting (call again when fn fires), negative errno failed.
 */
int conn_sock_handshake(struct conn *c);
/* In words, why TLS failed; "" when it did not. */
const char *conn_sock_why(struct conn *c);
/* Instead of stream_readable and stream_writable, while set: the connector waits for connect and
 * handshake. */
void conn_sock_on_ready(struct conn *c, void (*fn)(struct conn *c, void *arg), void *arg);
void conn_sock_watch_connect(struct conn *c);
int conn_sock_fd(struct conn *c);

#endif
