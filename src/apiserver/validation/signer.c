/* signer.c: names of certificate signers and of ClusterTrustBundles. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/signer.h"

enum {
	PATH_MAX_LEN = DNS1123_SUBDOMAIN_MAX + DNS1123_LABEL_MAX + 1,
	SIGNER_MAX_LEN = DNS1123_SUBDOMAIN_MAX + PATH_MAX_LEN + 1,
};

bool signer_is_kubernetes(struct str name)
{
	struct str host, rest;

	str_cut(name, '/', &host, &rest);
	return str_eqc(host, "kubernetes.io") || str_ends(host, S(".kubernetes.io"));
}

/* Every part between dots by `check`; only the first bad one is told. */
static size_t validate_parts(struct str whole, struct str_vec (*check)(struct arena *, struct str),
	const struct field_path *p, struct field_errors *e)
{
	struct str part, rest = whole;
	size_t n = 0;
	bool bad = false;

	for (bool more = true; more; n++) {
		more = str_cut(rest, '.', &part, &rest);
		struct str_vec msgs = check(e->arena, part);
		struct str quoted = go_quote(e->arena, part);
		for (size_t i = 0; !bad && i < msgs.n; i++)
			field_invalid(e, p, whole, "validating label " STR_FMT ": " STR_FMT,
				STR_ARG(quoted), STR_ARG(msgs.v[i]));
		bad = bad || msgs.n > 0;
	}
	return n;
}

void validate_signer_name(struct str name, const struct field_path *p, struct field_errors *e)
{
	struct str domain, path;

	if (name.n == 0) {
		field_required(e, p, "");
		return;
	}
	if (!str_cut(name, '/', &domain, &path) || str_chr(path, '/') >= 0) {
		field_invalid(e, p, name,
			"must be a fully qualified domain and path of the form "
			"'example.com/signer-name'");
		return;
	}
	if (domain.n > DNS1123_SUBDOMAIN_MAX)
		field_too_long(e, p, DNS1123_SUBDOMAIN_MAX);
	if (validate_parts(domain, is_dns1123_label, p, e) < 2)
		field_invalid(e, p, domain,
			"should be a domain with at least two segments separated by dots");
	validate_parts(path, is_dns1123_subdomain, p, e);
	if (name.n > SIGNER_MAX_LEN)
		field_too_long(e, p, SIGNER_MAX_LEN);
}

struct str_vec trust_bundle_name_errors(struct arena *a, struct str name)
{
	ssize_t colon = str_rchr(name, ':');

	/* "<signer with colons>:<name>": the prefix is right by construction */
	return is_dns1123_subdomain(a, colon < 0 ? name : str_sub(name, (size_t)colon + 1, name.n));
}
