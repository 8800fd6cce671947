/* auth_opts.h: what authentication and authorization are told at start; all is copied. */
#ifndef SAMPAN_AUTH_OPTS_H
#define SAMPAN_AUTH_OPTS_H

#include "base/base.h"

struct store;

/* Whom a proxy in front of us speaks for (--requestheader-*); names are NUL-terminated. */
struct request_header_opts {
	struct str ca_pem; /* empty: nobody is believed */
	struct str_vec allowed_names; /* common names of proxies; empty: all that the CA signed */
	struct str_vec username_headers, uid_headers, group_headers, extra_prefixes;
};

/* Who decides. Paths are NUL-terminated or NULL. */
struct authz_opts {
	struct str_vec modes; /* empty: Node, RBAC; nothing of it counts beside config_file */
	const char *config_file; /* --authorization-config */
	bool modes_given;        /* --authorization-mode or --authorization-webhook-* were */
	const char *policy_file; /* ABAC */
	const char *webhook_file;
	struct str webhook_version; /* empty: v1beta1 */
	int64_t allowed_ttl_ms, refused_ttl_ms; /* of the webhook's answers; 0: not kept */
};

/* --oidc-*: one issuer by flags; name is NUL-terminated. */
struct oidc_opts {
	bool given; /* any of them */
	struct str issuer_url, client_id, username_claim, username_prefix, groups_claim,
		groups_prefix, ca_pem;
	struct str_vec signing_algs;
	struct str_map required_claims;
};

struct auth_opts {
	bool bootstrap_tokens;                 /* take the tokens by which machines join (Secrets in kube-system) */
	const char *token_auth_path;           /* as errors name it; may be NULL */
	struct str token_auth_csv;             /* token,user,uid,"group1,group2" lines; may be empty */
	const char *service_account_issuer;
	struct str service_account_key_pem;    /* RSA or EC private key: signs and verifies */
	bool no_anonymous;                     /* who shows no credential is refused */
	struct str client_ca_pem;              /* whose certificates are users; needed with request_header.ca_pem */
	struct request_header_opts request_header;
	struct str service_account_verify_pem; /* more keys that tokens may be signed by (public or private); may be empty */
	struct str_vec service_account_issuers; /* more issuers that tokens may come from */
	struct str_vec api_audiences;          /* empty: the issuers */
	const char *jwks_uri;                  /* NULL: below the issuer */
	int64_t token_seconds_max;             /* 0: no limit of ours */
	struct authz_opts authz;
	struct oidc_opts oidc;
	const char *authn_config_file;         /* --authentication-config; NULL: none */
	bool anonymous_given;                  /* --anonymous-auth was */
	const char *token_webhook_file;        /* NULL: none */
	struct str token_webhook_version;      /* empty: v1beta1 */
	int64_t token_webhook_ttl_ms;          /* 0: answers are not kept */
	struct store *store;                   /* bound tokens are checked against the objects they are bound to */
};

#endif
