#include "node/runtime/image/inflate.h"

#include <openssl/evp.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_BYTES = 64 * 1024, OUT_BYTES = 128 * 1024, ZSTD_WINDOW_LOG_MAX = 27 };

struct sha256 *sha256_new(void)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
		abort();
	return (struct sha256 *)c;
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
	EVP_DigestUpdate((EVP_MD_CTX *)h, p, n);
}

void sha256_end(struct sha256 *h, char ret[72])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char md[32];

	EVP_DigestFinal_ex((EVP_MD_CTX *)h, md, NULL);
	EVP_MD_CTX_free((EVP_MD_CTX *)h);
	if (!ret)
		return;
	memcpy(ret, "sha256:", 7);
	for (int i = 0; i < 32; i++) {
		ret[7 + 2 * i] = hex[md[i] >> 4];
		ret[8 + 2 * i] = hex[md[i] & 15];
	}
	ret[71] = '\0';
}

void sha256_of(struct str bytes, char ret[72])
{
	struct sha256 *h = sha256_new();

	sha256_add(h, bytes.p, bytes.n);
	sha256_end(h, ret);
}

static ssize_t fd_read(struct byte_source *s, void *p, size_t n)
{
	struct fd_source *f = container_of(s, struct fd_source, source);
	ssize_t got;

	do
		got = read(f->fd, p, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

struct fd_source fd_source(int fd)
{
	return (struct fd_source){{fd_read}, fd};
}

enum format { UNKNOWN, PLAIN, GZIP, ZSTD };

struct inflate {
	struct byte_source *from;
	struct sha256 *hash;
	uint64_t total, out_max;
	enum format format;
	bool in_end;     /* the source has no more */
	bool frame_open; /* inside a gzip member or zstd frame */
	size_t in_at, in_n;
	z_stream z;
	ZSTD_DStream *zstd;
	unsigned char in[IN_BYTES], out[OUT_BYTES];
};

struct inflate *inflate_new(struct byte_source *from, uint64_t out_max)
{
	struct inflate *i = xcalloc(1, sizeof(*i));

	i->from = from;
	i->out_max = out_max;
	i->hash = sha256_new();
	return i;
}

void inflate_free(struct inflate *i)
{
	if (!i)
		return;
	if (i->format == GZIP)
		inflateEnd(&i->z);
	if (i->zstd)
		ZSTD_freeDStream(i->zstd);
	if (i->hash)
		sha256_end(i->hash, NULL);
	free(i);
}

/* More input behind what is not consumed yet. */
static int fill(struct inflate *i)
{
	memmove(i->in, i->in + i->in_at, i->in_n - i->in_at);
	i->in_n -= i->in_at;
	i->in_at = 0;
	while (!i->in_end && i->in_n < IN_BYTES) {
		ssize_t n = i->from->read(i->from, i->in + i->in_n, IN_BYTES - i->in_n);

		if (n < 0)
			return n;
		if (n == 0)
			i->in_end = true;
		i->in_n += n;
	}
	return 0;
}

static int detect(struct inflate *i)
{
	if (i->in_n >= 2 && i->in[0] == 0x1f && i->in[1] == 0x8b) {
		i->format = GZIP;
		return inflateInit2(&i->z, 15 + 16) == Z_OK ? 0 : -ENOMEM;
	}
	if (i->in_n >= 4 && !memcmp(i->in, "\x28\xb5\x2f\xfd", 4)) {
		i->format = ZSTD;
		i->zstd = ZSTD_createDStream();
		ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
		return 0;
	}
	i->format = PLAIN;
	return 0;
}

static ssize_t step_gzip(struct inflate *i)
{
	int r;

	if (!i->frame_open && inflateReset(&i->z) != Z_OK)
		return -EBADMSG;
	i->frame_open = true;
	i->z.next_in = i->in + i->in_at;
	i->z.avail_in = i->in_n - i->in_at;
	i->z.next_out = i->out;
	i->z.avail_out = OUT_BYTES;
	r = inflate(&i->z, Z_NO_FLUSH);
	i->in_at = i->in_n - i->z.avail_in;
	if (r == Z_STREAM_END)
		i->frame_open = false;
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return -EBADMSG;
	return OUT_BYTES - i->z.avail_out;
}

static ssize_t step_zstd(struct inflate *i)
{
	ZSTD_inBuffer in = {i->in, i->in_n, i->in_at};
	ZSTD_outBuffer out = {i->out, OUT_BYTES, 0};
	size_t r = ZSTD_decompressStream(i->zstd, &out, &in);

	if (ZSTD_isError(r))
		return -EBADMSG;
	i->in_at = in.pos;
	i->frame_open = r != 0;
	return out.pos;
}

static ssize_t step_plain(struct inflate *i)
{
	size_t n = i->in_n - i->in_at;

	memcpy(i->out, i->in + i->in_at, n);
	i->in_at = i->in_n;
	return n;
}

ssize_t inflate_next(struct inflate *i, const void **ret)
{
	for (;;) {
		size_t before;
		ssize_t n;
		int r = i->in_n - i->in_at < IN_BYTES / 2 && !i->in_end ? fill(i) : 0;

		if (r == 0 && i->format == UNKNOWN)
			r = detect(i);
		if (r < 0)
			return r;
		before = i->in_n - i->in_at;
		if (before == 0 && !i->frame_open)
			return 0;
		n = i->format == GZIP   ? step_gzip(i)
		    : i->format == ZSTD ? step_zstd(i)
					: step_plain(i);
		if (n < 0)
			return n;
		if (n == 0 && before == i->in_n - i->in_at && i->in_end)
			return -EBADMSG; /* cut off */
		i->total += n;
		if (i->total > i->out_max)
			return -EFBIG;
		if (n == 0)
			continue;
		sha256_add(i->hash, i->out, n);
		*ret = i->out;
		return n;
	}
}

int inflate_digest(struct inflate *i, char ret[72])
{
	const void *p;
	ssize_t n;

	while ((n = inflate_next(i, &p)) > 0)
		;
	if (n < 0)
		return n;
	sha256_end(i->hash, ret);
	i->hash = NULL;
	return 0;
}
