/*
 * image.h: images in and out: archives, registries, the `sampan image` command.
 *
 * Everything here blocks and belongs into a child process (`sampan image …`): its memory goes back
 * when it ends.
 */
#ifndef SAMPAN_IMAGE_IMAGE_H
#define SAMPAN_IMAGE_IMAGE_H

#include "node/runtime/image/store.h"

/* `sampan image import FILE… | pull REF | ls | rm REF`. Exit code. */
int image_main(int argc, char **argv);

/* Takes every image of a `docker save` or OCI archive (tar, plain or gzip or zstd), read once from
 * fd. Any error leaves the store as it was. The ids and names taken are appended to `ret` as "id
 * name". */
int image_import(
	const struct image_store *s, int fd, struct arena *a, struct str_vec *ret, struct err *err);

struct registry_mirror {
	struct str host; /* docker.io; "*" any */
	struct str url;  /* http://127.0.0.1:5000 */
};
struct registry_opts {
	struct registry_mirror *mirrors;
	size_t n_mirrors;
	struct str_vec insecure; /* hosts with plain HTTP or unverified TLS; loopback addresses are
				    so anyway */
	struct str username, password, auth, identity_token,
		registry_token; /* of the pull secret; may be empty */
	const char *ca_file;    /* more authorities; NULL none */
};
/* Pulls and gives the image's id. The error's message holds the registry's own words. */
int image_pull(const struct image_store *s, struct str ref, const struct registry_opts *o,
	struct arena *a, struct str *ret_id, struct err *err);

/* Reads <data-dir>/registries.conf: lines "mirror HOST URL", "insecure HOST" and "ca FILE", '#'
 * comments. A
 * missing file is empty. */
int registries_conf_read(
	const char *path, struct arena *a, struct registry_opts *o, struct err *err);

#endif
