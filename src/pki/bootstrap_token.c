#include "pki/bootstrap_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/base64.h"
#include "schema/time.h"
#include "types.gen.h"

enum { GROUP_MAX = 256 };

bool secret_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

static bool has_form(struct str s, size_t n)
{
	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

bool bootstrap_token_id_valid(struct str id)
{
	return has_form(id, BOOTSTRAP_ID_LEN);
}

bool bootstrap_token_parse(struct str text, struct bootstrap_token *ret)
{
	struct bootstrap_token t;

	if (!str_cut(text, '.', &t.id, &t.secret) || !bootstrap_token_id_valid(t.id) ||
		!has_form(t.secret, BOOTSTRAP_SECRET_LEN))
		return false;
	*ret = t;
	return true;
}

/* \Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z */
bool bootstrap_group_valid(struct str group)
{
	struct str prefix = S(BOOTSTRAP_DEFAULT_GROUP ":"), rest;

	if (!str_starts(group, prefix))
		return false;
	rest = str_sub(group, prefix.n, group.n);
	if (rest.n == 0 || rest.n > GROUP_MAX)
		return false;
	for (size_t i = 0; i < rest.n; i++) {
		char c = rest.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!plain && (i + 1 == rest.n || (c != ':' && c != '-')))
			return false;
	}
	return true;
}

struct str bootstrap_token_new(struct arena *a)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char text[BOOTSTRAP_ID_LEN + 1 + BOOTSTRAP_SECRET_LEN];
	unsigned char byte;

	for (size_t i = 0; i < sizeof(text);) {
		if (RAND_bytes(&byte, 1) != 1)
			abort(); /* no randomness, no secrets */
		if (byte < 252)  /* 7 × 36: each letter as likely as the next */
			text[i++] = letters[byte % 36];
	}
	text[BOOTSTRAP_ID_LEN] = '.';
	return arena_str(a, str_n(text, sizeof(text)));
}

/* --- secrets --- */

static struct str datum(const struct v1_secret *s, const char *key)
{
	const struct str *v = str_map_get(&s->data, str_c(key));

	return v ? *v : S("");
}

bool bootstrap_secret_read(const struct v1_secret *s, int64_t now_ms, struct bootstrap_secret *ret)
{
	struct str prefix = S(BOOTSTRAP_SECRET_PREFIX), expiration = datum(s, "expiration");
	struct bootstrap_secret b = {
		.token = {datum(s, "token-id"), datum(s, "token-secret")},
		.description = datum(s, "description"),
		.groups = datum(s, "auth-extra-groups"),
		.for_signing = str_eq(datum(s, "usage-bootstrap-signing"), S("true")),
		.for_authentication = str_eq(datum(s, "usage-bootstrap-authentication"), S("true")),
	};
	struct k8s_time when;

	if (!str_eqc(s->type, BOOTSTRAP_SECRET_TYPE) || !str_starts(s->metadata.name, prefix) ||
		!b.token.id.n || !b.token.secret.n ||
		!str_eq(str_sub(s->metadata.name, prefix.n, s->metadata.name.n), b.token.id))
		return false;
	if (expiration.n) {
		b.expires = true;
		b.expired = k8s_time_parse(expiration, false, &when, NULL) < 0;
		if (!b.expired) {
			b.expiration_ms = k8s_time_ms(&when);
			b.expired = b.expiration_ms <= now_ms;
		}
	}
	*ret = b;
	return true;
}

static void insert_sorted(struct arena *a, struct str_vec *v, struct str s)
{
	size_t at;

	if (str_vec_has(v, s))
		return;
	ARENA_PUSH(a, v, s);
	for (at = v->n - 1; at > 0 && str_cmp(v->v[at - 1], s) > 0; at--)
		v->v[at] = v->v[at - 1];
	v->v[at] = s;
}

bool bootstrap_secret_groups(const struct bootstrap_secret *s, struct arena *a, struct str_vec *ret)
{
	struct str_vec v = {0};
	struct str rest = s->groups, one;
	bool more = rest.n > 0;

	insert_sorted(a, &v, S(BOOTSTRAP_DEFAULT_GROUP));
	while (more) {
		more = str_cut(rest, ',', &one, &rest);
		if (!bootstrap_group_valid(one))
			return false;
		insert_sorted(a, &v, arena_str(a, one));
	}
	*ret = v;
	return true;
}

/* --- JWS --- */

struct str bootstrap_jws(struct str content, struct bootstrap_token token, struct arena *a)
{
	struct str header = arena_fmt(
			   a, "{\"alg\":\"HS256\",\"kid\":\"" STR_FMT "\"}", STR_ARG(token.id)),
		   text;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_n = 0;

	header = base64url_encode(header, a);
	text = arena_fmt(
		a, STR_FMT "." STR_FMT, STR_ARG(header), STR_ARG(base64url_encode(content, a)));
	HMAC(EVP_sha256(), token.secret.p, (int)token.secret.n, (const unsigned char *)text.p,
		text.n, mac, &mac_n);
	return arena_fmt(a, STR_FMT ".." STR_FMT, STR_ARG(header),
		STR_ARG(base64url_encode(str_n((char *)mac, mac_n), a)));
}

bool bootstrap_jws_valid(struct str jws, struct str content, struct bootstrap_token token)
{
	struct arena a;
	bool valid;

	arena_init(&a);
	valid = secret_equal(jws, bootstrap_jws(content, token, &a));
	arena_release(&a);
	return valid;
}
