/* auth_flags.h: --anonymous-auth, --requestheader-*, --service-account-*, --authorization-mode: who is who, and who decides. */
#ifndef SAMPAN_AUTH_FLAGS_H
#define SAMPAN_AUTH_FLAGS_H

#include "apiserver/auth_opts.h"
#include "base/flags.h"

struct auth_flags {
	bool anonymous;
	const char *request_header_ca_file;
	struct flag_list proxy_names, username_headers, uid_headers, group_headers, extra_prefixes;
	struct flag_list issuers, audiences, key_files, modes;
	const char *jwks_uri;
	int64_t token_max_ms;
};

enum { AUTH_FLAGS_MAX = 16 };

struct auth_flags auth_flags_default(void);
void auth_flags_table(struct auth_flags *f, struct flag table[AUTH_FLAGS_MAX]);
/* Reads the files that they name; *ret lives in the arena. */
int auth_flags_read(const struct auth_flags *f, struct arena *a, struct auth_opts *ret, struct err *err);

#endif
