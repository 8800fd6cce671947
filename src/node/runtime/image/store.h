/*
 * store.h: the images of a node on disk, shared by the node program and `sampan image`.
 *
 *     <dir>/index.json                   names, ids, sizes, layers of every image
 *     <dir>/blobs/sha256/<hex>           manifests and configurations
 *     <dir>/layers/<16 hex>/fs           an unpacked layer; named by its chain id (OCI image spec,
 * config.md: ChainID), <dir>/layers/<16 hex>/chain        … which stands here in full, followed by
 * the bytes it was made of <dir>/tmp/<random>/                work under way, locked by whoever
 * does it <dir>/ingest/<hex>                 downloads, kept to be resumed <dir>/lock flock(2):
 * held by whoever changes the index or removes layers
 *
 * Every function blocks (job threads, child processes). Any number of processes may use one
 * directory.
 */
#ifndef SAMPAN_IMAGE_STORE_H
#define SAMPAN_IMAGE_STORE_H

#include "base/base.h"
#include "node/runtime/image/inflate.h"

enum {
	IMAGE_LAYERS_MAX = 127,
	IMAGE_DOCUMENT_MAX = 4 * 1024 * 1024, /* a manifest or configuration */
};
#define IMAGE_LAYER_BYTES_MAX (64ULL << 30)

struct image_store {
	const char *dir;
	const char *containers_dir; /* their records name the images that must stay; NULL: none */
};

struct image {
	struct str id;                /* sha256: of the configuration */
	struct str_vec tags, digests; /* docker.io/library/busybox:latest, …/busybox@sha256:… */
	struct str_vec layers;        /* chain ids, lowest first */
	struct str manifest;          /* its digest; may be empty */
	struct str user;              /* of the configuration */
	uint64_t size;
};

struct image_index {
	struct image *v;
	size_t n;
};

/* Makes the directories, removes what a crash left in tmp. */
int image_store_prepare(const struct image_store *s, struct err *err);
int image_index_load(
	const struct image_store *s, struct arena *a, struct image_index *ret, struct err *err);
/* By id (with or without "sha256:", or its first 12 and more digits), name or name with digest.
 * NULL: not there. */
struct image *image_find(const struct image_index *idx, struct str name, struct arena *a);
/* Removes an id with all its names, or one name, and with the last name the image and what only it
 * used. */
int image_remove(const struct image_store *s, struct str name, struct err *err);
/* The configuration's JSON text. */
int image_config(const struct image_store *s, struct str id, struct arena *a, struct str *ret,
	struct err *err);
const char *image_layer_dir(
	const struct image_store *s, struct str chain, struct arena *a); /* …/layers/<16 hex> */
/* Shared or exclusive lock on the store; the descriptor to close, or negative errno. */
int image_store_lock(const struct image_store *s, bool exclusive);

/* Adding an image: begin, one image_add_layer() per layer from the lowest up, commit. Nothing is
 * seen before commit; image_add_end() removes what was not committed. */
struct image_add {
	const struct image_store *store;
	struct arena *arena;
	char *tmp;   /* our directory */
	int lock_fd; /* … is locked by this */
	struct image image;
	struct str_vec fresh; /* chain ids that we unpacked */
	uint64_t size;
};
int image_add_begin(
	const struct image_store *s, struct arena *a, struct image_add *add, struct err *err);
/* Whether the next layer, with this diff id, is there already (then it is taken, and its bytes are
 * not needed). */
bool image_add_have(struct image_add *add, struct str diff_id);
/* Unpacks the next layer and checks the diff id. */
int image_add_layer(
	struct image_add *add, struct str diff_id, struct byte_source *from, struct err *err);
/* name: tag or digest reference or both empty. config and manifest are kept as blobs. */
int image_add_commit(struct image_add *add, struct str config, struct str manifest,
	const struct str_vec *tags, const struct str_vec *digests, struct str *ret_id,
	struct err *err);
void image_add_end(struct image_add *add);

/* What a configuration says about layers; checks the platform's os. */
int image_config_diff_ids(struct str config, struct arena *a, struct str_vec *ret, struct err *err);

#endif
