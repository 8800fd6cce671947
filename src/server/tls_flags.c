#include "server/tls_flags.h"

#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

static int read_file(struct str path, struct arena *a, struct str *ret, struct err *err)
{
	const char *name = arena_cstr(a, path);
	int r = file_read(name, FILE_MAX, a, ret, NULL);

	return r < 0 ? err_bad_request(err, "failed to load SNI cert and key: open %s: %s", name,
			       r == -ENOENT ? "no such file or directory" : strerror(-r))
		     : 0;
}

/* CERT,KEY or CERT,KEY:NAME,NAME */
static int read_named(struct str text, struct arena *a, struct tls_named_cert *ret, struct err *err)
{
	struct str files, names, cert, key, one;
	bool more;
	int r;

	more = str_cut(text, ':', &files, &names);
	if (!str_cut(files, ',', &cert, &key) || !cert.n || !key.n || str_chr(key, ',') >= 0)
		return err_bad_request(err,
			"invalid argument \"" STR_FMT
			"\" for \"--tls-sni-cert-key\" flag: expected "
			"comma separated certificate and key file paths",
			STR_ARG(text));
	while (more) {
		more = str_cut(names, ',', &one, &names);
		if (str_trim(one).n)
			ARENA_PUSH(a, &ret->patterns, str_trim(one));
	}
	r = read_file(str_trim(cert), a, &ret->cert_pem, err);
	return r < 0 ? r : read_file(str_trim(key), a, &ret->key_pem, err);
}

static struct str_vec vec(const struct flag_list *l)
{
	return (struct str_vec){(struct str *)l->v, l->n};
}

int tls_flags_read(const struct control_flags *f, struct arena *a, struct tls_server_opts *ret,
	struct err *err)
{
	struct str_vec ciphers = vec(&f->tls_ciphers), curves = vec(&f->tls_curves);
	struct tls_named_cert *names =
		ARENA_ARRAY(a, struct tls_named_cert, f->tls_named_certs.n + 1);
	int r = tls_ciphers_parse(&ciphers, a, &ret->ciphers, err);

	if (r == 0 && f->tls_min_version)
		r = tls_version_parse(str_c(f->tls_min_version), &ret->min_version, err);
	if (r == 0)
		r = tls_curves_parse(&curves, a, &ret->curves, err);
	for (size_t i = 0; r == 0 && i < f->tls_named_certs.n; i++)
		r = read_named(f->tls_named_certs.v[i], a, &names[i], err);
	ret->names = names;
	ret->n_names = f->tls_named_certs.n;
	return r;
}
