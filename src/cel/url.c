/* url.c: the parts of a URL and what Go finds wrong with them. */
#include "cel/url.h"

#include <ctype.h>

#include "json/quote.h"

static int hex(char ch)
{
	return isdigit((unsigned char)ch) ? ch - '0' : tolower((unsigned char)ch) - 'a' + 10;
}

bool cel_url_unescape(
	struct str s, bool plus, struct arena *a, struct str *ret, struct str *ret_bad)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			out[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
			continue;
		}
		if (i + 2 >= s.n || !isxdigit((unsigned char)s.p[i + 1]) ||
			!isxdigit((unsigned char)s.p[i + 2])) {
			*ret_bad = str_sub(s, i, MIN(i + 3, s.n));
			return false;
		}
		out[n++] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
		i += 2;
	}
	*ret = str_n(out, n);
	return true;
}

/* The scheme in front of a colon; -1: "missing protocol scheme". */
static int take_scheme(struct str *s, struct arena *a, struct str *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		char ch = s->p[i];

		if (isalpha((unsigned char)ch))
			continue;
		if (i > 0 && (isdigit((unsigned char)ch) || strchr("+-.", ch)))
			continue;
		if (ch != ':')
			return 0;
		if (i == 0)
			return -1;
		*ret = arena_str(a, str_sub(*s, 0, i));
		for (size_t k = 0; k < i; k++)
			((char *)ret->p)[k] = (char)tolower((unsigned char)ret->p[k]);
		*s = str_sub(*s, i + 1, s->n);
		return 0;
	}
	return 0;
}

static bool valid_port(struct str port)
{
	if (port.n == 0)
		return true;
	for (size_t i = 1; i < port.n; i++)
		if (!isdigit((unsigned char)port.p[i]))
			return false;
	return port.p[0] == ':';
}

/* NULL: fine, else what is wrong. */
static struct str check_host(struct str host, struct arena *a, struct str *ret)
{
	ssize_t close, colon;
	struct str port = S(""), bad;

	if (host.n && host.p[0] == '[') {
		close = str_rchr(host, ']');
		if (close < 0)
			return S("missing ']' in host");
		port = str_sub(host, close + 1, host.n);
	} else {
		colon = str_rchr(host, ':');
		if (colon >= 0)
			port = str_sub(host, colon, host.n);
	}
	if (!valid_port(port))
		return arena_fmt(
			a, "invalid port " STR_FMT " after host", STR_ARG(quote_text(a, port)));
	for (size_t i = 0; i < host.n; i++)
		if ((unsigned char)host.p[i] < 0x80 && !isalnum((unsigned char)host.p[i]) &&
			!strchr("-_.~!$&'()*+,;=:[]<>\"%", host.p[i]))
			return arena_fmt(a, "invalid character " STR_FMT " in host name",
				STR_ARG(quote_text(a, str_sub(host, i, i + 1))));
	if (!cel_url_unescape(host, false, a, ret, &bad))
		return arena_fmt(a, "invalid URL escape " STR_FMT, STR_ARG(quote_text(a, bad)));
	return (struct str){0};
}

static struct str check_userinfo(struct str user, struct arena *a)
{
	struct str done, bad;

	for (size_t i = 0; i < user.n; i++)
		if (!isalnum((unsigned char)user.p[i]) && !strchr("-._:~!$&'()*+,;=%@", user.p[i]))
			return S("net/url: invalid userinfo");
	if (!cel_url_unescape(user, false, a, &done, &bad))
		return arena_fmt(a, "invalid URL escape " STR_FMT, STR_ARG(quote_text(a, bad)));
	return (struct str){0};
}

static struct str parse(struct str s, bool request, struct arena *a, struct cel_url *u)
{
	struct str authority, bad, done, why;
	ssize_t at;

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return S("net/url: invalid control character in URL");
	if (s.n == 0 && request)
		return S("empty url");
	if (take_scheme(&s, a, &u->scheme) < 0)
		return S("missing protocol scheme");
	str_cut(s, '?', &s, &u->query);
	if (s.n == 0 || s.p[0] != '/') {
		if (u->scheme.n)
			return (struct str){0}; /* opaque: mailto:… */
		return request ? S("invalid URI for request") : (struct str){0};
	}
	if (str_starts(s, S("//")) && (u->scheme.n || (!request && !str_starts(s, S("///"))))) {
		s = str_sub(s, 2, s.n);
		at = str_chr(s, '/');
		authority = str_sub(s, 0, at < 0 ? s.n : (size_t)at);
		s = str_sub(s, authority.n, s.n);
		at = str_rchr(authority, '@');
		if (at >= 0) {
			why = check_userinfo(str_sub(authority, 0, at), a);
			if (why.n)
				return why;
		}
		why = check_host(str_sub(authority, at + 1, authority.n), a, &u->host);
		if (why.n)
			return why;
	}
	u->path = s;
	if (!cel_url_unescape(s, false, a, &done, &bad))
		return arena_fmt(a, "invalid URL escape " STR_FMT, STR_ARG(quote_text(a, bad)));
	return (struct str){0};
}

bool cel_url_parse(struct str s, struct arena *a, struct cel_url *ret, struct str *ret_error)
{
	struct str bare, fragment, why;

	memset(ret, 0, sizeof(*ret));
	why = parse(s, true, a, ret);
	if (why.n == 0) {
		memset(ret, 0, sizeof(*ret));
		str_cut(s, '#', &bare, &fragment);
		why = parse(bare, false, a, ret);
	}
	ret->text = s;
	if (why.n == 0)
		return true;
	*ret_error = arena_fmt(
		a, "parse " STR_FMT ": " STR_FMT, STR_ARG(quote_text(a, s)), STR_ARG(why));
	return false;
}
