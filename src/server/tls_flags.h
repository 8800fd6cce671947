/* tls_flags.h: --tls-min-version, --tls-cipher-suites, --tls-curve-preferences, --tls-sni-cert-key of the API server. */
#ifndef SAMPAN_TLS_FLAGS_H
#define SAMPAN_TLS_FLAGS_H

#include "http/server.h"
#include "server/control_flags.h"

/* Adds to *ret, in the arena; reads the files. Errors are upstream's. */
int tls_flags_read(
	const struct control_flags *f, struct arena *a, struct tls_server_opts *ret, struct err *err);

#endif
