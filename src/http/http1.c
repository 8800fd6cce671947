#include "http/http1.h"

enum {
	LINE_CHUNK_MAX = 256, /* a chunk's size line with extensions */
	TRAILER_MAX = 16 * 1024,
};

enum state {
	S_HEAD,
	S_BODY,
	S_CHUNK_SIZE,
	S_CHUNK_DATA,
	S_CHUNK_END,
	S_TRAILER,
	S_UNTIL_EOF,
	S_DONE,
	S_FAILED
};

/* RFC 9110 5.6.2: letters, digits, and these. */
static const bool token_char[256] = {
	['0' ... '9'] = true,
	['a' ... 'z'] = true,
	['A' ... 'Z'] = true,
	['!'] = true,
	['#'] = true,
	['$'] = true,
	['%'] = true,
	['&'] = true,
	['\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^'] = true,
	['_'] = true,
	['`'] = true,
	['|'] = true,
	['~'] = true,
};

bool http1_is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!token_char[(unsigned char)s.p[i]])
			return false;
	return s.n > 0;
}

bool http1_is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

void http1_reader_init(
	struct http1_reader *r, enum http1_kind kind, const struct http1_limits *limits)
{
	*r = (struct http1_reader){.kind = kind, .limits = *limits, .state = S_HEAD};
}

void http1_reader_next(struct http1_reader *r)
{
	http1_reader_init(
		r, r->kind, &(struct http1_limits){r->limits.head_max, r->limits.headers_max});
}

void http1_reader_no_body(struct http1_reader *r)
{
	r->no_body = true;
}

bool http1_reader_started(const struct http1_reader *r)
{
	return r->state != S_HEAD || r->scanned > 0;
}

bool http1_reader_ended(const struct http1_reader *r)
{
	return r->state == S_DONE;
}

static enum http1_event fail(struct http1_reader *r, int status, const char *why)
{
	r->state = S_FAILED;
	r->error_status = status;
	r->error = why;
	return HTTP1_ERROR;
}

/* Takes one line (ends with CRLF) off *in. False when there is none, or a CR or LF stands alone. */
static bool take_line(struct str *in, struct str *line)
{
	const char *lf = memchr(in->p, '\n', in->n);
	size_t n;

	if (!lf || lf == in->p || lf[-1] != '\r')
		return false;
	n = lf - in->p - 1;
	if (memchr(in->p, '\r', n))
		return false;
	*line = str_n(in->p, n);
	*in = str_sub(*in, n + 2, in->n);
	return true;
}

static bool parse_version(struct str s, int *ret)
{
	if (str_eq(s, S("HTTP/1.1")))
		*ret = 11;
	else if (str_eq(s, S("HTTP/1.0")))
		*ret = 10;
	else
		return false;
	return true;
}

static bool visible(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static enum http1_event request_line(struct http1_reader *r, struct str line)
{
	struct str rest, version;

	if (!str_cut(line, ' ', &r->head.method, &rest) ||
		!str_cut(rest, ' ', &r->head.target, &version))
		return fail(r, 400, "malformed request line");
	if (!http1_is_token(r->head.method) || !visible(r->head.target))
		return fail(r, 400, "malformed request line");
	if (!parse_version(version, &r->head.version)) {
		if (str_starts(version, S("HTTP/")) && version.n == 8)
			return fail(r, 505, "unsupported protocol version");
		return fail(r, 400, "malformed HTTP version");
	}
	return HTTP1_HEAD;
}

static enum http1_event status_line(struct http1_reader *r, struct str line)
{
	struct str version, rest, code, reason;
	int64_t status;

	if (!str_cut(line, ' ', &version, &rest) || !parse_version(version, &r->head.version))
		return fail(r, 400, "malformed HTTP response");
	str_cut(rest, ' ', &code, &reason);
	if (code.n != 3 || str_to_i64(code, &status) < 0 || status < 100 || status > 999 ||
		code.p[0] == '-')
		return fail(r, 400, "malformed HTTP status code");
	r->head.status = (int)status;
	return HTTP1_HEAD;
}

/* One "name: value" line. */
static bool header_line(struct str line, struct http_header *ret)
{
	ssize_t colon = str_chr(line, ':');
	size_t from, to = line.n;

	if (colon <= 0 || !http1_is_token(str_sub(line, 0, colon)))
		return false;
	for (from = colon + 1; from < to && (line.p[from] == ' ' || line.p[from] == '\t');)
		from++;
	while (to > from && (line.p[to - 1] == ' ' || line.p[to - 1] == '\t'))
		to--;
	ret->name = str_sub(line, 0, colon);
	ret->value = str_sub(line, from, to);
	return http1_is_field_value(ret->value);
}

/* Whether a comma-separated value has this token. */
static bool list_has(struct str list, struct str token)
{
	struct str item;
	bool more;

	do {
		more = str_cut(list, ',', &item, &list);
		if (str_ieq(str_trim(item), token))
			return true;
	} while (more);
	return false;
}

/* What the headers that matter to framing say, collected before they are judged together. */
struct framing {
	int lengths, encodings, hosts;
	bool close, keep_alive, upgrade_token, upgrade_header, bad_length, not_chunked;
	int64_t length;
};

static bool parse_length(struct str v, int64_t *ret)
{
	if (v.n == 0 || v.n > 18)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	return str_to_i64(v, ret) == 0;
}

static void note_header(struct http1_reader *r, const struct http_header *h, struct framing *f)
{
	switch (h->name.n) {
	case 4:
		f->hosts += str_ieq(h->name, S("host"));
		break;
	case 6:
		if (str_ieq(h->name, S("expect")) && str_ieq(h->value, S("100-continue")))
			r->head.expect_continue = true;
		break;
	case 7:
		f->upgrade_header |= str_ieq(h->name, S("upgrade"));
		break;
	case 10:
		if (str_ieq(h->name, S("connection"))) {
			f->close |= list_has(h->value, S("close"));
			f->keep_alive |= list_has(h->value, S("keep-alive"));
			f->upgrade_token |= list_has(h->value, S("upgrade"));
		}
		break;
	case 14:
		if (str_ieq(h->name, S("content-length"))) {
			f->lengths++;
			f->bad_length |= !parse_length(h->value, &f->length);
		}
		break;
	case 17:
		if (str_ieq(h->name, S("transfer-encoding"))) {
			f->encodings++;
			f->not_chunked |= !str_ieq(h->value, S("chunked"));
		}
		break;
	}
}

/* RFC 9112 6.3, and nothing that it merely tolerates. */
static enum http1_event judge(struct http1_reader *r, const struct framing *f)
{
	struct http1_head *h = &r->head;

	if (f->bad_length)
		return fail(r, 400, "bad Content-Length");
	if (f->lengths > 1)
		return fail(r, 400, "repeated Content-Length");
	if (f->encodings && f->lengths)
		return fail(r, 400, "Content-Length with Transfer-Encoding");
	if (f->encodings > 1 || f->not_chunked)
		return fail(r, 501, "unsupported transfer encoding");
	if (f->encodings && h->version == 10)
		return fail(r, 400, "Transfer-Encoding in HTTP/1.0");
	if (r->kind == HTTP1_REQUEST && (f->hosts > 1 || (f->hosts == 0 && h->version == 11)))
		return fail(r, 400,
			f->hosts ? "too many Host headers" : "missing required Host header");
	h->chunked = f->encodings == 1;
	h->keep_alive = !f->close && (h->version == 11 || f->keep_alive);
	h->upgrade = f->upgrade_token && f->upgrade_header && h->version == 11;
	h->content_length = f->lengths ? f->length : -1;
	if (r->kind == HTTP1_RESPONSE)
		r->no_body |= h->status < 200 || h->status == 204 || h->status == 304;
	if (r->no_body || (!h->chunked && h->content_length == 0)) {
		r->state = S_DONE;
	} else if (h->chunked) {
		r->state = S_CHUNK_SIZE;
	} else if (h->content_length > 0) {
		r->state = S_BODY;
		r->left = h->content_length;
	} else if (r->kind == HTTP1_REQUEST) {
		h->content_length = 0;
		r->state = S_DONE;
	} else {
		r->state = S_UNTIL_EOF;
		h->keep_alive = false;
	}
	return HTTP1_HEAD;
}

/* `head` is the whole head with its empty line, in the arena. */
static enum http1_event parse_head(
	struct http1_reader *r, struct arena *a, struct str head, size_t lines)
{
	struct framing f = {0};
	struct str line;

	if (!take_line(&head, &line))
		return fail(r, 400, "malformed line");
	if ((r->kind == HTTP1_REQUEST ? request_line(r, line) : status_line(r, line)) ==
		HTTP1_ERROR)
		return HTTP1_ERROR;
	r->head.headers = arena_alloc(a, MAX(lines, (size_t)1) * sizeof(struct http_header));
	for (;;) {
		struct http_header *h = &r->head.headers[r->head.n_headers];

		if (!take_line(&head, &line))
			return fail(r, 400, "malformed line");
		if (line.n == 0)
			return judge(r, &f);
		if (!header_line(line, h))
			return fail(r, 400, "malformed header");
		note_header(r, h, &f);
		r->head.n_headers++;
	}
}

/* Finds the end of the head: the first empty line. Continues where the last search ended. */
static size_t head_end(struct http1_reader *r, struct str in)
{
	size_t at = r->scanned > 3 ? r->scanned - 3 : 0;

	while (at < in.n) {
		const char *lf = memchr(in.p + at, '\n', in.n - at);

		if (!lf)
			break;
		at = lf - in.p + 1;
		if ((at >= 4 && memcmp(in.p + at - 4, "\r\n\r\n", 4) == 0) ||
			(at >= 2 && in.p[at - 2] ==
					    '\n')) /* "\n\n": broken, but complete: let it fail */
			return at;
	}
	return 0;
}

static enum http1_event read_head(
	struct http1_reader *r, struct arena *a, struct str in, size_t *used)
{
	size_t blank = 0, end, lines = 0;
	struct str head;

	/* RFC 9112 2.2: an empty line before a request is skipped. */
	if (r->kind == HTTP1_REQUEST && in.n >= 2 && in.p[0] == '\r' && in.p[1] == '\n')
		blank = 2;
	if (blank && in.n >= 4 && in.p[2] == '\r' && in.p[3] == '\n')
		return fail(r, 400, "malformed request line");
	in = str_sub(in, blank, in.n);
	end = head_end(r, in);
	if (!end) {
		r->scanned = in.n;
		if (in.n > r->limits.head_max)
			return fail(r, 431, "request header fields too large");
		return HTTP1_NEED_MORE;
	}
	if (end > r->limits.head_max)
		return fail(r, 431, "request header fields too large");
	for (const char *p = in.p; (p = memchr(p, '\n', in.p + end - p)); p++)
		lines++;
	if (lines > r->limits.headers_max + 2)
		return fail(r, 431, "too many header fields");
	*used = blank + end;
	head = arena_str(a, str_sub(in, 0, end));
	return parse_head(r, a, head, lines);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "1a2b" or "1a2b;extension"; the extension is ignored. */
static bool chunk_size(struct str line, uint64_t *ret)
{
	uint64_t size = 0;
	size_t i = 0;

	for (; i < line.n && hex_digit(line.p[i]) >= 0; i++) {
		if (i == 15)
			return false;
		size = size * 16 + hex_digit(line.p[i]);
	}
	if (i == 0 || (i < line.n && line.p[i] != ';') || !http1_is_field_value(line))
		return false;
	*ret = size;
	return true;
}

static enum http1_event read_chunk_size(struct http1_reader *r, struct str in, size_t *used)
{
	struct str line, rest = in;

	if (!memchr(in.p, '\n', MIN(in.n, (size_t)LINE_CHUNK_MAX))) {
		if (in.n >= LINE_CHUNK_MAX)
			return fail(r, 400, "chunk size line too long");
		return HTTP1_NEED_MORE;
	}
	if (!take_line(&rest, &line) || !chunk_size(line, &r->left))
		return fail(r, 400, "malformed chunk size");
	*used = in.n - rest.n;
	r->state = r->left ? S_CHUNK_DATA : S_TRAILER;
	return HTTP1_NEED_MORE;
}

static enum http1_event read_data(
	struct http1_reader *r, struct str in, size_t *used, struct str *part)
{
	*used = MIN(in.n, r->left);
	*part = str_sub(in, 0, *used);
	r->left -= *used;
	if (r->left == 0)
		r->state = r->state == S_BODY ? S_DONE : S_CHUNK_END;
	return HTTP1_BODY;
}

static enum http1_event read_chunk_end(struct http1_reader *r, struct str in, size_t *used)
{
	if (in.p[0] != '\r' || (in.n > 1 && in.p[1] != '\n'))
		return fail(r, 400, "malformed chunk");
	if (in.n == 1)
		return HTTP1_NEED_MORE;
	*used = 2;
	r->state = S_CHUNK_SIZE;
	return HTTP1_NEED_MORE;
}

/* Trailers are checked and dropped. */
static enum http1_event read_trailer(struct http1_reader *r, struct str in, size_t *used)
{
	struct str line, rest = in;
	struct http_header ignored;

	if (!memchr(in.p, '\n', in.n)) {
		if (r->trailer + in.n > TRAILER_MAX)
			return fail(r, 431, "trailer too large");
		return HTTP1_NEED_MORE;
	}
	if (!take_line(&rest, &line))
		return fail(r, 400, "malformed trailer");
	*used = in.n - rest.n;
	r->trailer += *used;
	if (line.n == 0) {
		r->state = S_DONE;
		return HTTP1_NEED_MORE;
	}
	if (r->trailer > TRAILER_MAX)
		return fail(r, 431, "trailer too large");
	return header_line(line, &ignored) ? HTTP1_NEED_MORE : fail(r, 400, "malformed trailer");
}

static enum http1_event step(
	struct http1_reader *r, struct arena *a, struct str in, size_t *used, struct str *part)
{
	if (in.n == 0)
		return HTTP1_NEED_MORE;
	switch ((enum state)r->state) {
	case S_HEAD:
		return read_head(r, a, in, used);
	case S_BODY:
	case S_CHUNK_DATA:
		return read_data(r, in, used, part);
	case S_CHUNK_SIZE:
		return read_chunk_size(r, in, used);
	case S_CHUNK_END:
		return read_chunk_end(r, in, used);
	case S_TRAILER:
		return read_trailer(r, in, used);
	case S_UNTIL_EOF:
		*used = in.n;
		*part = in;
		return HTTP1_BODY;
	case S_DONE:
	case S_FAILED:
		break;
	}
	return HTTP1_NEED_MORE;
}

enum http1_event http1_read(struct http1_reader *r, struct arena *a, struct str input,
	size_t *ret_used, struct str *ret_part)
{
	size_t total = 0;

	for (;;) {
		size_t used = 0;
		enum http1_event e;

		if (r->state == S_DONE || r->state == S_FAILED) {
			*ret_used = total;
			return r->state == S_DONE ? HTTP1_END : HTTP1_ERROR;
		}
		e = step(r, a, str_sub(input, total, input.n), &used, ret_part);
		total += used;
		if (e == HTTP1_NEED_MORE && (used || r->state == S_DONE))
			continue;
		*ret_used = total;
		return e;
	}
}

enum http1_event http1_read_eof(struct http1_reader *r)
{
	if (r->state == S_UNTIL_EOF || r->state == S_DONE) {
		r->state = S_DONE;
		return HTTP1_END;
	}
	if (!http1_reader_started(r))
		return HTTP1_NEED_MORE;
	return fail(r, 400, "unexpected EOF");
}
