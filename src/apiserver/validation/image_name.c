/* image_name.c: references to container images. */
#include "apiserver/validation/image_name.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128, ID_LEN = 64, DIGEST_MIN_LEN = 32 };

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_upper(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

/* [a-z0-9]+ (separated by one '.', one or two '_', or any number of '-') */
static bool is_path_part(struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t start = i;

		while (i < s.n && is_lower_alnum(s.p[i]))
			i++;
		if (i == start)
			return false;
		if (i == s.n)
			return true;
		start = i;
		while (i < s.n && s.p[i] == s.p[start])
			i++;
		if (!(s.p[start] == '.' && i - start == 1) &&
			!(s.p[start] == '_' && i - start <= 2) && s.p[start] != '-')
			return false;
	}
	return false;
}

static bool is_path(struct str s)
{
	struct str part, rest = s;

	for (bool more = true; more;) {
		more = str_cut(rest, '/', &part, &rest);
		if (!is_path_part(part))
			return false;
	}
	return true;
}

static bool is_domain(struct str s)
{
	struct str host, port, label, rest;

	if (str_cut(s, ':', &host, &port)) {
		for (size_t i = 0; i < port.n; i++)
			if (port.p[i] < '0' || port.p[i] > '9')
				return false;
		if (port.n == 0)
			return false;
	}
	rest = host;
	for (bool more = true; more;) {
		more = str_cut(rest, '.', &label, &rest);
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

static bool is_tag(struct str s)
{
	if (s.n == 0 || s.n > TAG_MAX_LEN || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '.' && s.p[i] != '-')
			return false;
	return true;
}

static bool is_digest(struct str s)
{
	struct str algorithm, hex;

	if (!str_cut(s, ':', &algorithm, &hex) || algorithm.n == 0 || hex.n < DIGEST_MIN_LEN)
		return false;
	for (size_t i = 0; i < hex.n; i++)
		if (!is_hex(hex.p[i]))
			return false;
	for (size_t i = 0; i < algorithm.n; i++)
		if (!is_alnum(algorithm.p[i]) && !strchr("-_+.", algorithm.p[i]))
			return false;
	return true;
}

/* The name without registry when its first part is one: it has a dot or a colon, or capitals, or is
 * localhost. */
static bool is_name(struct str name)
{
	struct str first, rest;

	if (!str_cut(name, '/', &first, &rest) ||
		(str_chr(first, '.') < 0 && str_chr(first, ':') < 0 &&
			!str_eqc(first, "localhost") && !has_upper(first)))
		return is_path(name);
	return is_domain(first) && is_path(rest);
}

static bool is_identifier(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_hex(s.p[i]))
			return false;
	return s.n == ID_LEN && !has_upper(s);
}

bool image_is_latest(struct str image)
{
	ssize_t at = str_chr(image, '@'), slash, colon;
	struct str name = image, tag = {0};

	if (image.n == 0 || is_identifier(image))
		return false;
	if (at >= 0) {
		if (!is_digest(str_sub(image, (size_t)at + 1, image.n)))
			return false;
		name = str_sub(image, 0, (size_t)at);
	}
	slash = str_rchr(name, '/');
	colon = str_rchr(name, ':');
	if (colon > slash) {
		tag = str_sub(name, (size_t)colon + 1, name.n);
		if (!is_tag(tag))
			return false;
		name = str_sub(name, 0, (size_t)colon);
	}
	if (name.n > NAME_MAX_LEN || !is_name(name))
		return false;
	return tag.n ? str_eqc(tag, "latest") : at < 0;
}
