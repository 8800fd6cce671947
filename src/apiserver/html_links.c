#include "apiserver/html_links.h"

#include <ctype.h>

enum { TAG_MAX = 64 * 1024 };

/* --- links --- */

/* "host:80" of "http://host:80/path" and "//host:80/path"; what stands before the path is cut off
 * `rest`. False: the link is not of that form (mailto:…, data:…). */
static bool cut_host(struct str *rest, struct str *host)
{
	struct str s = *rest;
	size_t at = 0, end;

	while (at < s.n && (isalnum((unsigned char)s.p[at]) || strchr("+-.", s.p[at])))
		at++;
	if (at > 0 && at < s.n && s.p[at] == ':')
		at++;
	else
		at = 0;
	if (!str_starts(str_sub(s, at, s.n), S("//"))) {
		*host = S("");
		return at == 0;
	}
	end = at += 2;
	while (end < s.n && !strchr("/?#", s.p[end]))
		end++;
	*host = str_sub(s, at, end);
	*rest = str_sub(s, end, s.n);
	return true;
}

struct str link_rewrite(struct arena *a, const struct link_base *base, struct str link)
{
	struct str rest = link, host;
	bool has_prefix;

	if (!cut_host(&rest, &host) || !str_starts(rest, S("/")))
		return link;
	has_prefix = str_starts(rest, base->prefix);
	if (host.n && str_ieq(host, base->request_host))
		return has_prefix ? link
				  : arena_fmt(a, STR_FMT STR_FMT STR_FMT, (int)(rest.p - link.p),
					    link.p, STR_ARG(base->prefix), STR_ARG(rest));
	if (host.n && !str_ieq(host, base->host))
		return link;
	if (has_prefix)
		return rest;
	return arena_fmt(a, STR_FMT STR_FMT, STR_ARG(base->prefix), STR_ARG(rest));
}

/* --- tags --- */

/* Which attributes of which tags are links. */
static const struct {
	const char *tag, *attributes[4];
} link_tags[] = {
	{"a", {"href"}},
	{"applet", {"codebase"}},
	{"area", {"href"}},
	{"audio", {"src"}},
	{"base", {"href"}},
	{"blockquote", {"cite"}},
	{"body", {"background"}},
	{"button", {"formaction"}},
	{"command", {"icon"}},
	{"del", {"cite"}},
	{"embed", {"src"}},
	{"form", {"action"}},
	{"frame", {"longdesc", "src"}},
	{"head", {"profile"}},
	{"html", {"manifest"}},
	{"iframe", {"longdesc", "src"}},
	{"img", {"longdesc", "src", "usemap"}},
	{"input", {"src", "usemap", "formaction"}},
	{"ins", {"cite"}},
	{"link", {"href"}},
	{"object", {"classid", "codebase", "data", "usemap"}},
	{"q", {"cite"}},
	{"script", {"src"}},
	{"source", {"src"}},
	{"video", {"poster", "src"}},
};

/* Tags whose content is text up to their end tag (HTML 13.2.5, "raw text" and "escapable raw
 * text"). */
static const char *const raw_tags[] = {"iframe", "noembed", "noframes", "noscript", "plaintext",
	"script", "style", "title", "textarea", "xmp"};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f';
}

static bool is_link(struct str tag, struct str attribute)
{
	for (size_t i = 0; i < ARRAY_SIZE(link_tags); i++) {
		if (!str_ieq(tag, str_c(link_tags[i].tag)))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(link_tags[i].attributes); k++)
			if (link_tags[i].attributes[k] &&
				str_ieq(attribute, str_c(link_tags[i].attributes[k])))
				return true;
		return false;
	}
	return false;
}

static const char *raw_tag(struct str tag)
{
	for (size_t i = 0; i < ARRAY_SIZE(raw_tags); i++)
		if (str_ieq(tag, str_c(raw_tags[i])))
			return raw_tags[i];
	return NULL;
}

/* One attribute of a tag: from `at` on. Behind the last one name.n is 0. */
struct attribute {
	struct str name, value;
	size_t end;  /* behind it */
	bool closed; /* false: the tag goes on behind the bytes that are there */
};

static size_t skip_space(struct str s, size_t at)
{
	while (at < s.n && is_space(s.p[at]))
		at++;
	return at;
}

static void read_value(struct str s, size_t at, struct attribute *ret)
{
	size_t from = at;
	char quote = at < s.n ? s.p[at] : 0;

	if (quote == '"' || quote == '\'') {
		for (at = ++from; at < s.n && s.p[at] != quote; at++)
			;
		ret->value = str_sub(s, from, at);
		ret->closed = at < s.n;
		ret->end = at + 1;
		return;
	}
	while (at < s.n && !is_space(s.p[at]) && s.p[at] != '>')
		at++;
	ret->value = str_sub(s, from, at);
	ret->closed = at < s.n;
	ret->end = at;
}

static struct attribute next_attribute(struct str s, size_t at)
{
	struct attribute ret = {0};
	size_t from;

	for (at = skip_space(s, at); at < s.n && s.p[at] == '/'; at = skip_space(s, at + 1))
		;
	from = at;
	/* a name may begin with '=' */
	while (at < s.n && (at == from || s.p[at] != '=') && !is_space(s.p[at]) && s.p[at] != '/' &&
		s.p[at] != '>')
		at++;
	ret = (struct attribute){.name = str_sub(s, from, at), .end = at, .closed = at < s.n};
	if (!ret.name.n)
		return ret;
	at = skip_space(s, at);
	if (at < s.n && s.p[at] == '=')
		read_value(s, skip_space(s, at + 1), &ret);
	else
		ret.closed = at < s.n;
	return ret;
}

static struct str tag_name(struct str tag)
{
	size_t at = 1;

	while (at < tag.n && !is_space(tag.p[at]) && tag.p[at] != '/' && tag.p[at] != '>')
		at++;
	return str_sub(tag, 1, at);
}

/* How long the start tag at the beginning of s is; 0: its end is not there. */
static size_t start_tag_length(struct str s)
{
	struct attribute at = {.name = S("."), .end = 1 + tag_name(s).n, .closed = true};

	while (at.name.n && at.closed)
		at = next_attribute(s, at.end);
	return at.closed && at.end < s.n ? at.end + 1 : 0;
}

static void add_start_tag(const struct html_links *h, struct str tag, struct buf *out)
{
	struct str name = tag_name(tag);
	struct attribute at = {.name = S("."), .end = 1 + name.n};
	struct arena a CLEANUP(arena_release) = {0};
	size_t done = 0;

	while (at.name.n) {
		struct str link;

		at = next_attribute(tag, at.end);
		if (!at.value.n || !is_link(name, at.name))
			continue;
		/* A prefix needs no quoting: what has no quotes around it stays without. */
		link = link_rewrite(&a, h->base, at.value);
		buf_add_str(out, str_sub(tag, done, (size_t)(at.value.p - tag.p)));
		buf_add_str(out, link);
		done = (size_t)(at.value.p - tag.p) + at.value.n;
	}
	buf_add_str(out, str_sub(tag, done, tag.n));
}

/* --- pages --- */

/* The length of what begins with '<' at the beginning of s; 0: its end is not there. */
static size_t markup_length(struct str s, bool *start)
{
	ssize_t end;

	*start = false;
	if (s.n < 2)
		return 0;
	if (isalpha((unsigned char)s.p[1])) {
		*start = true;
		return start_tag_length(s);
	}
	if (s.p[1] != '!' && s.p[1] != '?' && s.p[1] != '/')
		return 1;
	if (s.n < 4 && s.p[1] == '!')
		return 0;
	if (str_starts(s, S("<!--"))) {
		end = str_find(s, S("-->"));
		return end < 0 ? 0 : (size_t)end + 3;
	}
	end = str_chr(s, '>');
	return end < 0 ? 0 : (size_t)end + 1;
}

/* Where the end tag of `name` begins; -1 with what may be its beginning left out of *sure. */
static ssize_t find_end_tag(struct str s, const char *name, size_t *sure)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '<')
			continue;
		if (s.n - i < n + 3) {
			*sure = i;
			return -1;
		}
		if (s.p[i + 1] == '/' && str_ieq(str_n(s.p + i + 2, n), str_c(name)) &&
			(is_space(s.p[i + 2 + n]) || strchr("/>", s.p[i + 2 + n])))
			return (ssize_t)i;
	}
	*sure = s.n;
	return -1;
}

/* Takes what is no markup from the front. False: there is no more that is sure. */
static bool take_text(struct html_links *h, struct str *s, struct buf *out)
{
	size_t sure = 0;
	ssize_t at = h->raw_inside ? find_end_tag(*s, h->raw_inside, &sure) : str_chr(*s, '<');

	if (!h->raw_inside)
		sure = s->n;
	if (at >= 0) {
		h->raw_inside = NULL;
		sure = (size_t)at;
	}
	buf_add_str(out, str_sub(*s, 0, sure));
	*s = str_sub(*s, sure, s->n);
	return at >= 0;
}

void html_links_init(struct html_links *h, const struct link_base *base)
{
	*h = (struct html_links){.base = base};
	buf_init(&h->held, 0);
}

void html_links_release(struct html_links *h)
{
	buf_release(&h->held);
}

void html_links_feed(struct html_links *h, struct str bytes, bool last, struct buf *out)
{
	struct buf was = h->held;
	struct str s = bytes;

	if (was.n) {
		was.max = was.n + bytes.n;
		buf_add_str(&was, bytes);
		s = buf_str(&was);
	}
	buf_init(&h->held, (size_t)TAG_MAX + s.n);
	while (take_text(h, &s, out)) {
		bool start;
		size_t n = markup_length(s, &start);

		if (!n && s.n <= TAG_MAX)
			break;
		n = n ? n : s.n;
		if (start) {
			add_start_tag(h, str_sub(s, 0, n), out);
			h->raw_inside = raw_tag(tag_name(s));
		} else {
			buf_add_str(out, str_sub(s, 0, n));
		}
		s = str_sub(s, n, s.n);
	}
	buf_add_str(last ? out : &h->held, s);
	buf_release(&was);
}
