/* signing_flags.c: which CA signs certificates, as upstream's flags say it. */
#include "base/file.h"
#include "controllers/flags.h"
#include "pki/x509.h"

enum { PEM_MAX = 1 << 20 };

/* The two flags of a signer. */
static void signer_flags(struct flag *to, struct signing_files *f, enum signer s,
	const char *cert_flag, const char *key_flag, const char *help)
{
	to[0] = (struct flag){cert_flag, FLAG_STRING, &f->certs[s], "FILE", help};
	to[1] = (struct flag){key_flag, FLAG_STRING, &f->keys[s], "FILE", "its key"};
}

void signing_flags_table(struct signing_files *f, struct controllers_opts *o,
	struct flag table[SIGNING_FLAGS_MAX])
{
	table[0] = (struct flag){"cluster-signing-cert-file", FLAG_STRING, &f->cert, "FILE",
		"CA that signs certificates; default: none are signed"};
	table[1] = (struct flag){
		"cluster-signing-key-file", FLAG_STRING, &f->key, "FILE", "its key"};
	table[2] = (struct flag){"cluster-signing-duration", FLAG_DURATION,
		&o->signing_duration_ms, "T",
		"how long certificates live that are signed; default: 8760h"};
	signer_flags(table + 3, f, SIGNER_OF_CLIENTS,
		"cluster-signing-kube-apiserver-client-cert-file",
		"cluster-signing-kube-apiserver-client-key-file", "CA of users alone");
	signer_flags(table + 5, f, SIGNER_OF_KUBELET_CLIENTS,
		"cluster-signing-kubelet-client-cert-file",
		"cluster-signing-kubelet-client-key-file", "CA of nodes alone");
	signer_flags(table + 7, f, SIGNER_OF_KUBELETS, "cluster-signing-kubelet-serving-cert-file",
		"cluster-signing-kubelet-serving-key-file", "CA of what kubelets serve with");
	signer_flags(table + 9, f, SIGNER_OF_UNKNOWN, "cluster-signing-legacy-unknown-cert-file",
		"cluster-signing-legacy-unknown-key-file", "CA of requests of old");
	table[SIGNING_FLAGS_MAX - 1] = (struct flag){NULL};
}

static int read_pair(const char *cert, const char *key, struct controllers_opts *o, int i,
	struct arena *a, struct err *err)
{
	struct x509_ca ca;
	int r;

	if (!cert != !key)
		return err_bad_request(err,
			"a --cluster-signing-…-cert-file and its --cluster-signing-…-key-file come "
			"together");
	if (!cert)
		return 0;
	r = file_read(cert, PEM_MAX, a, &o->signing[i].cert_pem, err);
	if (r == 0)
		r = file_read(key, PEM_MAX, a, &o->signing[i].key_pem, err);
	if (r < 0)
		return r;
	if (x509_ca_open(o->signing[i].cert_pem, o->signing[i].key_pem, &ca, NULL) < 0)
		return err_bad_request(
			err, "%s and %s are no CA certificate and its key", cert, key);
	x509_ca_release(&ca);
	return 0;
}

int signing_files_read(const struct signing_files *f, struct controllers_opts *o, struct arena *a,
	struct err *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < SIGNERS; i++) {
		if ((f->cert || f->key) && (f->certs[i] || f->keys[i]))
			return err_bad_request(err,
				"cannot specify --cluster-signing-{cert,key}-file and other signer "
				"specific values");
		r = read_pair(f->cert ? f->cert : f->certs[i], f->key ? f->key : f->keys[i], o, i,
			a, err);
	}
	return r;
}
