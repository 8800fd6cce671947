#include "apiserver/auth.h"

#include <openssl/x509.h>

#include "apiserver/auth_int.h"

/* One field of a CSV line; a field in double quotes may hold commas, and "" for a quote. */
static bool csv_field(struct arena *a, struct str *line, struct str *ret)
{
	struct buf b;
	size_t i = 0;

	if (!line->p)
		return false;
	if (!line->n || line->p[0] != '"') {
		if (!str_cut(*line, ',', ret, line))
			*line = (struct str){0};
		*ret = str_trim(*ret);
		return true;
	}
	buf_init(&b, line->n);
	for (i = 1; i < line->n; i++) {
		if (line->p[i] != '"') {
			buf_add_char(&b, line->p[i]);
		} else if (i + 1 < line->n && line->p[i + 1] == '"') {
			buf_add_char(&b, '"');
			i++;
		} else {
			break;
		}
	}
	*ret = b.n ? arena_str(a, buf_str(&b)) : S("");
	buf_release(&b);
	*line = i + 2 <= line->n ? str_sub(*line, i + 2, line->n) : (struct str){0};
	return true;
}

static void split_groups(struct arena *a, struct str list, struct str_vec *ret)
{
	struct str one;

	while (list.n) {
		str_cut(list, ',', &one, &list);
		one = str_trim(one);
		if (one.n)
			ARENA_PUSH(a, ret, one);
	}
}

static int parse_tokens(struct auth *auth, struct str csv, struct err *err)
{
	struct arena *a = &auth->arena;
	struct str line, rest = arena_str(a, csv);
	int n = 0;

	while (rest.n) {
		struct static_token t = {0};
		struct str groups = {0};

		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		n++;
		if (!line.n || line.p[0] == '#')
			continue;
		if (!csv_field(a, &line, &t.token) || !csv_field(a, &line, &t.user.name) ||
			!csv_field(a, &line, &t.user.uid) || !t.token.n || !t.user.name.n)
			return err_bad_request(err,
				"token file: line %d must have at least 3 columns (token, user "
				"name, user uid)",
				n);
		if (csv_field(a, &line, &groups))
			split_groups(a, groups, &t.user.groups);
		ARENA_PUSH(a, &t.user.groups, S("system:authenticated"));
		ARENA_PUSH(a, &auth->tokens, t);
	}
	return 0;
}

int auth_new(const struct auth_opts *opts, struct auth **ret, struct err *err)
{
	struct auth *a = xcalloc(1, sizeof(*a));
	int r = parse_tokens(a, opts->token_auth_csv, err);

	a->store = opts->store;
	a->issuer = arena_strc(&a->arena, opts->service_account_issuer
						  ? opts->service_account_issuer
						  : "https://kubernetes.default.svc");
	if (r == 0)
		r = token_keys_open(a, opts->service_account_key_pem, err);
	if (r < 0) {
		auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void auth_free(struct auth *a)
{
	token_keys_close(a);
	arena_release(&a->arena);
	free(a);
}

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

/* Common name = user, organizations = groups; false when there is no common name. */
static bool user_from_cert(struct arena *a, X509 *cert, struct user_info *ret)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	struct user_info u = {0};

	if (at < 0)
		return false;
	u.name = name_entry(a, subject, at);
	for (at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_organizationName, at)) >= 0;)
		ARENA_PUSH(a, &u.groups, name_entry(a, subject, at));
	ARENA_PUSH(a, &u.groups, S("system:authenticated"));
	*ret = u;
	return u.name.n > 0;
}

static bool same_secret(struct str a, struct str b)
{
	unsigned char differ = a.n != b.n;

	for (size_t i = 0; i < a.n && i < b.n; i++)
		differ |= a.p[i] ^ b.p[i];
	return !differ;
}

int authenticate_token(struct auth *a, struct arena *arena, struct str token, int64_t now_ns,
	struct user_info *ret, struct str_vec *ret_audiences, struct err *err)
{
	for (size_t i = 0; i < a->tokens.n; i++) {
		if (!same_secret(a->tokens.v[i].token, token))
			continue;
		*ret = a->tokens.v[i].user;
		*ret_audiences = (struct str_vec){0};
		ARENA_PUSH(arena, ret_audiences, a->issuer);
		return 0;
	}
	return token_verify(a, arena, token, now_ns, ret, ret_audiences, err);
}

static int unauthorized(struct err *err)
{
	return err_fmt(err, 401, "Unauthorized", "Unauthorized");
}

/* The token of "Authorization: Bearer …", or of the WebSocket subprotocol
 * base64url.bearer.authorization.k8s.io.…; absent when the client sent none (any other scheme
 * counts as none). */
static struct str bearer(struct http_exchange *x)
{
	struct str h = http_get_header(x, "Authorization"), scheme, rest;

	h = str_trim(h);
	str_cut(h, ' ', &scheme, &rest);
	return str_ieq(scheme, S("Bearer")) ? str_trim(rest) : (struct str){0};
}

int authenticate(struct auth *a, struct http_exchange *x, int64_t now_ns, struct user_info *ret,
	struct err *err)
{
	struct str token;
	struct str_vec audiences = {0};

	if (x->peer.user) {
		*ret = *x->peer.user;
		return 0;
	}
	if (x->peer.x509 && user_from_cert(&x->arena, x->peer.x509, ret))
		return 0;
	token = bearer(x);
	if (token.n) {
		struct err why CLEANUP(err_release) = {0};

		if (authenticate_token(a, &x->arena, token, now_ns, ret, &audiences, &why) < 0 ||
			!str_vec_has(&audiences, a->issuer))
			return unauthorized(err);
		return 0;
	}
	*ret = (struct user_info){.name = S("system:anonymous")};
	ARENA_PUSH(&x->arena, &ret->groups, S("system:unauthenticated"));
	return 0;
}
