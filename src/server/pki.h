/*
 * pki.h: the cluster's certificate authority and what it signs: made at first start, kept in
 * <data-dir>/pki.
 *
 *     ca.crt ca.key            the cluster CA: signs serving and client certificates (EC P-256, 10
 * years) sa.key                   signs service account tokens Leaf certificates are made when they
 * are needed and live as long as the CA: the server's at each start (so that its names follow the
 * machine), a client's when its kubeconfig is written.
 */
#ifndef SAMPAN_PKI_H
#define SAMPAN_PKI_H

#include "base/base.h"

struct pki {
	struct str ca_cert_pem, ca_key_pem, sa_key_pem;
	void *ca_key;  /* EVP_PKEY * */
	void *ca_cert; /* X509 * */
	struct arena arena;
};

struct pki_pair {
	struct str cert_pem, key_pem;
};

/* Opens or makes <data_dir>/pki (0700). Errors name the file. Release with pki_release. */
int pki_open(const char *data_dir, struct pki *ret, struct err *err);
void pki_release(struct pki *p);

/* A serving certificate for these DNS names and IP addresses (text). */
int pki_issue_server(struct pki *p, struct arena *a, const char *common_name,
	const struct str_vec *dns, const struct str_vec *ips, struct pki_pair *ret,
	struct err *err);
/* A client certificate: user and groups. */
int pki_issue_client(struct pki *p, struct arena *a, const char *user, const struct str_vec *groups,
	struct pki_pair *ret, struct err *err);

/* Writes a kubeconfig with everything embedded, mode 0600, atomically. */
int kubeconfig_write(const char *path, struct str server_url, struct str ca_pem,
	const struct pki_pair *client, const char *cluster, const char *user, struct err *err);

#endif
