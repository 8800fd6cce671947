#include "server/auth_flags.h"

#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

struct auth_flags auth_flags_default(void)
{
	return (struct auth_flags){.anonymous = true,
		.token_webhook_ttl_ms = 2 * 60 * 1000,
		.allowed_ttl_ms = -1,
		.refused_ttl_ms = -1};
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
		{"authentication-config", FLAG_STRING, &f->authn_config_file, "FILE",
			"AuthenticationConfiguration: issuers of tokens, anonymous requests"},
		{"authentication-token-webhook-config-file", FLAG_STRING, &f->token_webhook_file,
			"FILE", "kubeconfig of a server that knows tokens"},
		{"authentication-token-webhook-version", FLAG_STRING, &f->token_webhook_version,
			"VERSION", "of the TokenReview that it gets: v1, v1beta1 (default)"},
		{"authentication-token-webhook-cache-ttl", FLAG_DURATION, &f->token_webhook_ttl_ms,
			"T", "how long its answers are kept"},
		{"oidc-issuer-url", FLAG_STRING, &f->oidc_issuer_url, "URL",
			"OpenID Connect: whose tokens are taken"},
		{"oidc-client-id", FLAG_STRING, &f->oidc_client_id, "ID",
			"whom they must be made for"},
		{"oidc-ca-file", FLAG_STRING, &f->oidc_ca_file, "FILE", "CA of the issuer"},
		{"oidc-username-claim", FLAG_STRING, &f->oidc_username_claim, "CLAIM",
			"what the user is called by; default: sub"},
		{"oidc-username-prefix", FLAG_STRING, &f->oidc_username_prefix, "PREFIX",
			"before it; default: the issuer and #, but for email; -: none"},
		{"oidc-groups-claim", FLAG_STRING, &f->oidc_groups_claim, "CLAIM",
			"what has the user's groups"},
		{"oidc-groups-prefix", FLAG_STRING, &f->oidc_groups_prefix, "PREFIX",
			"before each of them"},
		{"oidc-signing-algs", FLAG_LIST, &f->oidc_signing_algs, "ALG,…",
			"how tokens may be signed; default: RS256"},
		{"oidc-required-claim", FLAG_LIST, &f->oidc_required_claims, "CLAIM=VALUE,…",
			"what tokens must have"},
		{"authorization-mode", FLAG_LIST, &f->modes, "MODE,…",
			"who decides, in order: Node, RBAC, ABAC, Webhook, AlwaysAllow, "
			"AlwaysDeny; default: Node,RBAC"},
		{"authorization-config", FLAG_STRING, &f->authz_config_file, "FILE",
			"AuthorizationConfiguration: who decides, instead of these flags"},
		{"authorization-policy-file", FLAG_STRING, &f->policy_file, "FILE",
			"policies of ABAC, one on a line"},
		{"authorization-webhook-config-file", FLAG_STRING, &f->authz_webhook_file, "FILE",
			"kubeconfig of the server that mode Webhook asks"},
		{"authorization-webhook-version", FLAG_STRING, &f->authz_webhook_version, "VERSION",
			"of the SubjectAccessReview that it gets: v1, v1beta1 (default)"},
		{"authorization-webhook-cache-authorized-ttl", FLAG_DURATION, &f->allowed_ttl_ms,
			"T", "how long its yes is kept; default: 5m"},
		{"authorization-webhook-cache-unauthorized-ttl", FLAG_DURATION, &f->refused_ttl_ms,
			"T", "how long its no is kept; default: 30s"},
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

static struct authz_opts read_authz(const struct auth_flags *f, struct arena *a)
{
	return (struct authz_opts){.modes = strings(a, &f->modes, NULL),
		.config_file = f->authz_config_file,
		.modes_given = f->modes.n || f->authz_webhook_file || f->authz_webhook_version ||
			       f->allowed_ttl_ms >= 0 || f->refused_ttl_ms >= 0,
		.policy_file = f->policy_file,
		.webhook_file = f->authz_webhook_file,
		.webhook_version = str_c(f->authz_webhook_version),
		.allowed_ttl_ms = f->allowed_ttl_ms < 0 ? 5 * 60 * 1000 : f->allowed_ttl_ms,
		.refused_ttl_ms = f->refused_ttl_ms < 0 ? 30 * 1000 : f->refused_ttl_ms};
}

static int read_oidc(
	const struct auth_flags *f, struct arena *a, struct oidc_opts *ret, struct err *err)
{
	const char *const all[] = {f->oidc_issuer_url, f->oidc_client_id, f->oidc_ca_file,
		f->oidc_username_claim, f->oidc_username_prefix, f->oidc_groups_claim,
		f->oidc_groups_prefix};
	struct oidc_opts o = {.issuer_url = str_c(f->oidc_issuer_url),
		.client_id = str_c(f->oidc_client_id),
		.username_claim = f->oidc_username_claim ? str_c(f->oidc_username_claim) : S("sub"),
		.username_prefix = str_c(f->oidc_username_prefix),
		.groups_claim = str_c(f->oidc_groups_claim),
		.groups_prefix = str_c(f->oidc_groups_prefix),
		.signing_algs = strings(a, &f->oidc_signing_algs, NULL)};
	int r = 0;

	o.given = f->oidc_signing_algs.n || f->oidc_required_claims.n;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		o.given = o.given || all[i];
	for (size_t i = 0; i < f->oidc_required_claims.n; i++) {
		struct str_pair p;

		if (!str_cut(f->oidc_required_claims.v[i], '=', &p.key, &p.value))
			return err_bad_request(err,
				"invalid argument \"" STR_FMT "\" for \"--oidc-required-claim\" "
				"flag: malformed pair, expect string=string",
				STR_ARG(f->oidc_required_claims.v[i]));
		ARENA_PUSH(a, &o.required_claims, p);
	}
	if (f->oidc_ca_file)
		r = file_read(f->oidc_ca_file, FILE_MAX, a, &o.ca_pem, err);
	if (r == 0)
		*ret = o;
	return r;
}

/* All that is wrong with them, as upstream says it. */
static int check_service_accounts(const struct auth_flags *f, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str_vec seen = {0}, errors = {0};
	struct str uri = str_c(f->jwks_uri), all = S("");

	for (size_t i = 0; i < f->issuers.n; i++) {
		struct str s = f->issuers.v[i];

		if (!s.n)
			ARENA_PUSH(&a, &errors,
				S("service-account-issuer should not be an empty string"));
		else if (str_vec_has(&seen, s))
			ARENA_PUSH(&a, &errors,
				arena_fmt(&a,
					"service-account-issuer \"" STR_FMT
					"\" is already specified",
					STR_ARG(s)));
		ARENA_PUSH(&a, &seen, s);
	}
	if (uri.n && !str_starts(uri, S("https://")))
		ARENA_PUSH(&a, &errors,
			arena_fmt(&a,
				"service-account-jwks-uri requires https scheme, parsed "
				"as: " STR_FMT,
				STR_ARG(uri)));
	for (size_t i = 0; i < errors.n; i++)
		all = arena_fmt(&a, STR_FMT "%s" STR_FMT, STR_ARG(all), i ? ", " : "",
			STR_ARG(errors.v[i]));
	if (!errors.n)
		return 0;
	return err_bad_request(err, errors.n > 1 ? "[" STR_FMT "]" : STR_FMT, STR_ARG(all));
}

int auth_flags_read(
	const struct auth_flags *f, struct arena *a, struct auth_opts *ret, struct err *err)
{
	struct auth_opts o = {.no_anonymous = !f->anonymous,
		.service_account_issuer = f->issuers.n ? arena_cstr(a, f->issuers.v[0]) : NULL,
		.api_audiences = strings(a, &f->audiences, NULL),
		.jwks_uri = f->jwks_uri,
		.token_seconds_max = f->token_max_ms / 1000,
		.authz = read_authz(f, a),
		.authn_config_file = f->authn_config_file,
		.anonymous_given = f->anonymous_given,
		.token_webhook_file = f->token_webhook_file,
		.token_webhook_version = str_c(f->token_webhook_version),
		.token_webhook_ttl_ms = f->token_webhook_ttl_ms};
	int r = read_keys(f, a, &o.service_account_verify_pem, err);

	if (r == 0)
		r = check_service_accounts(f, err);
	if (r == 0)
		r = read_oidc(f, a, &o.oidc, err);
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
