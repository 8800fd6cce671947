#include "node/runtime/image/ref.h"

enum { NAME_MAX_BYTES = 255, TAG_MAX_BYTES = 128 };

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

bool digest_valid(struct str d)
{
	if (d.n != 7 + 64 || !str_starts(d, S("sha256:")))
		return false;
	for (size_t i = 7; i < d.n; i++)
		if (!((d.p[i] >= '0' && d.p[i] <= '9') || (d.p[i] >= 'a' && d.p[i] <= 'f')))
			return false;
	return true;
}

/* path-component: alphanumerics, separated by one '.', one or two '_', or any number of '-'. */
static bool component_valid(struct str s)
{
	size_t i = 0;

	if (!s.n || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.n - 1]))
		return false;
	while (i < s.n) {
		if (is_lower_alnum(s.p[i]) || s.p[i] == '-') {
			i++;
			if (s.p[i - 1] == '-' && !is_lower_alnum(s.p[i]) && s.p[i] != '-')
				return false;
			continue;
		}
		if (s.p[i] == '_' && s.p[i + 1] == '_')
			i++;
		else if (s.p[i] != '.' && s.p[i] != '_')
			return false;
		if (!is_lower_alnum(s.p[++i]))
			return false;
	}
	return true;
}

static bool path_valid(struct str path)
{
	struct str head, rest = path;
	bool more = true;

	while (more) {
		more = str_cut(rest, '/', &head, &rest);
		if (!component_valid(head))
			return false;
	}
	return true;
}

static bool host_valid(struct str host)
{
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		for (size_t i = 1; i + 1 < host.n; i++)
			if (!strchr("0123456789abcdefABCDEF:.", host.p[i]))
				return false;
		return host.n > 3;
	}
	for (size_t i = 0; i < host.n; i++) {
		bool edge =
			i == 0 || i + 1 == host.n || host.p[i - 1] == '.' || host.p[i + 1] == '.';

		if (!is_alnum(host.p[i]) && !(!edge && host.p[i] == '-') &&
			!(host.p[i] == '.' && i > 0 && i + 1 < host.n && host.p[i - 1] != '.'))
			return false;
	}
	return host.n > 0;
}

static bool domain_valid(struct str domain)
{
	ssize_t colon = str_rchr(domain, ':'), bracket = str_rchr(domain, ']');
	struct str host = domain;

	if (colon > bracket) {
		host = str_sub(domain, 0, colon);
		if ((size_t)colon + 1 == domain.n || domain.n - colon > 6)
			return false;
		for (size_t i = colon + 1; i < domain.n; i++)
			if (domain.p[i] < '0' || domain.p[i] > '9')
				return false;
	}
	return host_valid(host);
}

static bool tag_valid(struct str tag)
{
	if (!tag.n || tag.n > TAG_MAX_BYTES || !(is_alnum(tag.p[0]) || tag.p[0] == '_'))
		return false;
	for (size_t i = 1; i < tag.n; i++)
		if (!is_alnum(tag.p[i]) && !strchr("_.-", tag.p[i]))
			return false;
	return true;
}

static int invalid(struct str text, const char *why, struct err *err)
{
	return err_fmt(err, 400, "InvalidImageName",
		"couldn't parse image name \"" STR_FMT "\": %s", STR_ARG(text), why);
}

/* Takes the domain off the front; docker's is the default. */
static void split_domain(struct str name, struct arena *a, struct image_ref *r)
{
	struct str head, rest;

	if (str_cut(name, '/', &head, &rest) &&
		(str_chr(head, '.') >= 0 || str_chr(head, ':') >= 0 ||
			str_eqc(head, "localhost"))) {
		r->domain = arena_str(a, head);
		r->path = arena_str(a, rest);
	} else {
		r->domain = S("docker.io");
		r->path = arena_str(a, name);
	}
	if (str_eqc(r->domain, "index.docker.io"))
		r->domain = S("docker.io");
	if (str_eqc(r->domain, "docker.io") && str_chr(r->path, '/') < 0)
		r->path = arena_fmt(a, "library/" STR_FMT, STR_ARG(r->path));
}

int image_ref_parse(struct str text, struct arena *a, struct image_ref *ret, struct err *err)
{
	struct str name = text, digest = {0}, tag = {0};
	struct image_ref r = {0};
	ssize_t at = str_chr(name, '@'), colon;

	if (memchr(text.p ? text.p : "", '\0', text.n))
		return invalid(S("?"), "invalid reference format", err);
	if (at >= 0) {
		digest = str_sub(name, at + 1, name.n);
		name = str_sub(name, 0, at);
		if (!digest_valid(digest))
			return invalid(text, "invalid checksum digest format", err);
	}
	colon = str_rchr(name, ':');
	if (colon > str_rchr(name, '/')) {
		tag = str_sub(name, colon + 1, name.n);
		name = str_sub(name, 0, colon);
		if (!tag_valid(tag))
			return invalid(text, "invalid reference format", err);
	}
	if (!name.n)
		return invalid(text, "invalid reference format", err);
	split_domain(name, a, &r);
	for (size_t i = 0; i < r.path.n; i++)
		if (r.path.p[i] >= 'A' && r.path.p[i] <= 'Z')
			return invalid(text,
				"invalid reference format: repository name must be lowercase", err);
	if (!domain_valid(r.domain) || !path_valid(r.path) ||
		r.domain.n + 1 + r.path.n > NAME_MAX_BYTES)
		return invalid(text, "invalid reference format", err);
	r.digest = arena_str(a, digest);
	r.tag = tag.n ? arena_str(a, tag) : digest.n ? (struct str){0} : S("latest");
	*ret = r;
	return 0;
}

struct str image_ref_tagged(const struct image_ref *r, struct arena *a)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT ":" STR_FMT, STR_ARG(r->domain), STR_ARG(r->path),
		STR_ARG(r->tag));
}

struct str image_ref_digested(const struct image_ref *r, struct str digest, struct arena *a)
{
	return arena_fmt(a, STR_FMT "/" STR_FMT "@" STR_FMT, STR_ARG(r->domain), STR_ARG(r->path),
		STR_ARG(digest));
}
