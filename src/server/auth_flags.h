/* auth_flags.h: --anonymous-auth, --requestheader-*, --service-account-*, --oidc-*, --authentication-*, --authorization-*: who is
 * who, and who decides. */
#ifndef SAMPAN_AUTH_FLAGS_H
#define SAMPAN_AUTH_FLAGS_H

#include "apiserver/auth_opts.h"
#include "base/flags.h"

struct auth_flags {
	bool anonymous, anonymous_given; /* given: on the command line */
	const char *request_header_ca_file;
	struct flag_list proxy_names, username_headers, uid_headers, group_headers, extra_prefixes;
	struct flag_list issuers, audiences, key_files, modes;
	const char *jwks_uri;
	int64_t token_max_ms;
	const char *authn_config_file, *token_webhook_file, *token_webhook_version;
	int64_t token_webhook_ttl_ms;
	const char *oidc_issuer_url, *oidc_client_id, *oidc_ca_file, *oidc_username_claim,
		*oidc_username_prefix, *oidc_groups_claim, *oidc_groups_prefix;
	struct flag_list oidc_signing_algs, oidc_required_claims;
	const char *authz_config_file, *policy_file, *authz_webhook_file, *authz_webhook_version;
	int64_t allowed_ttl_ms, refused_ttl_ms; /* -1: not given */
};

enum { AUTH_FLAGS_MAX = 40 };

struct auth_flags auth_flags_default(void);
void auth_flags_table(struct auth_flags *f, struct flag table[AUTH_FLAGS_MAX]);
/* Reads the files that they name; *ret lives in the arena. */
int auth_flags_read(const struct auth_flags *f, struct arena *a, struct auth_opts *ret, struct err *err);

#endif
