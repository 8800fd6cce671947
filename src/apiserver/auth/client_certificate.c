/* client_certificate.c: common name = user, organizations = groups, as upstream's x509
 * authenticator. */
#include <openssl/x509.h>
#include <time.h>

#include "apiserver/auth/auth_int.h"

static struct str name_entry(struct arena *a, X509_NAME *name, int at)
{
	ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	unsigned char *utf8;
	int n = ASN1_STRING_to_UTF8(&utf8, s);
	struct str out = {0};

	if (n >= 0) {
		out = arena_str(a, str_n((char *)utf8, n));
		OPENSSL_free(utf8);
	}
	return out;
}

bool user_from_certificate(struct arena *a, void *x509, int64_t now_ns, struct user_info *ret)
{
	time_t now = now_ns / 1000000000;
	X509_NAME *subject = X509_get_subject_name(x509);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	struct user_info u = {0};

	if (at < 0 || X509_cmp_time(X509_get0_notAfter(x509), &now) < 0)
		return false;
	u.name = name_entry(a, subject, at);
	for (at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_organizationName, at)) >= 0;)
		ARENA_PUSH(a, &u.groups, name_entry(a, subject, at));
	*ret = u;
	return u.name.n > 0;
}
