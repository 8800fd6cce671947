/* x509_int.h: OpenSSL's objects from and to PEM. Private. */
#ifndef SAMPAN_PKI_X509_INT_H
#define SAMPAN_PKI_X509_INT_H

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "pki/x509.h"

/* 500 with what OpenSSL says, and clears its queue. */
int x509_crypto_error(struct err *err, const char *what);
X509 *x509_read_cert(struct str pem);                /* NULL: none */
EVP_PKEY *x509_read_key(struct str pem);             /* NULL: none */
struct str x509_take_bio(BIO *bio, struct arena *a); /* its bytes; frees it */
struct str x509_cert_text(X509 *cert, struct arena *a);
void x509_read_subject(X509_NAME *subject, struct arena *a, struct x509_names *ret);
void x509_read_alt_names(GENERAL_NAMES *list, struct arena *a, struct x509_names *ret);

#endif
