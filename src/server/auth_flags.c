#include "server/auth_flags.h"

#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

struct auth_flags auth_flags_default(void)
{
	return (struct auth_flags){.anonymous = true};
}

void auth_flags_table(struct auth_flags *f, struct flag table[AUTH_FLAGS_MAX])
{
	const struct flag flags[] = {
		{"anonymous-auth", FLAG_BOOL, &f->anonymous, NULL,
			"let requests without a credential in, as system:anonymous"},
		{"requestheader-client-ca-file", FLAG_STRING, &f->request_header_ca_file, "FILE",
			"CA of proxies that say in headers whom they speak for"},
		{"requestheader-allowed-names", FLAG_LIST, &f->proxy_names, "NAME,…",
			"common names of these proxies; default: all that the CA signed"},
		{"requestheader-username-headers", FLAG_LIST, &f->username_headers, "NAME,…",
			"headers with the user's name"},
		{"requestheader-uid-headers", FLAG_LIST, &f->uid_headers, "NAME,…",
			"headers with the user's UID"},
		{"requestheader-group-headers", FLAG_LIST, &f->group_headers, "NAME,…",
			"headers with the user's groups"},
		{"requestheader-extra-headers-prefix", FLAG_LIST, &f->extra_prefixes, "PREFIX,…",
			"what headers with more about the user begin with"},
		{"service-account-issuer", FLAG_LIST, &f->issuers, "URL,…",
			"issuer of service account tokens, and more that are taken"},
		{"service-account-key-file", FLAG_LIST, &f->key_files, "FILE,…",
			"more keys that service account tokens may be signed by"},
		{"service-account-jwks-uri", FLAG_STRING, &f->jwks_uri, "URL",
			"where the discovery document says that the keys are"},
		{"service-account-max-token-expiration", FLAG_DURATION, &f->token_max_ms, "T",
			"how long service account tokens may live"},
		{"api-audiences", FLAG_LIST, &f->audiences, "NAME,…",
			"whom tokens for this API are made for; default: the issuers"},
		{"authorization-mode", FLAG_LIST, &f->modes, "MODE,…",
			"who decides, in order: Node, RBAC, AlwaysAllow, AlwaysDeny; default: "
			"Node,RBAC"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= AUTH_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

/* NUL-terminated; `otherwise` (or nothing) when the flag was not given. */
static struct str_vec strings(struct arena *a, const struct flag_list *list, const char *otherwise)
{
	struct str_vec out = {0};

	for (size_t i = 0; i < list->n; i++)
		ARENA_PUSH(a, &out, arena_str(a, list->v[i]));
	if (!out.n && otherwise)
		ARENA_PUSH(a, &out, str_c(otherwise));
	return out;
}

static int read_keys(const struct auth_flags *f, struct arena *a, struct str *ret, struct err *err)
{
	struct str all = {0}, one;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->key_files.n; i++) {
		r = file_read(arena_cstr(a, f->key_files.v[i]), FILE_MAX, a, &one, err);
		if (r == 0)
			all = arena_fmt(a, STR_FMT STR_FMT "\n", STR_ARG(all), STR_ARG(one));
	}
	if (r == 0)
		*ret = all;
	return r;
}

int auth_flags_read(
	const struct auth_flags *f, struct arena *a, struct auth_opts *ret, struct err *err)
{
	struct auth_opts o = {.no_anonymous = !f->anonymous,
		.service_account_issuer = f->issuers.n ? arena_cstr(a, f->issuers.v[0]) : NULL,
		.api_audiences = strings(a, &f->audiences, NULL),
		.jwks_uri = f->jwks_uri,
		.token_seconds_max = f->token_max_ms / 1000,
		.authorization_modes = strings(a, &f->modes, NULL)};
	int r = read_keys(f, a, &o.service_account_verify_pem, err);

	for (size_t i = 1; i < f->issuers.n; i++)
		ARENA_PUSH(a, &o.service_account_issuers, f->issuers.v[i]);
	if (o.token_seconds_max && o.token_seconds_max < 3600)
		return err_bad_request(err,
			"the service-account-max-token-expiration must be between 1 hour and 2^32 "
			"seconds");
	if (r < 0 || !f->request_header_ca_file) {
		*ret = o;
		return r;
	}
	r = file_read(f->request_header_ca_file, FILE_MAX, a, &o.request_header.ca_pem, err);
	o.request_header.allowed_names = strings(a, &f->proxy_names, NULL);
	o.request_header.username_headers = strings(a, &f->username_headers, "x-remote-user");
	o.request_header.uid_headers = strings(a, &f->uid_headers, NULL);
	o.request_header.group_headers = strings(a, &f->group_headers, "x-remote-group");
	o.request_header.extra_prefixes = strings(a, &f->extra_prefixes, "x-remote-extra-");
	if (r == 0)
		*ret = o;
	return r;
}
