/*
 * x509.h: certificates as the cluster uses them: keys, PKCS#10 requests, signing, what a
 * certificate says. PEM text in, PEM text out; answers live in the arena given. Any thread; nothing
 * here blocks or does I/O.
 *
 *     x509_key_new(&a, &key, err);
 *     x509_request_new(key, &(struct x509_names){.common_name = S("system:node:n1"), .organizations
 * = …}, &a, &pem, err); x509_sign(&ca, pem, &usages, now_s - 300, now_s + 86400, &a, &cert, err);
 */
#ifndef SAMPAN_PKI_X509_H
#define SAMPAN_PKI_X509_H

#include "base/base.h"

struct x509_names {
	struct str common_name;
	struct str_vec organizations;
	struct str_vec dns, ips, emails, uris; /* subject alternative names; addresses as text */
};

int x509_key_new(struct arena *a, struct str *ret_pem, struct err *err); /* P-256 */
int x509_request_new(struct str key_pem, const struct x509_names *names, struct arena *a,
	struct str *ret_pem, struct err *err);
/* Looks at form and signature; wrong: 400 in the words of upstream (ParseCSR, CheckSignature). ret
 * may be NULL. */
int x509_request_parse(struct str pem, struct arena *a, struct x509_names *ret, struct err *err);

struct x509_ca {
	void *cert, *key; /* X509 *, EVP_PKEY * */
	int64_t not_after_s;
};
int x509_ca_open(struct str cert_pem, struct str key_pem, struct x509_ca *ret, struct err *err);
void x509_ca_release(struct x509_ca *ca);

/* Signs what a request asks for with these usages (words of certificates.k8s.io KeyUsage), for a
 * leaf. The end is cut to the CA's. 400 for a usage that nobody knows or a request that does not
 * parse; 500 when the CA has expired. */
int x509_sign(const struct x509_ca *ca, struct str request_pem, const struct str_vec *usages,
	int64_t not_before_s, int64_t not_after_s, struct arena *a, struct str *ret_pem,
	struct err *err);
bool x509_usage_known(struct str usage);
/* A serving certificate with a key of its own that no CA has signed: common name, DNS names,
 * addresses. */
int x509_self_sign(const struct x509_names *names, int64_t not_before_s, int64_t not_after_s,
	struct arena *a, struct str *ret_cert_pem, struct str *ret_key_pem, struct err *err);

struct x509_info {
	struct x509_names names;
	int64_t not_before_s, not_after_s; /* Unix time */
};
/* The first certificate of a PEM text. */
int x509_info_read(struct str pem, struct arena *a, struct x509_info *ret, struct err *err);
/* Nothing but certificates, one at least: 400 in upstream's words otherwise (validateCertificate).
 */
int x509_check_chain(struct str pem, struct err *err);
bool x509_key_fits(struct str cert_pem, struct str key_pem);
/* "203.0.113.7", "2001:db8::1" from 4 or 16 bytes; empty for other lengths. */
struct str x509_ip_text(const unsigned char *bytes, size_t n, struct arena *a);

/* The hash by which kubeadm pins a CA: "sha256:" and the hex SHA-256 of its SubjectPublicKeyInfo.
 */
struct str x509_public_key_pin(struct str cert_pem, struct arena *a, struct err *err);
/* Of all certificates in `pem` the one with this pin, alone; -ENOENT when none has it, 400 when the
 * pin has another form. */
int x509_find_pinned(
	struct str pem, struct str pin, struct arena *a, struct str *ret_pem, struct err *err);

#endif
