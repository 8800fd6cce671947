/* image_auth.c: image references, and the credentials of pull secrets. */
#include <ctype.h>

#include "base/base64.h"
#include "json/value.h"
#include "node/images.h"

enum { AUTHS_MAX = 32 };

/* --- references --- */

static bool is_domain(struct str s)
{
	return str_chr(s, '.') >= 0 || str_chr(s, ':') >= 0 || str_eq(s, S("localhost"));
}

static int bad_reference(struct err *err, struct str image, const char *why)
{
	return err_bad_request(
		err, "couldn't parse image name \"" STR_FMT "\": %s", STR_ARG(image), why);
}

static bool valid_path(struct str s)
{
	bool separator = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
			separator = false;
			continue;
		}
		if (c != '.' && c != '_' && c != '-' && c != '/')
			return false;
		if (separator && (c == '/' || c == '.' || s.p[i - (i > 0)] == '/'))
			return false;
		separator = true;
	}
	return s.n > 0 && !separator;
}

static bool valid_tag(struct str s)
{
	if (s.n == 0 || s.n > 128 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("._-", s.p[i]))
			return false;
	return true;
}

static bool valid_digest(struct str s)
{
	struct str algorithm, hex;

	if (!str_cut(s, ':', &algorithm, &hex) || hex.n < 32)
		return false;
	for (size_t i = 0; i < hex.n; i++)
		if (!isxdigit((unsigned char)hex.p[i]))
			return false;
	return true;
}

int image_reference(struct str image, struct arena *a, struct str *ret, struct err *err)
{
	struct str name, digest, first, rest, tag = {0};
	bool has_digest = str_cut(image, '@', &name, &digest);
	ssize_t colon = str_rchr(name, ':'), slash = str_rchr(name, '/');

	if (colon >= 0 && colon > slash) {
		tag = str_sub(name, (size_t)colon + 1, name.n);
		name = str_sub(name, 0, (size_t)colon);
		if (!valid_tag(tag))
			return bad_reference(err, image, "invalid reference format");
	}
	if (!str_cut(name, '/', &first, &rest) || !is_domain(first))
		rest = name;
	for (size_t i = 0; i < rest.n; i++)
		if (isupper((unsigned char)rest.p[i]))
			return bad_reference(err, image,
				arena_fmt(a,
					"invalid reference format: repository name (" STR_FMT
					") must be lowercase",
					STR_ARG(rest))
					.p);
	if (!valid_path(rest) || (has_digest && !valid_digest(digest)))
		return bad_reference(err, image, "invalid reference format");
	*ret = tag.p || has_digest ? arena_str(a, image)
				   : arena_fmt(a, STR_FMT ":latest", STR_ARG(image));
	return 0;
}

/* --- credentials --- */

/* The registry and the path of an image: "docker.io", "library/x". */
static void split_image(struct str image, struct str *ret_host, struct str *ret_path)
{
	if (str_cut(image, '/', ret_host, ret_path) && is_domain(*ret_host))
		return;
	*ret_host = S("docker.io");
	*ret_path = image;
}

static bool same_host(struct str a, struct str b)
{
	static const char *const hub[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
	bool ha = false, hb = false;

	for (size_t i = 0; i < ARRAY_SIZE(hub); i++) {
		ha |= str_eqc(a, hub[i]);
		hb |= str_eqc(b, hub[i]);
	}
	if (ha && hb)
		return true;
	if (str_starts(a, S("*."))) {
		ssize_t dot = str_chr(b, '.');

		return dot > 0 && str_eq(str_sub(a, 1, a.n), str_sub(b, (size_t)dot, b.n));
	}
	return str_eq(a, b);
}

static bool key_fits(struct str key, struct str host, struct str path)
{
	struct str key_host, key_path;

	if (str_starts(key, S("https://")))
		key = str_sub(key, 8, key.n);
	else if (str_starts(key, S("http://")))
		key = str_sub(key, 7, key.n);
	if (!str_cut(key, '/', &key_host, &key_path))
		key_path = S("");
	while (str_ends(key_path, S("/")))
		key_path.n--;
	if (str_eq(key_path, S("v1")) || str_eq(key_path, S("v2")))
		key_path = S("");
	return same_host(key_host, host) && str_starts(path, key_path);
}

static void decode_auth(struct str text, struct arena *a, struct cri_auth *to)
{
	struct str s;

	if (!text.n || base64_decode(text, a, &s))
		return;
	while (s.n && s.p[s.n - 1] == 0) /* as some tools pad it */
		s.n--;
	str_cut(s, ':', &to->username, &to->password);
}

void image_auths(struct str json, struct str image, struct arena *a, struct cri_auths *to)
{
	struct json_value *v, *auths;
	struct err err CLEANUP(err_release) = {0};
	struct str host, path;

	if (json_parse(json, a, &v, &err) < 0)
		return;
	auths = json_getc(v, "auths");
	if (!auths)
		auths = v;
	split_image(image, &host, &path);
	for (size_t i = 0; i < auths->members.n && to->n < AUTHS_MAX; i++) {
		const struct json_member *m = &auths->members.v[i];
		struct cri_auth auth = {.server = m->key};

		if (m->value->kind != JSON_OBJECT || !key_fits(m->key, host, path))
			continue;
		decode_auth(json_get_str(m->value, "auth"), a, &auth);
		if (!str_empty(json_get_str(m->value, "username"))) {
			auth.username = json_get_str(m->value, "username");
			auth.password = json_get_str(m->value, "password");
		}
		auth.identity_token = json_get_str(m->value, "identitytoken");
		auth.registry_token = json_get_str(m->value, "registrytoken");
		ARENA_PUSH(a, to, auth);
	}
}
