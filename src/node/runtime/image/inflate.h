/*
 * inflate.h: a layer's bytes, decompressed as they are read (gzip, zstd or plain, told apart by
 * their first bytes), with the SHA-256 of the decompressed stream: its diff id.
 *
 * Blocks. Errors: -EBADMSG for broken compression, -EFBIG above the maximum, or the source's own.
 */
#ifndef SAMPAN_IMAGE_INFLATE_H
#define SAMPAN_IMAGE_INFLATE_H

#include "base/base.h"

struct sha256; /* a running hash */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *p, size_t n);
/* "sha256:<hex>" and frees it; ret may be NULL (only frees). */
void sha256_end(struct sha256 *h, char ret[72]);
void sha256_of(struct str bytes, char ret[72]);

/* Where compressed bytes come from: up to n of them into p; 0 at the end, negative errno on
 * failure. */
struct byte_source {
	ssize_t (*read)(struct byte_source *s, void *p, size_t n);
};
struct fd_source {
	struct byte_source source;
	int fd;
};
struct fd_source fd_source(int fd);

struct inflate;
struct inflate *inflate_new(struct byte_source *from, uint64_t out_max);
void inflate_free(struct inflate *i);
/* The next decompressed bytes, valid until the next call; 0 at the end, negative errno on failure.
 */
ssize_t inflate_next(struct inflate *i, const void **ret);
/* Reads what is left and gives the digest of all decompressed bytes. 0 or negative errno. */
int inflate_digest(struct inflate *i, char ret[72]);

#endif
