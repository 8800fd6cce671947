/* openapi.c: /openapi/v2 and /openapi/v3: documents written once, on first demand, and kept. */
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/negotiate.h"
#include "apiserver/openapi_documents.h"
#include "apiserver/server.h"
#include "schema/openapi.h"

#define VERSION "v1.36.2"
#define PROTO "com.github.proto-openapi.spec.v2.v1.0+protobuf"

enum { DOCUMENT_MAX = 64 * 1024 * 1024 };

struct openapi_document {
	struct openapi_document *next;
	char *path;
	bool proto;
	struct buf bytes;
	char etag[2 * SHA512_DIGEST_LENGTH + 3];
};

struct openapi_documents {
	pthread_mutex_t lock;
	struct openapi_document *first; /* never removed: readers keep pointers */
};

struct openapi_documents *openapi_documents_new(void)
{
	struct openapi_documents *d = xcalloc(1, sizeof(*d));

	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void openapi_documents_free(struct openapi_documents *d)
{
	struct openapi_document *next;

	if (!d)
		return;
	for (struct openapi_document *doc = d->first; doc; doc = next) {
		next = doc->next;
		buf_release(&doc->bytes);
		free(doc->path);
		free(doc);
	}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static bool write_v3(struct str rest, struct buf *out)
{
	struct str group, version;

	if (!rest.n) {
		openapi_v3_write_index(VERSION, out);
		return true;
	}
	if (str_eqc(rest, "/api/v1"))
		return openapi_v3_write(S(""), S("v1"), VERSION, out);
	if (!str_starts(rest, S("/apis/")))
		return false;
	rest = str_sub(rest, 6, rest.n);
	return str_cut(rest, '/', &group, &version) &&
	       openapi_v3_write(group, version, VERSION, out);
}

static bool write_v2_proto(struct buf *out)
{
	struct buf json CLEANUP(buf_release) = {0};

	buf_init(&json, DOCUMENT_MAX);
	openapi_v2_write(VERSION, &json);
	return openapi_v2_to_proto(buf_str(&json), out, NULL) >= 0;
}

static bool write_document(struct str path, bool proto, struct buf *out)
{
	if (proto)
		return write_v2_proto(out);
	if (str_eqc(path, "/openapi/v2")) {
		openapi_v2_write(VERSION, out);
		return true;
	}
	if (!str_starts(path, S("/openapi/v3")))
		return false;
	return write_v3(str_sub(path, strlen("/openapi/v3"), path.n), out);
}

static void set_etag(struct openapi_document *doc)
{
	unsigned char sum[SHA512_DIGEST_LENGTH];
	char *p = doc->etag;

	SHA512((const unsigned char *)doc->bytes.p, doc->bytes.n, sum);
	*p++ = '"';
	for (size_t i = 0; i < sizeof(sum); i++, p += 2) {
		static const char digits[] = "0123456789ABCDEF";

		p[0] = digits[sum[i] >> 4];
		p[1] = digits[sum[i] & 15];
	}
	*p = '"';
}

/* NULL: there is no such document. */
static const struct openapi_document *find(struct openapi_documents *d, struct str path, bool proto)
{
	struct openapi_document *doc;

	pthread_mutex_lock(&d->lock);
	for (doc = d->first; doc; doc = doc->next)
		if (str_eqc(path, doc->path) && doc->proto == proto)
			break;
	if (!doc) {
		doc = xcalloc(1, sizeof(*doc));
		buf_init(&doc->bytes, DOCUMENT_MAX);
		doc->proto = proto;
		if (write_document(path, proto, &doc->bytes)) {
			doc->path = xmalloc(path.n + 1);
			memcpy(doc->path, path.p, path.n);
			doc->path[path.n] = 0;
			set_etag(doc);
			doc->next = d->first;
			d->first = doc;
		} else {
			buf_release(&doc->bytes);
			free(doc);
			doc = NULL;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return doc;
}

/* Whether the best clause that is served is gnostic's protobuf; only version 2 has it. */
static bool wants_proto(struct request *r, struct str path)
{
	struct accept accept;

	if (!str_eqc(path, "/openapi/v2"))
		return false;
	accept_parse(r->arena, r->accept, &accept);
	for (size_t i = 0; i < accept.n; i++) {
		if (accept_matches(&accept.v[i], "application", "json"))
			return false;
		if (str_eqc(accept.v[i].subtype,
			    "com.github.proto-openapi.spec.v2@v1.0+protobuf") ||
			str_eqc(accept.v[i].subtype, PROTO))
			return true;
	}
	return false;
}

bool handle_openapi(struct request *r)
{
	struct str path = r->info.path;
	const struct openapi_document *doc;

	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	doc = find(r->s->openapi, path, wants_proto(r, path));
	if (!doc)
		return false;
	http_header(r->x, "Audit-Id", uuid_new(r->arena, r->loop));
	http_header(r->x, "ETag", str_c(doc->etag));
	http_header(r->x, "Vary", S("Accept"));
	if (query_has(&r->query, "hash")) /* the name says what is in it */
		http_header(r->x, "Cache-Control", S("public, immutable"));
	else
		http_header(r->x, "Cache-Control", S("no-cache, private"));
	if (str_eqc(http_get_header(r->x, "If-None-Match"), doc->etag))
		http_respond(r->x, 304, NULL, S(""));
	else
		respond_body(r, 200, doc->proto ? "application/" PROTO : "application/json",
			buf_str(&doc->bytes));
	return true;
}
