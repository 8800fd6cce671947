/* registry.c: pulls from OCI registries (distribution spec 1.1) with libcurl. Runs in a process of
 * its own. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/base64.h"
#include "json/value.h"
#include "base/fs.h"
#include "node/runtime/image/image.h"
#include "node/runtime/image/libraries.h"
#include "node/runtime/image/manifest.h"
#include "node/runtime/image/ref.h"

enum {
	CONNECT_TIMEOUT_S = 30,
	STALL_S = 60,
	REDIRECTS_MAX = 10,
	ERROR_TEXT_MAX = 2048,
	TOKEN_MAX = 65536
};

#define ACCEPT                                                                                     \
	"Accept: application/vnd.oci.image.index.v1+json, "                                        \
	"application/vnd.oci.image.manifest.v1+json, "                                             \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                              \
	"application/vnd.docker.distribution.manifest.v2+json"

struct client {
	const struct image_store *store;
	const struct registry_opts *o;
	struct arena *arena;
	CURL *curl;
	struct str base;   /* https://registry-1.docker.io */
	struct str path;   /* library/busybox */
	struct str bearer; /* token; empty none yet */
	bool basic;        /* the registry asked for Basic */
	bool insecure;
	bool official; /* not a mirror: credentials go here */
};

struct answer {
	long status;
	struct str challenge, digest_header;
	struct buf body; /* up to its maximum */
	int fd;          /* -1: into body */
	uint64_t written, max;
	bool too_large;
	bool resuming; /* asked for the rest; nothing of the answer is written yet */
	struct arena *arena;
	CURL *curl;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t size, size_t n, void *user_data)
{
	struct answer *r = user_data;
	long status = 0;

	n *= size;
	libcurl.easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (r->fd < 0 || status >= 300) {
		if (r->body.n + n > r->body.max) {
			r->too_large = status < 300;
			return status < 300 ? 0 : n;
		}
		buf_add(&r->body, p, n);
		return n;
	}
	/* A server that ignores the range sends all of it again. */
	if (status == 200 && r->resuming) {
		if (lseek(r->fd, 0, SEEK_SET) < 0 || ftruncate(r->fd, 0) < 0)
			return 0;
		r->written = 0;
	}
	r->resuming = false;
	if (r->written + n > r->max) {
		r->too_large = true;
		return 0;
	}
	for (size_t done = 0; done < n;) {
		ssize_t w = write(r->fd, p + done, n - done);

		if (w < 0)
			return 0;
		done += w;
	}
	r->written += n;
	return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *user_data)
{
	struct answer *r = user_data;
	struct str line = str_trim(str_n(p, size * n)), name, value;

	if (str_cut(line, ':', &name, &value)) {
		value = arena_str(r->arena, str_trim(value));
		if (str_ieq(name, S("www-authenticate")) && !r->challenge.n)
			r->challenge = value;
		else if (str_ieq(name, S("docker-content-digest")))
			r->digest_header = value;
	}
	return size * n;
}

static const char *cstr(struct client *c, struct str s)
{
	return arena_cstr(c->arena, s);
}

static void set_common(struct client *c, struct answer *r, const char *url)
{
	libcurl.easy_reset(c->curl);
	libcurl.easy_setopt(c->curl, CURLOPT_URL, url);
	libcurl.easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	libcurl.easy_setopt(
		c->curl, CURLOPT_REDIR_PROTOCOLS_STR, c->insecure ? "http,https" : "https");
	libcurl.easy_setopt(c->curl, CURLOPT_FOLLOWLOCATION, 1L);
	libcurl.easy_setopt(c->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	libcurl.easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	libcurl.easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	libcurl.easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	libcurl.easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	libcurl.easy_setopt(c->curl, CURLOPT_USERAGENT, "sampan/" SAMPAN_VERSION);
	libcurl.easy_setopt(c->curl, CURLOPT_ERRORBUFFER, r->error);
	libcurl.easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	libcurl.easy_setopt(c->curl, CURLOPT_WRITEDATA, r);
	libcurl.easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	libcurl.easy_setopt(c->curl, CURLOPT_HEADERDATA, r);
	if (c->o->ca_file)
		libcurl.easy_setopt(c->curl, CURLOPT_CAINFO, c->o->ca_file);
	if (c->insecure) {
		libcurl.easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, 0L);
		libcurl.easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* Credentials for the registry itself, never for a mirror: user:password. */
static struct str credentials(struct client *c)
{
	if (!c->official)
		return (struct str){0};
	if (c->o->username.n)
		return arena_fmt(c->arena, STR_FMT ":" STR_FMT, STR_ARG(c->o->username),
			STR_ARG(c->o->password));
	return (struct str){0};
}

static int perform(struct client *c, struct answer *r, const char *url, struct curl_slist *headers,
	struct err *err)
{
	CURLcode code;

	libcurl.easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	code = libcurl.easy_perform(c->curl);
	libcurl.easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &r->status);
	if (r->too_large)
		return err_fmt(err, 500, "InternalError",
			"failed to do request: %s sends more than it may", url);
	if (code != CURLE_OK)
		return err_fmt(err, 500, "InternalError", "failed to do request: %s: %s", url,
			r->error[0] ? r->error : libcurl.easy_strerror(code));
	return 0;
}

static void answer_init(struct client *c, struct answer *r, int fd, uint64_t written, uint64_t max)
{
	*r = (struct answer){
		.arena = c->arena, .curl = c->curl, .fd = fd, .written = written, .max = max};
	buf_init(&r->body, IMAGE_DOCUMENT_MAX);
}

/* The registry's words: {"errors":[{"code":…,"message":…}]}. */
static struct str registry_words(struct client *c, const struct answer *r)
{
	struct json_value *root, *list, *first;
	struct str code, message;

	if (!r->body.n || json_parse(buf_str(&r->body), c->arena, &root, NULL) < 0)
		return (struct str){0};
	list = json_getc(root, "errors");
	first = list && list->items.n ? list->items.v[0] : NULL;
	code = json_get_str(first, "code");
	message = json_get_str(first, "message");
	if (!code.n && !message.n)
		return json_get_str(root, "details");
	return arena_fmt(c->arena, STR_FMT ": " STR_FMT, STR_ARG(code), STR_ARG(message));
}

static int status_error(struct client *c, const struct answer *r, const char *url, struct err *err)
{
	struct str words = registry_words(c, r);
	const char *sep = words.n ? ": " : "";

	if (r->status == 404)
		return err_fmt(
			err, 404, "NotFound", "%s: not found%s" STR_FMT, url, sep, STR_ARG(words));
	if (r->status == 401)
		return err_fmt(err, 401, "Unauthorized",
			"pull access denied, repository does not exist or may require "
			"authorization: authorization failed: "
			"no basic auth credentials%s" STR_FMT,
			sep, STR_ARG(words));
	if (r->status == 403)
		return err_fmt(err, 403, "Forbidden",
			"pull access denied: insufficient_scope: authorization failed%s" STR_FMT,
			sep, STR_ARG(words));
	return err_fmt(err, 500, "InternalError",
		"unexpected status from GET request to %s: %ld%s" STR_FMT, url, r->status, sep,
		STR_ARG(words));
}

/* realm="…",service="…",scope="…" */
static struct str challenge_value(struct client *c, struct str challenge, const char *key)
{
	struct str needle = arena_fmt(c->arena, "%s=\"", key);
	ssize_t at = str_find(challenge, needle), end;

	if (at < 0)
		return (struct str){0};
	challenge = str_sub(challenge, at + needle.n, challenge.n);
	end = str_chr(challenge, '"');
	return end < 0 ? (struct str){0} : arena_str(c->arena, str_sub(challenge, 0, end));
}

static const char *escape(struct client *c, struct str s)
{
	char *e = libcurl.easy_escape(c->curl, s.p ? s.p : "", s.n);
	const char *kept = arena_strc(c->arena, e).p;

	libcurl.free(e);
	return kept;
}

/* Fetches a token as the challenge says. */
static int fetch_token(struct client *c, struct str challenge, struct err *err)
{
	struct str realm = challenge_value(c, challenge, "realm"),
		   service = challenge_value(c, challenge, "service");
	struct str scope = challenge_value(c, challenge, "scope"), user = credentials(c);
	struct json_value *root;
	struct answer r;
	const char *url;
	int result;

	if (!str_starts(realm, S("https://")) && !(c->insecure && str_starts(realm, S("http://"))))
		return err_fmt(err, 500, "InternalError",
			"the registry names no usable token server: \"" STR_FMT "\"",
			STR_ARG(realm));
	if (!scope.n)
		scope = arena_fmt(c->arena, "repository:" STR_FMT ":pull", STR_ARG(c->path));
	url = arena_fmt(c->arena, STR_FMT "%cservice=%s&scope=%s", STR_ARG(realm),
		str_chr(realm, '?') < 0 ? '?' : '&', escape(c, service), escape(c, scope))
		      .p;
	answer_init(c, &r, -1, 0, 0);
	r.body.max = TOKEN_MAX;
	set_common(c, &r, url);
	if (c->o->identity_token.n && c->official) {
		libcurl.easy_setopt(c->curl, CURLOPT_URL, cstr(c, realm));
		libcurl.easy_setopt(c->curl, CURLOPT_COPYPOSTFIELDS,
			arena_fmt(c->arena,
				"grant_type=refresh_token&client_id=sampan&service=%s&scope=%s&"
				"refresh_token=%s",
				escape(c, service), escape(c, scope),
				escape(c, c->o->identity_token))
				.p);
	} else if (user.n) {
		libcurl.easy_setopt(c->curl, CURLOPT_USERPWD, user.p);
	}
	result = perform(c, &r, url, NULL, err);
	if (result == 0 && r.status != 200)
		result = err_fmt(err, 500, "InternalError",
			"failed to authorize: failed to fetch %s token: unexpected status: "
			"%ld " STR_FMT,
			user.n ? "oauth" : "anonymous", r.status, STR_ARG(registry_words(c, &r)));
	if (result == 0 &&
		json_parse(arena_str(c->arena, buf_str(&r.body)), c->arena, &root, NULL) == 0) {
		c->bearer = json_get_str(root, "token");
		if (!c->bearer.n)
			c->bearer = json_get_str(root, "access_token");
	}
	buf_release(&r.body);
	if (result == 0 && !c->bearer.n)
		return err_fmt(err, 500, "InternalError", "the token server gave no token");
	return result;
}

static int request(
	struct client *c, struct answer *r, const char *url, bool manifest, struct err *err)
{
	struct curl_slist *headers = manifest ? libcurl.slist_append(NULL, ACCEPT) : NULL;
	char range[32];
	int result;

	set_common(c, r, url);
	if (c->bearer.n)
		headers = libcurl.slist_append(headers,
			arena_fmt(c->arena, "Authorization: Bearer " STR_FMT, STR_ARG(c->bearer))
				.p);
	else if (c->basic)
		libcurl.easy_setopt(c->curl, CURLOPT_USERPWD, cstr(c, credentials(c)));
	if (r->written) {
		snprintf(range, sizeof(range), "%llu-", (unsigned long long)r->written);
		libcurl.easy_setopt(c->curl, CURLOPT_RANGE, range);
		r->resuming = true;
	}
	result = perform(c, r, url, headers, err);
	libcurl.slist_free_all(headers);
	return result;
}

/* A GET that answers one challenge. On success r holds a 2xx answer. */
static int get(struct client *c, struct answer *r, const char *url, bool manifest, struct err *err)
{
	int result = request(c, r, url, manifest, err);

	if (result == 0 && r->status == 401 && r->challenge.n) {
		struct str challenge = r->challenge;

		if (str_starts(challenge, S("Bearer")) || str_starts(challenge, S("bearer"))) {
			result = fetch_token(c, challenge, err);
		} else if (credentials(c).n) {
			c->basic = true;
		} else {
			return status_error(c, r, url, err);
		}
		buf_reset(&r->body);
		r->challenge = (struct str){0};
		if (result == 0)
			result = request(c, r, url, manifest, err);
	}
	if (result == 0 && (r->status < 200 || r->status >= 300))
		result = status_error(c, r, url, err);
	return result;
}

/* --- manifests and blobs --- */

static int get_manifest(struct client *c, struct str reference, struct str want_digest,
	struct str *ret, struct str *ret_digest, struct err *err)
{
	const char *url = arena_fmt(c->arena, STR_FMT "/v2/" STR_FMT "/manifests/" STR_FMT,
		STR_ARG(c->base), STR_ARG(c->path), STR_ARG(reference))
				  .p;
	struct answer r;
	char digest[72];
	int result;

	answer_init(c, &r, -1, 0, 0);
	result = get(c, &r, url, true, err);
	if (result == 0) {
		*ret = arena_str(c->arena, r.body.n ? buf_str(&r.body) : S(""));
		sha256_of(*ret, digest);
		*ret_digest = arena_strc(c->arena, digest);
		if (want_digest.n && !str_eqc(want_digest, digest))
			result = err_fmt(err, 500, "InternalError",
				"%s: the registry sent something with digest %s", url, digest);
	}
	buf_release(&r.body);
	return result;
}

static int check_digest(int fd, struct str want)
{
	struct sha256 *h = sha256_new();
	char chunk[65536], digest[72];
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		sha256_add(h, chunk, n);
	sha256_end(h, digest);
	return n < 0 ? -errno : str_eqc(want, digest) ? 0 : -EBADMSG;
}

/* Downloads into <store>/ingest, goes on where an earlier try ended, and checks the digest. The
 * open file, or an error. */
static int get_blob(struct client *c, const struct manifest_blob *b, struct err *err)
{
	const char *url = arena_fmt(c->arena, STR_FMT "/v2/" STR_FMT "/blobs/" STR_FMT,
		STR_ARG(c->base), STR_ARG(c->path), STR_ARG(b->digest))
				  .p;
	const char *path = arena_fmt(c->arena, "%s/ingest/" STR_FMT, c->store->dir,
		STR_ARG(str_sub(b->digest, 7, b->digest.n)))
				   .p;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), result = 0;
	struct answer r;
	off_t have;

	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", path);
	while (flock(fd, LOCK_EX) <
		0) /* another pull of the same blob: then it is ours when that ends */
		if (errno != EINTR)
			break;
	have = lseek(fd, 0, SEEK_END);
	if ((uint64_t)have > b->size && ftruncate(fd, 0) == 0)
		have = lseek(fd, 0, SEEK_SET);
	answer_init(c, &r, fd, have, b->size);
	if ((uint64_t)have < b->size)
		result = get(c, &r, url, false, err);
	buf_release(&r.body);
	if (result == 0 && check_digest(fd, b->digest) < 0) {
		result = err_fmt(err, 500, "InternalError",
			"%s: what the registry sent does not have this digest", url);
		unlink(path);
	}
	if (result < 0) {
		close(fd);
		return result;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void drop_blob(struct client *c, struct str digest)
{
	unlink(arena_fmt(c->arena, "%s/ingest/" STR_FMT, c->store->dir,
		STR_ARG(str_sub(digest, 7, digest.n)))
			.p);
}

static int get_config(
	struct client *c, const struct manifest_blob *b, struct str *ret, struct err *err)
{
	int fd CLEANUP(fd_close) = b->size > IMAGE_DOCUMENT_MAX
					   ? err_fmt(err, 500, "InternalError",
						     "the image's configuration is too large")
					   : get_blob(c, b, err);
	int r;

	if (fd < 0)
		return fd;
	r = fs_read(
		arena_fmt(c->arena, "/proc/self/fd/%d", fd).p, IMAGE_DOCUMENT_MAX, c->arena, ret);
	drop_blob(c, b->digest);
	return r < 0 ? err_errno(err, -r, "cannot read the image's configuration") : 0;
}

static int get_layers(struct client *c, struct image_add *add, const struct manifest *m,
	const struct str_vec *diff_ids, struct err *err)
{
	if (diff_ids->n != m->layers.n)
		return err_fmt(err, 500, "InternalError",
			"the image has %zu layers, its configuration names %zu", m->layers.n,
			diff_ids->n);
	for (size_t i = 0; i < m->layers.n; i++) {
		int fd CLEANUP(fd_close) = -1, r;
		struct fd_source from;

		if (image_add_have(add, diff_ids->v[i]))
			continue;
		fd = get_blob(c, &m->layers.v[i], err);
		if (fd < 0)
			return fd;
		from = fd_source(fd);
		r = image_add_layer(add, diff_ids->v[i], &from.source, err);
		drop_blob(c, m->layers.v[i].digest);
		if (r < 0)
			return r;
	}
	return 0;
}

static int resolve(struct client *c, const struct image_ref *ref, struct str *ret_text,
	struct manifest *m, struct str *ret_top, struct err *err)
{
	struct str digest, chosen;
	int r = get_manifest(
		c, ref->digest.n ? ref->digest : ref->tag, ref->digest, ret_text, ret_top, err);

	if (r == 0)
		r = manifest_parse(*ret_text, c->arena, m, err);
	if (r < 0 || !m->is_index)
		return r;
	chosen = manifest_choose(m);
	if (!chosen.n)
		return err_fmt(err, 404, "NotFound",
			"no match for platform linux/%s in manifest: not found",
			manifest_architecture());
	r = get_manifest(c, chosen, chosen, ret_text, &digest, err);
	if (r == 0)
		r = manifest_parse(*ret_text, c->arena, m, err);
	return r == 0 && m->is_index
		       ? err_fmt(err, 500, "InternalError", "the image's index names another index")
		       : r;
}

static int pull_from(
	struct client *c, const struct image_ref *ref, struct str *ret_id, struct err *err)
{
	struct str text, top, config;
	struct str_vec diff_ids, tags = {0}, digests = {0};
	struct image_add add = {.lock_fd = -1};
	struct manifest m;
	int r = resolve(c, ref, &text, &m, &top, err);

	if (r == 0)
		r = get_config(c, &m.config, &config, err);
	if (r == 0)
		r = image_config_diff_ids(config, c->arena, &diff_ids, err);
	if (r < 0)
		return r;
	if (ref->tag.n && !ref->digest.n)
		ARENA_PUSH(c->arena, &tags, image_ref_tagged(ref, c->arena));
	ARENA_PUSH(c->arena, &digests, image_ref_digested(ref, top, c->arena));
	r = image_add_begin(c->store, c->arena, &add, err);
	if (r == 0)
		r = get_layers(c, &add, &m, &diff_ids, err);
	if (r == 0)
		r = image_add_commit(&add, config, text, &tags, &digests, ret_id, err);
	image_add_end(&add);
	return r;
}

/* --- where to --- */

static bool loopback(struct str host)
{
	struct str name, port;

	if (str_starts(host, S("[::1]")))
		return true;
	str_cut(host, ':', &name, &port);
	return str_eqc(name, "localhost") || str_starts(name, S("127."));
}

static struct str host_of(struct str url)
{
	ssize_t at = str_find(url, S("://"));
	struct str host, rest;

	str_cut(at < 0 ? url : str_sub(url, at + 3, url.n), '/', &host, &rest);
	return host;
}

static int try_base(struct client *c, struct str base, bool official, const struct image_ref *ref,
	struct str *ret_id, struct err *err)
{
	struct str host = host_of(base);

	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	c->base = base;
	c->path = ref->path;
	c->official = official;
	c->bearer = official ? c->o->registry_token : (struct str){0};
	c->basic = false;
	c->insecure = loopback(host) || str_vec_has(&c->o->insecure, host);
	if (str_starts(base, S("http://")) && !c->insecure)
		return err_fmt(err, 500, "InternalError",
			"registry " STR_FMT
			" is to be reached by plain HTTP, which only loopback registries and "
			"those named insecure in registries.conf may",
			STR_ARG(host));
	return pull_from(c, ref, ret_id, err);
}

static int try_registry(
	struct client *c, const struct image_ref *ref, struct str *ret_id, struct err *err)
{
	struct str host =
		str_eqc(ref->domain, "docker.io") ? S("registry-1.docker.io") : ref->domain;
	struct err first CLEANUP(err_release) = {0};
	bool plain = loopback(host) || str_vec_has(&c->o->insecure, host);
	int r = try_base(c, arena_fmt(c->arena, "https://" STR_FMT, STR_ARG(host)), true, ref,
		ret_id, plain ? &first : err);

	/* HTTP only when nobody answered HTTPS: an answer, also a bad one, stands. */
	if (r < 0 && plain && str_starts(first.message, S("failed to do request")))
		return try_base(c, arena_fmt(c->arena, "http://" STR_FMT, STR_ARG(host)), true, ref,
			ret_id, err);
	if (r < 0 && plain)
		err_move(err, &first);
	return r;
}

/* "auth" of a pull secret is base64 of user:password. */
static void decode_auth(struct registry_opts *o, struct arena *a)
{
	struct str s;

	if (!o->username.n && o->auth.n && base64_decode(o->auth, a, &s) == 0)
		str_cut(s, ':', &o->username, &o->password);
}

int image_pull(const struct image_store *s, struct str text, const struct registry_opts *opts,
	struct arena *a, struct str *ret_id, struct err *err)
{
	struct registry_opts o = *opts;
	struct client c = {.store = s, .o = &o, .arena = a};
	struct err last CLEANUP(err_release) = {0}, mirror CLEANUP(err_release) = {0};
	struct image_ref ref;
	int r = image_ref_parse(text, a, &ref, err);

	if (r < 0 || (r = libcurl_open(err)) < 0)
		return r;
	decode_auth(&o, a);
	libcurl.global_init(CURL_GLOBAL_DEFAULT);
	c.curl = libcurl.easy_init();
	r = -ENOENT;
	for (size_t i = 0; i < o.n_mirrors && r < 0; i++)
		if (str_eq(o.mirrors[i].host, ref.domain) || str_eqc(o.mirrors[i].host, "*"))
			r = try_base(&c, o.mirrors[i].url, false, &ref, ret_id, &mirror);
	if (r < 0)
		r = try_registry(&c, &ref, ret_id, &last);
	libcurl.easy_cleanup(c.curl);
	libcurl.global_cleanup();
	if (r < 0) {
		struct str full = ref.digest.n ? image_ref_digested(&ref, ref.digest, a)
					       : image_ref_tagged(&ref, a);

		return err_fmt(err, last.code ?: 500,
			last.code == 404 ? "NotFound" : "InternalError",
			"failed to pull and unpack image \"" STR_FMT
			"\": failed to resolve reference \"" STR_FMT "\": %s%s%s",
			STR_ARG(full), STR_ARG(full), err_text(&last),
			err_set(&mirror) ? "; mirror: " : "", err_text(&mirror));
	}
	return 0;
}

int registries_conf_read(
	const char *path, struct arena *a, struct registry_opts *o, struct err *err)
{
	struct {
		struct registry_mirror *v;
		size_t n;
	} mirrors = {0};
	struct str text, line, word, rest;
	int r = fs_read(path, FS_SMALL_MAX, a, &text), n = 0;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(err, -r, "cannot read %s", path);
	while (text.n) {
		str_cut(text, '\n', &line, &text);
		n++;
		str_cut(str_trim(line), ' ', &word, &rest);
		rest = str_trim(rest);
		if (!word.n || word.p[0] == '#')
			continue;
		if (str_eqc(word, "ca") && rest.n) {
			o->ca_file = arena_cstr(a, rest);
		} else if (str_eqc(word, "insecure") && rest.n) {
			ARENA_PUSH(a, &o->insecure, arena_str(a, rest));
		} else if (str_eqc(word, "mirror")) {
			struct registry_mirror m;

			if (!str_cut(rest, ' ', &m.host, &m.url))
				return err_bad_request(
					err, "%s:%d: mirror wants HOST URL", path, n);
			m.url = arena_str(a, str_trim(m.url));
			m.host = arena_str(a, m.host);
			ARENA_PUSH(a, &mirrors, m);
		} else {
			return err_bad_request(
				err, "%s:%d: unknown word \"" STR_FMT "\"", path, n, STR_ARG(word));
		}
	}
	o->mirrors = mirrors.v;
	o->n_mirrors = mirrors.n;
	return 0;
}
