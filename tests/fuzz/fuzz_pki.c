/* Certificate requests, certificates, what a cluster says of itself, tokens and kubeconfigs: from
 * strangers. */
#include "node/join.h"
#include "pki/bootstrap_token.h"
#include "pki/cluster_info.h"
#include "pki/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN "abcdef.0123456789abcdef"

static void certificates(struct str text, struct arena *a)
{
	struct x509_names names;
	struct x509_info info;
	struct str pem, usages[] = {S("client auth")};
	const struct str_vec v = {usages, 1};
	struct x509_ca ca = {0};

	if (x509_request_parse(text, a, &names, NULL) == 0)
		assert(x509_sign(&ca, text, &v, 1, 2, a, &pem, NULL) <
			0); /* no CA, no certificate */
	if (x509_info_read(text, a, &info, NULL) == 0 && x509_check_chain(text, NULL) == 0) {
		pem = x509_public_key_pin(text, a, NULL);
		assert(pem.n == 71);
		assert(x509_find_pinned(text, pem, a, &pem, NULL) == 0);
	}
	(void)x509_find_pinned(text, text, a, &pem, NULL);
	assert(!x509_key_fits(text, S("")));
}

static void clusters(struct str text, struct arena *a)
{
	struct bootstrap_token t = {S("abcdef"), S("0123456789abcdef")};
	struct join_discovered d;
	struct cluster_info info;
	struct str token, hash;

	if (cluster_info_read(text, a, &info, NULL) == 0)
		assert(info.ca_pem.n);
	if (join_verify(text, S(TOKEN), S(""), a, &d, NULL) == 0)
		assert(d.ca_pem.n);
	if (join_token_split(text, &token, &hash))
		assert(token.n == BOOTSTRAP_ID_LEN + 1 + BOOTSTRAP_SECRET_LEN);
	assert(bootstrap_jws_valid(bootstrap_jws(text, t, a), text, t));
	if (bootstrap_group_valid(text))
		assert(str_starts(text, S("system:bootstrappers:")));
	(void)join_check_addresses(text, text, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct str text = size ? arena_str(&a, str_n((const char *)data, size)) : S("");

	certificates(text, &a);
	clusters(text, &a);
	arena_release(&a);
	return 0;
}
