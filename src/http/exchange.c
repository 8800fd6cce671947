/* What all transports share: headers, queries, escapes, whole answers. */
#include <zlib.h>

#include "http/exchange.h"

struct str http_get_header(const struct http_exchange *x, const char *name)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < x->n_headers; i++)
		if (str_ieq(x->headers[i].name, want))
			return x->headers[i].value;
	return (struct str){0};
}

bool http_header_has(const struct http_header *h, size_t n, const char *name, const char *token)
{
	for (size_t i = 0; i < n; i++) {
		struct str list = h[i].value, item;
		bool more = str_ieq(h[i].name, str_c(name));

		while (more) {
			more = str_cut(list, ',', &item, &list);
			if (str_ieq(str_trim(item), str_c(token)))
				return true;
		}
	}
	return false;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool http_unescape(struct arena *a, struct str s, bool plus, struct str *ret)
{
	char *out;
	size_t n = 0;

	if (str_chr(s, '%') < 0 && (!plus || str_chr(s, '+') < 0)) {
		*ret = s;
		return true;
	}
	out = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%') {
			int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1,
			    low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	*ret = str_n(out, n);
	return true;
}

void http_escape(struct buf *b, struct str s, bool slash)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '-' || c == '.' || c == '_' || c == '~' || (slash && c == '/'))
			buf_add_char(b, (char)c);
		else
			buf_add(b, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
}

/* The next pair of a query, still escaped. */
static bool next_pair(struct str *query, struct str *name, struct str *value)
{
	struct str pair;

	while (query->n) {
		str_cut(*query, '&', &pair, query);
		if (!pair.n)
			continue;
		str_cut(pair, '=', name, value);
		return true;
	}
	return false;
}

static bool query_match(struct http_exchange *x, struct str raw_name, struct str want)
{
	struct str name;

	return str_eq(raw_name, want) ||
	       (str_chr(raw_name, '%') >= 0 && http_unescape(&x->arena, raw_name, true, &name) &&
		       str_eq(name, want));
}

struct str http_query(struct http_exchange *x, const char *want)
{
	struct str query = x->query, name, value, ret;

	while (next_pair(&query, &name, &value))
		if (query_match(x, name, str_c(want)) &&
			http_unescape(&x->arena, value, true, &ret))
			return ret.p ? ret : S("");
	return (struct str){0};
}

struct str_vec http_query_all(struct http_exchange *x, const char *want)
{
	struct str query = x->query, name, value, ret;
	struct str_vec all = {0};

	while (next_pair(&query, &name, &value))
		if (query_match(x, name, str_c(want)) &&
			http_unescape(&x->arena, value, true, &ret))
			ARENA_PUSH(&x->arena, &all, ret);
	return all;
}

void http_header(struct http_exchange *x, const char *name, struct str value)
{
	x->out_headers =
		arena_grow(&x->arena, x->out_headers, x->n_out_headers, sizeof(x->out_headers[0]));
	x->out_headers[x->n_out_headers++] =
		(struct http_header){arena_strc(&x->arena, name), arena_str(&x->arena, value)};
}

void http_start(struct http_exchange *x, int status)
{
	assert(!x->started);
	x->status = status;
	x->started = true;
	x->ops->start(x);
}

void http_respond(struct http_exchange *x, int status, const char *content_type, struct str body)
{
	if (content_type)
		http_header(x, "Content-Type", str_c(content_type));
	if (x->ops->respond) {
		assert(!x->started);
		x->status = status;
		x->started = true;
		x->sent = body.n;
		x->ops->respond(x, body);
		return;
	}
	http_start(x, status);
	if (body.n)
		http_write(x, body);
	http_end(x);
}

void http_end(struct http_exchange *x)
{
	assert(x->started && !x->ended);
	x->ended = true;
	x->ops->end(x);
}

void http_abort(struct http_exchange *x)
{
	x->ops->abort(x);
}

void http_respond_too_large(struct http_exchange *x, size_t limit)
{
	struct str body = arena_fmt(&x->arena,
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		"\"message\":\"Request entity too large: limit is "
		"%zu\",\"reason\":\"RequestEntityTooLarge\","
		"\"code\":413}\n",
		limit);

	http_respond(x, 413, "application/json", body);
}

struct str http_gzip(struct arena *a, struct str bytes)
{
	z_stream z = {0};
	size_t max;
	char *out;

	if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* out of memory */
	max = deflateBound(&z, bytes.n);
	out = arena_alloc(a, max);
	z.next_in = (Bytef *)bytes.p;
	z.avail_in = (uInt)bytes.n;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)max;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort(); /* deflateBound promised room */
	max = z.total_out;
	deflateEnd(&z);
	return str_n(out, max);
}

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{412, "Precondition Failed"},
		{413, "Request Entity Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Entity"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "";
}
